"""Reading how a switch is, over a command link. Nothing that it asks disturbs a call."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import tempfile
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from calltree.config import Settings
from calltree.telephony import commands, safe_parts
from calltree.telephony.commands import ApiCommand
from calltree.telephony.config.profiles import EXTERNAL, INTERNAL
from calltree.telephony.config.system import MODULES
from calltree.telephony.esl import AuthRefused, CommandRefused, EslUrl, Link, LinkDown
from calltree.telephony.recording_days import make_days
from calltree.telephony.safe_parts import UnsafePartError
from calltree.upkeep.switch_state import GatewayState, Reading

_VERSION = re.compile(r"Version ([0-9]+\.[0-9]+\.[0-9]+)")
_TAG = re.compile(r"<(state|status|ws-bind-url|wss-bind-url)>([^<]*)<")
_TRY_S = 3.0
_PEER_S = 3.0
_HEADER_BYTES = 44
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def inspect(url: EslUrl, node: str, settings: Settings, gateways: Iterable[tuple[str, str]], *,
            now: datetime) -> Reading:  # fmt: skip
    """Connect and read; a switch that cannot be reached is a reading too."""
    try:
        with Link.connect(url) as link:
            return read(link, node, settings, gateways, now=now)
    except LinkDown as why:
        return unreachable(node, settings, why, now=now)


def unreachable(node: str, settings: Settings, why: LinkDown, *, now: datetime) -> Reading:
    """Tell of a switch that could not be asked: it refused us, or it is not there."""
    down = "auth" if isinstance(why, AuthRefused) else "down"
    return Reading(node, now.isoformat(), practice=settings.practice, down=down)


def read(
    link: Link,
    node: str,
    settings: Settings,
    gateways: Iterable[tuple[str, str]],
    *,
    now: datetime,
) -> Reading:
    """Read one switch; `gateways` are the names in its configuration with their titles.

    Raises LinkDown when it goes away meanwhile.
    """
    version = _VERSION.search(_ask(link, commands.version()))
    inside = _ask(link, commands.profile_status(INTERNAL))
    outside = _ask(link, commands.profile_status(EXTERNAL))
    running = [
        name for name, told in ((INTERNAL, inside), (EXTERNAL, outside)) if "<profile-info>" in told
    ]
    certificate, why = _certificate(settings.switch_wss_url(node))
    return Reading(
        node=node,
        at=now.isoformat(),
        practice=settings.practice,
        version=version[1] if version else "",
        missing_modules=_missing_modules(link),
        gateways=tuple(_gateway(link, name, title) for name, title in gateways),
        profiles=tuple(running),
        browsers=_browsers(inside),
        certificate=certificate,
        certificate_why=why,
        clock_s=_clock(link),
        disk_free=_free(settings.recordings_dir),
        we_write=_we_write(settings.recordings_dir, now),
        switch_writes="unknown" if settings.practice else _switch_writes(link, settings, now),
    )


def _ask(link: Link, command: ApiCommand) -> str:
    try:
        return link.api(command)
    except CommandRefused as refused:
        return refused.reply


def _missing_modules(link: Link) -> tuple[str, ...]:
    asked = [(name, _ask(link, commands.module_exists(name))) for name, _why in MODULES]
    return tuple(name for name, told in asked if told == "false")


def _gateway(link: Link, name: str, title: str) -> GatewayState:
    told = dict(_TAG.findall(_ask(link, commands.gateway_xml(name))))
    return GatewayState(name, title, told.get("state", ""), told.get("status", ""))


def _browsers(profile: str) -> str:
    told = dict(_TAG.findall(profile))
    found = [told[name] for name in ("ws-bind-url", "wss-bind-url") if name in told]
    return " ".join(url.partition("@")[2].partition(";")[0] for url in found)


def _clock(link: Link) -> float:
    """Seconds that the switch is ahead; it tells whole ones, so half a second is taken back."""
    before = time.time()
    told = _ask(link, commands.epoch())
    if not told.strip().isdigit():
        return 0.0
    return int(told) + 0.5 - (before + time.time()) / 2


def _free(directory: Path) -> int:
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(directory).free
    return 0


def _we_write(root: Path, now: datetime) -> bool:
    """Whether we can write where today's recordings are: the switch may have made that place."""
    try:
        with tempfile.TemporaryFile(dir=make_days(root, now)) as file:
            file.write(b"x")
    except OSError:
        return False
    return True


def _switch_writes(link: Link, settings: Settings, now: datetime) -> str:
    """Let a leg to nowhere be recorded for a moment, and look whether the file is here."""
    leg = str(uuid.uuid4())
    root = settings.switch_recordings or str(settings.recordings_dir)
    try:
        ours = make_days(settings.recordings_dir, now) / f"check-{leg}.wav"
        file = safe_parts.switch_path(root, *ours.relative_to(settings.recordings_dir).parts)
        link.api(commands.originate_nowhere(leg))
    except (OSError, UnsafePartError, CommandRefused):
        return "unknown"
    try:
        link.api(commands.record_start(leg, file))
        here = _appears(ours)
        there = _ask(link, commands.file_exists(file)) == "true"
    except CommandRefused:
        return "no"
    finally:
        with contextlib.suppress(CommandRefused):
            link.api(commands.kill(leg))
        with contextlib.suppress(OSError):
            ours.unlink()
    return "yes" if here else "elsewhere" if there else "no"


def _appears(path: Path) -> bool:
    deadline = time.monotonic() + _TRY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if path.stat().st_size >= _HEADER_BYTES:
                return True
        time.sleep(0.05)
    return False


def _certificate(url: str) -> tuple[str, str]:
    """When the certificate that browsers are shown at `url` ends, and why one is refused."""
    if not url.startswith("wss:"):
        return "unknown", ""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        with (
            socket.create_connection((host, parts.port or 443), _PEER_S) as peer,
            ssl.create_default_context().wrap_socket(peer, server_hostname=host) as link,
        ):
            ends = str((link.getpeercert() or {}).get("notAfter", ""))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return "expired", ""
        return "refused", error.verify_message
    except OSError:
        return "unknown", ""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC).isoformat(), ""
