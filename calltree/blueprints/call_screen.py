"""What stands on the call screen: plain values for its fragments, read at one moment (R-CL-3).

`draw` gives everything; `live` only what may change without a press, which the socket pushes as
the same fragments. The fragments' heads document each name.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.blueprints.formats import phone
from calltree.extensions import settings
from calltree.locale import sentence
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    ExtraNumber,
    ItemTarget,
    LegState,
    Operator,
    OperatorState,
    Origin,
    Project,
    ResultStatus,
    User,
)
from calltree.services import (
    do_not_call,
    drafts,
    figures,
    gate,
    holds,
    operators,
    outcomes,
    patterns,
    projects,
    records,
    results,
    scope,
    tasks,
    work_queue,
)
from calltree.services import hours as calling_hours
from calltree.services import settings as site_settings
from calltree.services.rights import Right, Viewer
from calltree.services.sentences import N_
from calltree.text.days import site_day
from calltree.text.hours import next_opening

STATE_WORDS = {
    OperatorState.SIGNED_OUT: N_("Signed out"),
    OperatorState.AWAY: N_("Away"),
    OperatorState.BROWSING: N_("Browsing"),
    OperatorState.READY: N_("Standing by"),
    OperatorState.OFFERED: N_("Being joined"),
    OperatorState.DIALLING: N_("Dialling"),
    OperatorState.TALKING: N_("Talking"),
    OperatorState.WRAP_UP: N_("Wrap-up"),
}
CALL_WORDS = {
    "idle": N_("Not dialled"),
    "countdown": N_("Dialling soon"),
    "dialling": N_("Dialling"),
    "ringing": N_("Ringing"),
    "early": N_("Ringing"),
    "answered": N_("Answered"),
    "talking": N_("Talking"),
    "held": N_("On hold"),
    "ended": N_("Call ended"),
}
LEG_WORDS = {
    LegState.NONE: N_("not connected"),
    LegState.CONNECTING: N_("connecting"),
    LegState.PARKED: N_("connected"),
    LegState.JOINED: N_("connected"),
    LegState.LOST: N_("reconnecting"),
}
SKIPPED_WORDS = {
    work_queue.GONE: N_("deleted %(n)s"),
    work_queue.OUT_OF_GRANT: N_("moved %(n)s"),
    work_queue.BANNED: N_("do-not-call %(n)s"),
    work_queue.ASSIGNED: N_("others' customers %(n)s"),
    work_queue.HELD: N_("open elsewhere %(n)s"),
    work_queue.DONE: N_("already called %(n)s"),
    work_queue.CHANGED: N_("no longer matching %(n)s"),
}
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


def desk(session: Session, *, viewer: Viewer, now: datetime) -> Desk | None:
    """Gather the operator's desk; None before they have entered their screen."""
    operator = session.get(Operator, viewer.user_id)
    if operator is None:
        return None
    customer = session.get(Customer, operator.customer_id) if operator.customer_id else None
    folder = session.get(CustomerList, customer.list_id) if customer else None
    project = session.get(Project, folder.project_id) if folder else None
    record = records.open_record(session, user_id=viewer.user_id)
    return Desk(
        viewer, operator, customer, folder, project, _attempt(session, viewer, record), record, now
    )


def _attempt(session: Session, viewer: Viewer, record: CallRecord | None) -> Attempt | None:
    """The call that goes on, else the one whose result is on the screen."""
    live = session.scalar(
        select(Attempt).where(Attempt.user_id == viewer.user_id, Attempt.ended_at.is_(None))
    )
    if live is not None or record is None or record.attempt_id is None:
        return live
    return session.get(Attempt, record.attempt_id)


def draw(session: Session, *, viewer: Viewer, now: datetime) -> dict[str, Any] | None:
    """Give the whole screen's values, or None when no customer is open."""
    at = desk(session, viewer=viewer, now=now)
    if at is None or at.customer is None or at.folder is None or at.project is None:
        return None
    return {
        **live(session, at),
        **_customer_side(session, at),
        **_form(session, at),
        "queue": queue(session, viewer=viewer),
        "page_id": "",
        "hold_url": url_for("calling.renew"),
        "save_url": url_for("calling.save"),
        "last_url": url_for("calling.last"),
        "predictive": False,
        "errors": [],
        "result_missing": False,
    }


