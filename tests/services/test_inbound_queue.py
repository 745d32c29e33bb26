"""R-IN-1, R-CL-8: a caller's place in the queue, and the lines that are kept for who calls in."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import update

from calltree.models import (
    Attempt,
    CallState,
    Guidance,
    InboundAction,
    InboundRoute,
    InboundStep,
    Line,
    Origin,
    Situation,
)
from calltree.services import gate, inbound_queue
from calltree.telephony import endings
from tests import factories as make
from tests.factories import NOW
from tests.services.incoming import NODE, Incoming, open_incoming

BUSY = Situation.ALL_BUSY


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def site(store) -> Incoming:
    site = open_incoming(store)
    site.route((BUSY, InboundAction.QUEUE), seconds=600)
    return site


def telling(site: Incoming, guidance_id: int | None = None) -> None:
    with site.store.write() as session:
        session.execute(update(InboundStep).values(tells_position=True, guidance_id=guidance_id))
        session.get_one(InboundRoute, site.number_id).version = uuid.uuid4().hex


def waiting(site: Incoming, count: int) -> list[int]:
    """So many wait, and hear music."""
    calls = [site.arrives(f"03111122{n:02}") for n in range(count)]
    for call in calls:
        site.is_heard(call)
    return calls


def gone(site: Incoming, call: int) -> None:
    with site.store.write() as session:
        attempt = session.get_one(Attempt, call)
        endings.end(session, attempt, at=NOW, by="customer", now=NOW)


def told(site: Incoming, call: int) -> tuple[int, float | None]:
    """The place that was told last, and when."""
    row = site.call(call)
    return row.told_place, row.told_at and (row.told_at - NOW).total_seconds()


def test_R_IN_1_who_waits_is_told_their_place_and_again_when_it_changes(site):
    telling(site)
    first, second, third = waiting(site, 3)
    assert [told(site, call) for call in (first, second, third)] == [(1, 0), (2, 0), (3, 0)]
    gone(site, first)
    assert site.walk(at(14)) == []  # not sooner after the one before
    serials = [site.call(call).serial for call in (second, third)]
    assert site.walk(at(15)) == [second, third]
    assert [told(site, call) for call in (second, third)] == [(1, 15), (2, 15)]
    assert [site.call(call).serial for call in (second, third)] == [n + 1 for n in serials]
    assert site.walk(at(74)) == []
    assert site.walk(at(75)) == [second, third]  # nobody is forgotten
    assert told(site, third) == (2, 75)


def test_R_IN_1_each_group_has_a_queue_of_its_own(site):
    telling(site)
    with site.store.write() as session:
        session.get_one(InboundRoute, site.number_id).group_id = make.make_group(session).id
    apart = waiting(site, 1)[0]
    with site.store.write() as session:
        session.get_one(InboundRoute, site.number_id).group_id = None
    first, second = waiting(site, 2)
    assert [told(site, call)[0] for call in (apart, first, second)] == [1, 1, 2]
    gone(site, apart)
    assert site.walk(at(15)) == []


@pytest.mark.one_database
def test_R_IN_1_without_the_setting_no_place_is_told(site):
    first, second = waiting(site, 2)
    gone(site, first)
    assert site.walk(at(100)) == []
    assert told(site, second) == (0, None)


@pytest.mark.one_database
def test_R_IN_1_the_guidance_of_the_queue_is_heard_to_its_end(site):
    with site.store.write() as session:
        long = Guidance(name="案内", sound=b"", length_ms=40_000, size_bytes=0, created_at=NOW)
        session.add(long)
        session.flush()
        long_id = long.id
    telling(site, long_id)
    first, second = waiting(site, 2)
    gone(site, first)
    assert site.walk(at(39)) == []
    assert site.walk(at(40)) == [second]


@pytest.mark.one_database
def test_R_IN_1_the_last_place_stands_for_all_behind_it(site):
    with site.store.write() as session:
        sounds = [
            Guidance(
                name=f"{n}番目", sound=b"", length_ms=1, size_bytes=0, created_at=NOW, queue_place=n
            )
            for n in (1, inbound_queue.LAST_PLACE)
        ]
        session.add_all(sounds)
        session.flush()
        one, last = (sound.id for sound in sounds)
        found = [inbound_queue.sound_of(session, place) for place in (1, 2, 10, 37)]
    assert found == [one, None, last, last]


def test_R_CL_8_a_line_kept_for_who_calls_in_is_theirs_alone(site):
    """Three lines, one of them kept: no call out takes it, nor does a caller's own forward."""
    with site.store.write() as session:
        row = session.get_one(make.Site, 1)
        row.lines, row.lines_reserved_inbound = 3, 1
        for n in range(2):
            attempt = Attempt(
                uuid=f"out-{n}", origin=Origin.CALL, number=f"031111999{n}", node=NODE,
                state=CallState.TALKING, verdict=gate.ALLOWED, created_at=NOW,
            )  # fmt: skip
            session.add(attempt)
            session.flush()
            session.add(Line(attempt_id=attempt.id, uuid=attempt.uuid, taken_at=NOW))
    with site.store.read() as session:
        lines = gate.lines_in_use(session)
    assert (lines.free_outbound, lines.free_inbound) == (0, 1)
    with site.store.write() as session:
        session.execute(
            update(InboundStep).values(
                action=InboundAction.FORWARD, forward_to="0398765432", seconds=30
            )
        )
        session.get_one(InboundRoute, site.number_id).version = uuid.uuid4().hex
    call = site.arrives()
    assert site.attempt(call).verdict == gate.ALLOWED
    assert site.call(call).action is InboundAction.REFUSE  # no second line: what follows then
    with site.store.read() as session:
        assert gate.lines_in_use(session).total == 3
    assert site.attempt(site.arrives("0311112299")).verdict == "no_lines"
