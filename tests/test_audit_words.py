"""Every code that the code writes into the audit log has words (R-US-7)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.models import BulkKind, BulkState
from calltree.services import audit_words as words

ROOT = Path(__file__).parent.parent / "calltree"
WRITERS = {"note", "_note", "_audit"}


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    """Calls of audit.note and of what a module calls it through."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        if not re.search(r"\b(audit|audit_changes|taken_away)\.note\(", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in WRITERS:
                    yield path, node


def _literals(node: ast.AST) -> set[str]:
    return {
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def _said(keyword: str) -> set[str]:
    return {
        text
        for _, call in _calls()
        for one in call.keywords
        if one.arg == keyword
        for text in _literals(one.value)
        if text
    }


def _actions() -> set[str]:
    positional = {
        text for _, call in _calls() for one in call.args for text in _literals(one) if "." in text
    }
    # an export's end is handed over as a variable; a bulk job's is put together
    return (_said("action") | positional) - {"bulk.", "."}


def test_R_US_7_every_action_is_said_in_words() -> None:
    found = _actions()
    assert len(found) > 40  # the search above still finds them
    assert sorted(action for action in found if not words.said_of(action)) == []


def test_R_US_7_every_thing_and_every_detail_is_said_in_words() -> None:
    assert sorted(_said("kind") - set(words.THINGS)) == []
    given = {one.arg for _, call in _calls() for one in call.keywords if one.arg}
    own = {"session", "viewer", "action", "kind", "object_id", "address", "now", "after"}
    assert sorted(given - own - set(words.DETAILS) - words.NOT_SHOWN) == []


@pytest.mark.parametrize("kind", BulkKind)
@pytest.mark.parametrize("step", ["uploaded", "started", *(state.value for state in BulkState)])
def test_R_US_7_bulk_work_is_said_with_its_step(kind: BulkKind, step: str) -> None:
    if step in (BulkState.CHECKING, BulkState.CHECKED, BulkState.RUNNING):
        return  # never written down
    assert len(words.said_of(f"bulk.{kind.value}.{step}")) == 2


def test_R_US_7_an_unknown_action_has_no_words() -> None:
    assert words.said_of("list.painted") == ()
    assert words.said_of("bulk.ban_add.painted") == ()
