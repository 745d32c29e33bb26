"""Every code that a rule can raise has its sentence, and no sentence is without a code."""

import ast
from pathlib import Path

from calltree.services.sentences import SENTENCES

ROOT = Path(__file__).parent.parent / "calltree"


def _raised_codes() -> set[str]:
    """First arguments of Refused("code", …) anywhere; f-strings are left to their own tests."""
    codes = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if name == "Refused" and isinstance(first, ast.Constant):
                codes.add(str(first.value))
    return codes


def test_every_refusal_has_its_sentence() -> None:
    assert sorted(_raised_codes() - set(SENTENCES)) == []
