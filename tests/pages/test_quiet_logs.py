"""Logs never hold what people typed or imported: a whole import and a call, listened to."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from calltree import logs
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Import, Role, User
from calltree.services import import_run, imports
from tests.browser import Browser
from tests.factories import NOW
from tests.pages.world import World, build

CELL, MEMO, WORD = "極秘商店", "極秘の相談", "極秘password9"
NUMBERS = ("0312345678", "03-1234-5678", "09087654321")


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


def test_R_AR_4_no_log_line_holds_what_was_typed_or_imported(
    world: World, store: Store, settings: Settings, browser_of, capsys
) -> None:
    logs.configure()
    with store.write() as session:
        user = session.get_one(User, world.users[Role.MANAGER])
        user.password_hash = generate_password_hash(WORD, method="pbkdf2:sha256:1000")
        login_id = user.login_id
    browser = Browser(browser_of(world.users[Role.MANAGER]).app)
    browser.post("/sign-in", {"login_id": login_id, "password": WORD + "x"}, status=422)
    browser.post("/sign-in", {"login_id": login_id, "password": WORD})
    _import(browser, world, store, settings)
    _work(browser_of(world.users[Role.OPERATOR]), world)
    browser.client.get(f"/customers/?q={CELL}&after=x")
    browser.client.get(f"/customers/99999?q={NUMBERS[0]}")
    browser.client.post("/switch-screen", data={"csrf_token": WORD})
    heard = capsys.readouterr()
    written = heard.err + heard.out
    assert "request failed" in written, "nothing was listened to"
    for secret in (CELL, MEMO, WORD, *NUMBERS, world.near.phone, settings.secret_key):
        assert secret not in written


def _import(browser: Browser, world: World, store: Store, settings: Settings) -> None:
    content = f"電話番号,会社名\r\n{NUMBERS[1]},{CELL}\r\n極秘,{CELL}\r\n{NUMBERS[2]},{CELL}\r\n"
    browser.get("/admin/imports/new")
    file = (io.BytesIO(content.encode("cp932")), f"{CELL}.csv")
    browser.submit(file=file, project_id=str(world.near.project))
    with store.read() as session:
        import_id = session.scalars(select(Import.id).order_by(Import.id.desc())).first()
    assert import_id is not None
    imports.check(store, uploads_dir=settings.uploads_dir, import_id=import_id, now=NOW)
    browser.get(f"/admin/imports/{import_id}")
    browser.submit("#start")
    clock = lambda: datetime.now(UTC)  # noqa: E731 - read as a value
    import_run.run(store, uploads_dir=settings.uploads_dir, import_id=import_id, clock=clock)
    browser.get(f"/admin/imports/{import_id}/rejects.csv")


def _work(browser: Browser, world: World) -> None:
    customer = world.near.customer
    token = browser.csrf_token()
    for path, form in (
        (f"/operator/call/open/{customer}", {}),
        ("/operator/call/dial", {"number": NUMBERS[0], "press_id": "p1"}),
        ("/operator/call/dial", {"press_id": "p2"}),
        (f"/operator/call/draft/{customer}", {"memo": MEMO}),
        ("/operator/call/save", {"status": world.near.status, "memo": MEMO, "action": "save"}),
        (f"/customers/{customer}/numbers", {"number": NUMBERS[2], "label": CELL}),
        (f"/customers/{customer}/entries", {"status": world.near.status, "memo": MEMO}),
    ):
        answer = browser.client.post(path, data={**form, "csrf_token": token})
        assert answer.status_code < 500, path
        answer.close()
