"""A site with two floors (tests.pages.world) and programs that come in by tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import Role, User
from calltree.services import api_tokens
from calltree.services.api_tokens import Scope, TokenDetails
from calltree.services.rights import Viewer
from tests.pages.world import World, build

NAME = "基幹システム"


class Program:
    """Another program: it has a token and nothing else, no cookie and no page."""

    def __init__(self, app: Flask, token: str) -> None:
        self.client = app.test_client(use_cookies=False)
        self.token = token

    def ask(self, method: str, path: str, **given: Any) -> TestResponse:
        headers = {"Accept-Language": "en", **given.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **given)

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self.ask("GET", path, query_string=query)
        return _checked(answer, status)

    def send(self, method: str, path: str, body: Any, status: int = 200) -> Any:
        return _checked(self.ask(method, path, json=body), status)


def _checked(answer: TestResponse, status: int) -> Any:
    assert answer.status_code == status, answer.get_data(as_text=True)
    kind = "application/json" if status < 300 else "application/problem+json"
    assert answer.content_type == kind
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.get_json(force=True)
    if status >= 400:
        assert said["status"] == status
        assert said["detail"]
    return said


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


ProgramOf = Callable[..., Program]


@pytest.fixture
def program_of(app: Flask, store: Store, world: World) -> ProgramOf:
    """`program_of(Role.MANAGER, Scope.LISTS_READ, …)`: a program with a token for that user."""

    def made(role: Role, *scopes: Scope, **details: Any) -> Program:
        with store.write() as session:
            manager = Viewer.of(session.get_one(User, world.users[Role.MANAGER]))
            given = {
                "name": NAME,
                "user_id": world.users[role],
                "scopes": scopes or tuple(s for s in Scope if _may(session, world, role, s)),
            }
            _row, token = api_tokens.create(
                session, viewer=manager, details=TokenDetails(**(given | details)), now=utcnow()
            )
        return Program(app, token)

    return made


def _may(session: Any, world: World, role: Role, scope: Scope) -> bool:
    acts_as = Viewer.of(session.get_one(User, world.users[role]))
    return acts_as.may(api_tokens.RIGHT_OF[scope])