def live(session: Session, at: Desk) -> dict[str, Any]:
    """Give what may change without a press of this operator."""
    return {
        "operator": _operator(session, at),
        "call": call(session, at),
        "actions": _actions(at),
        "today": today(session, viewer=at.viewer, now=at.now),
        "lines": lines(session),
        "softphone": _softphone(at),
        "predictive": False,
    }


def _operator(session: Session, at: Desk) -> dict[str, Any]:
    held = at.attempt is not None and at.attempt.state is CallState.HELD
    word = _("On hold") if held else _(STATE_WORDS[at.operator.state])
    wrap_up = at.operator.state is OperatorState.WRAP_UP
    return {
        "state": "held" if held else at.operator.state.value,
        "word": word,
        "since": at.operator.since,
        "limit_s": site_settings.get(session).wrap_up_limit_s if wrap_up else None,
        "title": f"{word} – {_name(at)}" if at.customer else "",
        "poll": url_for("calling.part", name="operator"),
    }


def _name(at: Desk) -> str:
    """The first cell that says who this is; the number when there is none."""
    if at.customer is None:
        return ""
    return next((cell for cell in at.customer.cells if cell), phone(at.customer.number))


def call(session: Session, at: Desk) -> dict[str, Any]:
    """Give the call status box."""
    state, since = _call_state(at)
    countdown = _countdown(at) if state in {"idle", "ended"} else None
    chosen = _chosen_number(at)
    verdict = _verdict(session, at, chosen) if state in {"idle", "ended"} else None
    asks = _asks(verdict)
    in_call = state not in {"idle", "ended"}
    shown = "countdown" if countdown else state
    return {
        "state": shown,
        "word": _(CALL_WORDS[shown]),
        "name": _name(at) if in_call else "",
        "number": at.attempt.number if at.attempt and in_call else "",
        "since": since,
        "trouble": _trouble(verdict),
        "outcome": _outcome(at) if state == "ended" else "",
        "countdown": countdown,
        "buttons": _buttons(at, state, verdict),
        "held": state == "held",
        "muted": at.operator.muted,
        "press_id": str(uuid.uuid4()),
        "asks": asks,
        "callers": _callers(session, at),
        "warn_leave": bool(at.record and records.needs_result(at.record)) or in_call,
        "poll": url_for("calling.part", name="call_status"),
    }


def _call_state(at: Desk) -> tuple[str, datetime | None]:
    attempt = at.attempt
    if attempt is None:
        return "idle", None
    if attempt.ended_at is not None:
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


def _countdown(at: Desk) -> dict[str, Any] | None:
    """The wait before 保存して次へ dials; a page that was away must not dial out of the blue."""
    until = at.operator.dial_at
    if until is None or until < at.now - timedelta(seconds=5):
        return None
    return {"until": until, "cancel_url": url_for("calling.stop_countdown")}


def _chosen_number(at: Desk) -> str:
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
    )
    return gate.can_dial(session, request=request, now=at.now)


def would_dial(session: Session, *, viewer: Viewer, now: datetime) -> bool:
    """Whether CALL would go through as it is: else nothing counts down and CALL says why."""
    at = desk(session, viewer=viewer, now=now)
    verdict = _verdict(session, at, _chosen_number(at)) if at else None
    return verdict is not None and verdict.allowed


# The switch's own trouble is said in red with リロード (R-CL-10); the rest stands under CALL.
TROUBLE = {"switch_down", "no_leg"}


def _trouble(verdict: gate.Verdict | None) -> str:
    if verdict is None or verdict.code not in TROUBLE:
        return ""
    return sentence(verdict.code, **verdict.detail)


def _asks(verdict: gate.Verdict | None) -> str:
    """Say what CALL must have confirmed, in the order in which the gate asks."""
    if verdict is None or not verdict.asks:
        return ""
    return sentence(verdict.code, **verdict.detail)


def _outcome(at: Desk) -> str:
    if at.attempt is None or at.attempt.ended_at is None:
        return ""
    return sentence(_judged(at.attempt).sentence)


def _judged(attempt: Attempt) -> outcomes.Outcome:
    return outcomes.judge(
        cause=attempt.hangup_cause,
        sip_status=attempt.sip_status,
        answered=attempt.answered_at is not None,
        ours_joined=attempt.joined_at is not None,
    )


