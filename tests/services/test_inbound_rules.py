"""R-IN-1: what becomes of a call, decided from a number, a moment and the facts; no database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from calltree.models import HolidayHours, InboundAction, Situation
from calltree.services.inbound_rules import POSSIBLE, USUAL, Facts, Plan, Rules, Step, route
from calltree.text.days import TOKYO
from calltree.text.opening import read_opening

NUMBER = "0312345678"
CALLER = "09011112222"
WEEK = tuple(
    read_opening(text)
    for text in (*["9:00-12:00 13:00-18:00"] * 5, "10:00-15:00", "", "10:00-12:00")
)
"""Monday to Friday with a lunch break, Saturday, Sunday closed, public holidays."""
RULES = Rules(days=WEEK, holidays=HolidayHours.OWN)

YEAR = {
    1: "HCCC WWWWWSU HWWWWSU WWWWWSU WWWWWS",
    2: "U WWWWWSU WWHWWSU WWWWWSU HWWWWS",
    3: "U WWWWWSU WWWWWSU WWWWHSU WWWWWSU WW",
    4: "WWWSU WWWWWSU WWWWWSU WWWWWSU WWHC",
    5: "CCH HHHWWSU WWWWWSU WWWWWSU WWWWWSU",
    6: "WWWWWSU WWWWWSU WWWWWSU WWWWWSU WW",
    7: "WWWSU WWWWWSU WWWWWSU HWWWWSU WWWWW",
    8: "SU WWWWWSU WHCCCSU WWWWWSU WWWWWSU W",
    9: "WWWWSU WWWWWSU WWWWWSU HHHWWSU WWW",
    10: "WWSU WWWWWSU HWWWWSU WWWWWSU WWWWWS",
    11: "U WHWWWSU WWWWWSU WWWWWSU HWWWWSU W",
    12: "WWWWSU WWWWWSU WWWWWSU WWWWWSU WCCC",
}
"""2026 from a wall calendar: W Monday to Friday, Saturday, U Sunday, Holiday, Closed."""
CLOSED = {
    **{date(2026, 1, day): "年末年始" for day in (2, 3, 4)},
    **{date(2026, month, day): "GW" for month, day in ((4, 30), (5, 1), (5, 2))},
    **{date(2026, 8, day): "夏季休業" for day in (12, 13, 14)},
    **{date(2026, 12, day): "年末年始" for day in (29, 30, 31)},
}
MINUTES = {
    "W": "-" * 540 + "o" * 180 + "-" * 60 + "o" * 300 + "-" * 360,
    "S": "-" * 600 + "o" * 300 + "-" * 540,
    "U": "x" * 1440,
    "H": "-" * 600 + "o" * 120 + "-" * 720,
    "C": "x" * 1440,
}
"""Each kind of day minute by minute: open, closed hours (-), closed day (x)."""
MARKS = {Situation.OPEN: "o", Situation.AFTER_HOURS: "-", Situation.CLOSED_DAY: "x"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


def decided(moment: str, rules: Rules = RULES, **facts: object) -> Plan:
    day = at(moment).date()
    given = {"caller": CALLER, "site_closed": CLOSED.get(day)} | facts
    return route(NUMBER, at(moment), Facts(rules, **given))


def test_R_IN_1_a_year_is_open_and_closed_as_a_table_made_by_hand_minute_by_minute() -> None:
    kinds = "".join(YEAR[month] for month in range(1, 13)).replace(" ", "")
    assert len(kinds) == 365
    moment, minute = datetime(2025, 12, 31, 15, tzinfo=UTC), timedelta(minutes=1)
    for past, kind in enumerate(kinds):
        day = date(2026, 1, 1) + timedelta(days=past)
        facts = Facts(RULES, CALLER, site_closed=CLOSED.get(day))
        found = []
        for _ in range(1440):
            situation = route(NUMBER, moment, facts).situation
            found.append(MARKS[situation or Situation.NO_ANSWER])
            moment += minute
        assert "".join(found) == MINUTES[kind], day


@pytest.mark.parametrize(
    ("moment", "reason", "name"),
    [
        ("2026-12-31 14:00", "closed_day", "年末年始"),
        ("2026-11-23 14:00", "after_hours", ""),
        ("2026-11-23 11:00", "open", ""),
        ("2026-11-22 11:00", "weekday_closed", ""),
        ("2026-11-24 12:30", "after_hours", ""),
        ("2026-11-24 17:59", "open", ""),
        ("2026-11-24 18:00", "after_hours", ""),
    ],
)
def test_R_IN_1_the_plan_says_why(moment: str, reason: str, name: str) -> None:
    plan = decided(moment)
    assert (plan.reason, plan.name) == (reason, name)


@pytest.mark.parametrize(
    ("holidays", "reason"),
    [
        (HolidayHours.CLOSED, "holiday"),
        (HolidayHours.WEEKDAY, "open"),
        (HolidayHours.OWN, "after_hours"),
    ],
)
def test_R_IN_1_a_public_holiday_is_closed_as_the_weekday_or_has_its_own_hours(
    holidays: HolidayHours, reason: str
) -> None:
    plan = decided("2026-11-23 14:00", replace(RULES, holidays=holidays))
    assert plan.reason == reason
    assert plan.name == ("勤労感謝の日" if reason == "holiday" else "")


def test_R_IN_1_a_number_may_stay_open_on_the_sites_closed_days_and_close_on_its_own() -> None:
    stays = replace(RULES, observes_closed_days=False)
    assert decided("2026-12-30 14:00", stays).situation is Situation.OPEN
    closed = decided("2026-11-24 14:00", stays, own_closed="棚卸し")
    assert (closed.situation, closed.name) == (Situation.CLOSED_DAY, "棚卸し")
    assert decided("2026-11-24 14:00", own_closed="").situation is Situation.CLOSED_DAY


def test_R_IN_1_what_cannot_be_taken_is_refused_before_hours_are_looked_at() -> None:
    night = "2026-11-24 03:00"
    asks = Step(InboundAction.GUIDANCE, guidance_id=7)
    picky = replace(RULES, steps={Situation.WITHHELD: asks})
    assert decided(night, refused=True).reason == "caller_refused"
    assert decided(night, lines_free=False).reason == "no_lines"
    assert decided(night, caller="").reason == "after_hours"
    withheld = decided(night, picky, caller="")
    assert (withheld.reason, withheld.steps, withheld.answers) == ("withheld", (asks,), True)
    nobody = route("0399999999", at(night), Facts(None, CALLER))
    assert (nobody.reason, nobody.answers) == ("not_inbound", False)


def test_R_IN_1_nobody_ready_is_another_situation_only_where_it_would_ring() -> None:
    moment = "2026-11-24 10:00"
    steps = {
        Situation.OPEN: Step(InboundAction.RING_IDLE, guidance_id=1, seconds=20),
        Situation.ALL_BUSY: Step(InboundAction.VOICEMAIL, guidance_id=2, seconds=60),
        Situation.NO_ANSWER: Step(InboundAction.FORWARD, forward_to="0355556666", seconds=30),
    }
    rules = replace(RULES, steps=steps)
    rung = decided(moment, rules)
    assert rung.steps == (steps[Situation.OPEN], steps[Situation.NO_ANSWER])
    busy = decided(moment, rules, ready=False)
    assert (busy.situation, busy.reason) == (Situation.ALL_BUSY, "nobody_ready")
    assert busy.steps == (steps[Situation.ALL_BUSY],)
    queue = Step(InboundAction.QUEUE, seconds=120, tells_position=True)
    waits = replace(rules, steps=steps | {Situation.OPEN: queue})
    plan = decided(moment, waits, ready=False)
    assert plan.steps == (queue, steps[Situation.NO_ANSWER])


def test_R_CL_16_a_target_that_may_not_be_dialled_any_more_is_not_forwarded_to() -> None:
    special = Step(InboundAction.FORWARD, forward_to="0570012345", seconds=30)
    rules = replace(RULES, steps={Situation.AFTER_HOURS: special})
    night = "2026-11-24 03:00"
    refused = decided(night, rules)
    assert [step.action for step in refused.steps] == [InboundAction.REFUSE]
    allowed = decided(night, rules, extra_prefixes=("0570",))
    assert allowed.steps == (special, USUAL[Situation.NO_ANSWER])


def test_R_IN_1_every_situation_has_something_usual_that_is_possible() -> None:
    for situation in Situation:
        assert USUAL[situation].action in POSSIBLE[situation]
