"""Campaigns over a real socket: dialled, answered, joined, or apologised to (R-DL-2 … R-DL-8)."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Campaign,
    CampaignMode,
    CampaignState,
    Customer,
    CustomerHold,
    CustomerList,
    Guidance,
    Operator,
    OperatorState,
    Preset,
    ResultStatus,
    SystemResult,
    User,
)
from calltree.services import campaign_facts, campaign_team, operators, results
from calltree.services.results import ResultForm
from calltree.services.rights import Viewer
from calltree.telephony.commands import said_file
from calltree.telephony.config import dialplan
from tests import factories as make
from tests.floor import (
    UNHURRIED,
    Floor,
    found_floor,
    in_thread,
    open_floor,
    role,
    serving,
    wait_for,
)
from tests.practice import ANNOUNCEMENT, BUSY, RINGS_ON, STAYS, PracticeSwitch
from tests.telephony.contract import Link as Heard

NEXT = {digit: iter(range(10, 99)) for digit in "0123456789"}


@pytest.fixture
def floor(store: Store, switch: PracticeSwitch, rate: float) -> Iterator[Floor]:
    """The roles with a dialler as much in a hurry as its switch."""
    with open_floor(store, switch, replace(UNHURRIED, second_s=1 / rate, settle_s=0.1)) as floor:
        yield floor


def number(like: str) -> str:
    """Another number that the carrier treats as this one."""
    return f"03111{next(NEXT[like[-1]]):02d}{like[-3:]}"


def campaign(floor: Floor, *numbers: str, **given: object) -> int:
    """A running campaign over the floor's list with these customers."""
    for one in numbers:
        floor.customer(one)
    values: dict[str, object] = {
        "mode": CampaignMode.PROGRESSIVE,
        "preset": Preset.SAFE,
        "calls_per_second": 50,
    }
    with floor.store.write() as session:
        folder = session.get_one(CustomerList, floor.list_id)
        return make.make_campaign(session, folder, **(values | given)).id


def works(floor: Floor, user_id: int, campaign_id: int) -> None:
    """開始: the operator waits for the campaign's customers."""
    with floor.store.write() as session:
        viewer = Viewer.of(session.get_one(User, user_id))
        campaign_team.join(session, viewer=viewer, campaign_id=campaign_id, now=utcnow())


def attempts(floor: Floor, campaign_id: int) -> list[Attempt]:
    with floor.store.read() as session:
        return list(
            session.scalars(
                select(Attempt).where(Attempt.campaign_id == campaign_id).order_by(Attempt.id)
            )
        )


def first(floor: Floor, campaign_id: int, *states: str) -> Attempt:
    """The campaign's first call, once it is in one of these states."""
    return wait_for(
        lambda: next((a for a in attempts(floor, campaign_id) if a.state in states), None),
        f"a call in {states}",
    )


def customer_of(floor: Floor, attempt: Attempt) -> Customer:
    with floor.store.read() as session:
        return session.get_one(Customer, attempt.customer_id)


def status(floor: Floor, which: BuiltIn) -> int:
    with floor.store.read() as session:
        return session.scalars(select(ResultStatus.id).where(ResultStatus.built_in == which)).one()


def why(floor: Floor, campaign_id: int) -> str:
    with floor.store.read() as session:
        row = session.get_one(Campaign, campaign_id)
        return campaign_facts.of(session, campaign=row, now=utcnow()).why.code


def test_R_DL_2_who_answers_is_joined_and_their_page_opens(floor: Floor) -> None:
    operator = floor.operator()
    mine = campaign(floor, number(STAYS))
    works(floor, operator, mine)
    talking = first(floor, mine, CallState.TALKING)
    row = wait_for(
        lambda: (op := floor.operator_row(operator)).state is OperatorState.TALKING and op,
        "the operator talks",
    )
    record = floor.record(talking)
    assert (row.customer_id, row.record_id) == (talking.customer_id, record.id)
    assert (talking.user_id, record.user_id) == (operator, operator)
    with floor.store.read() as session:
        assert session.get_one(CustomerHold, talking.customer_id).user_id == operator
    floor.switch.order(f"leave {talking.uuid}")
    ended = floor.wait_state(talking, CallState.ENDED)
    assert ended.ended_by == "customer"
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    assert customer_of(floor, ended).next_try_at is None
    # 保存して待機: the next one may come
    with floor.store.write() as session:
        viewer = Viewer.of(session.get_one(User, operator))
        results.save(
            session,
            viewer=viewer,
            customer_id=ended.customer_id,
            form=ResultForm(status_id=make.built_in(session, BuiltIn.NO_ANSWER).id),
            now=utcnow(),
        )
        assert campaign_team.wait_for_next(session, user_id=operator, now=utcnow())
    assert floor.operator_row(operator).state is OperatorState.READY