def _buttons(at: Desk, state: str, verdict: gate.Verdict | None) -> dict[str, Any]:
    no_call = _("No call is going on.")
    not_talking = _("You are not talking.")
    live_call = state not in {"idle", "ended"}
    talking = state in {"talking", "held"}
    blocked = "" if verdict is None or verdict.allowed or verdict.asks else sentence(
        verdict.code, **verdict.detail
    )  # fmt: skip
    return {
        "call": {
            "url": url_for("calling.dial"),
            "why_not": _("A call is going on.") if live_call else blocked,
        },
        "hang_up": {
            "url": url_for("calling.press", wish="hang_up"),
            "why_not": "" if live_call else no_call,
        },
        "hold": {
            "url": url_for("calling.press", wish="resume" if state == "held" else "hold"),
            "why_not": "" if talking else not_talking,
        },
        "mute": {
            "url": url_for("calling.press", wish="unmute" if at.operator.muted else "mute"),
            "why_not": "" if talking else not_talking,
        },
        "dtmf": {"url": url_for("calling.dtmf"), "why_not": "" if talking else not_talking},
    }


def _callers(session: Session, at: Desk) -> list[tuple[int, str, bool]]:
    if at.project is None or at.customer is None:
        return []
    offered = gate.caller_numbers(session, project=at.project)
    wanted = at.customer.caller_number_id or at.project.main_number_id
    return [(n.id, f"{phone(n.number)} {n.label}".strip(), n.id == wanted) for n in offered]


def _actions(at: Desk) -> dict[str, dict[str, str]]:
    """R-CL-5: refused while talking; on a customer not dialled there is nothing to save."""
    in_call = at.attempt is not None and at.attempt.ended_at is None
    busy = _("Hang up first.") if in_call else ""
    unsaved = busy or ("" if at.record else _("This customer has not been dialled yet."))
    return {
        "save_next": {"why_not": unsaved},
        "save": {"why_not": unsaved},
        "save_other": {"why_not": unsaved},
        "next": {"why_not": busy},
        "skip": {"why_not": busy},
    }


def today(session: Session, *, viewer: Viewer, now: datetime) -> dict[str, Any]:
    """Give one's own figures of the site day (R-CL-11)."""
    day = site_day(now, settings().timezone)
    summed = figures.today(session, user_id=viewer.user_id, day=day)
    return {
        "dials": summed.dials,
        "connects": summed.connects,
        "url": url_for("calling.part", name="today"),
    }


def lines(session: Session) -> dict[str, Any]:
    """Give the lines in use of how many (R-CL-8)."""
    in_use = gate.lines_in_use(session)
    return {
        "used": in_use.total,
        "total": in_use.limit,
        "poll": url_for("calling.part", name="lines"),
    }


def _softphone(at: Desk) -> dict[str, Any]:
    state = at.operator.leg_state
    return {
        "ok": state in operators.LIVE_LEGS,
        "word": _(LEG_WORDS[state]),
        "url": url_for("calling.screen"),
        "poll": url_for("calling.part", name="softphone"),
    }


def queue(session: Session, *, viewer: Viewer) -> dict[str, Any] | None:
    """Give the progress through the operator's queue, with what the last step passed over."""
    progress = work_queue.progress(session, user_id=viewer.user_id)
    if progress is None:
        return None
    folder = session.get(CustomerList, progress.list_id)
    return {
        "list_name": folder.name if folder else "",
        "position": progress.position,
        "size": progress.size,
        "skipped": skipped_sentence(progress.skipped),
        "search_url": url_for("operator.search_page", list_id=progress.list_id),
        "at_end": progress.at_end,
    }


def skipped_sentence(skipped: dict[str, int]) -> str:
    """Say 「3件スキップ: 対応済み2・架電禁止1」; empty when nobody was passed over."""
    if not skipped:
        return ""
    parts = [_(SKIPPED_WORDS[reason], n=count) for reason, count in skipped.items()]
    whole = sum(skipped.values())
    return str(_("%(n)s passed over: %(parts)s", n=whole, parts="・".join(parts)))


