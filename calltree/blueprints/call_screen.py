"""What may change on the call screen without a press: plain values for its fragments (R-CL-3).

`live` is what the socket pushes as the same fragments that the page is drawn with; what somebody
types in stands in `call_panels` and `call_form`. The fragments' heads document each name.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from calltree.blueprints import call_by_hand, call_figures, call_transfer
from calltree.blueprints.assets import kept_url
from calltree.blueprints.call_words import CALL_WORDS, LEG_WORDS, STATE_WORDS
from calltree.blueprints.formats import phone
from calltree.locale import sentence
from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    Customer,
    CustomerHold,
    CustomerList,
    LegState,
    Operator,
    OperatorState,
    Origin,
    Project,
    RecordKind,
    ResultStatus,
    Transfer,
)
from calltree.services import gate, operators, outcomes, records, results
from calltree.services import settings as site_settings
from calltree.services.rights import Right, Viewer

LIVE = (
    "_operator.html",
    "_call_status.html",
    "_actions.html",
    "_today.html",
    "_softphone.html",
    "_lines.html",
)
"""Fragments that the socket pushes: none of them holds a box that somebody types in."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The rows that everything on the screen is read from."""

    viewer: Viewer
    operator: Operator
    customer: Customer | None
    folder: CustomerList | None
    project: Project | None
    attempt: Attempt | None
    record: CallRecord | None
    now: datetime


# One statement, built once: every event of a call draws from it.
_DESK = (
    select(Operator, Customer, CustomerList, Project, CallRecord, Attempt)
    .outerjoin(Customer, Customer.id == Operator.customer_id)
    .outerjoin(CustomerList, CustomerList.id == Customer.list_id)
    .outerjoin(Project, Project.id == CustomerList.project_id)
    .outerjoin(CallRecord, CallRecord.id == Operator.record_id)
    .outerjoin(Attempt, and_(Attempt.user_id == Operator.user_id, Attempt.ended_at.is_(None)))
    .where(Operator.user_id == bindparam("of"))
    .limit(1)
)
_FAILED = (
    select(Attempt)
    .join(CustomerHold, CustomerHold.customer_id == Attempt.customer_id)
    .where(
        Attempt.customer_id == bindparam("customer"),
        Attempt.user_id == bindparam("of"),
        Attempt.verdict == gate.ALLOWED,
        CustomerHold.user_id == bindparam("of"),
        CustomerHold.taken_at <= Attempt.created_at,
    )
    .order_by(Attempt.id.desc())
    .limit(1)
)


_PUSHED = (
    select(Attempt.id)
    .join(Operator, Operator.attempt_id == Attempt.id)
    .where(
        Operator.user_id == bindparam("of"),
        Operator.state == OperatorState.TALKING,
        or_(
            Attempt.campaign_id.is_not(None),
            Attempt.origin == Origin.INBOUND,
            exists().where(
                Transfer.attempt_id == Attempt.id, Transfer.to_user_id == Operator.user_id
            ),
        ),
    )
)


def desk(
    session: Session, *, viewer: Viewer, now: datetime, with_last_call: bool = True
) -> Desk | None:
    """Gather the operator's desk; None before they have entered their screen.

    The call is the one that goes on, else the one whose result is on the screen, which a press
    that only begins another need not know.
    """
    row = session.execute(_DESK, {"of": viewer.user_id}).first()
    if row is None:
        return None
    operator, customer, folder, project = row[:4]
    record: CallRecord | None = row[4]
    attempt: Attempt | None = row[5]
    if attempt is None and with_last_call:
        attempt = _last_call(session, viewer, record, customer)
    return Desk(viewer, operator, customer, folder, project, attempt, record, now)


def _last_call(
    session: Session, viewer: Viewer, record: CallRecord | None, customer: Customer | None
) -> Attempt | None:
    """A call that failed on our side has let go of its record; it is still said how it ended."""
    if record is not None:
        return session.get(Attempt, record.attempt_id) if record.attempt_id else None
    if customer is None:
        return None
    return session.scalar(_FAILED, {"of": viewer.user_id, "customer": customer.id})


def live(session: Session, at: Desk) -> dict[str, Any]:
    """Give what may change without a press of this operator."""
    values: dict[str, Any] = {}
    for name in LIVE:
        values |= fragment(session, at, name)
    return values


