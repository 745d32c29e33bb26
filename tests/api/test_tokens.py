"""R-AR-3: tokens let in whom they should, for what they should, while they should."""

import re
from datetime import timedelta

import time_machine
from flask import Flask
from sqlalchemy import select

from calltree.blueprints.api.operations import OPERATIONS
from calltree.db import Store, utcnow
from calltree.errors import Refused
from calltree.models import ApiToken, AuditEntry, Role, Site, User
from calltree.services import api_tokens
from calltree.services.api_tokens import RIGHT_OF, Scope
from calltree.services.rights import ROLES_OF, Viewer
from tests.api.conftest import NAME, Program, ProgramOf
from tests.pages.world import World

OURS = select(ApiToken).where(ApiToken.name == NAME)


def test_R_AR_3_without_a_token_nothing_is_told(app: Flask, world: World) -> None:
    stranger = Program(app, "")
    for one in OPERATIONS:
        path = re.sub(r"<int:\w+>", "1", one.path)
        answer = stranger.ask(one.method, path, json={})
        assert answer.status_code == 401, one.path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.get_json(force=True)["code"] == "api_token_missing"


def test_R_AR_3_a_signed_in_browser_is_nobody_to_the_api(world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    assert browser.client.get("/api/v1/lists").status_code == 401


def test_R_AR_3_a_scope_opens_its_own_operations_only(program_of: ProgramOf) -> None:
    wrong = []
    for scope in Scope:
        program = program_of(Role.MANAGER, scope)
        for one in OPERATIONS:
            path = re.sub(r"<int:\w+>", "999", one.path)
            answer = program.ask(one.method, path, json={} if one.body else None)
            mine = one.scope in (None, scope)
            lacks = answer.get_json(force=True).get("code") == "api_scope_missing"
            if lacks is mine or lacks is not (answer.status_code == 403):
                wrong.append((scope, one.path, answer.status_code))
    assert wrong == []


def test_R_US_7_what_a_token_reads_is_told_once_a_day(store: Store, program_of: ProgramOf) -> None:
    program = program_of(Role.MANAGER, Scope.LISTS_READ, Scope.CUSTOMERS_READ, Scope.RECORDS_READ)

    def told() -> list[tuple[str, list[str]]]:
        with store.read() as session:
            lines = session.scalars(
                select(AuditEntry).where(AuditEntry.action == "token.read").order_by(AuditEntry.id)
            )
            return [(line.detail["token"], line.detail["scopes"]) for line in lines]

    for _ in range(2):
        program.get("/lists")
        program.get("/customers")
        program.get("/records")
    day = [(NAME, ["customers:read"]), (NAME, ["records:read"])]
    assert told() == day
    with time_machine.travel(utcnow() + timedelta(days=1)):
        program.get("/customers")
    assert told() == [*day, day[0]]


def test_R_AR_3_a_token_is_kept_as_a_hash_and_named_by_its_ending(
    store: Store, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER)
    with store.read() as session:
        row = session.scalars(OURS).one()
        kept = [str(value) for value in vars(row).values()]
        told = [str(entry.detail) for entry in session.scalars(select(AuditEntry))]
    assert not any(program.token in text for text in kept + told)
    assert program.token.endswith(row.ending)


def test_R_AR_3_a_token_ends_by_revocation_by_its_day_and_with_its_user(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    revoked, expired, orphan = (
        program_of(role) for role in (Role.MANAGER, Role.MANAGER, Role.OPERATOR)
    )
    for program in (revoked, expired, orphan):
        assert program.get("/me")["name"] == NAME
    with store.write() as session:
        manager = Viewer.of(session.get_one(User, world.users[Role.MANAGER]))
        tokens = session.scalars(OURS.order_by(ApiToken.id)).all()
        api_tokens.revoke(session, viewer=manager, token_id=tokens[0].id, now=utcnow())
        tokens[1].expires_at = utcnow() - timedelta(seconds=1)
        session.get_one(User, world.users[Role.OPERATOR]).deleted_at = utcnow()
    for program in (revoked, expired, orphan):
        assert program.get("/me", status=401)["code"] == "api_token_unknown"


def test_R_AR_3_a_token_loses_what_its_user_loses(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    program = program_of(Role.OPERATOR, Scope.CUSTOMERS_WRITE)
    path = f"/customers/{world.near.customer}"
    program.send("PATCH", path, {"short_note": "折返し希望"})
    with store.write() as session:
        session.get_one(User, world.users[Role.OPERATOR]).may_edit_customers = False
    refused = program.send("PATCH", path, {"short_note": "x"}, status=403)
    assert refused["code"] == "api_right_missing"


def test_R_AR_3_no_token_may_more_than_its_user(program_of: ProgramOf) -> None:
    refused = set()
    for role in Role:
        for scope in Scope:
            try:
                program_of(role, scope)
            except Refused as refusal:
                refused.add((role, scope, refusal.code))
    beyond = {(r, s) for r in Role for s in Scope if r not in ROLES_OF[RIGHT_OF[s]]}
    assert refused == {(role, scope, "token_scope_beyond") for role, scope in beyond}


def test_R_AR_3_the_networks_of_signing_in_hold_for_tokens(
    store: Store, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER)
    with store.write() as session:
        session.get_one(Site, 1).allowed_networks = ["203.0.113.0/24"]
    outside = program.ask("GET", "/me", environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert (outside.status_code, outside.get_json(force=True)["code"]) == (403, "api_network")
    inside = program.ask("GET", "/me", environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert inside.status_code == 200


def test_R_AR_3_the_last_use_is_noted_once_a_minute(store: Store, program_of: ProgramOf) -> None:
    program = program_of(Role.MANAGER)
    program.get("/me")
    with store.read() as session:
        first = session.scalars(OURS).one()
        assert first.used_from == "127.0.0.1"
    program.get("/me")
    with store.read() as session:
        assert session.scalars(OURS).one().used_at == first.used_at
    with store.write() as session:
        row = session.scalars(OURS).one()
        row.used_at = earlier = utcnow() - timedelta(minutes=2)
    program.get("/me")
    with store.read() as session:
        assert session.scalars(OURS).one().used_at > earlier


def test_R_AR_3_the_api_speaks_the_language_that_is_asked_for(
    world: World, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER)
    said = {
        language: program.ask("GET", "/lists/999", headers={"Accept-Language": language})
        for language in ("ja", "en", "")
    }
    details = {lang: answer.get_json(force=True)["detail"] for lang, answer in said.items()}
    assert details["en"].startswith("It does not exist")
    assert details["ja"].startswith("存在しない")
    assert details[""] == details["ja"]
