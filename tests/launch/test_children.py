"""The launcher leaves no orphan, however it ends, and keeps running what should run."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from calltree.launch import checks, own_redis

WITHIN_S = 60

# A launcher of two children, one of which has a child of its own and both of which are stubborn
# about SIGINT, as a shell in the same terminal would make them.
PARENT = """
    import os, sys
    from pathlib import Path
    from calltree.launch.children import Child, Children, show

    folder = Path(sys.argv[1])
    note = "echo $$ >> " + str(folder) + "/pids; "
    children = Children(show)
    children.listen_to_signals()
    for name, body in [
        ("one", note + "sleep 300 & echo $! >> " + str(folder) + "/pids; wait"),
        ("two", note + "touch " + str(folder) + "/two; exec sleep 300"),
    ]:
        child = Child(name, ["bash", "-c", body], env=dict(os.environ))
        children.start(child)
        assert children.wait_ready(child, 60)
    children.wait_until((folder / "two").exists, 60)
    show("parent", "all up")
    children.keep_running(lambda child, code, wait_s: show("parent", f"{child.name} ended {code}"))
    children.stop(lambda child: show("parent", f"stop {child.name}"))
"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "pids").read_text().split()]


@contextmanager
def parent(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "all up" in line:
            break
    assert "all up" in "".join(lines)[-40:], "".join(lines)
    until(lambda: len(pids(folder)) == 3)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_stops_all_in_reverse_order_with_no_orphan(tmp_path):
    with parent(tmp_path) as process:
        assert all(alive(pid) for pid in pids(tmp_path))
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    assert shown.index("stop two") < shown.index("stop one")
    until(lambda: not any(alive(pid) for pid in pids(tmp_path)))


def test_sigterm_stops_all_too(tmp_path):
    with parent(tmp_path) as process:
        process.terminate()
        process.communicate(timeout=WITHIN_S)
    until(lambda: not any(alive(pid) for pid in pids(tmp_path)))


def test_kill_9_of_the_launcher_ends_its_children(tmp_path):
    with parent(tmp_path) as process:
        process.kill()
        process.wait(WITHIN_S)
        direct = [pid for number, pid in enumerate(pids(tmp_path)) if number != 1]
        until(lambda: not any(alive(pid) for pid in direct))
    for pid in pids(tmp_path):  # the grandchild is bash's to end, not ours
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_child_that_died_starts_again(tmp_path):
    with parent(tmp_path) as process:
        first = pids(tmp_path)
        os.kill(first[2], signal.SIGKILL)
        until(lambda: len(pids(tmp_path)) == 4)
        assert alive(pids(tmp_path)[3])
        process.terminate()
        shown, _ = process.communicate(timeout=WITHIN_S)
    assert "two ended -9" in shown
    until(lambda: not any(alive(pid) for pid in pids(tmp_path)))


def test_our_redis_answers_and_goes(tmp_path):
    with own_redis.running(tmp_path) as url:
        assert url == f"unix://{tmp_path}/run/redis.sock"
        assert own_redis.answers(tmp_path)
        with own_redis.running(tmp_path) as same:  # a second one beside it uses the first
            assert same == url
        assert own_redis.answers(tmp_path)
    assert not own_redis.answers(tmp_path)


def test_a_long_data_dir_gets_a_short_socket(tmp_path):
    deep = tmp_path / ("あ" * 40)
    assert len(os.fsencode(own_redis.socket_path(deep))) <= 107
    with own_redis.running(deep):
        assert own_redis.answers(deep)


def test_the_server_of_the_package_runs_where_none_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = own_redis.find_program()
    assert program.name == "valkey-server"
    assert "_binaries" in program.parts
    with own_redis.running(tmp_path):
        assert own_redis.answers(tmp_path)


def test_jobs_survive_a_restart_of_our_redis(tmp_path):
    for expected in (1, 2):
        with own_redis.running(tmp_path) as url, redis.from_url(url) as link:
            assert link.incr("starts") == expected


def test_data_dir_is_held_by_one_launcher(tmp_path):
    with checks.hold_data_dir(tmp_path):
        with pytest.raises(checks.AlreadyRunningError) as refused:
            checks.hold_data_dir(tmp_path)
        assert refused.value.pid == os.getpid()
    checks.hold_data_dir(tmp_path).close()


def test_a_busy_port_is_seen():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert not checks.port_is_free("127.0.0.1", other.getsockname()[1])
    assert checks.port_is_free("127.0.0.1", checks.free_port())


def test_a_kept_word_is_private_and_stays(tmp_path):
    word = checks.kept_secret(tmp_path / "deep" / "word")
    assert len(word) >= 12
    assert checks.kept_secret(tmp_path / "deep" / "word") == word
    assert (tmp_path / "deep" / "word").stat().st_mode & 0o077 == 0
