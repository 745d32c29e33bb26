"""Whom a caller will ring is known before the call is written down, and it is as it then rings."""

from __future__ import annotations

import pytest

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallerNumber,
    GroupMember,
    InboundAction,
    InboundRefusal,
    NumberDirection,
    Situation,
)
from calltree.services import inbound_ahead
from calltree.services.inbound_ahead import Rung
from tests import factories as make
from tests.factories import NOW
from tests.services.incoming import CALLER, NODE, OURS, Incoming, open_incoming


@pytest.fixture
def site(store: Store) -> Incoming:
    return open_incoming(store)


def rung(
    site: Incoming, caller: str = CALLER, channel: str = "new", node: str = NODE
) -> Rung | None:
    with site.store.glance() as look:
        return inbound_ahead.rung(
            site.store.read, look, channel=channel, number=OURS, caller=caller, node=node, now=NOW
        )


def test_ring_all_is_told_to_everybody_who_waits_and_then_rings_there(site: Incoming) -> None:
    site.route((Situation.OPEN, InboundAction.RING_ALL))
    waiting = [site.ready(since_s=20), site.ready(since_s=10)]
    restricted = site.ready(may_answer_inbound=False)
    told = rung(site)
    assert told is not None
    assert (told.user_ids, told.caller, told.number) == (waiting, CALLER, OURS)
    assert rung(site, node="another") is None
    call_id = site.arrives()
    assert [site.rings(user_id) for user_id in (*waiting, restricted)] == [[call_id], [call_id], []]


def test_ring_idle_is_told_to_the_first_alone(site: Incoming) -> None:
    site.route((Situation.OPEN, InboundAction.RING_IDLE))
    site.ready(since_s=10)
    longest = site.ready(since_s=20)
    told = rung(site)
    assert told is not None
    assert told.user_ids == [longest]
    call_id = site.arrives()
    assert site.rings(longest) == [call_id]


def test_only_the_numbers_group_is_told(site: Incoming) -> None:
    with site.store.write() as session:
        group_id = make.make_group(session).id
    site.route((Situation.OPEN, InboundAction.RING_ALL), group_id=group_id)
    site.ready()
    assert rung(site) is None
    member = site.ready()
    with site.store.write() as session:
        session.add(GroupMember(group_id=group_id, user_id=member))
    told = rung(site)
    assert told is not None
    assert told.user_ids == [member]


def test_nobody_is_told_of_a_call_that_rings_nobody(site: Incoming) -> None:
    site.route((Situation.OPEN, InboundAction.QUEUE))
    site.ready()
    assert rung(site) is None


def test_nobody_is_told_of_a_caller_who_is_refused_or_withheld(site: Incoming) -> None:
    site.route((Situation.OPEN, InboundAction.RING_ALL))
    site.ready()
    assert rung(site, caller="anonymous") is None
    with site.store.write() as session:
        session.add(InboundRefusal(number=CALLER, created_at=NOW))
    assert rung(site) is None
    assert rung(site, caller="0398765432") is not None
    with site.store.write() as session:
        session.get_one(CallerNumber, site.number_id).direction = NumberDirection.OUTBOUND
    assert rung(site, caller="0398765432") is None


def test_a_call_that_is_written_down_is_not_told_again(site: Incoming) -> None:
    site.route((Situation.OPEN, InboundAction.RING_ALL))
    site.ready()
    call_id = site.arrives()
    with site.store.read() as session:
        channel = session.get_one(Attempt, call_id).uuid
    assert rung(site, channel=channel) is None
    assert rung(site) is not None
