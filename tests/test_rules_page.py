"""docs/reference/rules-and-tests.md: the ids that the first product owes, each with a test."""

from pathlib import Path

from scripts import rules

TESTS = Path(__file__).parent
OWED = {
    "US": {1, 2, 3, 4, 6, 7},
    "ST": {1, 2, 3, 4, 5},
    "PJ": {1, 2, 3, 4, 5, 6},
    "LS": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12},
    "CL": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18},
    "DN": {1, 2, 5},
    "RC": {1, 4, 5},
    "HS": {1, 2, 3, 4},
    "WT": {2, 3, 4},
    "AR": {3, 5, 6},
}


def test_every_rule_that_is_built_has_a_test_that_names_it():
    found = rules.proofs(TESTS)
    owed = {(area, number) for area, numbers in OWED.items() for number in numbers}
    assert sorted(owed - set(found)) == []


def test_the_page_lists_every_rule_that_a_test_names(tmp_path):
    (tmp_path / "test_x.py").write_text("def test_R_CL_6_a(): ...\ndef test_R_CL_6_b(): ...\n")
    (tmp_path / "test_y.py").write_text("class T:\n    def test_R_CL_12_c(self): ...\n")
    table = rules.page(tmp_path).splitlines()[-2:]
    assert table == ["| R-CL-6 | 2 | `test_x.py` |", "| R-CL-12 | 1 | `test_y.py` |"]