def fragment(session: Session, at: Desk, name: str) -> dict[str, Any]:
    """Give the values of one fragment of `LIVE`; the others are not asked for."""
    match name:
        case "_operator.html":
            return {"operator": _operator(session, at)}
        case "_call_status.html":
            return {"call": call(session, at)}
        case "_actions.html":
            pushed = is_pushed(at)
            return {
                "actions": _actions(at),
                "predictive": pushed and is_predictive(at),
                "pushed": pushed,
            }
        case "_today.html":
            return {"today": call_figures.today(session, viewer=at.viewer, now=at.now)}
        case "_softphone.html":
            return {"softphone": _softphone(at)}
        case "_lines.html":
            return {"lines": call_figures.lines(session)}
    raise KeyError(name)


def is_predictive(at: Desk) -> bool:
    """Whether プレディコール connected the customer: no CALL, 次へ and SKIP then (R-DL-7)."""
    return at.record is not None and at.record.kind is RecordKind.PREDICTIVE


def is_pushed(at: Desk) -> bool:
    """Whether the customer came to the operator, who waits for the next one after the result."""
    return is_predictive(at) or is_inbound(at)


def is_inbound(at: Desk) -> bool:
    """Whether the customer called in."""
    return at.record is not None and at.record.kind is RecordKind.INBOUND


def is_unknown(at: Desk) -> bool:
    """Whether a call came in whose caller is not chosen yet: there is nobody to press CALL for."""
    call = at.attempt
    return call is not None and call.origin is Origin.INBOUND and at.customer is None


def pushed_call(session: Session, *, user_id: int) -> int | None:
    """Give the プレディコール, or the call that came in, in which the operator talks now."""
    return session.scalar(_PUSHED, {"of": user_id})


def _operator(session: Session, at: Desk) -> dict[str, Any]:
    state = at.operator.state
    held = at.attempt is not None and at.attempt.state is CallState.HELD
    word = _("On hold") if held else _(STATE_WORDS[state])
    site = site_settings.get(session)
    return {
        "state": "held" if held else state.value,
        "word": word,
        "reason": at.operator.reason if state is OperatorState.AWAY else "",
        "since": at.operator.since,
        "limit_s": site.wrap_up_limit_s if state is OperatorState.WRAP_UP else None,
        "title": f"{word} – {name_of(at)}" if at.customer else "",
        "poll": kept_url("calling.part", name="operator"),
        "may_change": state in (OperatorState.AWAY, OperatorState.BROWSING, OperatorState.READY),
        "reasons": site.away_reasons,
    }


def name_of(at: Desk) -> str:
    """The first cell that says who this is; the number when there is none."""
    if at.customer is None:
        return ""
    return next((cell for cell in at.customer.cells if cell), phone(at.customer.number))


def call(session: Session, at: Desk) -> dict[str, Any]:
    """Give the call status box."""
    state, since = _call_state(at)
    countdown = _countdown(at) if state in {"idle", "ended"} else None
    chosen = chosen_number(at)
    dials = state in {"idle", "ended"} and not is_predictive(at)
    verdict = _verdict(session, at, chosen) if dials else None
    asks = _asks(verdict)
    waiting = _waiting(at, verdict)
    in_call = state not in {"idle", "ended"}
    shown = "countdown" if countdown else state
    values = {
        "state": shown,
        "word": _(CALL_WORDS[shown]),
        "name": name_of(at) if in_call else "",
        "number": at.attempt.number if at.attempt and in_call else "",
        "since": since,
        "trouble": "" if waiting else _trouble(verdict),
        "waiting": waiting,
        "outcome": _outcome(at) if state == "ended" else "",
        "countdown": countdown,
        "buttons": buttons(at, state, verdict),
        "held": state == "held",
        "muted": at.operator.muted,
        "press_id": str(uuid.uuid4()),
        "customer_id": at.customer.id if at.customer else "",
        "drawn": int(at.now.timestamp() * 1000),
        "asks": asks,
        "callers": [] if is_predictive(at) else _callers(session, at),
        "predictive": is_predictive(at) or is_unknown(at),
        "choose_caller": kept_url("answering.screen", choose="1") if _may_choose(at) else "",
        "warn_leave": bool(at.record and records.needs_result(at.record)) or in_call,
        "proposes": proposed(session, at),
        "long_talk": at.record is not None and at.record.talk_ms >= results.LONG_TALK_MS,
        "choose_url": kept_url("calling.choose"),
        "poll": kept_url("calling.part", name="call_status"),
        "transfer": call_transfer.row(session, operator=at.operator, attempt=at.attempt),
        "came_back": call_transfer.came_back(session, at.attempt) if in_call else "",
        "recording": call_transfer.recording(session, at.attempt),
    }
    if _talks_on_outside(at):
        values["buttons"]["call"]["why_not"] = _("The customer talks with the outside number.")
    if values["transfer"] is not None:
        if not in_call:  # consulted in a colleague's call
            _consulted(values)
        if values["transfer"]["holds"]:
            _hold_back(values["buttons"])
    if at.customer is not None or is_unknown(at):
        return values
    return call_by_hand.over(
        session, values, user_id=at.viewer.user_id, attempt=at.attempt, now=at.now
    )


