"""Which tests run where, and which failed ones have a second run (decision 13)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import suite
from scripts.suite import AT_MOST, again

ROOT = Path(__file__).resolve().parents[1]
SOME = """
import pytest

def test_plain(): ...
def test_rows(database_url): ...
@pytest.mark.one_database
def test_page(store): ...
@pytest.mark.parametrize("which", ["a", pytest.param("b", marks=pytest.mark.one_database)])
def test_which(store, which): ...
"""
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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A machine without Postgres, and what pytest was called with there."""
    calls: list[tuple[str, ...]] = []

    def called(*arguments: str) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(suite, "postgres_programs", lambda: None)
    monkeypatch.setattr(suite, "pytest", called)
    monkeypatch.delenv("WHOLE_SUITE", raising=False)
    return calls


def test_without_postgres_half_of_it_is_left_out_with_a_sentence(
    bare: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite.main(["--database", "postgres"]) == 0
    assert bare == []
    assert suite.main(["--database", "both", "-n", "6"]) == 0
    assert bare == [("--cache-clear", "--database", "sqlite", "-n", "6")]
    assert capsys.readouterr().out.count("apt-get install postgresql") == 2


def test_the_whole_suite_leaves_nothing_out(
    bare: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHOLE_SUITE", "1")
    assert suite.main(["--database", "both"]) == 0
    assert bare == [("--cache-clear", "--database", "both")]


def test_both_is_what_each_database_runs(tmp_path: Path) -> None:
    """Collected under the real conftest."""
    (tmp_path / "test_some.py").write_text(SOME)
    asked = [
        *("-p", "tests.conftest", "-p", "no:randomly", "-p", "no:cacheprovider"),
        *("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-q", "--collect-only"),
    ]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *asked, "--database", "both", str(tmp_path)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    names = [line.split("::")[1] for line in told.stdout.splitlines() if "::" in line]
    assert names == [
        *("test_plain", "test_rows[sqlite]", "test_page[sqlite]"),
        *("test_which[sqlite-a]", "test_which[sqlite-b]"),
        *("test_rows[postgres]", "test_which[postgres-a]"),
    ], told.stdout + told.stderr