def _customer_side(session: Session, at: Desk) -> dict[str, Any]:
    customer, folder, project = at.customer, at.folder, at.project
    assert customer is not None and folder is not None and project is not None  # noqa: S101, PT018
    return {
        "customer": {
            "columns": _columns(folder, customer),
            "marks": _marks(session, at, customer, project),
            "warnings": _warnings(session, at, customer),
            "held_by": _held_by(session, at, customer),
            "edit_url": url_for("customers.show", customer_id=customer.id)
            if at.viewer.may(Right.EDIT_CUSTOMERS)
            else "",
            "short_note": customer.short_note,
            "short_note_url": url_for("calling.short_note", customer_id=customer.id),
        },
        "numbers": _numbers(session, customer, project, at.now),
        "chosen": _chosen_number(at),
        "numbers_edit_url": url_for("customers.show", customer_id=customer.id)
        if at.viewer.may(Right.EDIT_CUSTOMERS)
        else "",
        "script": _script(at, folder, customer, project),
        "history": history(session, viewer=at.viewer, customer=customer),
        "memo_log": "\n".join(
            entry.text for entry in records.memo_of(session, customer_id=customer.id)
        ),
    }


def _columns(folder: CustomerList, customer: Customer) -> list[tuple[str, str, bool]]:
    """Order the columns as 表示項目 says; those it does not know come last, as they stand."""
    values = dict(zip(folder.columns, customer.cells, strict=False))
    chosen = {entry["column"]: entry for entry in folder.shown if entry["column"] in values}
    ordered = [*chosen, *(name for name in folder.columns if name not in chosen)]
    return [
        (name, values.get(name, ""), bool(chosen.get(name, {}).get("large")))
        for name in ordered
        if not chosen.get(name, {}).get("hidden")
    ]


def _marks(
    session: Session, at: Desk, customer: Customer, project: Project
) -> list[tuple[str, str]]:
    marks = []
    if do_not_call.is_banned(session, number=customer.number, project_id=project.id, now=at.now):
        marks.append((_("Do-not-call"), "bad"))
    if tasks.of_customer(session, customer_id=customer.id):
        marks.append((_("Callback promised"), "info"))
    if customer.deleted_at is not None:
        marks.append((_("Deleted"), "mute"))
    return marks


def _warnings(session: Session, at: Desk, customer: Customer) -> list[str]:
    elsewhere = session.scalar(
        select(CallRecord.id)
        .where(
            CallRecord.number == customer.number,
            CallRecord.list_id != customer.list_id,
            CallRecord.site_day == site_day(at.now, settings().timezone),
            CallRecord.counts_dial,
        )
        .limit(1)
    )
    return [_("Called today from another list.")] if elsewhere else []


def _held_by(session: Session, at: Desk, customer: Customer) -> str:
    who = holds.holder(session, customer_id=customer.id, now=at.now)
    return who.name if who and who.id != at.viewer.user_id else ""


def _numbers(
    session: Session, customer: Customer, project: Project, now: datetime
) -> list[tuple[str, str, bool, str]]:
    extra = session.scalars(
        select(ExtraNumber)
        .where(ExtraNumber.customer_id == customer.id)
        .order_by(ExtraNumber.position, ExtraNumber.id)
    )
    found = [(customer.number, "", True), *((n.number, n.label, False) for n in extra)]
    return [
        (number, label, main, _blocked(session, number, project, now))
        for number, label, main in found
    ]


def _blocked(session: Session, number: str, project: Project, now: datetime) -> str:
    banned = do_not_call.is_banned(session, number=number, project_id=project.id, now=now)
    return _("Do-not-call") if banned else ""


OPENING_LABELS = {
    "business_name": N_("Business"),
    "caller_person": N_("Name"),
    "purpose": N_("Purpose"),
}


def _script(
    at: Desk, folder: CustomerList, customer: Customer, project: Project
) -> dict[str, str] | None:
    opening = [
        f"{_(OPENING_LABELS[code])}: {text}"
        for code, text in projects.opening_words(project, operator=at.viewer.name)
        if text
    ]
    if not project.script and not project.business_name:
        return None
    return {
        "opening": "\n".join(opening),
        "body": projects.fill_script(project.script, folder.columns, customer.cells),
        "url": url_for("calling.screen"),
    }


KIND_WORDS = {
    "outbound": N_("Outbound"),
    "inbound": N_("Inbound"),
    "entry": N_("Manual entry"),
    "predictive": N_("Predictive"),
    "manual": N_("Manual dialling"),
}


def history(session: Session, *, viewer: Viewer, customer: Customer) -> list[dict[str, Any]]:
    """Give the customer's records and the same number's in other lists one may see."""
    rows = session.execute(
        select(CallRecord, User.name, CustomerList.name)
        .outerjoin(User, User.id == CallRecord.user_id)
        .outerjoin(CustomerList, CustomerList.id == CallRecord.list_id)
        .where(
            (CallRecord.customer_id == customer.id) | (CallRecord.number == customer.number),
            scope.records_seen(session, viewer=viewer),
        )
        .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
        .limit(50)
    )
    return [_history_row(session, record, user, folder, customer) for record, user, folder in rows]


