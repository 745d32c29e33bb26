"""Hostile texts: stored in every field and shown on every page, and typed into every form."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from bs4 import BeautifulSoup, SoupStrainer, Tag
from flask import Flask
from sqlalchemy import select

from calltree.blueprints.access import right_of
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Import, ProjectRecipient, Role, SwitchCommand
from calltree.services.rights import ROLES_OF
from tests.browser import Browser
from tests.pages.world import World, build

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
TEMPLATES = "{{7*7}}{%x%}%(x)s%s%d{0}{x}${7*7}#{7*7}"
DIRECTIONS = "\u202e\u200f\u2066evil\u0007\x1b[31m\ufffe"
EMOJI = "👩‍👩‍👧‍👦🇯🇵e\u0301" * 8
ESL = "} &system(x)\n\napi status\r\n\r\nbgapi originate ${system(id)}"
FORMULA = "=HYPERLINK(\"http://x\",'x')|cmd"
LONG = "長" * 3000
MARKUP = "</textarea></select></title></option><svg/onload=alert(1)>"
SHOWN = [SCRIPT, IMAGE + EMOJI, MARKUP, TEMPLATES, DIRECTIONS + FORMULA]
ROLES = [Role.MANAGER, Role.OPERATOR, Role.BUSINESS]
UNTOUCHED = {"language.choose", "people.delete"} | {
    f"auth.{name}" for name in ("sign_out", "try_sign_in", "password")
}


def _pages(app: Flask, world: World, role: Role) -> list[str]:
    return [
        path
        for endpoint, path in world.paths(app, "GET", world.near)
        if (right := right_of(endpoint, app)) is not None and role in ROLES_OF[right]
    ]


SUSPECT = re.compile(r"""<(img src=x|svg/|script>)|"'(>|&gt;)""")
"""A sign of the texts above that nobody escaped; without one there is nothing to look for."""


def _injected(html: str) -> list[str]:
    if not SUSPECT.search(html):
        return []
    soup = BeautifulSoup(html, "html.parser")
    found = [str(tag)[:100] for tag in soup.select("img[src=x], svg[onload], [onerror], [onload]")]
    found += [str(tag)[:100] for tag in soup.find_all("script") if not tag.get("src")]
    return found


@pytest.mark.one_database
@pytest.mark.parametrize("text", SHOWN, ids=range(len(SHOWN)))
def test_no_stored_text_becomes_markup(
    app: Flask, store: Store, settings: Settings, browser_of, text: str
) -> None:
    world = build(store, settings, texts=text)
    with store.write() as session:
        client = world.users[Role.BUSINESS]
        session.add(ProjectRecipient(project_id=world.near.project, user_id=client))
    for role in ROLES:
        browser = browser_of(world.users[role])
        if role is Role.OPERATOR:
            browser.client.post(
                f"/operator/call/open/{world.near.customer}",
                data={"csrf_token": browser.csrf_token()},
            )
        for path in _pages(app, world, role):
            answer = browser.client.get(path)
            body = answer.get_data()
            answer.close()
            assert answer.status_code < 500, path
            if answer.mimetype == "text/html":
                assert _injected(body.decode()) == [], path
                assert b">49<" not in body, path


def _forms(browser: Browser, path: str) -> list[Tag]:
    answer = browser.client.get(path)
    html = answer.get_data()
    answer.close()
    soup = BeautifulSoup(html, "html.parser", parse_only=SoupStrainer("form"))
    return soup.select("form[method=post]")


def _filled(form: Tag, text: str) -> dict[str, Any]:
    """Every box filled with the text, also those that offer a choice or hold an id."""
    names = {str(tag["name"]) for tag in form.find_all(attrs={"name": True})}
    return {name: text for name in names if name != "csrf_token"}


def _typed(form: Tag, text: str) -> dict[str, Any]:
    """Boxes for text filled with the text, choices left as they stand."""
    data: dict[str, Any] = {}
    for tag in form.find_all(["input", "textarea", "select"]):
        name, kind = str(tag.get("name", "")), str(tag.get("type", "text"))
        if not name or name == "csrf_token" or kind in {"submit", "button", "file"}:
            continue
        if tag.name == "select":
            options = tag.find_all("option")
            data[name] = str(options[-1].get("value", "")) if options else ""
        elif kind in {"hidden", "checkbox", "radio", "time", "date", "number"}:
            data[name] = str(tag.get("value", "on"))
        else:
            data[name] = text
    return data


