"""docs/reference/rules-and-tests.md: every rule of the product has a test that names it."""

from pathlib import Path

from scripts import rules

TESTS = Path(__file__).parent
OWED = {
    "US": 7, "ST": 5, "PJ": 6, "LS": 12, "CL": 18, "DN": 5, "DL": 8, "RC": 5, "HS": 5, "IN": 4,
    "WT": 4, "AR": 6,
}  # fmt: skip
"""How many rules each area has."""


def test_every_rule_has_a_test_that_names_it():
    found = rules.proofs(TESTS)
    owed = {(area, number) for area, last in OWED.items() for number in range(1, last + 1)}
    assert sorted(owed - set(found)) == []


def test_the_page_lists_every_rule_that_a_test_names(tmp_path):
    (tmp_path / "test_x.py").write_text("def test_R_CL_6_a(): ...\ndef test_R_CL_6_b(): ...\n")
    (tmp_path / "test_y.py").write_text("class T:\n    def test_R_CL_12_c(self): ...\n")
    table = rules.page(tmp_path).splitlines()[-2:]
    assert table == ["| R-CL-6 | 2 | `test_x.py` |", "| R-CL-12 | 1 | `test_y.py` |"]
