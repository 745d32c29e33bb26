"""Legs that pages make for their operators: taken, replaced, refused, and the customer kept."""

import itertools
import uuid
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    LegKind,
    LegState,
    Operator,
    OperatorState,
    Origin,
    User,
)
from calltree.services import operators
from calltree.telephony import events, ledger
from calltree.telephony.acts import Act, HangUp, Join, SetMute
from tests import factories as make
from tests.factories import NOW
from tests.telephony.scripted import events_of

NODE = "main"
_sequence = itertools.count(1)


def told(kind: type, user: User, leg: str, **given: object) -> events.SwitchEvent:
    """What the switch says of a leg that this user's page made."""
    values = {
        "core_uuid": "core",
        "sequence": next(_sequence),
        "at": NOW,
        "unique_id": leg,
        "attempt_id": None,
        "site_id": None,
        "user_id": user.id,
        "direction": "inbound",
        "context": "agents",
        "caller_number": "",
        "destination_number": "agent",
        "answered": True,
        "other_unique_id": None,
    }
    return kind(**(values | given))


@pytest.fixture
def worker(store: Store) -> User:
    """An operator of a real site who works in a browser and has no leg yet."""
    with store.write() as session:
        make.make_site(session, practice=False)
        user = make.make_user(session, leg_kind=LegKind.BROWSER)
        operators.sign_in(session, user_id=user.id, now=NOW)
    return user


def hear(store: Store, event: events.SwitchEvent) -> list[Act]:
    with store.write() as session:
        return ledger.hear(session, event, node=NODE, epoch=1, now=NOW)


def brings(store: Store, user: User) -> tuple[str, list[Act]]:
    """The page's call is answered and parks."""
    leg = str(uuid.uuid4())
    acts = hear(store, told(events.Answered, user, leg))
    return leg, acts + hear(store, told(events.Parked, user, leg))


def row(store: Store, user: User) -> Operator:
    with store.read() as session:
        return session.get_one(Operator, user.id)


def talk(session: Session, user: User) -> Attempt:
    """The operator talks with a customer over the leg they have."""
    attempt = Attempt(
        uuid=str(uuid.uuid4()),
        origin=Origin.CALL,
        user_id=user.id,
        number="0312345670",
        node=NODE,
        verdict="allowed",
        state=CallState.TALKING,
        created_at=NOW,
        dialled_at=NOW,
        answered_at=NOW,
        joined_at=NOW,
    )
    session.add(attempt)
    session.flush()
    assert operators.lock(session, user_id=user.id, attempt_id=attempt.id, now=NOW)
    operators.move(session, user_id=user.id, by=operators.Move.JOIN, now=NOW)
    operator = session.get_one(Operator, user.id, populate_existing=True)
    operators.leg_moved(
        session, user_id=user.id, uuid=operator.leg_uuid, to=LegState.JOINED, now=NOW
    )
    return attempt


def test_a_leg_that_the_page_makes_is_its_operators(store: Store, worker: User) -> None:
    leg, acts = brings(store, worker)
    operator = row(store, worker)
    assert (operator.leg_uuid, operator.leg_node) == (leg, NODE)
    assert operator.leg_state is LegState.PARKED
    assert acts == []


def test_a_leg_is_taken_from_what_a_real_switch_told_of_a_browser(store: Store) -> None:
    read = [events.read(event) for event in events_of("agent-register-and-park")]
    heard = [event for event in read if event is not None]
    legs = [event for event in heard if isinstance(event, events.ChannelEvent)]
    with store.write() as session:
        make.make_site(session, practice=False)
        # whom the recorded switch's directory knew
        user = make.make_user(session, id=legs[0].user_id, leg_kind=LegKind.BROWSER)
        operators.sign_in(session, user_id=user.id, now=NOW)
    states = []
    for event in heard:
        hear(store, event)
        states.append(row(store, user).leg_state)
    parked = next(place for place, e in enumerate(heard) if isinstance(e, events.Parked))
    assert states[parked] is LegState.PARKED
    assert row(store, user).leg_state is LegState.LOST
    assert [type(heard[0]), type(heard[-1])] == [events.Registration, events.Registration]


