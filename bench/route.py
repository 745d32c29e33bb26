"""Deciding one inbound call: 50 numbers of ours, each with its own route, 3 years of closed days.

Work: `inbound_facts.plan` as a call that arrives has it decided, from the number to the plan: the
number's route, its closed days and the site's, the refused callers, the lines, who is 待機. Floor:
one query (a number by its index) and one look-up in a dictionary of all numbers. `value` and
`floor` are medians in µs over calls to all numbers at moments of three years; `ratio` = value /
floor, at most 3.
"""

import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from bench import Options, Result
from bench._stores import stores
from calltree.db import Store
from calltree.models import (
    CallerNumber,
    ClosedDay,
    HolidayHours,
    InboundAction,
    InboundClosedDay,
    InboundRefusal,
    InboundRoute,
    InboundStep,
    LegState,
    Operator,
    OperatorState,
    Role,
    Situation,
    User,
)
from calltree.services import inbound_facts
from calltree.services.inbound_rules import USUAL
from calltree.services.setup import found

NUMBERS = 50
OPERATORS = 20
REFUSED = 1_000
CALLS = 1_500
FIRST = date(2026, 1, 1)
DAYS = 3 * 365
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
CALLER = "09011112222"
HOURS = [*["09:00-12:00 13:00-18:00"] * 5, "10:00-15:00", "", "10:00-12:00"]

BY_NUMBER = select(CallerNumber.id, CallerNumber.label).where(
    CallerNumber.number == bindparam("number")
)


def run(options: Options) -> Result:
    count = options.rows or NUMBERS
    draw = random.Random(options.seed)
    with stores(options) as (store, _folder):
        numbers = fill(store, count, draw)
        known = {number: number for number in numbers}
        moments = [NOW + timedelta(minutes=draw.randrange(DAYS * 1440)) for _ in range(CALLS)]
        calls = [(draw.choice(numbers), moment) for moment in moments]
        reasons: dict[str, int] = {}

        def decide(session: Session, number: str, moment: datetime) -> None:
            plan = inbound_facts.plan(session, number=number, caller=CALLER, now=moment)
            reasons[plan.reason] = reasons.get(plan.reason, 0) + 1

        def look_up(session: Session, number: str, _moment: datetime) -> None:
            row = session.connection().execute(BY_NUMBER, {"number": number}).one()
            assert known[number]
            assert row.id

        with store.read() as session:
            for work in (decide, look_up):  # a process knows its statements and its days
                timed(session, work, calls)
            reasons.clear()
            values, floors = [], []
            for start in range(0, CALLS, 100):  # in turn: a slow moment of the machine hits both
                some = calls[start : start + 100]
                values += timed(session, decide, some)
                floors += timed(session, look_up, some)
    value, floor = statistics.median(values), statistics.median(floors)
    assert {"open", "after_hours", "closed_day", "holiday", "weekday_closed"} <= reasons.keys()
    return Result(value, "µs", floor, value / floor, CALLS, {"numbers": count, "reasons": reasons})


def timed(
    session: Session,
    work: Callable[[Session, str, datetime], None],
    calls: list[tuple[str, datetime]],
) -> list[float]:
    times = []
    for number, moment in calls:
        start = time.perf_counter()
        work(session, number, moment)
        times.append((time.perf_counter() - start) * 1_000_000)
    return times


def fill(store: Store, count: int, draw: random.Random) -> list[str]:
    with store.write() as session:
        found(session, practice=True, now=NOW)
        numbers = [CallerNumber(number=f"0350{n:06}", label=f"計測{n}") for n in range(count)]
        users = [
            User(
                login_id=f"bench{n}", login_key=f"bench{n}", name="計測", role=Role.OPERATOR,
                password_hash="!", created_at=NOW,
            )
            for n in range(OPERATORS)
        ]  # fmt: skip
        session.add_all([*numbers, *users])
        session.flush()
        session.add_all(
            Operator(
                user_id=user.id, state=OperatorState.READY, since=NOW, leg_uuid=f"leg{user.id}",
                leg_node="main", leg_state=LegState.PARKED, leg_since=NOW,
            )
            for user in users
        )  # fmt: skip
        days = [FIRST + timedelta(days=n) for n in range(DAYS)]
        session.add_all(ClosedDay(day=day, name="休業") for day in draw.sample(days, DAYS // 18))
        session.add_all(
            InboundRoute(caller_number_id=number.id, hours=HOURS, holidays=HolidayHours.CLOSED)
            for number in numbers
        )
        session.flush()
        for number in numbers:
            own = draw.sample(days, DAYS // 36)
            session.add_all(InboundClosedDay(caller_number_id=number.id, day=day) for day in own)
            session.add_all(
                InboundStep(
                    caller_number_id=number.id, situation=situation, action=USUAL[situation].action,
                    forward_to="", seconds=20,
                )
                for situation in (Situation.OPEN, Situation.ALL_BUSY, Situation.NO_ANSWER)
            )  # fmt: skip
            night = InboundStep(caller_number_id=number.id, situation=Situation.AFTER_HOURS)
            night.action, night.forward_to, night.seconds = InboundAction.FORWARD, "0355556666", 30
            session.add(night)
        session.add_all(InboundRefusal(number=f"080{n:08}", created_at=NOW) for n in range(REFUSED))
        return [number.number for number in numbers]
