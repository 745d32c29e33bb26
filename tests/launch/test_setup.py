"""`make setup` says in one sentence what a machine lacks, and does nothing twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "cut", "dirname", "grep", "sed", "sha256sum")


@pytest.fixture
def machine(tmp_path):
    """A machine with a few tools and no Python; programs are added to its bin/ folder."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for tool in TOOLS:
        (bin_dir / tool).symlink_to(shutil.which(tool))
    scripts = tmp_path / "site" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.sh", scripts)
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, scripts.parent)
    return bin_dir


def program(machine: Path, name: str, body: str) -> None:
    (machine / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
    (machine / name).chmod(0o755)


def set_up(machine: Path, kind: str = "run") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", str(machine.parent / "site" / "scripts" / "setup.sh"), kind],
        env={**os.environ, "PATH": str(machine)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("python", "said"),
    [
        (None, "python3 is missing or too old"),
        ("exit 1", "python3 is missing or too old"),
        ('case "$*" in *ensurepip*) exit 1;; *) exit 0;; esac', "python3-venv is missing"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(machine, python, said):
    if python:
        program(machine, "python3", python)
    done = set_up(machine)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"CALLTREE needs Python 3.11 or newer with venv; {said}: "
        "apt-get install python3 python3-venv\n"
    )


def test_the_packages_are_installed_once_and_again_when_the_lock_changes(machine):
    site = machine.parent / "site"
    (site / ".venv" / "bin").mkdir(parents=True)
    program(site / ".venv" / "bin", "python", 'echo "$*" >> "$(dirname "$0")/../../said"')

    def installs() -> int:
        return (site / "said").read_text().count("-m pip install")

    for expected in (1, 1):
        assert set_up(machine).returncode == 0
        assert installs() == expected
    with (site / "requirements.txt").open("a") as lock:
        lock.write("# another\n")
    assert set_up(machine).returncode == 0
    assert installs() == 2
    assert "--require-hashes" in (site / "said").read_text()
