"""The roles of a site as processes that are killed without a warning and started again.

The switch role has a stand-by beside its leader. A kill takes the whole process group, as a power
cut would: gunicorn's workers, a job's own process.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from bench._telephone import ROOT, Site
from calltree.launch.children import die_with_parent
from calltree.models import Lease
from calltree.services import leases

WEB = ("-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")
COMMANDS: dict[str, tuple[str, ...]] = {
    "web": WEB,
    "jobs": ("worker.py", "jobs", "soon"),
    "calls": ("worker.py", "calls"),
    "switch": ("worker.py", "switch"),
    "switch, standing by": ("worker.py", "switch"),
}
STANDING = ("switch", "switch, standing by")
ROLES = ("web", "jobs", "calls", "switch")
AWAY_S = (0.5, 3.0)
"""So long a killed role stays away, as under a supervisor."""


def start(site: Site, name: str) -> None:
    """Start one; what it says of trouble goes to a file of the site's folder.

    From the thread that lives longest: a role ends with the thread that started it.
    """
    parent = os.getpid()
    with log_of(site).open("ab") as log:
        site.processes[name] = subprocess.Popen(
            [sys.executable, *COMMANDS[name]],
            cwd=ROOT,
            env=dict(site.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=lambda: die_with_parent(parent),
        )


def log_of(site: Site) -> Path:
    """Where the roles' own lines are."""
    return site.folder / "roles.log"


def kill(site: Site, role: str) -> str:
    """kill -9 of a role; of the switch role, of the process that leads. Gives its name."""
    name = leader(site) if role == "switch" else role
    process = site.processes.pop(name)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return name


def leader(site: Site) -> str:
    """Which of the two leads: the lease's holder ends with its process id."""
    with site.store.read() as session:
        holder = session.scalar(select(Lease.holder).where(Lease.name == leases.SWITCH)) or ""
    for name in STANDING:
        if name in site.processes and holder.endswith(f"/{site.processes[name].pid}"):
            return name
    return next(name for name in STANDING if name in site.processes)


def plan(draw: random.Random, *, times: int, seconds: float) -> list[tuple[float, str, float]]:
    """When which role is killed and how long it stays away: each `times`, spread by chance."""
    wanted = [role for role in ROLES for _ in range(times)]
    draw.shuffle(wanted)
    each = seconds / max(len(wanted), 1)
    return [
        (place * each + draw.uniform(0.1, 0.6) * each, role, draw.uniform(*AWAY_S))
        for place, role in enumerate(wanted)
    ]
