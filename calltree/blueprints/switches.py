"""電話システムの確認: green or red for each part of every switch, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.formats import switch_name
from calltree.blueprints.navigation import switches_read
from calltree.db import utcnow
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.models import SwitchCommand
from calltree.services import switch_checks, switch_commands
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.upkeep import switch_state
from calltree.upkeep.findings import Light
from calltree.upkeep.switch_sentences import PARTS, say

bp = Blueprint("switches", __name__, url_prefix="/admin/switch")

LIGHTS = {
    Light.GREEN: ("ok", N_("Good")),
    Light.YELLOW: ("warn", N_("Look here")),
    Light.RED: ("bad", N_("To be mended")),
}


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show what was last read of every switch."""
    return render_template("switches/index.html", **_found())


@bp.get("/found")
@requires(Right.SEE_SETTINGS)
def found() -> ResponseReturnValue:
    """Show it anew while a check is under way."""
    return render_template("switches/_found.html", **_found())


@bp.post("/check")
@requires(Right.SEE_SETTINGS)
def check() -> ResponseReturnValue:
    """Let every switch be read again."""
    with writing() as session:
        switch_checks.ask(session, viewer=viewer(), nodes=settings().node_names, now=utcnow())
    return go(url_for("switches.index"))


def _found() -> dict[str, Any]:
    session, now = reading(), utcnow()
    asked = switch_checks.last_asked(session, nodes=settings().node_names)
    return {
        "nodes": [(switch_name(node), *_judged(node, now)) for node in settings().node_names],
        "waiting": any(switch_commands.still_awaited(row, now) for row in asked),
        "unserved": [switch_name(row.node) for row in asked if row.failure or _is_late(row, now)],
        "lights": LIGHTS,
    }


def _is_late(command: SwitchCommand, now: datetime) -> bool:
    return command.done_at is None and not switch_commands.still_awaited(command, now)


def _judged(node: str, now: datetime) -> tuple[datetime | None, list[dict[str, Any]]]:
    kept = switch_checks.last(reading(), node=node)
    if kept is None:
        return None, []
    read = switch_state.Reading.from_json(kept)
    lines = []
    for one in switch_state.judge(read, now=now):
        says, todo = say(one, _)
        lines.append({"part": _(PARTS[one.part]), "light": one.light, "says": says, "todo": todo})
    return datetime.fromisoformat(read.at), lines


def switch_alarms() -> list[str]:
    """Say what is red about any switch, as it was last read; the bar of 管理画面 shows it."""
    return alarms_of(switches_read())


def alarms_of(readings: Iterable[dict[str, Any]]) -> list[str]:
    """Say once what is red in these readings."""
    now = utcnow()
    alarms = [
        _("Telephone system (%(part)s): %(what)s", part=_(PARTS[one.part]), what=say(one, _)[0])
        for kept in readings
        for one in switch_state.judge(switch_state.Reading.from_json(kept), now=now)
        if one.light is Light.RED
    ]
    return list(dict.fromkeys(alarms))


def init_app(app: Flask) -> None:
    """Give templates what the bar is drawn from."""
    app.add_template_global(switch_alarms, "switch_alarms")
