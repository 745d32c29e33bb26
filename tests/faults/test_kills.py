"""kill -9 of each part in mid-call: no record lost, no double dial, and the ledger finds the truth.

What a site is allowed is 60 s. A dead leader's lease is ended by the test: that it ends by time is
proved where leases are.
"""

import random
import time

import pytest
from flask import Flask
from sqlalchemy import select

from calltree import create_app
from calltree.extensions import db
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    OperatorState,
    RecordingState,
    SwitchCommand,
)
from tests.browser import Browser
from tests.faults.site import ProcessFloor, restart_after, running_site
from tests.floor import wait_for

STAYS = "0312345670"
JOBS = "jobs soon"
ALLOWED_S = 60.0


@pytest.fixture
def floor(tmp_path, database_url):
    with running_site(tmp_path, database_url) as floor:
        yield floor


@pytest.fixture
def web(floor):
    """The pages, in this process, on the site's database and Redis."""
    app = create_app(floor.site.settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def _talking(floor: ProcessFloor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    return operator, attempt


def _talking_at_a_screen(floor: ProcessFloor, web: Flask):
    """The same by presses on the call screen."""
    operator, customer = floor.operator(), floor.customer(STAYS)
    screen = Browser(web)
    screen.sign_in_as(operator)
    screen.post(f"/operator/call/open/{customer.id}")
    screen.press("/operator/call/dial", {"number": customer.number, "confirmed": "1"})
    with floor.store.read() as session:
        attempt = session.scalars(select(Attempt).where(Attempt.user_id == operator)).one()
    floor.wait_state(attempt, CallState.TALKING)
    return operator, attempt, screen


def _shown(screen: Browser) -> tuple[str, str]:
    """The operator's state, and what the bar about the switch says ("" while it is hidden)."""
    page = screen.get("/operator/call/")
    bar = page.one("#switch-lost")
    state = page.one("#operator-state strong").get_text(strip=True)
    return state, "" if bar.has_attr("hidden") else bar.get_text(strip=True)


TALK_ON = (
    "電話システムに接続できません。相手の声が聞こえていれば、そのままお話しください。"
    "切断や保留は、接続が戻ると使えます。"
)


def test_kill_of_the_switch_role_keeps_the_call(floor, web):
    operator, attempt, screen = _talking_at_a_screen(floor, web)
    assert _shown(screen) == ("通話中", "")
    floor.site.kill("switch")
    assert attempt.uuid in floor.channels()  # the customer and the operator talk on
    floor.lease_runs_out()
    assert not floor.link_up()
    assert _shown(screen) == ("通話中", TALK_ON)
    refused = floor.press(floor.operator(leg=False), "0312345660")
    assert refused.verdict in {"switch_down", "no_leg"}
    floor.site.restart("switch")
    wait_for(floor.link_up, "the next leader")
    assert floor.attempt(attempt).state is CallState.TALKING
    assert _shown(screen) == ("通話中", "")
    screen.press("/operator/call/press/hang_up")
    floor.wait_state(attempt, CallState.ENDED)
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    assert _shown(screen) == ("後処理", "")
    floor.check_truth()


@pytest.mark.one_database
def test_a_hang_up_that_the_dead_switch_role_did_not_hear_is_found(floor, web):
    operator, attempt, screen = _talking_at_a_screen(floor, web)
    floor.site.kill("switch")
    floor.switch.order(f"leave {attempt.uuid}")
    floor.lease_runs_out()
    assert _shown(screen) == ("通話中", TALK_ON)
    floor.site.restart("switch")
    ended = wait_for(
        lambda: (row := floor.attempt(attempt)).state is CallState.ENDED and row,
        "the end is found out",
        patience_s=ALLOWED_S,
    )
    assert ended.answered_at
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    assert _shown(screen) == ("後処理", "")
    floor.check_truth()


def test_kill_of_the_calls_worker_leaves_hanging_up_to_the_leader(floor, web):
    _operator, attempt, screen = _talking_at_a_screen(floor, web)
    floor.site.kill("calls")
    assert _shown(screen) == ("通話中", "")
    screen.press("/operator/call/press/hang_up")
    floor.wait_state(attempt, CallState.ENDED)
    assert _shown(screen) == ("後処理", "")
    floor.site.restart("calls")
    second = floor.operator()
    floor.wait_state(floor.call(second, STAYS), CallState.TALKING)
    assert floor.records() == 2


@pytest.mark.one_database
def test_kill_of_redis_refuses_new_dials_and_leaves_hanging_up_to_the_leaders_sweep(floor, web):
    operator, attempt = _talking(floor)
    waiting, customer = floor.operator(), floor.customer("0312345680")
    page = Browser(web)
    page.sign_in_as(waiting)
    page.post(f"/operator/call/open/{customer.id}")
    floor.site.kill("redis")

    said = page.press("/operator/call/dial", {"number": customer.number, "confirmed": "1"})
    assert "発信しませんでした" in said.text
    with floor.store.read() as session:
        refused = session.scalars(select(Attempt).where(Attempt.user_id == waiting)).one()
        command = session.scalars(
            select(SwitchCommand).where(SwitchCommand.attempt_id == refused.id)
        ).one()
    assert (refused.state, refused.hangup_cause) == (CallState.FAILED, "QUEUE_DOWN")
    assert refused.dialled_at is None
    assert command.taken_by == "press"  # so no sweep dials it later
    assert floor.operator_row(waiting).attempt_id is None
    assert floor.records() == 1
    assert floor.lines_open() == 1

    talker = Browser(web)
    talker.sign_in_as(operator)
    talker.press("/operator/call/press/hang_up")
    floor.wait_state(attempt, CallState.ENDED)
    floor.site.restart("redis")
    wait_for(floor.site.served, "the calls worker is back", patience_s=ALLOWED_S)
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    floor.check_truth()


@pytest.mark.one_database
def test_kill_of_the_practice_switch_closes_its_calls_once(floor, web):
    operator, attempt, screen = _talking_at_a_screen(floor, web)
    floor.site.kill("practice")
    wait_for(lambda: not floor.link_up(), "the link is lost")
    assert _shown(screen) == ("通話中", TALK_ON)
    floor.site.restart("practice")
    floor.switch = floor.site.switch
    wait_for(floor.link_up, "link up again", patience_s=120)
    ended = wait_for(
        lambda: (row := floor.attempt(attempt)).state is CallState.ENDED and row,
        "closed with what is known",
        patience_s=ALLOWED_S,
    )
    assert ended.ended_by == "system"
    assert _shown(screen) == ("後処理", "")
    floor.wait_leg(operator)
    floor.check_truth()


@pytest.mark.one_database
def test_kill_of_the_jobs_role_in_mid_call_loses_no_recording(tmp_path, database_url):
    with running_site(tmp_path, database_url, roles=("switch", "calls", JOBS)) as floor:
        operator, attempt, screen = _talking_at_a_screen(floor, create_app(floor.site.settings))
        wait_for(lambda: floor.recording(attempt), "it is recorded from the first second")
        floor.site.kill(JOBS)
        assert _shown(screen) == ("通話中", "")
        screen.press("/operator/call/press/hang_up")
        floor.wait_state(attempt, CallState.ENDED)
        assert _shown(screen) == ("後処理", "")  # nothing that the operator waits for
        assert floor.operator_row(operator).state is OperatorState.WRAP_UP
        assert floor.recording(attempt).state is not RecordingState.STORED
        floor.site.restart(JOBS)
        wait_for(
            lambda: floor.recording(attempt).state is RecordingState.STORED,
            "the recording is checked and encoded",
            patience_s=ALLOWED_S,
        )
        floor.check_truth()


@pytest.mark.parametrize(
    "name",
    [
        *("switch", "calls"),
        *(pytest.param(name, marks=pytest.mark.one_database) for name in ("practice", "redis")),
    ],
)
def test_kills_at_any_moment_of_a_call_lose_and_double_nothing(floor, name):
    draw = random.Random(name)
    operators = [floor.operator() for _ in range(3)]
    calls = [
        floor.call(user, f"031234567{digit}") for user, digit in zip(operators, "043", strict=True)
    ]
    time.sleep(draw.uniform(0.0, 0.6))  # anywhere between the press and the talk
    restart_after(floor, name)
    for attempt in calls:
        if floor.attempt(attempt).ended_at is None:
            floor.ask(CommandKind.HANG_UP, attempt)
    wait_for(floor.settled, "every attempt is terminal", patience_s=ALLOWED_S)
    floor.check_truth()
    for user in operators:
        assert floor.operator_row(user).attempt_id is None


@pytest.mark.one_database
def test_one_command_runs_every_role_and_leaves_none_behind(tmp_path, database_url):
    with running_site(tmp_path, database_url, roles=("",)) as floor:
        _operator, attempt = _talking(floor)
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)
        everyone = floor.site.family()
        assert len(everyone) >= 5  # itself, two lanes, calls, switch
    wait_for(lambda: not floor.site.family(), "no orphan")
