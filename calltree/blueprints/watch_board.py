"""What オペレータ状況 is drawn from: plain values for its fragments, the same for page and push.

The floor is asked once for all open pages: each change is told to all of them in one moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from flask import current_app, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints.assets import kept_url
from calltree.blueprints.call_words import STATE_WORDS
from calltree.blueprints.formats import percent
from calltree.db import utcnow
from calltree.models import LegState, MonitorMode, Operator, OperatorState
from calltree.services import monitoring, operators, watching
from calltree.services import settings as site_settings
from calltree.services.rights import Right, Viewer
from calltree.services.sentences import N_

ROWS = ("operator", "call", "supervision")
"""What a row changes with; figures stand in it too, and are counted for themselves."""
FIGURES = ("figures",)
MODE_WORDS = {
    MonitorMode.LISTEN: N_("Listening"),
    MonitorMode.WHISPER: N_("Whispering"),
    MonitorMode.BARGE: N_("Barged in"),
}
MODE_BUTTONS = {
    MonitorMode.LISTEN: N_("Listen only"),
    MonitorMode.WHISPER: N_("Whisper"),
    MonitorMode.BARGE: N_("Barge in"),
}
MODE_HEARD = {
    MonitorMode.LISTEN: N_("Nobody hears you."),
    MonitorMode.WHISPER: N_("Only the operator hears you."),
    MonitorMode.BARGE: N_("The operator and the customer hear you."),
}
TROUBLE_WORDS = {
    "network": N_("Network cut off"),
    "mic_denied": N_("Microphone not allowed"),
    "mic_missing": N_("No microphone"),
    "mic_unplugged": N_("Headset unplugged"),
    "mic_silent": N_("Microphone silent"),
    "no_path": N_("No way for sound"),
    "no_audio": N_("No sound arrives"),
    "unstable": N_("Unstable connection"),
    "unregistered": N_("Telephone not signed in"),
    "switch": N_("Telephone system not reached"),
    "no_leg": N_("Telephone not connected"),
}
TROUBLE = N_("Telephone trouble")
COUNTED = (
    (OperatorState.TALKING, OperatorState.OFFERED),
    (OperatorState.DIALLING,),
    (OperatorState.READY,),
    (OperatorState.WRAP_UP,),
    (OperatorState.BROWSING,),
    (OperatorState.AWAY,),
)

T = TypeVar("T")


class Kept(Generic[T]):
    """An answer that holds until one of these addresses is told of again."""

    def __init__(self, ask: Callable[[Session], T], *addresses: str) -> None:
        self._ask = ask
        self._addresses = addresses
        self._lock = threading.Lock()
        self._kept: tuple[tuple[object, ...], T] | None = None

    def get(self, session: Session) -> T:
        """Give the answer as of the last time that one of the addresses was told."""
        hub = current_app.extensions["calltree.live"]
        told = (hub, *(hub.times_told(address) for address in self._addresses))
        with self._lock:
            if self._kept is None or self._kept[0] != told:
                self._kept = (told, self._ask(session))
            return self._kept[1]


_ROWS = Kept(lambda session: watching.rows(session, now=utcnow()), *ROWS)
_TODAY = Kept(lambda session: watching.today(session, now=utcnow()), *FIGURES)
_LINES = Kept(watching.lines, "lines")


def rows(session: Session, viewer: Viewer, *, fresh: bool = True) -> list[dict[str, Any]]:
    """Give the table's rows; `fresh` asks the database, whatever was asked for others."""
    found = watching.rows(session, now=utcnow()) if fresh else _ROWS.get(session)
    today = watching.today(session, now=utcnow()) if fresh else _TODAY.get(session)
    limit_s = site_settings.get(session).wrap_up_limit_s
    whole = viewer.may(Right.WATCH)
    return [_row(row, today.by_user.get(row.user_id), limit_s, whole=whole) for row in found]


