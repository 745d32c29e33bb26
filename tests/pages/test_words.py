"""R-AR-2: every word that a person reads comes from the catalogue, in both languages.

A text that is written into a template, a view or a script passes each test of its page, and stays
Japanese for those who read English. So the sources are read, and every page is drawn once with
each message in brackets: what stands outside them must be data.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.support import Translations
from bs4 import BeautifulSoup, Tag
from flask import Flask
from jinja2 import Environment
from sqlalchemy import select

from calltree import catalogues
from calltree.config import Settings
from calltree.db import Base, Store
from calltree.models import SYSTEM_RESULT_NAMES, Role
from calltree.services import history
from tests.pages.world import World, build

PACKAGE = Path(catalogues.__file__).resolve().parent
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龥々]")
WORD = re.compile(r"[A-Za-z]{2,}|[ぁ-んァ-ヶ一-龥々]")
SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-saved", "data-failed")

NAMES = {
    "CALLTREE", "CSV", "XLSX", "API", "OpenAPI", "English", "TCP", "UDP", "UTF", "BOM", "Asia",
    "Tokyo", "KB", "MB", "GB", "ms", "SIP", "UTC", "日本語",
}  # fmt: skip
"""What is called so in every language: names, units, formats."""


# --- what is written in the sources


def _template_texts(source: str) -> Iterator[str]:
    """Texts and spoken attributes of a template, without what it fills in."""
    written, hole = [], False
    source = re.sub(r"{% block \w+_class %}.*?{% endblock( \w+)? %}", "", source)
    for _line, kind, value in Environment(autoescape=True).lex(source):
        if kind == "variable_begin":
            hole = True
            written.append("1")
        elif kind == "variable_end":
            hole = False
        elif kind == "data" and not hole:
            written.append(value)
    soup = BeautifulSoup("".join(written), "html.parser")
    # a macro of attributes, or an element whose name is filled in, reads as text
    yield from (text for text in _texts(soup) if not re.search(r'[\w:-]+="', text))


def _texts(soup: BeautifulSoup) -> Iterator[str]:
    for tag in soup.find_all(translate="no"):
        tag.decompose()
    for tag in soup.find_all(["script", "style", "code", "kbd"]):
        tag.decompose()
    for node in soup.find_all(string=True):
        if type(node).__name__ == "NavigableString":
            yield " ".join(str(node).split())
    for tag in soup.find_all(True):
        yield from (str(tag[name]) for name in SPOKEN if tag.get(name))
        if isinstance(tag, Tag) and tag.name == "input" and tag.get("type") in {"submit", "button"}:
            yield str(tag.get("value", ""))


def _strange(text: str) -> list[str]:
    return [
        word
        for word in re.findall(r"[A-Za-z]{2,}|[ぁ-んァ-ヶ一-龥々ー]+", text)
        if word not in NAMES
    ]


def test_no_template_has_words_of_its_own() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {text[:80]}"
        for path in sorted((PACKAGE / "templates").rglob("*.html"))
        for text in _template_texts(path.read_text())
        if _strange(text)
    ]
    assert found == []


def test_no_script_has_words_of_its_own() -> None:
    found = []
    for path in sorted((PACKAGE / "static" / "js").glob("*.js")):
        code = re.sub(r"/\*.*?\*/|(?m:^\s*//.*$)|(?m:\s//\s.*$)", "", path.read_text(), flags=re.S)
        for text in re.findall(r'"[^"\n]*"|\'[^\'\n]*\'|`[^`]*`', code):
            if JAPANESE.search(text) or re.search(r"[A-Z][a-z]+ [a-z]+ [a-z]+", text):
                found.append(f"{path.name}: {text[:80]}")
    assert found == []


SAID = {"flash": 0, "ValidationError": 0, "InputRequired": 0}
"""Calls whose argument is read by people, and which one."""
FIELDS = re.compile(r"^[A-Z]\w*Field$")


def _unmarked(tree: ast.AST) -> Iterator[ast.Constant]:
    """Texts that people read and that no call hands to the catalogue."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = [*node.args[:1]] if name in SAID or FIELDS.match(name) else []
        said += [one.value for one in node.keywords if one.arg in {"description", "message"}]
        for one in said:
            if (
                isinstance(one, ast.Constant)
                and isinstance(one.value, str)
                and WORD.search(one.value)
            ):
                yield one


