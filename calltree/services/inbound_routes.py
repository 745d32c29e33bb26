"""Inbound routes (受電ルート): what managers set for each number, in force on the next call.

`inbound_rules` decides, `inbound_facts` reads what it decides on.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    CallerNumber,
    Group,
    Guidance,
    HolidayHours,
    InboundAction,
    InboundClosedDay,
    InboundRoute,
    InboundStep,
    NumberDirection,
    Site,
    Situation,
)
from calltree.services import audit_changes, projects, trunks
from calltree.services.inbound_facts import step_of
from calltree.services.inbound_rules import (
    POSSIBLE,
    USUAL,
    USUAL_DAYS,
    Step,
)
from calltree.services.rights import Right, Viewer
from calltree.text.opening import OpeningError, Spans, read_opening, write_opening
from calltree.text.phones import DialVerdict, Phone, may_dial, normalise

SECONDS: Mapping[InboundAction, tuple[int, int]] = {
    InboundAction.RING_ALL: (5, 120),
    InboundAction.RING_IDLE: (5, 120),
    InboundAction.QUEUE: (10, 1800),
    InboundAction.FORWARD: (10, 60),
    InboundAction.VOICEMAIL: (10, 300),
}
"""Least and most seconds of the actions that last."""
MOST_CLOSED_DAYS = 400
"""Of one number: more is a slip in the year."""
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class RouteDetails:
    """What a form says of one number; `hours` are eight days as they were typed."""

    hours: tuple[str, ...]
    holidays: HolidayHours = HolidayHours.CLOSED
    observes_closed_days: bool = True
    group_id: int | None = None
    closed_days: Mapping[date, str] = field(default_factory=dict)
    """The number's own, from today on; those gone by are left as they are."""
    steps: Mapping[Situation, Step] = field(default_factory=dict)


def numbers(session: Session) -> list[CallerNumber]:
    """Return the numbers that take calls."""
    return [one for one in projects.caller_numbers(session) if takes_calls(one)]


def takes_calls(number: CallerNumber) -> bool:
    """Whether calls come in on this number at all."""
    return number.direction is not NumberDirection.OUTBOUND and number.retired_at is None


def details(session: Session, *, number_id: int, today: date) -> RouteDetails:
    """Return a number's settings as a form shows them; the usual ones where none are saved."""
    return details_of(session, number_ids=[number_id], today=today)[number_id]


def details_of(
    session: Session, *, number_ids: Collection[int], today: date
) -> dict[int, RouteDetails]:
    """Return the same of several numbers, asked for at once."""
    routes = session.scalars(
        select(InboundRoute).where(InboundRoute.caller_number_id.in_(number_ids))
    )
    saved = {row.caller_number_id: row for row in routes}
    steps: dict[int, dict[Situation, Step]] = defaultdict(dict)
    for row in session.scalars(
        select(InboundStep).where(InboundStep.caller_number_id.in_(number_ids))
    ):
        steps[row.caller_number_id][row.situation] = step_of(row)
    days: dict[int, dict[date, str]] = defaultdict(dict)
    for own in session.scalars(
        select(InboundClosedDay)
        .where(InboundClosedDay.caller_number_id.in_(number_ids), InboundClosedDay.day >= today)
        .order_by(InboundClosedDay.day)
    ):
        days[own.caller_number_id][own.day] = own.name
    return {
        number_id: _shown(saved.get(number_id), steps[number_id], days[number_id])
        for number_id in number_ids
    }


def _shown(
    saved: InboundRoute | None, steps: dict[Situation, Step], days: dict[date, str]
) -> RouteDetails:
    every = {situation: steps.get(situation, USUAL[situation]) for situation in Situation}
    if saved is None:
        usual = tuple(write_opening(spans) for spans in USUAL_DAYS)
        return RouteDetails(hours=usual, closed_days=days, steps=every)
    return RouteDetails(
        hours=tuple(saved.hours),
        holidays=saved.holidays,
        observes_closed_days=saved.observes_closed_days,
        group_id=saved.group_id,
        closed_days=days,
        steps=every,
    )


def save(
    session: Session,
    *,
    viewer: Viewer,
    number_id: int,
    given: RouteDetails,
    today: date,
    nodes: Collection[str] = (),
    now: datetime,
) -> None:
    """Set what a number does with calls, in force on the next one.

    `nodes`: the switches, which are given what they do by themselves while CALLTREE is away.

    Raises NotAllowed, NotFound; Refused, whose field is 'hours_0' … 'hours_7', 'group_id',
    'closed_days' or '<situation>_<column>': 'opening_…', 'route_never_open', 'group_gone',
    'closed_days_many', 'inbound_action', 'guidance_missing', 'guidance_gone', 'forward_missing',
    'number_not_allowed', 'forward_own', 'seconds_range'.
    """
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    number = projects.caller_number(session, number_id)
    site = session.get_one(Site, 1, with_for_update=True)  # two who save one number do it in turn
    hours = _hours(given)
    if given.group_id is not None and session.get(Group, given.group_id) is None:
        raise Refused("group_gone", field="group_id")
    if len(given.closed_days) > MOST_CLOSED_DAYS:
        raise Refused("closed_days_many", field="closed_days", most=MOST_CLOSED_DAYS)
    steps = {
        situation: _checked(session, site, situation, given.steps.get(situation, USUAL[situation]))
        for situation in Situation
    }
    before = details(session, number_id=number.id, today=today)
    row = session.get(InboundRoute, number.id) or InboundRoute(caller_number_id=number.id)
    row.hours = [write_opening(spans) for spans in hours]
    row.holidays, row.observes_closed_days = given.holidays, given.observes_closed_days
    row.group_id, row.version = given.group_id, uuid.uuid4().hex
    session.add(row)
    session.flush()
    _write_closed_days(session, number.id, given.closed_days, today)
    for situation, step in steps.items():
        _write_step(session, number.id, situation, step)
    session.flush()
    _note(session, viewer, number, before, today, now)
    if not site.practice:
        trunks.load(session, viewer=viewer, nodes=nodes, now=now)
    announce(session, "site")