def test_R_DL_3_who_answers_goes_to_the_operator_longest_idle(floor: Floor) -> None:
    short, long = floor.operator(), floor.operator()
    mine = campaign(floor, state=CampaignState.PAUSED)
    works_later(floor, mine, (short, 1), (long, 600))
    floor.customer(number(STAYS))
    run(floor, mine)
    assert first(floor, mine, CallState.TALKING).user_id == long


def works_later(floor: Floor, campaign_id: int, *waits: tuple[int, int]) -> None:
    """Operators who have been 待機 for so many seconds."""
    run(floor, campaign_id)
    with floor.store.write() as session:
        for user_id, seconds in waits:
            viewer = Viewer.of(session.get_one(User, user_id))
            campaign_team.join(session, viewer=viewer, campaign_id=campaign_id, now=utcnow())
            session.execute(
                update(Operator)
                .where(Operator.user_id == user_id)
                .values(since=utcnow() - timedelta(seconds=seconds))
            )


def run(floor: Floor, campaign_id: int) -> None:
    with floor.store.write() as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.RUNNING


def gone_before_the_answer(floor: Floor, operator: int, mine: int) -> Attempt:
    """A call that rings on while its operator has gone."""
    works(floor, operator, mine)
    ringing = first(floor, mine, CallState.RINGING)
    with floor.store.write() as session:
        operators.go_away(session, user_id=operator, reason="休憩", now=utcnow())
    return ringing


def test_R_DL_3_nobody_free_is_apologised_to_and_counts_as_abandoned(
    floor: Floor, rate: float
) -> None:
    operator = floor.operator()
    mine = campaign(floor, number(RINGS_ON))
    ringing = gone_before_the_answer(floor, operator, mine)
    floor.switch.order(f"answer {ringing.uuid}")
    gone = floor.wait_state(ringing, CallState.ABANDONED)
    # On a machine that stands still the dialplan apologises before us.
    waited = (gone.apology_at or gone.ended_at) - gone.answered_at
    assert waited >= timedelta(seconds=2 / rate)
    assert (gone.joined_at, gone.user_id, gone.improper) == (None, None, False)
    record = floor.record(gone)
    assert (record.system, record.user_id) == (SystemResult.ABANDONED, None)
    customer = customer_of(floor, gone)
    assert customer.abandons == 1
    assert customer.next_try_at >= gone.ended_at + timedelta(hours=23)
    with floor.store.read() as session:
        row = session.get_one(Campaign, mine)
        day = campaign_facts.day_of(session, campaign_id=row.id, now=utcnow())
    assert (day.abandoned, day.joined, day.improper) == (1, 0, 0)
    assert floor.lines_open() == 0


@pytest.mark.one_database
def test_R_DL_3_who_nobody_is_free_for_hears_the_campaigns_guidance_then_its_apology(
    floor: Floor,
) -> None:
    assert dialplan.BEFORE_GUIDANCE_MS <= 500
    with floor.store.write() as session:
        sounds = [
            Guidance(name=name, sound=b"RIFF", length_ms=1, size_bytes=4, created_at=utcnow())
            for name in ("お待たせ", "お詫び")
        ]
        session.add_all(sounds)
        session.flush()
        own = {"waiting_guidance_id": sounds[0].id, "apology_guidance_id": sounds[1].id}
    with contextlib.closing(Heard(floor.switch.url)) as heard:
        heard.send("event plain CHANNEL_ANSWER PLAYBACK_START CHANNEL_HANGUP_COMPLETE")
        operator = floor.operator()
        mine = campaign(floor, number(RINGS_ON), **own)
        ringing = gone_before_the_answer(floor, operator, mine)
        floor.switch.order(f"answer {ringing.uuid}")
        heard.wait("CHANNEL_HANGUP_COMPLETE", value=ringing.uuid)
        floor.wait_state(ringing, CallState.ABANDONED)
    his = [event for event in heard.events if event.get("Unique-ID") == ringing.uuid]
    assert [event.get("Playback-File-Path", event.name) for event in his] == [
        "CHANNEL_ANSWER",
        said_file(own["waiting_guidance_id"]),
        said_file(own["apology_guidance_id"]),
        "CHANNEL_HANGUP_COMPLETE",
    ]


