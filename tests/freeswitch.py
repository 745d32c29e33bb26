"""A real FreeSWITCH of a test's own, on the configuration that we render.

FREESWITCH_BIN is the program, FREESWITCH_MOD_DIR its modules. Ports are free ones, everything it
writes is in the test's directory, and it ends with the test.
"""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calltree.switch_place import SwitchPlace
from calltree.telephony.config.wanted import Wanted
from calltree.telephony.config.writing import write
from calltree.telephony.esl import EslUrl, Link, LinkDown
from tests.certificates import SERVER

START_SECONDS = 180
RTP_PORTS = (30000, 34999)
OTHER_RTP_PORTS = (35000, 39999)
"""Of a second one: neither asks whether the other has a port already."""
PASSWORD = "r\"e'n$${local_ip_v4}d&<e]]>r"
"""Of the event socket; whatever a file could trip over."""


class RenderedSwitch:
    """The process, its address, and the directory that `switch config` filled."""

    def __init__(
        self,
        directory: Path,
        *,
        directory_url: str,
        secret: str,
        rtp_ports: tuple[int, int] = RTP_PORTS,
        certs: Path | None = None,
    ) -> None:
        esl, sip, trunk, _carrier, ws, wss = _free_ports()
        self.directory = directory
        self.conf = directory / "conf"
        self.recordings = directory / "recordings"
        self.ws_url = f"ws://127.0.0.1:{ws}" if certs is None else f"wss://{SERVER}:{wss}"
        self.wanted = Wanted(
            node="rendered",
            esl=EslUrl("127.0.0.1", esl, PASSWORD),
            place=SwitchPlace(
                config_dir=str(self.conf),
                address="127.0.0.1",
                sip_port=sip,
                trunk_port=trunk,
                ws=f"127.0.0.1:{ws}",
                wss=f"127.0.0.1:{wss}" if certs else "",
                certs=str(certs or ""),
                rtp_ports=rtp_ports,
            ),
            directory_url=directory_url,
            secret=secret,
            recordings=str(self.recordings),
            gateways=(),
            test_carrier=True,
        )
        write(self.conf, self.wanted)
        self.errors_at_start: list[str] = []
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        own = {}
        for name in ("log", "db", "run", "temp", "recordings"):
            own[name] = self.directory / name
            own[name].mkdir(exist_ok=True)
        return subprocess.Popen(
            [
                *(os.environ["FREESWITCH_BIN"], "-nf", "-nc", "-np", "-nonat"),
                *("-conf", str(self.conf), "-mod", os.environ["FREESWITCH_MOD_DIR"]),
                *("-log", str(own["log"]), "-db", str(own["db"]), "-run", str(own["run"])),
                *("-temp", str(own["temp"]), "-storage", str(own["db"])),
                *("-cache", str(own["db"]), "-certs", str(own["db"])),
                *("-recordings", str(own["recordings"])),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def carrier_port(self) -> int:
        return self.wanted.place.trunk_port + 10

    def link(self) -> Link:
        return Link.connect(self.wanted.esl, timeout_s=START_SECONDS)

    def api(self, command: str) -> str:
        with self.link() as link:
            return link.api(command)

    def wait_until_ready(self) -> None:
        """Until its last side of SIP runs and the way to the test carrier is known to work."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            with suppress(LinkDown):
                if "<status>UP</status>" in self.api("sofia xmlstatus gateway carrier"):
                    self.errors_at_start = self.errors()
                    return
            time.sleep(0.2)
        raise AssertionError(f"FreeSWITCH does not come up: {self.log()}")

    def log(self) -> str:
        path = self.directory / "log" / "freeswitch.log"
        return path.read_text(errors="replace") if path.is_file() else ""

    def errors(self) -> list[str]:
        marks = ("[ERR]", "[CRIT]", "[ALERT]")
        return [line for line in self.log().splitlines() if any(mark in line for mark in marks)]

    def kill(self) -> None:
        """kill -9, as a power cut."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """The same configuration, addresses and directories; nothing of what it knew."""
        self.process = self._start()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def with_gateways(self, *gateways: Any) -> Wanted:
        return replace(self.wanted, gateways=gateways)


@contextmanager
def rendered_switch(
    directory: Path,
    *,
    directory_url: str,
    secret: str,
    rtp_ports: tuple[int, int] = RTP_PORTS,
    certs: Path | None = None,
) -> Iterator[RenderedSwitch]:
    """Start one, or skip where there is none; one that ends TLS itself by `certs`/wss.pem."""
    for name in ("FREESWITCH_BIN", "FREESWITCH_MOD_DIR"):
        if not os.environ.get(name):
            pytest.skip(f"no FreeSWITCH to start: {name} is not set")
    switch = RenderedSwitch(
        directory, directory_url=directory_url, secret=secret, rtp_ports=rtp_ports, certs=certs
    )
    try:
        switch.wait_until_ready()
        yield switch
    finally:
        switch.stop()


def _free_ports() -> tuple[int, int, int, int, int, int]:
    """Event socket, desk phones, carriers, test carrier (ten above it), browsers, with TLS."""
    for _ in range(100):
        base = 21000 + 20 * secrets.randbelow(400)
        ports = (base, base + 2, base + 4, base + 14, base + 6, base + 8)
        if all(map(_is_free, ports)):
            return ports
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
