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
from datetime import date
from pathlib import Path
from typing import Any

import jpholiday
import pytest
from babel.support import Translations
from bs4 import BeautifulSoup, Tag
from flask import Flask
from jinja2 import Environment
from sqlalchemy import select

from calltree import catalogues
from calltree.config import Settings
from calltree.db import Base, Store, utcnow
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    Attempt,
    CallState,
    Customer,
    Origin,
    Recording,
    RecordingState,
    RecordKind,
    Role,
)
from calltree.services import exports, names
from tests import factories as make
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


OUR_JAPANESE = {
    "models/calls.py": "names of system results, which no status may have",
    "services/names.py": "heads of files, which no status or column may have",
    "services/record_names.py": "what stands in files; pages say its messages",
    "services/export_records.py": "in files",
    "services/export_sheets.py": "in files",
    "services/export_bans.py": "in files",
    "services/recording_zip.py": "in files",
    "services/records.py": "where a result stands in a memo",
    "services/transfer_moves.py": "where a result stands in a memo",
    "services/setup.py": "statuses and reasons that a new site begins with",
    "services/practice_site.py": "the people and customers of practice",
    "services/inbound_days.py": "how a person types a day",
    "text/opening.py": "how a person types hours",
    "text/number_formats.py": "how a spreadsheet shows days",
    "text/workbook_styles.py": "how a spreadsheet calls a format",
    "text/phones.py": "how a person types a number",
    "text/spreadsheets.py": "the name of a column that has none",
}
"""Where Japanese stands that is no message, and what it is. No page says it as words of its own:
the walk in English below would find it."""


def _japanese(path: Path) -> list[ast.Constant]:
    """Japanese of a source that is neither described nor a message."""
    tree = ast.parse(path.read_text())
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    described |= {
        id(one.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for one in node.keywords
        if one.arg == "description"  # of a field of the API
    }
    marked = {
        id(one)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "N_"}
        for one in ast.walk(node)
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and JAPANESE.search(node.value)
        and id(node) not in described | marked
        and node.value not in BY_NAME
    ]


def test_nothing_has_japanese_of_its_own_that_is_no_message() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in _japanese(path):
            where = str(path.relative_to(PACKAGE))
            found.setdefault(where, []).append(f"{where}:{node.lineno}: {node.value[:60]}")
    strange = [one for where in found.keys() - OUR_JAPANESE.keys() for one in found[where]]
    assert strange == []
    assert OUR_JAPANESE.keys() - found.keys() == set(), "no longer there"


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


def _without(text: str, data: list[str]) -> str:
    for known in data:
        text = text.replace(known, "")
    return text


def _holidays(ahead: int) -> list[tuple[date, str]]:
    return list(jpholiday.year_holidays(utcnow().year + ahead))


def _data(store: Store) -> list[str]:
    """Every text in the database, the longest first, and names that are Japanese by themselves:
    of results, of a file's columns, of public holidays."""
    kept: set[str] = {*BY_NAME, *SYSTEM_RESULT_NAMES.values(), *map(str, Role)}
    kept |= {*names.RECORD_EXPORT_COLUMNS, *names.LIST_EXPORT_COLUMNS, *exports.BAN_COLUMNS}
    kept |= {name for year in (-1, 0, 1) for _day, name in _holidays(year)}
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
    made = build(store, settings)
    with store.write() as session:
        customer = session.get_one(Customer, made.near.customer)
        for kind in RecordKind:  # of nobody: what stands in the place of a user's name is shown
            record = make.make_record(session, customer, kind=kind, started_at=utcnow())
            attempt = Attempt(
                uuid=f"of {kind}", origin=Origin.CALL, customer_id=customer.id, created_at=utcnow(),
                ended_at=utcnow(), number=customer.number, verdict="allowed", state=CallState.ENDED,
            )  # fmt: skip
            session.add(attempt)
            session.flush()
            sound = Recording(
                attempt_id=attempt.id, record_id=record.id, raw_name="", stored_name=f"{kind}.mp3",
                state=RecordingState.STORED, started_at=utcnow(), problem="short",
            )  # fmt: skip
            session.add(sound)
    return made


LEAST_PAGES = {Role.OPERATOR: 15, Role.BUSINESS: 3, Role.BACKYARD: 3}
CODE = re.compile(r"\([a-z_]+[:.][a-z_]+\)")
"""The name of an API's scope or event, which programs read."""


@pytest.mark.one_database
@pytest.mark.parametrize("role", Role)
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
            body = answer.get_data()
        pages += 1
        soup = BeautifulSoup(body, "html.parser")
        # names from the database stand in no translation, and nothing else hides among them
        for text in soup.find_all(string=JAPANESE):
            if JAPANESE.search(left := _without(_outside(text), data)):
                seen.add(f"{path}: {left.strip()[:80]}")
        for text in _texts(soup):
            if words := _strange(_without(CODE.sub("", _outside(text)), data)):
                seen.add(f"{path}: {' '.join(words)} in {text[:80]}")
    assert not seen, "\n".join(sorted(seen))
    assert pages > LEAST_PAGES.get(role, 60)