@pytest.mark.parametrize("rate", [1.0])
def test_R_DL_3_who_becomes_free_in_time_is_joined(floor: Floor) -> None:
    operator = floor.operator()
    mine = campaign(floor, number(RINGS_ON), answered_wait_s=60)
    ringing = gone_before_the_answer(floor, operator, mine)
    floor.switch.order(f"answer {ringing.uuid}")
    floor.wait_state(ringing, CallState.ANSWERED)
    with floor.store.write() as session:
        operators.become_ready(session, user_id=operator, now=utcnow())
    assert floor.wait_state(ringing, CallState.TALKING).user_id == operator


@pytest.mark.parametrize(
    ("like", "result", "again"),
    [
        (BUSY, BuiltIn.NO_ANSWER, timedelta(minutes=20)),
        (ANNOUNCEMENT, BuiltIn.NOT_IN_USE, None),
    ],
)
def test_R_DL_5_what_nobody_answered_is_recorded_by_the_dialler(
    floor: Floor, like: str, result: BuiltIn, again: timedelta | None
) -> None:
    operator = floor.operator()
    mine = campaign(floor, number(like))
    works(floor, operator, mine)
    ended = first(floor, mine, CallState.ENDED)
    record = floor.record(ended)
    assert (record.user_id, record.status_id) == (None, status(floor, result))
    due = customer_of(floor, ended).next_try_at
    if again is None:
        assert due is None
    else:
        assert due - ended.ended_at >= again - timedelta(seconds=9)
    wait_for(
        lambda: why(floor, mine) in ("campaign_no_numbers", "campaign_numbers_later"),
        "the sentence says why",
    )
    assert floor.operator_row(operator).state is OperatorState.READY
    assert len(attempts(floor, mine)) == 1


def test_R_DL_8_nobody_is_dialled_while_nobody_waits(floor: Floor) -> None:
    operator = floor.operator()
    mine = campaign(floor, number(RINGS_ON))
    wait_for(lambda: why(floor, mine) == "pacing_nobody_ready", "the sentence says why")
    assert attempts(floor, mine) == []
    works(floor, operator, mine)
    ringing = first(floor, mine, CallState.RINGING)
    assert ringing.ended_at is None
    with floor.store.read() as session:
        assert session.scalar(select(func.count(CallRecord.id))) == 1


def calls_over(floor: Floor, campaign_id: int) -> bool:
    return all(attempt.ended_at is not None for attempt in attempts(floor, campaign_id))


@pytest.mark.parametrize("rate", [1.0])
def test_R_DL_8_a_change_of_leaders_in_mid_campaign_loses_nobody(
    store: Store, switch: PracticeSwitch, rate: float
) -> None:
    """One leader ends with a call that talks and one that rings; the next goes on with both.

    Who answered meanwhile is joined by the next with the operator who was free.
    """
    timings = replace(UNHURRIED, second_s=1 / rate, settle_s=0.1)
    floor = found_floor(store, switch)
    with serving(floor, timings):
        with in_thread(role(store, switch, timings).run):
            wait_for(floor.link_up, "link up")
            first_one, second = floor.operator(), floor.operator()
            mine = campaign(floor, number(STAYS), number(RINGS_ON), answered_wait_s=60)
            works(floor, first_one, mine)
            talking = first(floor, mine, CallState.TALKING)
            works(floor, second, mine)
            ringing = first(floor, mine, CallState.RINGING)
        # Nobody leads: the customer answers, and only the dialplan looks after them.
        switch.order(f"answer {ringing.uuid}")
        with in_thread(role(store, switch, timings).run):
            done = floor.wait_state(ringing, CallState.TALKING)
            assert done.user_id == second
            assert floor.attempt(talking).state is CallState.TALKING
            for attempt in (talking, done):
                switch.api(f"uuid_kill {attempt.uuid} NORMAL_CLEARING")
            wait_for(lambda: calls_over(floor, mine), "every call has its end")
            rows = attempts(floor, mine)
    assert [row.customer_id for row in rows] == [talking.customer_id, ringing.customer_id]
    assert {floor.record(row).attempt_id for row in rows} == {row.id for row in rows}
    assert floor.lines_open() == 0
    for user_id in (first_one, second):
        assert floor.operator_row(user_id).attempt_id is None


def test_R_DL_3_an_operator_who_cannot_be_joined_is_followed_by_the_next(floor: Floor) -> None:
    deaf, good = floor.operator(), floor.operator()
    mine = campaign(floor, state=CampaignState.PAUSED, answered_wait_s=60)
    works_later(floor, mine, (deaf, 600), (good, 1))
    with floor.store.write() as session:
        # The ledger believes in a leg that the switch does not have.
        gone = session.get_one(Operator, deaf)
        gone.leg_uuid = "00000000-0000-4000-8000-00000000dead"
    floor.customer(number(STAYS))
    assert first(floor, mine, CallState.TALKING).user_id == good
    assert floor.operator_row(deaf).state is not OperatorState.READY
