"""集計 against the ledger, recomputed the slow way over a generated month (R-WT-2…4)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import NotAllowed
from calltree.models import (
    BuiltIn,
    CallRecord,
    ClosedDay,
    GroupMember,
    OperatorInterval,
    OperatorState,
    RecordKind,
    Role,
    SystemResult,
    User,
)
from calltree.services import figures, results, summaries, working_times
from calltree.services.history_criteria import AUTOMATIC, UNANSWERED
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import NO_GROUP, Axis, Period, SummaryCriteria
from calltree.services.working_times import IDLE, Spent
from calltree.text.days import TOKYO, site_day
from tests import factories as make
from tests.services.ledger_by_hand import counted, lines_of, slowly

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
NOW = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
MONTH = SummaryCriteria(FIRST, LAST)
S = OperatorState


@dataclass
class Month:
    """A generated month: two projects, three lists, three operators of two groups, one manager."""

    store: Store
    manager: Viewer
    operators: list[Viewer]
    projects: list[int] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)

    def table(self, criteria: SummaryCriteria, viewer: Viewer | None = None) -> summaries.Summary:
        with self.store.read() as session:
            return summaries.summary(
                session, viewer=viewer or self.manager, criteria=criteria, now=NOW
            )


@pytest.fixture
def month(store: Store) -> Month:
    draw = random.Random(20261101)
    with store.write() as session:
        make.make_site(session)
        manager = make.make_user(session, Role.MANAGER)
        people = [make.make_user(session) for _ in range(3)]
        made = Month(store, Viewer.of(manager), [Viewer.of(user) for user in people])
        made.groups = [
            make.make_group(session, people[0], people[1]).id,
            make.make_group(session, people[1]).id,  # who is in two groups
        ]
        for target in (7, None):
            project = make.make_project(session, target_conversions=target)
            made.projects.append(project.id)
            own = make.make_status(
                session, make.get_pattern(session, project), "アポ", conversion=True
            )
            statuses = [*(make.built_in(session, one) for one in BuiltIn), own, None]
            for _ in range(2 - len(made.lists) // 2):
                folder = make.make_list(session, project)
                made.lists.append(folder.id)
                for _ in range(150):
                    _record(session, draw, folder, people, statuses)
        for user in people:
            _days_of(session, draw, user)
    return made


def _record(session: Session, draw: random.Random, folder: Any, people: Any, statuses: Any):
    """One record of any kind, from the evening before the month to the morning after."""
    begin = datetime.combine(FIRST, time(), TOKYO) - timedelta(hours=2)
    at = (begin + timedelta(seconds=draw.randrange(30 * 86400 + 4 * 3600))).astimezone(UTC)
    kind = draw.choice([RecordKind.OUTBOUND] * 6 + list(RecordKind))
    status = draw.choice(statuses)
    system = SystemResult.NONE if status else draw.choice(list(SystemResult)[1:])
    automatic = kind in (RecordKind.PREDICTIVE, RecordKind.INBOUND) and draw.randrange(2)
    place = (None, None) if kind is RecordKind.MANUAL else (folder.id, folder.project_id)
    counts = figures.counts_of(kind, status, system)
    session.add(
        CallRecord(
            kind=kind,
            list_id=place[0],
            project_id=place[1],
            user_id=None if automatic else draw.choice(people).id,
            number="0312345678",
            started_at=at,
            site_day=site_day(at),
            status_id=status.id if status else None,
            system=system,
            talk_ms=draw.randrange(400_000),
            counts_dial=counts.dial,
            counts_connect=counts.connect,
            counts_conversion=counts.conversion,
        )
    )


def _days_of(session: Session, draw: random.Random, user: User) -> None:
    """Ten days of states without a gap, cut at random; the last one is still open."""
    states = [S.AWAY, S.BROWSING, S.READY, S.DIALLING, S.TALKING, S.WRAP_UP]
    for day in draw.sample(range(30), 10):
        at = datetime.combine(FIRST + timedelta(days=day), time(9, 1), TOKYO).astimezone(UTC)
        for _ in range(30):
            state = draw.choice(states)
            end = at + timedelta(milliseconds=draw.randrange(1, 4_000_000))
            if site_day(end) != site_day(at):
                break
            session.add(
                OperatorInterval(
                    user_id=user.id,
                    site_day=site_day(at),
                    state=state,
                    reason=draw.choice(["休憩", "昼休み"]) if state is S.AWAY else "",
                    started_at=at,
                    ended_at=end,
                )
            )
            at = end


def is_nobodys(record: CallRecord, kind: RecordKind) -> bool:
    return record.user_id is None and record.kind is kind


def within(keep: Callable[[CallRecord], bool]) -> Callable[[CallRecord], bool]:
    return lambda record: FIRST <= site_day(record.started_at) <= LAST and keep(record)


def everything(record: CallRecord) -> bool:
    return within(lambda _record: True)(record)


def test_R_WT_2_every_table_is_the_ledger_recomputed(month: Month) -> None:
    for axes in (
        *((axis, None) for axis in Axis),
        (Axis.USER, Axis.DAY),
        (Axis.GROUP, Axis.DAY),
        (Axis.PROJECT, Axis.STATUS),
    ):
        table = month.table(replace(MONTH, by=axes[0], then=axes[1]))
        with month.store.read() as session:
            by_hand = slowly(session, everything, *filter(None, axes))
            whole = slowly(session, everything)[()]
        assert lines_of(table) == by_hand
        assert counted(table.total) == whole
        assert min(whole) > 0, "the month must have something of everything"


def test_R_WT_2_narrowed_tables_are_the_ledger_recomputed(month: Month) -> None:
    operator, project, folder = month.operators[0].user_id, month.projects[0], month.lists[0]
    with month.store.read() as session:
        members = {
            group: {
                row.user_id
                for row in session.scalars(select(GroupMember))
                if group in (row.group_id, "any")
            }
            for group in (*month.groups, "any")
        }
    first, nobody = str(month.groups[0]), members["any"]
    for criteria, keep in (
        (replace(MONTH, project_id=project), lambda one: one.project_id == project),
        (replace(MONTH, list_id=folder), lambda one: one.list_id == folder),
        (replace(MONTH, user=str(operator)), lambda one: one.user_id == operator),
        (replace(MONTH, user=AUTOMATIC), lambda one: is_nobodys(one, RecordKind.PREDICTIVE)),
        (replace(MONTH, user=UNANSWERED), lambda one: is_nobodys(one, RecordKind.INBOUND)),
        (replace(MONTH, group=first), lambda one: one.user_id in members[month.groups[0]]),
        (replace(MONTH, group=NO_GROUP), lambda one: one.user_id not in nobody),
    ):
        with month.store.read() as session:
            by_hand = slowly(session, within(keep), Axis.DAY)
            whole = slowly(session, within(keep))[()]
        table = month.table(criteria)
        assert lines_of(table) == by_hand
        assert counted(table.total) == whole


def test_R_WT_2_a_correction_is_in_the_next_table(month: Month) -> None:
    before = month.table(MONTH).total
    with month.store.write() as session:
        record = session.scalars(
            select(CallRecord)
            .where(CallRecord.counts_connect, CallRecord.site_day == make.NOW.date())
            .limit(1)
        ).one()
        results.delete_record(session, viewer=month.manager, record_id=record.id, now=NOW)
    after = month.table(MONTH).total
    assert (after.dials, after.connects) == (before.dials - 1, before.connects - 1)


def test_R_WT_2_an_operator_is_given_their_own_figures_whatever_is_asked(month: Month) -> None:
    own, other = month.operators[0], month.operators[1]
    asked = replace(MONTH, by=Axis.USER, user=str(other.user_id), group=str(month.groups[1]))
    table = month.table(asked, viewer=own)
    assert [line.keys for line in table.lines] == [(own.user_id,)]
    with month.store.read() as session:
        whole = slowly(session, within(lambda one: one.user_id == own.user_id))[()]
        hot = summaries.heat(session, viewer=own, criteria=asked)
        days = working_times.days(session, viewer=own, criteria=asked, now=NOW)
    assert counted(table.total) == whole
    assert sum(one.dials for one in hot.values()) == table.total.dials
    assert {one.user_id for one in days} == {own.user_id}


@pytest.mark.parametrize("role", [Role.BUSINESS, Role.BACKYARD])
def test_R_US_1_business_and_backyard_have_no_figures(store: Store, role: Role) -> None:
    with store.write() as session:
        viewer = Viewer.of(make.make_user(session, role))
    with store.read() as session:
        for asked in (
            lambda: summaries.summary(session, viewer=viewer, criteria=MONTH, now=NOW),
            lambda: summaries.heat(session, viewer=viewer, criteria=MONTH),
            lambda: working_times.days(session, viewer=viewer, criteria=MONTH, now=NOW),
        ):
            with pytest.raises(NotAllowed):
                asked()


def test_R_WT_3_the_heat_map_is_the_ledger_recomputed(month: Month) -> None:
    with month.store.read() as session:
        hot = summaries.heat(session, viewer=month.manager, criteria=MONTH)
        by_hand: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for record in session.scalars(select(CallRecord)):
            local = record.started_at.astimezone(TOKYO)
            if FIRST <= local.date() <= LAST:
                by_hand[local.weekday(), local.hour][0] += record.counts_dial
                by_hand[local.weekday(), local.hour][1] += record.counts_connect
    assert {key: [one.dials, one.connects] for key, one in hot.items()} == by_hand


def spent_slowly(session: Session, *axes: Axis) -> dict[tuple[Any, ...], Spent]:
    """Cut every interval at the hours, by the minute-hand."""
    found: dict[tuple[Any, ...], Spent] = defaultdict(Spent)
    for one in session.scalars(select(OperatorInterval)):
        at, end = one.started_at, one.ended_at or NOW
        while at < end:
            local = at.astimezone(TOKYO)
            turn = (
                at
                + timedelta(hours=1)
                - timedelta(
                    minutes=local.minute, seconds=local.second, microseconds=local.microsecond
                )
            )
            stop = min(end, turn)
            ms = round((stop - at) / timedelta(milliseconds=1))
            of = {Axis.USER: one.user_id, Axis.DAY: one.site_day, Axis.HOUR: local.hour}
            found[tuple(of[axis] for axis in axes)] += Spent(
                ms if one.state is S.WRAP_UP else 0,
                ms if one.state in IDLE else 0,
                ms if one.state is not S.AWAY else 0,
            )
            at = stop
    return found


def test_R_WT_2_wrap_up_and_idle_are_the_intervals_recomputed(month: Month) -> None:
    for axes in ((Axis.USER,), (Axis.DAY,), (Axis.HOUR,), (Axis.USER, Axis.HOUR)):
        table = month.table(replace(MONTH, by=axes[0], then=axes[1] if axes[1:] else None))
        with month.store.read() as session:
            by_hand = spent_slowly(session, *axes)
        found = {line.keys: line.figures.spent for line in table.lines}
        assert {key: spent for key, spent in found.items() if spent != Spent()} == by_hand
        assert table.total.spent == sum(by_hand.values(), Spent())


def test_R_WT_2_time_is_not_told_apart_by_what_it_does_not_know(month: Month) -> None:
    by_project = month.table(replace(MONTH, by=Axis.PROJECT))
    assert {line.figures.spent for line in by_project.lines} == {None}
    assert by_project.total.spent is not None, "all of it is known"
    of_one = month.table(replace(MONTH, project_id=month.projects[0]))
    assert of_one.total.spent is None
    assert {line.figures.spent for line in of_one.lines} == {None}


def test_R_WT_2_targets_are_a_projects_on_its_calling_days(month: Month) -> None:
    with month.store.write() as session:
        session.add(ClosedDay(day=date(2026, 11, 24), name="休業"))
    # 21 weekdays, less 文化の日, 勤労感謝の日 and the day of our own
    assert month.table(MONTH).total.target == 18 * 7
    by_project = month.table(replace(MONTH, by=Axis.PROJECT))
    targets = {line.keys[0]: line.figures.target for line in by_project.lines}
    assert targets[month.projects[0]] == 18 * 7
    assert targets[month.projects[1]] is None
    days = {line.keys[0]: line.figures.target for line in month.table(MONTH).lines}
    assert days[date(2026, 11, 25)] == 7
    assert days.get(date(2026, 11, 24)) is None
    assert days[date(2026, 11, 22)] is None, "a Sunday"
    by_user = month.table(replace(MONTH, by=Axis.USER))
    assert {line.figures.target for line in by_user.lines} == {None}
    assert month.table(replace(MONTH, list_id=month.lists[0])).total.target is None


def test_R_WT_2_rates_are_nothing_where_there_is_nothing_to_divide_by() -> None:
    nothing = summaries.Figures(spent=Spent())
    assert (nothing.connect_rate, nothing.conversion_rate, nothing.talk_each_ms) == (None,) * 3
    assert (nothing.dials_an_hour, nothing.reached) == (None, None)
    some = summaries.Figures(
        dials=10, connects=4, conversions=1, talk_ms=8000, target=2, spent=Spent(0, 0, 1_800_000)
    )
    assert (some.connect_rate, some.conversion_rate, some.talk_each_ms) == (0.4, 0.25, 2000)
    assert (some.dials_an_hour, some.reached) == (20, 0.5)


def test_R_WT_4_a_day_has_first_sign_in_last_sign_out_states_and_reasons(store: Store) -> None:
    at = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)  # 9:00
    plan = [
        (S.AWAY, "", 5),
        (S.BROWSING, "", 20),
        (S.TALKING, "", 10),
        (S.WRAP_UP, "", 5),
        (S.AWAY, "昼休み", 60),
        (S.READY, "", None),
    ]
    with store.write() as session:
        make.make_site(session)
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        user = make.make_user(session, name="山田太郎")
        begun = at
        for state, reason, minutes in plan:
            end = begun + timedelta(minutes=minutes) if minutes else None
            session.add(
                OperatorInterval(
                    user_id=user.id, site_day=site_day(at), state=state, reason=reason,
                    started_at=begun, ended_at=end,
                )
            )  # fmt: skip
            begun = end or begun
    asked = SummaryCriteria(site_day(at), site_day(at))
    now = at + timedelta(minutes=130)
    with store.read() as session:
        (day,) = working_times.days(session, viewer=manager, criteria=asked, now=now)
    assert (day.user, day.day, day.first_in, day.last_out) == ("山田太郎", site_day(at), at, None)
    minutes_of = {state: ms / 60000 for state, ms in day.states.items()}
    assert minutes_of == {S.AWAY: 65, S.BROWSING: 20, S.TALKING: 10, S.WRAP_UP: 5, S.READY: 30}
    assert {reason: ms / 60000 for reason, ms in day.reasons.items()} == {"": 5, "昼休み": 60}
    assert (day.present_ms / 60000, day.working_ms / 60000) == (130, 65)
    with store.write() as session:
        last = session.scalars(
            select(OperatorInterval).where(OperatorInterval.ended_at.is_(None))
        ).one()
        last.ended_at = at + timedelta(minutes=110)
    with store.read() as session:
        (day,) = working_times.days(session, viewer=manager, criteria=asked, now=now)
    assert day.last_out == at + timedelta(minutes=110)


def test_a_question_lives_in_its_address() -> None:
    today = date(2026, 11, 24)
    for asked in (
        SummaryCriteria(date(2026, 11, 1), date(2026, 11, 30), Period.MONTH),
        SummaryCriteria(date(2026, 10, 1), date(2026, 10, 31), Period.LAST_MONTH, Axis.LIST),
        SummaryCriteria(date(2026, 11, 23), today, Period.WEEK, Axis.USER, Axis.DAY),
        SummaryCriteria(today, today, Period.TODAY, Axis.GROUP, None, 3, 4, "5", "6"),
        SummaryCriteria(date(2025, 1, 1), today, Period.CUSTOM, user=AUTOMATIC, group=NO_GROUP),
    ):
        assert SummaryCriteria.parse(asked.pairs(), today=today) == asked


def test_dates_filled_in_count_unless_another_period_is_chosen_after_them() -> None:
    today = date(2026, 11, 24)
    dates = [("from", "2026-11-02"), ("to", "2026-11-03")]
    filled = SummaryCriteria.parse([("shown", "month"), ("period", "month"), *dates], today=today)
    assert filled == SummaryCriteria(date(2026, 11, 2), date(2026, 11, 3))
    chosen = SummaryCriteria.parse([("shown", "custom"), ("period", "today"), *dates], today=today)
    assert chosen == SummaryCriteria(today, today, Period.TODAY)
    half = [("shown", "month"), ("period", "month"), ("from", "2026-11-02"), ("to", "")]
    assert SummaryCriteria.parse(half, today=today).first == date(2026, 11, 2)


def test_a_question_that_is_not_understood_is_this_months() -> None:
    today = date(2026, 2, 3)
    month = SummaryCriteria(date(2026, 2, 1), date(2026, 2, 28), Period.MONTH)
    odd = [("period", "x"), ("by", "x"), ("then", "day"), ("project", "１"), ("user", "x")]
    assert SummaryCriteria.parse(odd, today=today) == month
    turned = [("period", "custom"), ("from", "2026-03-02"), ("to", "2026-03-01")]
    given = SummaryCriteria.parse(turned, today=today)
    assert (given.first, given.last) == (date(2026, 3, 1), date(2026, 3, 2))
    long = [("period", "custom"), ("from", "1900-01-01"), ("to", "2026-03-01")]
    assert (given.last - SummaryCriteria.parse(long, today=today).first).days < 1101
