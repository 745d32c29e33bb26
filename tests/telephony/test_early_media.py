"""What follows from the first sounds of a call: who is joined, and how long it may last."""

import uuid

import pytest

from calltree.db import Store
from calltree.models import Attempt, CallState, LegKind, LegState, Origin, User
from calltree.services import operators
from calltree.telephony import events
from calltree.telephony.acts import CancelTimers, Join, LimitEarly, PlayRingback
from calltree.telephony.ledger import DEFAULT_RING_S
from tests import factories as make
from tests.factories import NOW
from tests.telephony.test_browser_legs import NODE, hear, told

LEG = "6f1c0f3e-0000-4000-8000-000000000001"


@pytest.fixture
def worker(store: Store) -> User:
    """An operator with a parked leg."""
    with store.write() as session:
        make.make_site(session, practice=False)
        user = make.make_user(session, leg_kind=LegKind.BROWSER)
        operators.sign_in(session, user_id=user.id, now=NOW)
        assert operators.connect_leg(session, user_id=user.id, uuid=LEG, node=NODE, now=NOW)
        operators.leg_moved(session, user_id=user.id, uuid=LEG, to=LegState.PARKED, now=NOW)
    return user


@pytest.fixture
def call(store: Store, worker: User) -> Attempt:
    """Their call, just sent."""
    with store.write() as session:
        attempt = Attempt(
            uuid=str(uuid.uuid4()), origin=Origin.CALL, user_id=worker.id, number="0312345670",
            node=NODE, verdict="allowed", state=CallState.DIALLING, created_at=NOW, dialled_at=NOW,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        assert operators.lock(session, user_id=worker.id, attempt_id=attempt.id, now=NOW)
    return attempt


def of(call: Attempt, kind: type, worker: User, *, answered: bool) -> events.SwitchEvent:
    return told(
        kind, worker, call.uuid, user_id=None, context="public", direction="outbound",
        attempt_id=call.id, answered=answered,
    )  # fmt: skip


def test_a_call_that_only_rings_is_joined_with_nobody(
    store: Store, worker: User, call: Attempt
) -> None:
    """A bridge to a channel that rings is +OK, cancels the originate and leaves both in limbo."""
    acts = hear(store, of(call, events.Progress, worker, answered=False))
    assert acts == [PlayRingback(NODE, LEG)]


def test_an_announcement_is_joined_at_once_and_ends_with_the_ring_time(
    store: Store, worker: User, call: Attempt
) -> None:
    """Early media never ends by itself: originate returned when it came."""
    joins, limits = hear(store, of(call, events.Parked, worker, answered=False))
    assert isinstance(joins, Join)
    assert (joins.customer, joins.operator) == (call.uuid, LEG)
    assert limits == LimitEarly(NODE, call.uuid, DEFAULT_RING_S)
    assert hear(store, of(call, events.Answered, worker, answered=True)) == [
        CancelTimers(NODE, call.uuid)
    ]
