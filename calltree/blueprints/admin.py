"""管理画面: the manager's and supervisor's home."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import requires
from calltree.services.rights import Right

bp = Blueprint("admin", __name__, url_prefix="/admin")


@bp.get("/")
@requires(Right.ADMIN_SCREEN)
def home() -> ResponseReturnValue:
    """Show where to go on."""
    return render_template("admin/home.html")
