"""壁掛け画面 (R-WT-1): the floor in large type for a screen on the wall, without customers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints import watch_board
from calltree.blueprints.access import public, requires, viewer
from calltree.blueprints.navigation import stand_under
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import limiter, reading, writing
from calltree.htmx import go
from calltree.services import wallboard
from calltree.services.rights import Right

bp = Blueprint("wall", __name__)


@bp.get("/watch/wall")
@requires(Right.WATCH)
def index() -> ResponseReturnValue:
    """Show the address of the screen on the wall, or how to make one."""
    stand_under("watch.index")
    known = wallboard.secret(reading())
    address = url_for("wall.show", asked=known, _external=True) if known else ""
    return render_template("wall/index.html", address=address)


@bp.post("/watch/wall")
@requires(Right.WATCH)
def renew() -> ResponseReturnValue:
    """Make an address; the one before ends."""
    with writing() as session:
        wallboard.renew(session, viewer=viewer(), now=utcnow())
    return go(url_for("wall.index"))


@bp.post("/watch/wall/remove")
@requires(Right.WATCH)
def remove() -> ResponseReturnValue:
    """End the address."""
    with writing() as session:
        wallboard.remove(session, viewer=viewer(), now=utcnow())
    flash(_("The address has ended."), "ok")
    return go(url_for("wall.index"))


@bp.get("/wall/<asked>")
@public
def show(asked: str) -> ResponseReturnValue:
    """Show the screen; it asks for what changed by itself."""
    return render_template(
        "wall/show.html", wall=_wall(asked), url=url_for("wall.now", asked=asked)
    )


@bp.get("/wall/<asked>/now")
@limiter.exempt
@public
def now(asked: str) -> ResponseReturnValue:
    """Give the present state alone."""
    return render_template("wall/_wall.html", wall=_wall(asked))


def _wall(asked: str) -> dict[str, Any]:
    session = reading()
    if not wallboard.is_open(session, asked=asked, address=request.remote_addr or ""):
        raise NotFound("wallboard")
    return watch_board.wall(session)