def _may_choose(at: Desk) -> bool:
    """Whether another customer may be chosen for a call that came in: until a result is saved."""
    record = at.record
    if record is None or at.customer is None:
        return False
    return is_inbound(at) and records.needs_result(record)


def _call_state(at: Desk) -> tuple[str, datetime | None]:
    attempt = at.attempt
    if attempt is None:
        return "idle", None
    if attempt.ended_at is not None or _talks_on_outside(at):
        return "ended", None
    since = {
        CallState.QUEUED: attempt.created_at,
        CallState.DIALLING: attempt.dialled_at,
        CallState.RINGING: attempt.ringing_at,
        CallState.EARLY: attempt.ringing_at,
        CallState.ANSWERED: attempt.answered_at,
        CallState.TALKING: attempt.joined_at,
        CallState.HELD: attempt.held_since,
    }.get(attempt.state)
    state = "dialling" if attempt.state is CallState.QUEUED else attempt.state.value
    return state, since or attempt.created_at


def _talks_on_outside(at: Desk) -> bool:
    """Whether the call was handed to an outside number: the result can be saved meanwhile."""
    attempt = at.attempt
    if attempt is None or attempt.ended_at is not None or attempt.user_id is not None:
        return False
    return at.operator.attempt_id is None


DRAWN_LATE_S = 15
"""A page that is drawn this long after the wait still dials: a busy machine was slow with it."""


def _countdown(at: Desk) -> dict[str, Any] | None:
    """The wait before 保存して次へ dials; a page that was away must not dial out of the blue."""
    until = at.operator.dial_at
    if until is None or until < at.now - timedelta(seconds=DRAWN_LATE_S):
        return None
    return {"until": until, "cancel_url": kept_url("calling.stop_countdown")}


def chosen_number(at: Desk) -> str:
    if at.customer is None:
        return ""
    return at.operator.chosen_number or at.customer.number


def _verdict(session: Session, at: Desk, number: str) -> gate.Verdict | None:
    if at.customer is None or not at.viewer.may(Right.DIAL):
        return None
    request = gate.DialRequest(
        origin=Origin.CALL,
        number=number,
        user_id=at.viewer.user_id,
        customer_id=at.customer.id,
        project_id=at.project.id if at.project else None,
        caller_number_id=at.operator.chosen_caller_id,
    )
    return gate.can_dial(session, request=request, now=at.now)


def would_dial(session: Session, *, viewer: Viewer, now: datetime) -> bool:
    """Whether CALL would go through as it is: else nothing counts down and CALL says why."""
    at = desk(session, viewer=viewer, now=now)
    verdict = _verdict(session, at, chosen_number(at)) if at else None
    return verdict is not None and verdict.allowed


# The switch's own trouble is said in red with リロード (R-CL-10); the rest stands under CALL.
TROUBLE = {"switch_down", "no_leg"}


def _trouble(verdict: gate.Verdict | None) -> str:
    if verdict is None or verdict.code not in TROUBLE:
        return ""
    return sentence(verdict.code, **verdict.detail)


def _waiting(at: Desk, verdict: gate.Verdict | None) -> str:
    """Say gently that the telephone is only just being connected."""
    if verdict is None or verdict.code != "no_leg":
        return ""
    fresh = at.operator.leg_state in (LegState.NONE, LegState.CONNECTING)
    return _("Your telephone is being connected.") if fresh else ""


def _asks(verdict: gate.Verdict | None) -> str:
    """Say what CALL must have confirmed, in the order in which the gate asks."""
    if verdict is None or not verdict.asks:
        return ""
    return sentence(verdict.code, **verdict.detail)


def _outcome(at: Desk) -> str:
    if at.attempt is None or at.attempt.ended_at is None:
        return ""
    return sentence(_judged(at.attempt).sentence)


