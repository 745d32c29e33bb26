"""`python -m scripts.rules`: write docs/reference/rules-and-tests.md from the tests' names.

With `check` it writes nothing and fails when the page is stale.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "rules-and-tests.md"
NAMED = re.compile(r"^ *def (test_\w*?R_([A-Z]{2})_(\d+)\w*)\(", re.MULTILINE)
AREAS = {
    "US": "People and rights",
    "ST": "Results",
    "PJ": "Projects and settings",
    "LS": "Lists",
    "CL": "Calling",
    "DN": "Do-not-call",
    "DL": "Dialling modes",
    "HS": "Call records and reports",
    "RC": "Recordings",
    "IN": "Inbound",
    "WT": "Watching",
    "AR": "Around it",
}
HEAD = """# Rules and tests

A test that proves a rule carries the rule's id in its name. This page is written by `make rules`.

| rule | tests | where |
|---|---|---|
"""


def proofs(tests: Path) -> dict[tuple[str, int], dict[str, int]]:
    """(area, number of the rule) → file → how many tests in it name the rule."""
    found: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for path in sorted(tests.rglob("test_*.py")):
        for _name, area, number in NAMED.findall(path.read_text()):
            found[area, int(number)][str(path.relative_to(tests))] += 1
    return found


def page(tests: Path) -> str:
    """Return the page as it should be."""
    found = proofs(tests)
    lines = []
    for area, title in AREAS.items():
        rules = sorted(number for where, number in found if where == area)
        if rules:
            lines.append(f"| **{title}** | | |")
        for number in rules:
            files = found[area, number]
            where = ", ".join(f"`{name}`" for name in sorted(files))
            lines.append(f"| R-{area}-{number} | {sum(files.values())} | {where} |")
    return HEAD + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the page; the exit code."""
    wanted = page(ROOT / "tests")
    if arguments == ["check"]:
        fresh = PAGE.exists() and PAGE.read_text() == wanted
        if not fresh:
            sys.stderr.write(f"{PAGE.relative_to(ROOT)} is stale: make rules\n")
        return 0 if fresh else 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
