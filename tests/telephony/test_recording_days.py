"""Where recordings go is made by us, or the switch makes it so that we cannot write there."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calltree.telephony.recording_days import make_days

LATE = datetime(2026, 12, 31, 14, 30, tzinfo=UTC)
"""23:30 in Tokyo."""


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """As the units have it."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As an administrator makes it: ours, and the group's that the switch is in too."""
    place = tmp_path / "recordings"
    place.mkdir()
    place.chmod(0o2770)
    return place


def forbidden(*_asked: object, **_options: object) -> None:
    raise PermissionError


def test_R_RC_1_a_day_and_the_next_are_as_open_as_their_root(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chmod", forbidden)  # as the units' RestrictSUIDSGID does
    assert make_days(root, LATE) == root / "2026/12/31"
    made = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    assert made == ["2026", "2026/12", "2026/12/31", "2027", "2027/01", "2027/01/01"]
    assert {oct(path.stat().st_mode & 0o7777) for path in root.rglob("*")} == {"0o2770"}
    assert os.umask(0o027) == 0o027


def test_what_is_there_already_is_left_as_it_is(root: Path) -> None:
    theirs = root / "2026"
    theirs.mkdir(mode=0o750)
    before = theirs.stat().st_mode
    (root / "2026/12").mkdir()
    (kept := root / "2026/12/31").mkdir()
    (kept / "a.wav").write_bytes(b"RIFF")
    make_days(root, LATE)
    assert (kept / "a.wav").read_bytes() == b"RIFF"
    assert theirs.stat().st_mode == before


def test_a_root_that_nobody_made_yet_is_made(tmp_path: Path) -> None:
    assert make_days(tmp_path / "var" / "recordings", LATE).is_dir()
