"""Which failed tests have a second run (decision 13)."""

import pytest

from scripts import suite
from scripts.suite import AT_MOST, again

IN_A_BROWSER = "tests/chromium/test_operator_day.py::test_a_day"


def test_what_acted_out_runs_again() -> None:
    failed = [IN_A_BROWSER, "tests/test_lanes.py::test_lane[soon]"]
    assert again(failed) == failed


@pytest.mark.parametrize(
    "failed",
    [
        ["tests/services/test_gate.py::test_hours"],
        [IN_A_BROWSER, "tests/services/test_gate.py::test_hours"],
        ["tests/chromium_of_another/test_a.py::test_a"],
        [f"{IN_A_BROWSER}[{n}]" for n in range(AT_MOST + 1)],
    ],
    ids=["a rule", "a rule beside it", "another folder", "too many"],
)
def test_nothing_else_does(failed: list[str]) -> None:
    assert again(failed) == []


def test_without_postgres_half_of_it_is_left_out_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "postgres_programs", lambda: None)  # as on a bare machine
    monkeypatch.delenv("WHOLE_SUITE", raising=False)
    assert suite.main(["--database", "postgres"]) == 0
    assert "apt-get install postgresql" in capsys.readouterr().out
