"""オペレータ画面: list choice."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import requires
from calltree.services.rights import Right

bp = Blueprint("operator", __name__, url_prefix="/operator")


@bp.get("/")
@requires(Right.DIAL)
def home() -> ResponseReturnValue:
    """Show the lists one may call."""
    return render_template("operator/home.html")
