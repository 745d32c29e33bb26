"""`python -m scripts.suite [options of pytest]`: the suite, by decision 13.

A test that acts with processes, threads or a browser and fails runs a second time, in a process of
its own when the rest is over: nothing that its first run left behind is there any more.

Where there is no Postgres its half is left out with a sentence, unless WHOLE_SUITE is set.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.databases import postgres_programs

ROOT = Path(__file__).resolve().parents[1]
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
ACTED_OUT = (
    "chromium/", "faults/", "frontend/", "launch/", "live/", "softphone/", "telephony/",
    "test_lanes.py",
)  # fmt: skip
"""Where they act together, under tests/."""
AT_MOST = 4
"""More than these in one run is no matter of order."""
TESTS_FAILED = 1
"""pytest's exit code for it; the others are broken runs, which no second one mends."""


def again(failed: list[str]) -> list[str]:
    """Return those of a run's failed tests to run once more: all of them, or none."""
    rooms = tuple(f"tests/{room}" for room in ACTED_OUT)
    few = len(failed) <= AT_MOST
    return failed if few and all(node.startswith(rooms) for node in failed) else []


def pytest(*arguments: str) -> int:
    """Run pytest and return its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode


def possible(options: list[str]) -> list[str]:
    """Return them without the half on Postgres where there is none; empty if nothing is left."""
    wanted = {"postgres", "both"} & {*options}
    if not wanted or postgres_programs() is not None or "WHOLE_SUITE" in os.environ:
        return options
    sys.stdout.write("not run: there is no Postgres here (apt-get install postgresql)\n")
    sys.stdout.flush()
    if "postgres" in wanted:
        return []
    return ["sqlite" if option == "both" else option for option in options]


def main(options: list[str]) -> int:
    """Run the suite; return 0 when each test passed, at once or alone."""
    options = possible(options)
    if not options:
        return 0
    code = pytest("--cache-clear", *options)
    if code != TESTS_FAILED:
        return code
    nodes = again(sorted(json.loads(FAILED.read_text())))
    if not nodes:
        return code
    sys.stdout.write(
        f"\n== {len(nodes)} failed and run again, alone; each is a fault to be mended\n"
    )
    sys.stdout.flush()
    return max(pytest(*options, "-n", "0", node) for node in nodes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
