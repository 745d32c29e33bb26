"""Whether the process answers, and whether each part it needs does."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from calltree.blueprints.access import public
from calltree.extensions import reading

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    """200 when the process is up."""
    return jsonify(status="ok")


@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """200 with each part's state, 503 when one is missing."""
    parts = {"database": _database()}
    return jsonify(parts), 200 if all(parts.values()) else 503


def _database() -> bool:
    try:
        reading().execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True
