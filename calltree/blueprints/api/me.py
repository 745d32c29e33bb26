"""What a token may find out about itself, and the document of everything."""

from __future__ import annotations

from flask import Response, jsonify

from calltree.blueprints.access import public
from calltree.blueprints.api.door import bp
from calltree.blueprints.api.openapi import document
from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import Me
from calltree.extensions import reading, settings
from calltree.models import Site, User
from calltree.services.api_tokens import Caller


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    """Give the OpenAPI document."""
    return jsonify(document())


@operation("GET", "/me", tag="token", scope=None, answer=Me)
def me(caller: Caller) -> Me:
    """Say what this token is."""
    session = reading()
    site = session.get(Site, 1)
    return Me(
        name=caller.name,
        user=session.get_one(User, caller.viewer.user_id).login_id,
        user_id=caller.viewer.user_id,
        scopes=sorted(caller.scopes),
        requests_per_minute=caller.per_minute,
        expires_at=caller.expires_at,
        practice=site.practice if site else settings().practice,
    )
