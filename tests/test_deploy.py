"""What stands in deploy/: read by the programs it is meant for, where they are to be had."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from calltree.config import Settings
from calltree.db import utcnow
from calltree.doorbells import LANES
from calltree.switch_place import SwitchPlace
from tests.certificates import make_certificate
from tests.floor import wait_for
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("calltree*"))
ROLES = {"web", "calls", "switch", *(f"jobs@{lane}" for lane in LANES)}


def run(*command: str, **environment: str) -> str:
    """Run a program that must be content; its output."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def program(name: str) -> str:
    """Where it is; the test is skipped where it is not."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def test_systemd_reads_every_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    for unit in UNITS:
        # its programs are where they will be installed, not here
        body = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
        (tmp_path / unit.name).write_text(body)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    assert run(analyze, "verify", "--man=no", *units, SYSTEMD_UNIT_PATH=f"{tmp_path}:") == ""


def test_the_target_starts_every_role_that_worker_py_knows() -> None:
    target = (DEPLOY / "systemd/calltree.target").read_text()
    assert set(re.findall(r"calltree-([\w@]+)\.service", target)) == ROLES
    worker = (ROOT / "worker.py").read_text()
    for unit in UNITS:
        if called := re.search(r"worker\.py (\w+)", unit.read_text()):
            assert f'"{called.group(1)}"' in worker


def test_no_unit_is_easier_than_the_others() -> None:
    hardened = [
        {line for line in unit.read_text().splitlines() if line.startswith(("Protect", "Restrict",
         "NoNew", "Private", "Capability", "SystemCall", "Lock", "UMask"))}
        for unit in UNITS
        if unit.suffix == ".service"
    ]  # fmt: skip
    assert len(hardened) == 4
    assert all(lines == hardened[0] for lines in hardened)
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0027"} <= hardened[0]


def test_the_switch_keeps_the_group_that_it_shares_with_us() -> None:
    """Told a group with -g, FreeSWITCH gives up all others of its user (change_user_group)."""
    drop_in = (DEPLOY / "systemd/freeswitch.service.d/calltree.conf").read_text()
    started = re.search(r"^ExecStart=(/.*)$", drop_in, re.M)
    assert started is not None
    assert " -u freeswitch " in started[1]
    assert " -g " not in started[1]


def test_caddy_reads_the_caddyfile() -> None:
    run(program("caddy"), "validate", "--adapter", "caddyfile", "--config",
        str(DEPLOY / "Caddyfile"))  # fmt: skip


class Greeting(BaseHTTPRequestHandler):
    """Answers whatever is asked, as if it were the application."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Nothing."""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[int]:
    """The port on which Caddy serves an application to everybody."""
    program("caddy")
    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), Greeting) as application:
        serving = Thread(target=application.serve_forever)
        serving.start()
        caddy = subprocess.Popen(
            ["caddy", "run", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")],
            env=os.environ | {
                "CALLTREE_HOST": f"http://127.0.0.1:{port}",
                "CALLTREE_WEB": f"127.0.0.1:{application.server_port}",
                "CADDY_ADMIN": f"unix/{tmp_path}/admin.sock",
                "HOME": str(tmp_path),
            },
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: is_open(port), "caddy")
            yield port
        finally:
            caddy.terminate()
            caddy.wait()
            application.shutdown()
            serving.join()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_what_is_inside_stays_inside(outside: int) -> None:
    def answer(path: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", outside, timeout=60)) as link:
            link.request("GET", path)
            return link.getresponse().status

    assert answer("/sign-in") == 200
    inside = ("/metrics", "/readyz", "/switch/directory")
    assert [answer(path) for path in inside] == [404, 404, 404]


def test_nft_reads_the_firewall() -> None:
    nft = program("nft")
    if os.getuid() != 0:
        pytest.skip("nft asks for root even to check")
    run(nft, "-c", "-f", str(DEPLOY / "nftables.conf"))


def test_the_firewall_opens_no_port_of_the_inside() -> None:
    opened = set()
    for line in (DEPLOY / "nftables.conf").read_text().splitlines():
        if "dport" in line and not line.strip().startswith("#"):
            opened |= set(re.findall(r"\d+(?:-\d+)?", line.partition("dport")[2]))
    assert not opened & {"8000", "8021", "5066", "5432", "6379"}
    place = SwitchPlace()
    low, high = place.rtp_ports
    assert {f"{low}-{high}", str(place.sip_port), str(place.trunk_port), "443"} <= opened


def test_logrotate_reads_its_file(tmp_path: Path) -> None:
    rotate = program("logrotate")
    body = (
        (DEPLOY / "logrotate.conf").read_text().replace("su freeswitch freeswitch", "su root root")
    )
    file = tmp_path / "calltree"
    file.write_text(body)
    file.chmod(0o644)
    run(rotate, "--debug", "--state", str(tmp_path / "state"), str(file))


def signalled(pid_file: Path) -> None:
    """Run what stands between postrotate and endscript, for the switch of this pid file."""
    text = (DEPLOY / "logrotate.conf").read_text()
    script = text.partition("postrotate\n")[2].partition("endscript")[0]
    assert "/run/freeswitch/freeswitch.pid" in script
    run("sh", "-c", script.replace("/run/freeswitch/freeswitch.pid", str(pid_file)))


def test_after_a_rotation_the_switch_is_told_by_its_pid(tmp_path: Path) -> None:
    pid = tmp_path / "freeswitch.pid"
    signalled(pid)  # no switch runs: nothing to tell, and no fault
    # not in a shell, which cannot take back that a suite under nohup ignores the signal
    waits = (
        "import signal, sys; signal.signal(signal.SIGHUP, lambda *_: sys.exit(7));"
        "print('ready', flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waits], stdout=subprocess.PIPE, text=True
    ) as switch:
        assert switch.stdout
        assert switch.stdout.readline() == "ready\n"
        pid.write_text(f"{switch.pid}\n")
        try:
            signalled(pid)
            assert switch.wait(60) == 7
        finally:
            switch.kill()


def test_the_settings_read_the_sample_environment(tmp_path: Path) -> None:
    lines = (DEPLOY / "calltree.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    settings = Settings.from_env(given | {"DATA_DIR": str(tmp_path)})
    assert not settings.practice
    assert settings.trusted_proxies == 1
    reference = (ROOT / "docs/reference/commands-and-variables.md").read_text()
    named = set(given) | set(re.findall(r"^#([A-Z_]+)=", "\n".join(lines), re.M))
    assert not [name for name in named if f"`{name}`" not in reference]


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def test_compose_builds_nothing_and_pins_what_it_takes() -> None:
    services = compose()["services"]
    assert {"web", "calls", "switch", "jobs", "postgres", "redis", "freeswitch", "caddy"} <= set(
        services
    )
    for name, service in services.items():
        assert "build" not in service, name
        assert re.fullmatch(r"docker\.io/[a-z]+/[a-z]+:[0-9][a-z0-9.-]*", service["image"]), name


def test_compose_names_only_what_it_has() -> None:
    read = compose()
    volumes, services = set(read["volumes"]), set(read["services"])
    for service in read["services"].values():
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith(".")} <= volumes
        assert set(service.get("depends_on", ())) <= services
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    sample = (DEPLOY / "compose.env.sample").read_text()
    assert used == set(re.findall(r"^(\w+)=", sample, re.M))


def test_docker_reads_the_compose_file() -> None:
    docker = program("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed here")
    run(docker, "compose", "-f", str(DEPLOY / "compose.yaml"), "--env-file",
        str(DEPLOY / "compose.env.sample"), "config", "--quiet")  # fmt: skip


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[int]:
    """Coturn with our file, at this machine instead of the example's; its port."""
    server, secured = program("turnserver"), free_port()
    program("turnutils_uclient")
    port = free_port()
    certificate, key = make_certificate(tmp_path, ends=utcnow() + timedelta(days=1))
    certificate.rename(tmp_path / "fullchain.pem")
    key.rename(tmp_path / "privkey.pem")
    text = (DEPLOY / "turnserver.conf").read_text()
    for ours, here in (
        (r"/etc/turnserver/", f"{tmp_path}/"),
        (r"^(listening-port)=.*", rf"\1={port}"),
        (r"^(tls-listening-port)=.*", rf"\1={secured}"),
        (r"^(allowed-peer-ip)=.*", r"\1=127.0.0.1"),
        (r"^syslog$", f"log-file={tmp_path}/log"),
    ):
        text = re.sub(ours, here, text, flags=re.M)
    here_only = "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nallow-loopback-peers\n"
    (tmp_path / "turn.conf").write_text(f"{text}{here_only}pidfile={tmp_path}/pid\n")
    process = subprocess.Popen(
        [server, "-c", str(tmp_path / "turn.conf")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: answers_at(port), "turnserver")
        yield port
    finally:
        process.terminate()
        process.wait()


def answers_at(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_the_relay_leads_to_freeswitch_for_who_knows_the_password_and_nowhere_else(
    turn: int,
) -> None:
    def sends(*more: str, known: str = "CHANGE-ME") -> str:
        of = ["-u", "calltree", "-w", known, "-p", str(turn), "-n", "3", "-m", "1", "-c"]
        done = subprocess.run(
            ["turnutils_uclient", *of, *more, "127.0.0.1"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    assert "Total lost packets 0" in sends("-y")
    assert "Cannot complete Allocation" in sends("-y", known="wrong")
    assert "403 (Forbidden IP)" in sends("-e", "127.0.0.2")


@pytest.mark.parametrize(
    "script", [DEPLOY / "calltree", DEPLOY / "upgrade.sh"], ids=lambda path: path.name
)
def test_bash_reads_the_scripts(script: Path) -> None:
    run("bash", "-n", str(script))
    assert os.access(script, os.X_OK)


def test_an_upgrade_renews_what_was_copied_and_leaves_what_was_changed(tmp_path: Path) -> None:
    git = program("git")
    site, root = tmp_path / "site", tmp_path / "root"
    shutil.copytree(DEPLOY, site / "deploy")
    named = ("-C", str(site), "-c", "user.name=x", "-c", "user.email=x@example.jp")
    run(git, "init", "--quiet", str(site))
    run(git, *named, "add", "--all")
    run(git, *named, "commit", "--quiet", "--message", "before")
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, units)
    (root / "etc/logrotate.d").mkdir()
    rotation = root / "etc/logrotate.d/calltree"
    rotation.write_text("# ours\n")
    for changed in ("systemd/calltree-web.service", "logrotate.conf"):
        with (site / "deploy" / changed).open("a") as file:
            file.write("# of the next version\n")
    (site / "deploy/systemd/calltree-new.service").write_text("[Unit]\n")
    lines = (DEPLOY / "upgrade.sh").read_text().splitlines()
    functions = "\n".join(lines[: lines.index('main "$@"')])
    script = f"{functions}\nsystemctl() {{ echo systemctl $*; }}\ncd {site}\nrefresh HEAD\n"
    said = run("bash", "-c", script, CALLTREE_ROOT=str(root))
    assert (units / "calltree-web.service").read_text().endswith("# of the next version\n")
    assert (units / "calltree-new.service").is_file()
    assert rotation.read_text() == "# ours\n"
    assert f"left {rotation}" in said
    assert "systemctl daemon-reload" in said
    assert not (root / "usr/local/bin/calltree").exists()
