"""A trunk's fault is nobody's result: told apart, not counted, tried by another way where right."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallerNumber,
    CallRecord,
    CallState,
    CommandKind,
    Customer,
    Lease,
    Line,
    Role,
    Site,
    SwitchCommand,
    SystemResult,
    Trunk,
    TrunkHealth,
)
from calltree.services import breaker, leaving_practice, trunk_health, vitals
from calltree.services.breaker import BreakerState
from calltree.telephony import endings, joins, serving
from calltree.telephony.calls import Heard
from calltree.telephony.events import HungUp
from calltree.telephony.serving import Ask, Refusal
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, furnish

FAULT = ("NORMAL_TEMPORARY_FAILURE", "503")
BUSY = ("USER_BUSY", "486")


@dataclass
class Calls:
    """Presses of one operator on a real site, and the ends that the switch tells."""

    desk: Desk
    store: Store

    def dial(self, now: datetime) -> tuple[Attempt, str]:
        """Press and let the command be served; the call and the gateway it left by, or why not."""
        attempt = self.desk.press(now=now, confirmed=True)
        return attempt, self.serve(attempt.id, now) if attempt.verdict == "allowed" else ""

    def serve(self, attempt_id: int, now: datetime) -> str:
        with self.store.read() as session:
            command_id = session.scalars(
                select(SwitchCommand.id)
                .where(SwitchCommand.attempt_id == attempt_id, SwitchCommand.taken_at.is_(None))
                .where(SwitchCommand.kind == CommandKind.DIAL)
            ).one()
        [(_command, plan)] = serving.Desk(self.store, "test", Timings(), lambda: now)._take(
            command_id
        )
        if isinstance(plan, Refusal):
            return plan.code
        ask = plan[0]
        assert isinstance(ask, Ask)
        assert self.row(attempt_id).uuid in ask.command
        return ask.command.partition("sofia/gateway/")[2].partition("/")[0]

    def rings(self, attempt_id: int, now: datetime) -> None:
        with self.store.write() as session:
            attempt = session.get_one(Attempt, attempt_id)
            attempt.ringing_at = now
            joins.step(session, attempt, Heard.RINGS, "test")

    def ends(self, attempt_id: int, how: tuple[str, str], now: datetime, q850: str = "") -> None:
        with self.store.write() as session:
            attempt = session.get_one(Attempt, attempt_id)
            event = HungUp(
                core_uuid="core",
                sequence=1,
                at=now,
                unique_id=attempt.uuid,
                attempt_id=attempt_id,
                site_id=None,
                user_id=None,
                direction="outbound",
                context="",
                caller_number="",
                destination_number="",
                other_unique_id="",
                answered=False,
                cause=how[0],
                sip_status=how[1],
                q850=q850,
                disposition="recv_refuse",
                bill_ms=0,
                answered_at=None,
                record_ms=None,
            )
            endings.hung_up(session, attempt, event, now=now)

    def no_channel(self, attempt_id: int, cause: str, now: datetime) -> None:
        with self.store.write() as session:
            endings.no_channel(session, session.get_one(Attempt, attempt_id), cause=cause, at=now)

    def fails(self, now: datetime, how: tuple[str, str] = FAULT) -> str:
        """One call that ends so; the gateway it left by."""
        attempt, gateway = self.dial(now)
        self.ends(attempt.id, how, now)
        self.over(attempt.id, now)
        return gateway

    def over(self, attempt_id: int, now: datetime) -> None:
        """Let the operator be free for the next press."""
        row = self.row(attempt_id)
        assert row.ended_at is not None, row.state
        with self.store.read() as session:
            record = session.scalar(select(CallRecord).where(CallRecord.attempt_id == attempt_id))
        if record is not None and record.system is SystemResult.BLANK:
            self.desk.save("不通", now=now)

    def row(self, attempt_id: int) -> Attempt:
        with self.store.read() as session:
            return session.get_one(Attempt, attempt_id)

    def trunks(self, *names: str, **given: object) -> list[str]:
        with self.store.write() as session:
            return [
                make.make_trunk(session, name=name, position=n, **given).gateway
                for n, name in enumerate(names)
            ]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def calls(store: Store) -> Calls:
    desk = furnish(store)
    desk.change(Site, 1, practice=False, min_gap_min=0)
    return Calls(desk, store)


def test_faults_in_a_row_shut_the_trunk_and_the_gate_says_so(calls: Calls, now: datetime) -> None:
    for n in range(breaker.FAULTS):
        assert calls.fails(now + timedelta(seconds=n)) == "carrier"
    then = now + timedelta(seconds=breaker.FAULTS)
    attempt, _gateway = calls.dial(then)
    assert attempt.verdict == "trunk_down"
    assert 0 < attempt.verdict_detail["seconds"] <= breaker.FIRST_WAIT_S
    with calls.store.read() as session:
        fault = trunk_health.faults(session)[0]
    assert (fault.gateway, fault.cause) == ("carrier", "NORMAL_TEMPORARY_FAILURE 503")


def test_after_the_wait_one_call_tries_and_opens_the_way_for_all(
    calls: Calls, now: datetime
) -> None:
    for _n in range(breaker.FAULTS):
        calls.fails(now)
    later = now + timedelta(seconds=breaker.FIRST_WAIT_S)
    probe, gateway = calls.dial(later)
    assert gateway == "carrier"
    with calls.store.read() as session:
        assert "carrier" in trunk_health.shut(session, now=later), "one probe at a time"
    calls.rings(probe.id, later)
    calls.ends(probe.id, BUSY, later)
    with calls.store.read() as session:
        assert trunk_health.faults(session) == []
    calls.over(probe.id, later)
    assert calls.fails(later, BUSY) == "carrier"


def test_a_probe_that_fails_doubles_the_wait(calls: Calls, now: datetime) -> None:
    for _n in range(breaker.FAULTS):
        calls.fails(now)
    later = now + timedelta(seconds=breaker.FIRST_WAIT_S)
    calls.fails(later)
    with calls.store.read() as session:
        row = session.get_one(TrunkHealth, "carrier")
    assert row.state == BreakerState.OPEN
    assert row.until == later + timedelta(seconds=2 * breaker.FIRST_WAIT_S)


@pytest.mark.one_database
@pytest.mark.parametrize(
    "how",
    [BUSY, ("CALL_REJECTED", "603"), ("UNALLOCATED_NUMBER", "404"), ("NO_USER_RESPONSE", "480"),
     ("ORIGINATOR_CANCEL", "487")],
)  # fmt: skip
def test_what_customers_do_never_shuts_a_trunk(calls: Calls, now: datetime, how) -> None:
    for n in range(2 * breaker.FAULTS):
        assert calls.fails(now + timedelta(seconds=n), how) == "carrier"


@pytest.mark.one_database
def test_a_gateway_that_is_down_is_left_alone_at_once(calls: Calls, now: datetime) -> None:
    attempt, _gateway = calls.dial(now)
    calls.no_channel(attempt.id, "GATEWAY_DOWN", now)
    assert calls.row(attempt.id).state is CallState.FAILED
    assert calls.dial(now)[0].verdict == "trunk_down"


def test_R_CL_10_a_trunk_fault_is_no_attempt_on_the_customer(calls: Calls, now: datetime) -> None:
    attempt, _gateway = calls.dial(now)
    calls.ends(attempt.id, FAULT, now)
    with calls.store.read() as session:
        record = session.scalars(select(CallRecord)).one()
        customer = session.get_one(Customer, calls.desk.customer_id)
    assert record.system is SystemResult.LINE_ERROR
    assert not record.counts_dial
    assert (customer.dials, customer.last_dialled_at) == (0, None)


# --- another trunk


@pytest.mark.parametrize(
    "how",
    [FAULT, ("NETWORK_OUT_OF_ORDER", "502"), ("NORMAL_TEMPORARY_FAILURE", "500")],
)
def test_a_cannot_before_any_ring_goes_to_the_next_trunk(calls: Calls, now: datetime, how) -> None:
    first, second = calls.trunks("主回線", "副回線")
    attempt, gateway = calls.dial(now)
    before = calls.row(attempt.id)
    assert gateway == first
    calls.ends(attempt.id, how, now)
    again = calls.row(attempt.id)
    assert again.state is CallState.QUEUED
    assert again.uuid != before.uuid, "what is told of the first leg belongs to nobody"
    assert calls.serve(attempt.id, now) == second
    with calls.store.read() as session:
        lines = session.scalars(select(Line)).all()
    assert [(line.uuid, line.released_at) for line in lines] == [(again.uuid, None)]
    calls.ends(attempt.id, BUSY, now)
    with calls.store.read() as session:
        assert len(session.scalars(select(CallRecord)).all()) == 1, "one press is one record"
    ended = calls.row(attempt.id)
    assert (ended.state, ended.hangup_cause) == (CallState.ENDED, "USER_BUSY")


def test_each_trunk_is_charged_once_for_one_call(calls: Calls, now: datetime) -> None:
    names = calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.ends(attempt.id, FAULT, now)
    calls.serve(attempt.id, now)
    calls.ends(attempt.id, FAULT, now)
    with calls.store.read() as session:
        health = session.scalars(select(TrunkHealth).order_by(TrunkHealth.gateway)).all()
    assert [(row.gateway, row.faults) for row in health] == [(name, 1) for name in names]


@pytest.mark.one_database
def test_no_channel_goes_to_the_next_trunk_and_the_last_one_ends_it(
    calls: Calls, now: datetime
) -> None:
    calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.no_channel(attempt.id, "INVALID_GATEWAY", now)
    calls.serve(attempt.id, now)
    calls.no_channel(attempt.id, "GATEWAY_DOWN", now)
    assert calls.row(attempt.id).state is CallState.FAILED
    assert calls.dial(now)[0].verdict == "trunk_down", "both are left alone"


@pytest.mark.one_database
@pytest.mark.parametrize(
    "how",
    [BUSY, ("CALL_REJECTED", "603"), ("CALL_REJECTED", "403"), ("UNALLOCATED_NUMBER", "404"),
     ("NO_USER_RESPONSE", "480"), ("RECOVERY_ON_TIMER_EXPIRE", "408")],
)  # fmt: skip
def test_a_refusal_is_never_tried_by_another_trunk(calls: Calls, now: datetime, how) -> None:
    calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.ends(attempt.id, how, now)
    assert calls.row(attempt.id).ended_at is not None


@pytest.mark.one_database
def test_nothing_is_dialled_twice_after_a_ring(calls: Calls, now: datetime) -> None:
    calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.rings(attempt.id, now)
    calls.ends(attempt.id, FAULT, now)
    assert calls.row(attempt.id).ended_at is not None


@pytest.mark.one_database
def test_who_has_hung_up_is_not_called_by_another_trunk(calls: Calls, now: datetime) -> None:
    calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.desk.change(Attempt, attempt.id, ended_by="operator")
    calls.ends(attempt.id, FAULT, now)
    assert calls.row(attempt.id).ended_at is not None


@pytest.mark.one_database
def test_a_fault_that_came_late_is_not_tried_again(calls: Calls, now: datetime) -> None:
    calls.trunks("主回線", "副回線")
    attempt, _first = calls.dial(now)
    calls.ends(attempt.id, FAULT, now + timedelta(seconds=10))
    assert calls.row(attempt.id).ended_at is not None


@pytest.mark.one_database
def test_a_number_that_is_bound_to_its_trunk_is_shown_by_no_other(
    calls: Calls, now: datetime
) -> None:
    first, _second = calls.trunks("主回線", "副回線")
    with calls.store.write() as session:
        for caller in session.scalars(select(CallerNumber)):
            caller.trunk_id = int(first.removeprefix("trunk"))
    attempt, gateway = calls.dial(now)
    assert gateway == first
    calls.ends(attempt.id, FAULT, now)
    assert calls.row(attempt.id).ended_at is not None


def test_a_trunk_that_is_left_alone_is_passed_over(calls: Calls, now: datetime) -> None:
    first, second = calls.trunks("主回線", "副回線")
    attempt, _gateway = calls.dial(now)
    calls.no_channel(attempt.id, "GATEWAY_DOWN", now)
    assert calls.serve(attempt.id, now) == second
    calls.ends(attempt.id, BUSY, now)
    calls.over(attempt.id, now)
    assert calls.fails(now, BUSY) == second
    later = now + timedelta(seconds=breaker.FIRST_WAIT_S)
    assert calls.fails(later, BUSY) == first, "it may try again"
    assert calls.fails(later, BUSY) == first


def test_a_trunk_whose_settings_were_changed_begins_anew(calls: Calls, now: datetime) -> None:
    (gateway,) = calls.trunks("主回線")
    attempt, _gateway = calls.dial(now)
    calls.no_channel(attempt.id, "INVALID_GATEWAY", now)
    with calls.store.write() as session:
        trunk = session.get_one(Trunk, int(gateway.removeprefix("trunk")))
        trunk_health.forget(session, trunk=trunk)
    assert calls.dial(now)[0].verdict == "allowed"


def test_leaving_practice_forgets_the_practice_trunk(calls: Calls, now: datetime) -> None:
    calls.desk.change(Site, 1, practice=True)
    for _n in range(breaker.FAULTS):
        calls.fails(now)
    calls.dial(now + timedelta(seconds=breaker.FIRST_WAIT_S))
    calls.desk.change(Lease, "switch", until=now)
    with calls.store.write() as session:
        leaving_practice.leave(session, keep_lists=True, now=now)
        assert trunk_health.faults(session) == []


def test_R_AR_4_a_monitor_sees_the_trunk(calls: Calls, now: datetime) -> None:
    attempt, _gateway = calls.dial(now)
    calls.no_channel(attempt.id, "GATEWAY_DOWN", now)
    with calls.store.read() as session:
        seen = vitals.take(session, nodes=("main",), zone=ZoneInfo("UTC"), now=now)
    assert seen.trunks_shut == {"carrier": 1}


@pytest.mark.one_database
def test_the_manager_sees_which_trunk_has_a_fault(app, store: Store, browser_of, now) -> None:
    desk = furnish(store)
    desk.change(Site, 1, practice=False)
    calls = Calls(desk, store)
    calls.trunks("主回線")
    attempt, _gateway = calls.dial(now)
    calls.no_channel(attempt.id, "GATEWAY_DOWN", now)
    with store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
    browser = browser_of(manager)
    assert "電話回線「主回線」に障害があります（GATEWAY_DOWN）" in browser.get("/admin/").text
    assert "障害" in browser.get("/admin/trunks/").text