def _hours(given: RouteDetails) -> list[Spans]:
    found = []
    for place, text in enumerate(given.hours):
        try:
            found.append(read_opening(text))
        except OpeningError as error:
            raise Refused(error.code, field=f"hours_{place}", text=error.text) from None
    if not any(found):
        raise Refused("route_never_open", field="hours_0")
    return found


def _checked(session: Session, site: Site, situation: Situation, step: Step) -> Step:
    """Return a step with what its action needs and nothing else; Refused where that is wrong."""
    action = step.action
    if action not in POSSIBLE[situation]:
        raise Refused("inbound_action", field=f"{situation}_action")
    guidance_id = step.guidance_id
    if action in (InboundAction.REFUSE, InboundAction.ACCEPT):
        guidance_id = None
    elif guidance_id is None and action is InboundAction.GUIDANCE:
        raise Refused("guidance_missing", field=f"{situation}_guidance_id")
    if guidance_id is not None:
        guidance = session.get(Guidance, guidance_id)
        if guidance is None or guidance.retired_at:
            raise Refused("guidance_gone", field=f"{situation}_guidance_id")
    return Step(
        action,
        guidance_id,
        _target(session, site, situation, step) if action is InboundAction.FORWARD else "",
        _seconds(situation, step),
        step.tells_position and action is InboundAction.QUEUE,
    )


def _target(session: Session, site: Site, situation: Situation, step: Step) -> str:
    """Return the number that is forwarded to, in normal form (R-CL-16)."""
    where = f"{situation}_forward_to"
    read = normalise(step.forward_to)
    number = read.number if isinstance(read, Phone) else step.forward_to.replace("-", "").strip()
    verdict = may_dial(number, site.extra_prefixes)
    if verdict in (DialVerdict.NOT_DIGITS, DialVerdict.WRONG_LENGTH):
        raise Refused("forward_missing", field=where)
    if verdict is not DialVerdict.ALLOWED:
        raise Refused("number_not_allowed", field=where)
    if session.scalar(select(CallerNumber.id).where(CallerNumber.number == number)):
        raise Refused("forward_own", field=where)
    return number


def _seconds(situation: Situation, step: Step) -> int:
    bounds = SECONDS.get(step.action)
    if bounds is None:
        return 0
    if not bounds[0] <= step.seconds <= bounds[1]:
        raise Refused(
            "seconds_range", field=f"{situation}_seconds", least=bounds[0], most=bounds[1]
        )
    return step.seconds


def _write_closed_days(
    session: Session, number_id: int, days: Mapping[date, str], today: date
) -> None:
    session.execute(
        delete(InboundClosedDay).where(
            InboundClosedDay.caller_number_id == number_id, InboundClosedDay.day >= today
        )
    )
    session.add_all(
        InboundClosedDay(caller_number_id=number_id, day=day, name=name.strip()[:MAX_NAME])
        for day, name in days.items()
        if day >= today
    )


def _write_step(session: Session, number_id: int, situation: Situation, step: Step) -> None:
    row = session.get(InboundStep, (number_id, situation))
    if row is None:
        row = InboundStep(caller_number_id=number_id, situation=situation)
        session.add(row)
    for column in Step.__slots__:
        setattr(row, column, getattr(step, column))


def _note(
    session: Session,
    viewer: Viewer,
    number: CallerNumber,
    before: RouteDetails,
    today: date,
    now: datetime,
) -> None:
    """One line for the hours, one for each situation that changed."""
    after = details(session, number_id=number.id, today=today)
    audit_changes.note(
        session, viewer=viewer, action="inbound.hours_saved", kind="caller_number",
        object_id=number.id, before=_state(before), after=_state(after), now=now,
    )  # fmt: skip
    for situation in Situation:
        old, new = before.steps[situation], after.steps[situation]
        audit_changes.note(
            session, viewer=viewer, action="inbound.step_saved", kind="caller_number",
            object_id=number.id, before=_columns(old), after=_columns(new), now=now,
            situation=situation.value,
        )  # fmt: skip


def _state(of: RouteDetails) -> dict[str, Any]:
    return {
        "hours": list(of.hours),
        "holidays": of.holidays,
        "observes_closed_days": of.observes_closed_days,
        "group_id": of.group_id,
        "closed_days": [f"{day} {name}".strip() for day, name in of.closed_days.items()],
    }


def _columns(step: Step) -> dict[str, Any]:
    return {column: getattr(step, column) for column in Step.__slots__}
