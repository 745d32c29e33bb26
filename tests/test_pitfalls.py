"""docs/reference/telephone-pitfalls.md: what it promises is tested by tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reference/telephone-pitfalls.md").read_text()
NEVER = ("execute_on_media", "show registrations", "rtp_timeout_sec")
"""What FreeSWITCH takes and does not do, or tells wrongly, or is about to drop."""


def test_every_test_that_the_page_names_is_there() -> None:
    written = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)", written))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert sorted(named - there) == []


def test_each_of_the_sixteen_and_each_fault_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`test_" in line]
    numbers = [int(row.split("|")[1]) for row in rows if row.split("|")[1].strip().isdigit()]
    assert set(range(1, 17)) <= set(numbers)
    assert len(rows) - len(numbers) == PAGE.partition("## Faults")[2].count("\n| ") - 1


def test_no_source_names_what_never_works() -> None:
    found = [
        (file.name, word)
        for file in [*(ROOT / "calltree").rglob("*.py"), *(ROOT / "calltree").rglob("*.xml")]
        for word in NEVER
        if word in file.read_text()
    ]
    assert found == []