def proposed(session: Session, at: Desk) -> int | None:
    """The status that the network's answer proposes for a call without a result yet."""
    if at.record is None or not records.needs_result(at.record):
        return None
    if at.attempt is None or at.attempt.ended_at is None:
        return None
    proposed = _judged(at.attempt).proposed
    if proposed is None:
        return None
    return session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == proposed))


def _judged(attempt: Attempt) -> outcomes.Outcome:
    return outcomes.judge(
        cause=attempt.hangup_cause,
        sip_status=attempt.sip_status,
        answered=attempt.answered_at is not None,
        ours_joined=attempt.joined_at is not None,
    )


def buttons(at: Desk, state: str, verdict: gate.Verdict | None) -> dict[str, Any]:
    """Give the buttons of the call box; `verdict` only matters where no call goes on."""
    no_call = _("No call is going on.")
    not_talking = _("You are not talking.")
    live_call = state not in {"idle", "ended"}
    talking = state in {"talking", "held"}
    blocked = "" if verdict is None or verdict.allowed or verdict.asks else sentence(
        verdict.code, **verdict.detail
    )  # fmt: skip
    return {
        "call": {
            "url": kept_url("calling.dial"),
            "why_not": _("A call is going on.") if live_call else blocked,
        },
        "hang_up": {
            "url": kept_url("calling.press", wish="hang_up"),
            "why_not": "" if live_call else no_call,
        },
        "hold": {
            "url": kept_url("calling.press", wish="resume" if state == "held" else "hold"),
            "why_not": "" if talking else not_talking,
        },
        "mute": {
            "url": kept_url("calling.press", wish="unmute" if at.operator.muted else "mute"),
            "why_not": "" if talking else not_talking,
        },
        "transfer": {
            "url": kept_url("call_transfers.panel"),
            "why_not": "" if talking else not_talking,
        },
        "dtmf": {"url": kept_url("calling.dtmf"), "why_not": "" if talking else not_talking},
    }


def _consulted(values: dict[str, Any]) -> None:
    """Who is consulted talks, and dials nobody: the gate's no is not what matters to them."""
    shown = "talking"
    values |= {"state": shown, "word": _(CALL_WORDS[shown]), "trouble": "", "waiting": ""}
    values |= {"asks": "", "outcome": "", "countdown": None, "callers": [], "warn_leave": True}
    values["buttons"]["call"]["why_not"] = _("A call is going on.")


def _hold_back(buttons: dict[str, Any]) -> None:
    """While somebody is asked or consulted, the customer is dealt with by the row of that."""
    for what in ("hang_up", "hold", "dtmf", "transfer"):
        buttons[what]["why_not"] = _("Finish the transfer first.")


def _callers(session: Session, at: Desk) -> list[tuple[int, str, bool]]:
    if at.project is None or at.customer is None:
        return []
    offered = gate.caller_numbers(session, project=at.project)
    known = {number.id for number in offered}
    asked = (at.operator.chosen_caller_id, at.customer.caller_number_id, at.project.main_number_id)
    wanted = next((number_id for number_id in asked if number_id in known), None)
    return [(n.id, f"{phone(n.number)} {n.label}".strip(), n.id == wanted) for n in offered]


def _actions(at: Desk) -> dict[str, dict[str, Any]]:
    """R-CL-5: refused while talking; on a customer not dialled there is nothing to save."""
    consulted = at.operator.state is OperatorState.TALKING  # in a colleague's call
    in_call = consulted or _call_state(at)[0] not in {"idle", "ended"}
    busy = _("Hang up first.") if in_call else ""
    unsaved = busy or ("" if at.record else _("This customer has not been dialled yet."))
    return {
        "save_next": {"why_not": unsaved},
        "save": {"why_not": unsaved},
        "save_other": {"why_not": unsaved},
        "next": {"why_not": busy},
        "skip": {"why_not": busy},
        "save_ready": {"why_not": busy},
        "save_away": {"why_not": busy},
        "last": {"url": kept_url("predictive.last"), "pressed": at.operator.leaves_campaign},
    }


def _softphone(at: Desk) -> dict[str, Any]:
    state = at.operator.leg_state
    return {
        "kind": "ok"
        if state in operators.LIVE_LEGS
        else "bad"
        if state is LegState.LOST
        else "info",
        "connecting": state in (LegState.NONE, LegState.CONNECTING),
        "word": _(LEG_WORDS[state]),
        "url": kept_url("calling.screen"),
        "poll": kept_url("calling.part", name="softphone"),
    }