def _send(browser: Browser, path: str, data: dict[str, Any]) -> int:
    # as parts, not percent-encoded: decoding those long texts took half of the test
    answer = browser.client.post(path, data=data, content_type="multipart/form-data")
    body = answer.get_data()
    answer.close()
    if answer.mimetype == "text/html":
        assert _injected(body.decode()) == [], path
    return answer.status_code


TYPED = [
    (_typed, IMAGE + TEMPLATES + ESL + "\x00"),
    (_filled, IMAGE + TEMPLATES + ESL + "\x00"),
    (_typed, LONG),  # where an id belongs it is a wrong one like any other
]
NUMBERS = [(_filled, "9" * 30), (_filled, "-1")]
"""Refused before any database hears of it (blueprints/given.py)."""
BARE = (
    *("number", "caller_number", "digits", "memo", "label", "name", "status", "reason"),
    *("action", "press_id", "page", "short_note", "callback_at", "task_user", "note"),
)


@pytest.mark.parametrize(
    "typed",
    [TYPED, pytest.param(NUMBERS, marks=pytest.mark.one_database)],
    ids=["texts", "numbers"],
)
@pytest.mark.parametrize("role", [Role.MANAGER, Role.OPERATOR])
def test_no_typed_text_makes_a_failure(
    app: Flask, store: Store, settings: Settings, browser_of, role: Role, typed: list[Any]
) -> None:
    """One walk for all: to fetch the pages for their forms costs as much as to send a text."""
    world = build(store, settings)
    browser = browser_of(world.users[role])
    token = {"csrf_token": browser.csrf_token()}
    _send(browser, f"/operator/call/open/{world.near.customer}", token)
    posts = {path for endpoint, path in world.paths(app, "POST", world.near)
             if endpoint not in UNTOUCHED}  # fmt: skip
    wrong, sent = [], set()
    for page in _pages(app, world, role):
        for form in _forms(browser, page):
            path = str(form.get("action") or page)
            # the same form stands in every row of a table, and some on every page
            kind = (re.sub(r"\d+", "0", path), *sorted(_filled(form, "")))
            if path.split("?")[0] not in posts or kind in sent:
                continue
            sent.add(kind)
            for fill, text in typed:
                status = _send(browser, path, fill(form, text) | token)
                if status >= 500 or status == 400:
                    wrong.append((path, fill.__name__, text[:10], status))
    assert len(sent) > 20  # the walk finds the forms
    for path in sorted(posts):
        for text in dict.fromkeys(text for _fill, text in typed):
            status = _send(browser, path, dict.fromkeys(BARE, text) | token)
            if status >= 500 or status == 400:
                wrong.append((path, "bare", text[:10], status))
    assert wrong == []
    with store.read() as session:
        for command in session.query(SwitchCommand):
            values = [str(value) for value in command.args.values()]
            assert not [v for v in values if re.search(r"[^0-9A-Za-z*#._/-]", v)], command.kind


@pytest.mark.parametrize(
    "name",
    [
        *("長" * 300, "a\x00b", "\u202efdp.exe"),
        *(
            pytest.param(name, marks=pytest.mark.one_database)
            for name in (
                *("a\nb.csv", "../../../../etc/passwd", "..\\..\\x.csv", IMAGE, ESL),
                *("", ".", "..", "/", "名簿;filename=x.html"),
            )
        ),
    ],
)
def test_no_name_of_a_file_leads_out_of_its_folder(
    app: Flask, store: Store, settings: Settings, browser_of, name: str
) -> None:
    world = build(store, settings)
    browser = browser_of(world.users[Role.MANAGER])
    form = {"csrf_token": browser.csrf_token(), "project_id": str(world.near.project)}
    form |= {"new_list_name": "新しい", "where": "new"}
    before = {path.name for path in settings.uploads_dir.iterdir()}
    answer = browser.client.post(
        "/admin/imports/new",
        data={**form, "file": (io.BytesIO("電話番号\r\n0312345678\r\n".encode()), name)},
    )
    assert answer.status_code < 500
    for path in settings.uploads_dir.iterdir():
        assert path.name in before or re.fullmatch(r"[0-9A-Za-z_.-]+", path.name)
    with store.read() as session:
        last = session.scalars(select(Import).order_by(Import.id.desc())).first()
    assert last is not None
    for part in ("", "/file", "/rejects.csv", "/status"):
        page = browser.client.get(f"/admin/imports/{last.id}{part}")
        body = page.get_data()
        page.close()
        assert page.status_code < 500
        if page.mimetype == "text/html":
            assert _injected(body.decode()) == []
        elif page.status_code == 200:
            assert page.headers["Content-Disposition"].startswith("attachment")
