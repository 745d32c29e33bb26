"""`make run` on an empty DATA_DIR ends in a page one can sign in to; Ctrl-C leaves nothing."""

import dataclasses
import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from calltree.launch.__main__ import CannotStartError, Launch
from tests.launch.test_children import alive, until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
OURS = ("REDIS_URL", "ESL_URL", "DATABASE_URL", "PRACTICE_PASSWORD", "HOST", "SECRET_KEY")
READY_S = 180


def environment(data_dir: Path, port: int) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    own = {"DATA_DIR": str(data_dir), "PORT": str(port), "WEB_WORKERS": "1"}
    return {**clean, **own, "LANG": "C", "LC_ALL": "C"}


@contextmanager
def launched(data_dir: Path, port: int) -> Iterator["tuple[subprocess.Popen[bytes], Path]"]:
    shown = data_dir.with_suffix(".log")
    with shown.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "calltree.launch"],
            cwd=ROOT,
            env=environment(data_dir, port),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, shown
    finally:
        for pid in family(data_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def family(data_dir: Path) -> list[int]:
    """Every process that was started with this DATA_DIR."""
    mark = f"DATA_DIR={data_dir}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours and alive(int(folder.name)):
            found.append(int(folder.name))
    return found


def wait_for(process: "subprocess.Popen[bytes]", shown: Path, text: str) -> str:
    deadline = time.monotonic() + READY_S
    while text not in shown.read_text():
        assert process.poll() is None, shown.read_text()
        assert time.monotonic() < deadline, shown.read_text()
        time.sleep(0.05)
    return shown.read_text()


def sign_in(address: str, login_id: str, password: str) -> str:
    """Sign in as a person does; the address where it ends."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    with opener.open(f"{address}sign-in") as page:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.read().decode())
    assert token
    form = {"csrf_token": token[1], "login_id": login_id, "password": password}
    with opener.open(f"{address}sign-in", urllib.parse.urlencode(form).encode()) as page:
        return str(page.url)


def test_make_run_ends_in_a_page_one_can_sign_in_to_and_leaves_nothing(tmp_path):
    data_dir, port = tmp_path / "var", free_port()
    with launched(data_dir, port) as (process, log):
        shown = wait_for(process, log, "Ctrl-C stops everything")
        address = f"http://127.0.0.1:{port}/"
        assert f"Ready: {address}" in shown
        assert "WARNING" not in shown, "whoever starts it first is told of nothing that is wrong"
        password = re.search(r"Password of all practice accounts: (\S+)", shown)
        assert password
        for login_id in re.findall(r"Practice accounts: (.+)", shown)[0].split():
            if login_id in {"mgr", "op1"}:
                assert "sign-in" not in sign_in(address, login_id, password[1])
        started = family(data_dir)
        assert len(started) >= 7

        second = subprocess.run(
            [sys.executable, "-m", "calltree.launch"],
            cwd=ROOT,
            env=environment(data_dir, port),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert len(second.stdout.splitlines()) == 1
        assert "already runs" in second.stdout

        os.kill(process.pid, signal.SIGINT)
        process.wait(READY_S)
        assert process.returncode == 0, log.read_text()
        assert "Everything has stopped" in log.read_text()
        until(lambda: family(data_dir) == [])

    with launched(data_dir, port) as (process, log):  # again on the same DATA_DIR, then kill -9
        wait_for(process, log, "Ctrl-C stops everything")
        process.kill()
        process.wait()
        until(lambda: family(data_dir) == [])


def test_a_busy_port_is_said_in_one_sentence(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "calltree.launch"],
            cwd=ROOT,
            env=environment(tmp_path / "var", port),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"calltree| Port {port} on 127.0.0.1 is used by another program: stop that one, "
        f"or choose another port: PORT={port + 1} make run"
    ]
    assert family(tmp_path / "var") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"ESL_URL": "http://x"},
        {"PORT": "many"},
        {"PORT": "70000"},
        {"HOST": "no such host"},
        {"CLOCK_RATE": "0"},
        {"SITE_TIMEZONE": "Mars/Olympus"},
        {"SITE_TIMEZONE": "Europe/Berlin"},
    ],
    ids=lambda wrong: "=".join(*wrong.items()),
)
def test_a_wrong_variable_is_said_in_one_sentence(tmp_path, wrong):
    done = subprocess.run(
        [sys.executable, "-m", "calltree.launch"],
        cwd=ROOT,
        env=environment(tmp_path / "var", 8000) | wrong,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert next(iter(wrong)) in done.stdout
    assert done.stderr == ""


@pytest.mark.one_database
def test_R_AR_5_a_practice_database_is_not_started_with_a_real_switch(app):
    settings = app.extensions["calltree.settings"]
    practice(app)
    launch = Launch(dataclasses.replace(settings, esl_urls=("esl://:x@pbx.example.test:8021",)))
    launch.env["ESL_URL"] = "esl://:x@pbx.example.test:8021"
    with pytest.raises(CannotStartError, match=r"switch practice --leave --keep-lists"):
        launch._right_database()


def practice(app):
    made = app.test_cli_runner().invoke(args=["switch", "practice", "--password", "x"])
    assert made.exit_code == 0


@pytest.mark.one_database
def test_R_AR_5_a_real_database_is_not_started_without_a_switch(app):
    run = app.test_cli_runner().invoke
    practice(app)
    assert run(args=["switch", "practice", "--leave", "--empty"]).exit_code == 0
    with pytest.raises(CannotStartError, match="there is no ESL_URL"):
        Launch(app.extensions["calltree.settings"])._right_database()


@pytest.mark.one_database
def test_a_part_that_takes_long_is_waited_for_and_one_that_ends_is_not(app, capfd, monkeypatch):
    monkeypatch.setattr("calltree.launch.__main__.READY_S", 0.02)
    launch = Launch(app.extensions["calltree.settings"])
    try:
        launch._await(
            "slow", ["sleep", "600"], lambda: "still waiting" in "".join(capfd.readouterr())
        )
        with pytest.raises(CannotStartError, match="broken did not start"):
            launch._await("broken", ["false"], lambda: False)
    finally:
        launch.children.stop(lambda _child: None)
