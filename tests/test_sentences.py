"""Every code that a rule can raise has its sentence, and no sentence is without a code.

And a text of a template is said in the language that is in force there.
"""

import ast
from functools import partial
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask_babel import force_locale

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


@pytest.mark.one_database
def test_templates_follow_a_language_that_is_forced_for_a_while(app: Flask) -> None:
    drawn = partial(render_template_string, "{{ _('Home') }}")
    with app.test_request_context("/"):
        assert drawn() == "ホーム"
        with force_locale("en"):
            assert drawn() == "Home"
        assert drawn() == "ホーム"