def _history_row(
    session: Session,
    record: CallRecord,
    user: str | None,
    folder: str | None,
    customer: Customer,
) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": record.started_at,
        "user": user or _("Automatic"),
        "result": results.result_name(session, record),
        "kind_word": _(KIND_WORDS[record.kind]),
        "manual": record.kind == "entry",
        "other_list": (folder or "") if record.list_id != customer.list_id else "",
        "number": record.number,
        "talk_s": record.talk_ms / 1000 if record.talk_ms else None,
        "memo": record.memo,
        "recording_url": "",
        "detail_url": "",
    }


def _form(session: Session, at: Desk) -> dict[str, Any]:
    customer, project = at.customer, at.project
    assert customer is not None and project is not None  # noqa: S101, PT018
    draft = drafts.find(session, user_id=at.viewer.user_id, customer_id=customer.id)
    return {
        "results": _results(session, at, project),
        "memo": {
            "draft": draft.memo if draft else "",
            "draft_url": url_for("calling.draft", customer_id=customer.id),
            "saved_at": draft.updated_at if draft else None,
        },
        "levels": [
            (level, level == (customer.prospect_level or "なし"))
            for level in project.prospect_levels
        ],
        "task": _task(session, at, project),
        "attributes": _attributes(session, at, customer, project),
    }


def _results(
    session: Session, at: Desk, project: Project
) -> list[tuple[int, str, str, str, bool, str]]:
    selected = _selected(session, at)
    hint = _("Voicemail or no answer. The recording is not kept.")
    return [
        (
            status.id,
            status.name,
            status.key,
            status.colour,
            status.id == selected,
            hint if status.built_in is BuiltIn.NO_ANSWER else "",
        )
        for status in patterns.offered(session, project.pattern_id)
    ]


def _selected(session: Session, at: Desk) -> int | None:
    """The saved status, else what the network's answer proposes."""
    if at.record is not None and at.record.status_id:
        return at.record.status_id
    if at.attempt is None or at.attempt.ended_at is None:
        return None
    proposed = _judged(at.attempt).proposed
    if proposed is None:
        return None
    return session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == proposed))


def _task(session: Session, at: Desk, project: Project) -> dict[str, Any]:
    zone = settings().timezone
    saved = at.record.callback_at if at.record else None
    offered = session.execute(
        select(User.id, User.name)
        .where(User.deleted_at.is_(None), User.id != at.viewer.user_id)
        .where(User.role.in_(("MGR", "SV", "OP", "BY")))
        .order_by(User.login_key)
    ).all()
    return {
        "callback": f"{saved.astimezone(zone):%Y-%m-%dT%H:%M}" if saved else "",
        "quick": quick_times(session, project=project, now=at.now),
        "user_id": None,
        "users": [(user_id, name) for user_id, name in offered],
    }


def quick_times(session: Session, *, project: Project, now: datetime) -> list[tuple[str, str]]:
    """Offer callback times inside the project's hours: in an hour, today 17:00, tomorrow 10:00."""
    zone = settings().timezone
    rules = calling_hours.rules_of(session, site=site_settings.get(session), project=project)
    local = now.astimezone(zone)
    wanted = [
        (_("In 1 hour"), local + timedelta(hours=1)),
        (_("Today 17:00"), local.replace(hour=17, minute=0)),
        (_("Tomorrow 10:00"), (local + timedelta(days=1)).replace(hour=10, minute=0)),
    ]
    offered = []
    for label, moment in wanted:
        if moment <= local:
            continue
        opening = next_opening(rules, moment)
        if opening is not None:
            offered.append((label, f"{opening.astimezone(zone):%Y-%m-%dT%H:%M}"))
    return offered


def _attributes(
    session: Session, at: Desk, customer: Customer, project: Project
) -> list[dict[str, Any]]:
    of_record = at.record.attributes if at.record else {}
    rows = []
    for item in patterns.items_of(session, project.id):
        values = customer.attributes if item.target is ItemTarget.CUSTOMER else of_record
        rows.append(
            {
                "id": item.id,
                "field": f"item{item.id}",
                "label": item.name,
                "kind": item.kind.value,
                "required": item.required,
                "value": values.get(str(item.id), ""),
                "choices": item.choices,
            }
        )
    return rows
