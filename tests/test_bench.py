"""What every bench prints."""

import json
import subprocess
import sys

from bench import Options, Result
from bench.__main__ import names


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