def _row(
    row: watching.Row, day: watching.Day | None, limit_s: int, *, whole: bool
) -> dict[str, Any]:
    """Give one row; those who may listen only see neither customers nor presses (`whole`)."""
    day = day or watching.Day()
    wrap_up = row.state is OperatorState.WRAP_UP
    values: dict[str, Any] = {
        "id": row.user_id,
        "name": row.name,
        "state": "held" if row.held else row.state.value,
        "word": _("On hold") if row.held else _(STATE_WORDS[row.state]),
        "reason": row.reason,
        "since": row.since,
        "limit_s": limit_s if wrap_up else None,
        "dials": day.dials,
        "connects": day.connects,
        "blanks": day.blanks,
        "trouble": _(TROUBLE_WORDS.get(row.trouble, N_("Telephone trouble")))
        if row.trouble
        else "",
        "help_at": row.help_at,
        "helped_by": row.helped_by,
        "listeners": [(one.name, _(MODE_WORDS[one.mode])) for one in row.listeners],
        "joined": row.joined,
        "listen_url": _at(row.user_id, "monitor/listen"),
        "whole": whole,
    }
    if not whole:
        return values
    return values | {
        "customer": row.customer,
        "customer_url": url_for("customers.show", customer_id=row.customer_id)
        if row.customer_id
        else "",
        "number": row.number,
        "blanks_url": url_for("history.index", status="blank", user=row.user_id),
        "in_call": bool(row.number),
        "take_url": _at(row.user_id, "help"),
        "modes": [
            (_at(row.user_id, f"monitor/{mode}"), _(MODE_BUTTONS[mode]))
            for mode in (MonitorMode.WHISPER, MonitorMode.BARGE)
        ],
        "asks": [
            (_at(row.user_id, f"ask/{wish}"), label, why_not)
            for wish, label, why_not in _forces(row)
        ],
    }


def _at(user_id: int, what: str) -> str:
    """Give the address of a press on a row: some hundreds, too many to keep each."""
    return f"{kept_url('watch.index')}{user_id}/{what}"


def _forces(row: watching.Row) -> Sequence[tuple[str, str, str]]:
    in_call = bool(row.number)
    owes = row.state is OperatorState.WRAP_UP
    not_free = _("Not in a call.") if in_call else _("The result is not saved yet.") if owes else ""
    return (
        ("away", _("Put on away"), not_free),
        ("hang_up", _("Hang up"), "" if in_call else _("No call is going on.")),
        ("sign_out", _("Sign out"), _("Not in a call.") if in_call else ""),
    )


def floor(session: Session, *, fresh: bool = True) -> dict[str, Any]:
    """Give what goes on at this moment: lines, who does what, who asks for help."""
    found = watching.rows(session, now=utcnow()) if fresh else _ROWS.get(session)
    return {
        "lines": watching.lines(session) if fresh else _LINES.get(session),
        "counts": [
            (_(STATE_WORDS[states[0]]), states[0].value, sum(row.state in states for row in found))
            for states in COUNTED
        ],
        "people": len(found),
        "help": [row.name for row in found if row.help_at is not None],
    }


def totals(session: Session, *, fresh: bool = True) -> dict[str, Any]:
    """Give the tiles: lines, who does what, today."""
    today = watching.today(session, now=utcnow()) if fresh else _TODAY.get(session)
    total = today.total
    calls = total.abandoned + total.joined
    return floor(session, fresh=fresh) | {
        "dials": total.dials,
        "connects": total.connects,
        "rate": percent(total.connects, total.dials),
        "conversions": total.conversions,
        "blanks": total.blanks,
        "abandoned": percent(total.abandoned, calls) if calls else "",
        "abandoned_of": (total.abandoned, calls),
        "poll": kept_url("watch.part", name="totals"),
    }


def own(session: Session, viewer: Viewer) -> dict[str, Any]:
    """Give the viewer's own telephone, and whom they listen to."""
    operator = session.get(Operator, viewer.user_id, populate_existing=True)
    state = operator.leg_state if operator else LegState.NONE
    listening = monitoring.listening(session, user_id=viewer.user_id)
    connected = state in operators.LIVE_LEGS
    return {
        "connected": connected,
        "connecting": state is LegState.CONNECTING,
        "listens": None
        if listening is None
        else {
            "name": listening.name,
            "since": listening.began_at,
            "mode": listening.mode.value,
            "word": _(MODE_WORDS[listening.mode]),
            "heard": _(MODE_HEARD[listening.mode]),
            "modes": [
                (
                    mode.value,
                    _(MODE_BUTTONS[mode]),
                    _at(listening.of_user_id, f"monitor/{mode}"),
                )
                for mode in MonitorMode
                if mode is MonitorMode.LISTEN or viewer.may(Right.WATCH)
            ],
            "end_url": kept_url("watch.end"),
        },
        "poll": kept_url("watch.part", name="own"),
    }


def wall(session: Session) -> dict[str, Any]:
    """Give the screen on the wall: who does what, and the tiles; no customer."""
    now = utcnow()
    found = watching.rows(session, now=now)
    limit_s = site_settings.get(session).wrap_up_limit_s
    day = watching.Day()
    return {
        "totals": totals(session),
        "people": [
            {
                key: value
                for key, value in _row(row, day, limit_s, whole=False).items()
                if key in ("id", "name", "state", "word", "reason", "since", "limit_s", "help_at")
            }
            for row in found
        ],
        "at": now,
    }