def test_R_CL_17_a_second_page_ends_the_first_ones_leg(store: Store, worker: User) -> None:
    first, _ = brings(store, worker)
    second, acts = brings(store, worker)
    assert row(store, worker).leg_uuid == second
    assert acts == [HangUp(NODE, first, answered=True)]
    # what is still heard of the old one changes nothing
    assert hear(store, told(events.Parked, worker, first)) == []
    hear(store, told(events.Destroyed, worker, first))
    assert (row(store, worker).leg_uuid, row(store, worker).leg_state) == (second, LegState.PARKED)


def test_a_reload_in_a_call_keeps_customer_and_mute(store: Store, worker: User) -> None:
    first, _ = brings(store, worker)
    with store.write() as session:
        attempt = talk(session, worker)
        operators.set_muted(session, user_id=worker.id, muted=True)
    hear(store, told(events.Destroyed, worker, first))
    with store.read() as session:
        assert session.get_one(Attempt, attempt.id).state is CallState.ANSWERED
    second, acts = brings(store, worker)
    kinds = [type(act) for act in acts]
    assert kinds == [SetMute, Join]
    assert acts[0] == SetMute(NODE, second, muted=True)
    assert acts[1].operator == second
    assert acts[1].customer == attempt.uuid


def test_R_CL_17_a_leg_that_comes_before_the_old_one_went_takes_the_call(
    store: Store, worker: User
) -> None:
    first, _ = brings(store, worker)
    with store.write() as session:
        attempt = talk(session, worker)
    second, acts = brings(store, worker)
    assert acts[0] == HangUp(NODE, first, answered=True)
    assert isinstance(acts[1], Join)
    assert (acts[1].customer, acts[1].operator) == (attempt.uuid, second)


def test_the_next_customer_is_not_met_with_a_mute_of_the_last_call(
    store: Store, worker: User
) -> None:
    leg, _ = brings(store, worker)
    with store.write() as session:
        attempt = talk(session, worker)
        operators.set_muted(session, user_id=worker.id, muted=True)
    ended = told(
        events.HungUp,
        worker,
        attempt.uuid,
        user_id=None,
        context="public",
        direction="outbound",
        attempt_id=attempt.id,
        cause="NORMAL_CLEARING",
        sip_status="200",
        q850="16",
        disposition="recv_bye",
        bill_ms=5000,
        answered_at=NOW,
        record_ms=None,
    )
    assert SetMute(NODE, leg, muted=False) in hear(store, ended)
    assert row(store, worker).muted is False


@pytest.mark.parametrize("why", ["device", "signed out", "unknown"])
def test_a_leg_of_nobody_who_may_bring_one_is_ended(store: Store, worker: User, why: str) -> None:
    with store.write() as session:
        operator = session.get_one(Operator, worker.id)
        if why == "device":
            operator.leg_kind = LegKind.DEVICE
        elif why == "signed out":
            operator.state = OperatorState.SIGNED_OUT
        else:
            session.delete(operator)
    leg, acts = brings(store, worker)
    assert acts == [HangUp(NODE, leg, answered=True)]


def test_what_a_customer_calls_is_nobodys_leg(store: Store, worker: User) -> None:
    for wrong in ({"context": "public"}, {"direction": "outbound"}, {"user_id": None}):
        leg = str(uuid.uuid4())
        assert hear(store, told(events.Answered, worker, leg, **wrong)) == []
        assert row(store, worker).leg_state is LegState.NONE


def test_R_CL_14_a_leg_that_is_lost_ends_standing_by(store: Store, worker: User) -> None:
    leg, _ = brings(store, worker)
    with store.write() as session:
        operators.move(
            session, user_id=worker.id, by=operators.Move.BECOME_READY,
            now=NOW + timedelta(seconds=1),
        )  # fmt: skip
    hear(store, told(events.Destroyed, worker, leg))
    assert row(store, worker).state is OperatorState.AWAY
    assert row(store, worker).leg_state is LegState.LOST
