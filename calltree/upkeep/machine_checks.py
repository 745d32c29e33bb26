"""What `doctor` looks at on the machine: disks, permissions, the clock, versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.services import leases
from calltree.upkeep.findings import Finding, green, red, yellow
from calltree.upkeep.words import _

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
GIB = 1 << 30
LITTLE = 2 * GIB
"""Below this it is red: a day of calls and a backup would not fit."""
FEW_PERCENT = 10
APART_S = 2.0
"""More between two clocks makes times on the screens wrong."""


def disk(settings: Settings) -> Iterator[Finding]:
    """Look whether data and backups have room."""
    seen = set()
    for folder in (settings.data_dir, settings.backups_dir):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        room = shutil.disk_usage(there)
        percent = room.free * 100 // max(room.total, 1)
        says = _("%(free)s GB free at %(path)s (%(percent)s%%)") % {
            "free": room.free // GIB,
            "path": folder,
            "percent": percent,
        }
        if room.free < LITTLE:
            yield red("disk", says, _("Make room: recordings and backups need it."))
        elif percent < FEW_PERCENT:
            yield yellow("disk", says, _("Make room before it is full."))
        else:
            yield green("disk", says)


def permissions(settings: Settings) -> Iterator[Finding]:
    """Look whether our folders can be written by us, and read by nobody else."""
    faults = []
    for path in (settings.data_dir, settings.recordings_dir, settings.uploads_dir):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK):
            faults.append(_("%s cannot be written by this user") % path)
    if settings.data_dir.exists() and settings.data_dir.stat().st_mode & stat.S_IWOTH:
        faults.append(_("%s can be written by everybody") % settings.data_dir)
    for name in ("secret_key", "calltree.db"):
        path = settings.data_dir / name
        reached = settings.data_dir.exists() and settings.data_dir.stat().st_mode & stat.S_IXOTH
        if reached and path.exists() and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            faults.append(_("%s can be read by everybody") % path)
    if faults:
        yield red("permissions", "; ".join(faults), "chown -R calltree, chmod -R o= DATA_DIR")
    else:
        yield green("permissions", _("%s is ours alone") % settings.data_dir)


def clock(settings: Settings, store: Store) -> Iterator[Finding]:
    """Compare our clock with the database's; ask whether it is kept right by NTP."""
    with store.read() as session:
        theirs = leases.database_now(session)
    apart = abs((utcnow() - theirs).total_seconds())
    if apart > APART_S:
        yield red(
            "clock",
            _("The database's clock differs by %s seconds.") % round(apart, 1),
            _("Run chrony or systemd-timesyncd on both machines."),
        )
    if (synchronised := _synchronised()) is False:
        yield yellow(
            "clock",
            _("This machine's clock is not kept right by NTP."),
            "apt-get install systemd-timesyncd",
        )
    if apart <= APART_S:
        by = "NTP" if synchronised else _("unknown whether NTP")
        yield green("clock", f"{settings.timezone}, {time.strftime('%Z')}, {by}")


def _synchronised() -> bool | None:
    """Ask systemd; None where it cannot tell."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    done = subprocess.run(
        [program, "show", "-p", "NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        timeout=5,
        check=False,
    )
    return {"yes": True, "no": False}.get(done.stdout.strip())


def versions() -> Iterator[Finding]:
    """Compare the installed packages with the lock."""
    wanted = dict(re.findall(r"^([a-z0-9][a-z0-9_.-]*)==([^ ;\\]+)", LOCK.read_text(), re.M))
    other = [
        f"{name} {_installed(name)} ({locked})"
        for name, locked in wanted.items()
        if _installed(name) != locked
    ]
    if other:
        yield yellow(
            "versions",
            _("Packages differ from the lock: %s") % ", ".join(other[:5]),
            "make setup (scripts/setup.sh run)",
        )
    else:
        yield green(
            "versions",
            f"Python {platform.python_version()} ({Path(sys.prefix)}), {len(wanted)} packages",
        )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
