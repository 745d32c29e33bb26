"""What every bench prints."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from bench import Options, Result
from bench.__main__ import main, names
from bench._truth import let_go_wrongly
from calltree.models import Attempt


def test_the_last_line_is_one_object_with_the_agreed_members() -> None:
    line = Result(value=2.0, unit="events/s", floor=1.0, ratio=2.0, n=10, extra={"a": 1}).line("x")
    assert "\n" not in line
    assert json.loads(line) == {
        "bench": "x",
        "value": 2.0,
        "unit": "events/s",
        "floor": 1.0,
        "ratio": 2.0,
        "n": 10,
        "extra": {"a": 1},
    }


def test_an_unknown_bench_is_refused_with_the_names_of_all() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "none"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "esl" in names()
    assert all(name in done.stderr for name in names())


def test_a_bench_chooses_its_own_size_unless_told() -> None:
    assert Options() == Options(rows=None, seed=1, database=None)


def test_all_passes_over_what_cannot_be_measured_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    telephone = ["answer_bridge", "operator_audio", "relink", "soak"]
    for name in [one for one in os.environ if one.startswith("FREESWITCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("bench.__main__.names", lambda: telephone)
    monkeypatch.setattr(sys, "argv", ["bench", "all", "--json"])
    assert main() == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.partition(":")[0] for line in said.err.splitlines()] == telephone
    assert said.err.count("not measured: no FreeSWITCH") == len(telephone)


def test_one_that_cannot_be_measured_here_says_why_and_fails() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("FREESWITCH_")}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "relink", "--json"],
        capture_output=True, text=True, env=bare,
    )  # fmt: skip
    assert done.returncode == 1
    assert "FREESWITCH_ESL_URL is not set" in done.stderr


@pytest.mark.parametrize(
    ("waited_s", "improper", "killed_s", "wrong"),
    [
        (1.5, True, (), 1),
        (0.5, True, (), 0),
        (1.5, False, (), 0),
        (1.5, True, (-3,), 0),  # nobody led
        (1.5, True, (-60, 9), 1),
    ],
)
def test_an_hour_fails_on_who_was_let_go_though_somebody_was_free(
    waited_s: float, improper: bool, killed_s: tuple[float, ...], wrong: int
) -> None:
    at = datetime(2026, 11, 24, 10, tzinfo=UTC)
    call = Attempt(improper=improper, answered_at=at, ended_at=at + timedelta(seconds=waited_s))
    assert let_go_wrongly([call], [at.timestamp() + one for one in killed_s]) == wrong
