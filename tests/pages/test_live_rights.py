"""R-US-1 on the live line: what a page may hear and draw is its viewer's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import select

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Role, User
from calltree.services.rights import Viewer
from tests.pages.world import SECRET, World, build

pytestmark = pytest.mark.one_database

HUGE = "9" * 30
NAMES = [
    "call",
    "home",
    "imports:1",
    f"imports:{HUGE}",
    "imports:",
    "imports:²",
    "imports:x",
    "call:2",
]
NAMES += [
    "plain",
    "home",
    "figures",
    "figures:2",
    "",
    "user_id=1",
    "operator:user_id=1",
    "\x00",
    "imports:" + "9" * 5000,
]


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


@pytest.mark.parametrize("role", list(Role))
def test_R_US_1_a_live_line_brings_nothing_of_others(
    app: Flask, world: World, store: Store, role: Role
) -> None:
    with store.read() as session:
        user = session.get_one(User, world.users[role])
        others = {
            f"user_id={one}" for one in session.scalars(select(User.id).where(User.id != user.id))
        }
    who = Viewer.of(user)
    imports_of = role in (Role.MANAGER, Role.SUPERVISOR)
    for name in [*NAMES, f"imports:{world.far.given}"]:
        with app.test_request_context("/live"), store.read() as session:
            login_user(SignedIn(who, user.session_version))
            page = panels.find(name, who)
            drawn = "".join(page.draw(session, page.heard, fresh=True))
        heard = " ".join(page.heard)
        assert not [one for one in others if re.search(rf"{one}\b", heard)], (name, heard)
        if not imports_of:
            assert "imports:" not in heard
            assert SECRET not in drawn
        if role in (Role.BUSINESS, Role.BACKYARD):
            assert not re.search("operator:|call:|figures", heard), (name, heard)
        if role is Role.OPERATOR:
            assert "figures" not in page.heard, "other people's calls"


def test_no_fragment_that_many_share_holds_a_token(app: Flask) -> None:
    """These are drawn once for everybody: a form's token in it would be another's."""
    for name in ("_actions.html", "_softphone.html", "_lines.html"):
        source = Path(app.root_path) / "templates" / "operator" / name
        assert "csrf" not in source.read_text()
