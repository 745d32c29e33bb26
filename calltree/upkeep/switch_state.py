"""How a switch is: what was read of it, and what each part of that means.

The reading is made where the switch can be asked (`telephony.inspection`); judging it is pure.
Sentences stand in `switch_sentences`, by code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from calltree.upkeep.findings import Light

NEEDED_VERSION = (1, 10)
CLOCK_S = 2.0
DISK_RED = 2 * 1024**3
DISK_YELLOW = 20 * 1024**3
CERTIFICATE_RED_DAYS = 3
CERTIFICATE_YELLOW_DAYS = 21


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One trunk as the switch sees it."""

    name: str
    title: str
    state: str = ""
    """REGED, NOREG, TRYING, FAIL_WAIT …; empty: the switch does not know it."""
    status: str = ""
    """UP or DOWN, by OPTIONS."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one switch. Only names, numbers and yes or no: it is kept as JSON."""

    node: str
    at: str
    practice: bool = False
    down: str = ""
    """Why there is no link: 'auth' or 'down'; empty: there is one, and the rest was read."""
    version: str = ""
    missing_modules: tuple[str, ...] = ()
    gateways: tuple[GatewayState, ...] = ()
    profiles: tuple[str, ...] = ()
    """Sides of SIP that run."""
    browsers: str = ""
    """Where browsers are listened for; empty: nowhere."""
    certificate: str = ""
    """'unknown', 'expired', 'refused' with its reason, else when it ends (ISO 8601)."""
    certificate_why: str = ""
    clock_s: float = 0.0
    """The switch's clock minus ours."""
    disk_free: int = 0
    we_write: bool = False
    switch_writes: str = ""
    """'yes', 'no', 'elsewhere' when the file is not where we look, 'unknown'."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Read what `as_json` gave, also that of an older version."""
        known = {name: kept[name] for name in cls.__slots__ if name in kept}
        known["gateways"] = tuple(GatewayState(**gateway) for gateway in kept.get("gateways", ()))
        for name in ("missing_modules", "profiles"):
            known[name] = tuple(kept.get(name, ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of the page: which part, its light, and the code of its sentence."""

    part: str
    light: Light
    code: str
    values: dict[str, Any] = field(default_factory=dict)


def judge(reading: Reading, *, now: datetime) -> list[Judged]:
    """Say of each part whether it is as it should be."""
    if reading.down:
        code = "practice_down" if reading.practice else "link_down"
        code = "link_refused" if reading.down == "auth" else code
        return [Judged("link", Light.RED, code)]
    found = [Judged("link", Light.GREEN, "link_up"), _version(reading), _clock(reading)]
    if reading.practice:
        practice = Judged("practice", Light.YELLOW, "practice")
        return [practice, *found, *map(_gateway, reading.gateways), _disk(reading), _ours(reading)]
    return [
        *found,
        _modules(reading),
        *_sides(reading),
        *(map(_gateway, reading.gateways) if reading.gateways else [_no_gateway()]),
        _certificate(reading, now),
        _disk(reading),
        _ours(reading),
        _theirs(reading),
    ]


def _version(reading: Reading) -> Judged:
    numbers = tuple(int(part) for part in reading.version.split(".") if part.isdigit())
    good = numbers[:2] >= NEEDED_VERSION
    return Judged(
        "version",
        Light.GREEN if good else Light.RED,
        "version" if good else "version_old",
        {"version": reading.version or "?"},
    )


def _clock(reading: Reading) -> Judged:
    # the switch tells whole seconds, so one of them is no difference
    good = abs(reading.clock_s) <= CLOCK_S
    seconds = round(abs(reading.clock_s))
    return Judged(
        "clock", Light.GREEN if good else Light.RED, "clock" if good else "clock_off",
        {"seconds": seconds},
    )  # fmt: skip


def _modules(reading: Reading) -> Judged:
    if not reading.missing_modules:
        return Judged("modules", Light.GREEN, "modules")
    names = " ".join(reading.missing_modules)
    return Judged("modules", Light.RED, "modules_missing", {"names": names})


def _sides(reading: Reading) -> list[Judged]:
    missing = {"internal", "external"} - set(reading.profiles)
    if missing:
        return [Judged("sip", Light.RED, "sip_missing", {"names": " ".join(sorted(missing))})]
    if not reading.browsers:
        return [Judged("sip", Light.RED, "sip_no_browsers")]
    return [Judged("sip", Light.GREEN, "sip", {"address": reading.browsers})]


def _gateway(gateway: GatewayState) -> Judged:
    values = {"name": gateway.title, "state": gateway.state}
    if not gateway.state:
        return Judged("trunk", Light.RED, "trunk_unknown", values)
    if gateway.status == "DOWN":
        return Judged("trunk", Light.RED, "trunk_down", values)
    if gateway.state in ("REGED", "NOREG"):
        return Judged("trunk", Light.GREEN, "trunk_up", values)
    return Judged("trunk", Light.RED, "trunk_not_registered", values)


def _no_gateway() -> Judged:
    return Judged("trunk", Light.RED, "trunk_none")


def _certificate(reading: Reading, now: datetime) -> Judged:
    if reading.certificate in ("", "unknown"):
        return Judged("certificate", Light.YELLOW, "certificate_unknown")
    if reading.certificate == "expired":
        return Judged("certificate", Light.RED, "certificate_expired")
    if reading.certificate == "refused":
        why = {"why": reading.certificate_why}
        return Judged("certificate", Light.RED, "certificate_refused", why)
    left = datetime.fromisoformat(reading.certificate) - now
    days = {"days": max(left.days, 0)}
    if left < timedelta(days=CERTIFICATE_RED_DAYS):
        return Judged("certificate", Light.RED, "certificate_ends", days)
    if left < timedelta(days=CERTIFICATE_YELLOW_DAYS):
        return Judged("certificate", Light.YELLOW, "certificate_ends", days)
    return Judged("certificate", Light.GREEN, "certificate", days)


def _disk(reading: Reading) -> Judged:
    free = {"gb": f"{reading.disk_free / 1024**3:.1f}"}
    if reading.disk_free < DISK_RED:
        return Judged("disk", Light.RED, "disk_full", free)
    if reading.disk_free < DISK_YELLOW:
        return Judged("disk", Light.YELLOW, "disk_low", free)
    return Judged("disk", Light.GREEN, "disk", free)


def _ours(reading: Reading) -> Judged:
    if reading.we_write:
        return Judged("recordings", Light.GREEN, "we_write")
    return Judged("recordings", Light.RED, "we_do_not_write")


def _theirs(reading: Reading) -> Judged:
    light, code = {
        "yes": (Light.GREEN, "switch_writes"),
        "no": (Light.RED, "switch_does_not_write"),
        "elsewhere": (Light.RED, "switch_writes_elsewhere"),
    }.get(reading.switch_writes, (Light.YELLOW, "switch_not_tried"))
    return Judged("recordings", light, code)