def test_no_view_says_anything_that_the_catalogue_does_not_know() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{text.lineno}: {text.value[:80]}"
        for path in sorted((PACKAGE / "blueprints").rglob("*.py"))
        if "api" not in path.relative_to(PACKAGE / "blueprints").parts  # its answers are English
        for text in _unmarked(ast.parse(path.read_text()))
    ]
    assert found == []


BY_NAME = {"電話番号", "会社名", "担当者名", "住所", "なし"}
"""Heads of files and a prospect level that are called so in every language."""


def test_no_view_has_japanese_of_its_own() -> None:
    found = []
    for path in sorted((PACKAGE / "blueprints").glob("*.py")):
        tree = ast.parse(path.read_text())
        described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        marked = {
            id(one)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "N_"}
            for one in ast.walk(node)
        }
        found += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value[:60]}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and JAPANESE.search(node.value)
            and id(node) not in described | marked
            and node.value not in BY_NAME
        ]
    assert found == []


# --- what is in the catalogue


QUOTED = re.compile(
    "特定商取引法 ?1[67]条|[「{][^」}]*[」}]|〓|空白|クレーム|不通|見込|再コール|電話番号|一覧|"
    "案件|架電禁止"
)
"""Japanese that an English sentence quotes: names of results and columns, and the law."""


def test_every_english_text_is_english_and_every_japanese_one_japanese() -> None:
    wrong = []
    for path, message in catalogues.messages():
        english = [message.id] if isinstance(message.id, str) else list(message.id)
        japanese = [message.string] if isinstance(message.string, str) else list(message.string)
        wrong += [
            f"{path.name}: {text[:80]}" for text in english if JAPANESE.search(QUOTED.sub("", text))
        ]
        plain = [re.sub(r"%\(\w+\)[sd]|%s|[A-Z]{2,}\w*", "", text) for text in japanese]
        wrong += [
            f"{path.name}: {text[:80]}"
            for text in plain
            if re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", text) and not JAPANESE.search(text)
        ]
    assert wrong == []


# --- what pages show


OPENS, CLOSES = "⟦", "⟧"


class Marked(Translations):
    """Says every message in brackets."""

    def ugettext(self, message: str) -> str:
        return f"{OPENS}{message}{CLOSES}"

    def ungettext(self, singular: str, plural: str, count: int) -> str:
        return f"{OPENS}{singular if count == 1 else plural}{CLOSES}"


def _outside(text: str) -> str:
    """What stands outside all brackets."""
    depth, kept = 0, []
    for character in text:
        depth += (character == OPENS) - (character == CLOSES)
        if depth == 0 and character != CLOSES:
            kept.append(character)
    return "".join(kept)


def _data(store: Store) -> list[str]:
    """Every text in the database, the longest first, and names that are Japanese by themselves."""
    kept: set[str] = {*BY_NAME, *SYSTEM_RESULT_NAMES.values(), *history.KIND_NAMES.values()}
    kept |= {history.AUTOMATIC_NAME, history.UNANSWERED_NAME, *map(str, Role)}
    with store.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                for value in row:
                    if isinstance(value, str):
                        kept.add(value)
                    elif isinstance(value, dict | list):
                        kept |= set(re.findall(r'"([^"]*)"', json.dumps(value, ensure_ascii=False)))
    return sorted((text for text in kept if WORD.search(text)), key=len, reverse=True)


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


CODE = re.compile(r"\([a-z_]+[:.][a-z_]+\)")
"""The name of an API's scope or event, which programs read."""


@pytest.mark.one_database
@pytest.mark.parametrize("role", [Role.MANAGER, Role.OPERATOR])
def test_R_AR_2_what_a_page_shows_is_a_message_or_data(
    app: Flask,
    world: World,
    store: Store,
    browser_of: Any,
    role: Role,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = browser_of(world.users[role])
    browser.get("/check")  # there is a session now, and a catalogue to put ours in the place of
    kept = app.extensions["babel"].instance.domain_instance.cache
    monkeypatch.setitem(kept, ("ja", "messages"), Marked())
    data = _data(store)
    seen: set[str] = set()
    pages = 0
    for _endpoint, path in world.paths(app, "GET", world.near):
        with browser.client.get(path) as answer:
            if answer.mimetype != "text/html" or answer.status_code != 200:
                continue
            soup = BeautifulSoup(answer.get_data(), "html.parser")
        pages += 1
        for text in _texts(soup):
            left = CODE.sub("", _outside(text))
            for known in data:
                left = left.replace(known, "")
            if words := _strange(left):
                seen.add(f"{path}: {' '.join(words)} in {text[:80]}")
    assert sorted(seen) == []
    assert pages > (60 if role is Role.MANAGER else 15)
