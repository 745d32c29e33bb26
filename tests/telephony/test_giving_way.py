"""The ledger's writer lets presses go first, as long as nobody waits for what it has to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest

from calltree.db import Store
from calltree.telephony import events
from calltree.telephony.hearing import Told
from calltree.telephony.lease import Reign
from calltree.telephony.switch import BATCH, Leader, SwitchRole
from calltree.telephony.timings import Timings
from tests.factories import NOW
from tests.floor import wait_for

PATIENCE_S = 60


def told(kind: type) -> Told:
    event = kind(
        core_uuid="core", sequence=1, at=NOW, unique_id="a", attempt_id=1, site_id=None,
        user_id=1, direction="outbound", context="", caller_number="", destination_number="",
        answered=True, other_unique_id=None,
    )  # fmt: skip
    return Told("practice", event)


@pytest.fixture
def leader(store: Store) -> Leader:
    """A leader of no switch, more patient than any test."""
    timings = replace(Timings(), give_way_s=2 * PATIENCE_S)
    role = SwitchRole(store, [], "/recordings", "test", timings, lambda: NOW)
    return Leader(role, Reign(store, 1, timings))


@contextmanager
def line_of_two(store: Store) -> Iterator[Event]:
    """One has the writer's turn and one stands in line, until the event given is set."""
    taken, leave = Event(), Event()

    def has_the_turn() -> None:
        with store.write():
            taken.set()
            leave.wait(PATIENCE_S)

    def stands_in_line() -> None:
        with Store(store.engine).write():  # as another process: with a lock of its own
            pass

    threads = [Thread(target=has_the_turn), Thread(target=stands_in_line)]
    try:
        threads[0].start()
        assert taken.wait(PATIENCE_S)
        threads[1].start()
        wait_for(store.is_crowded, "somebody in line")
        yield leave
    finally:
        leave.set()
        for thread in threads:
            thread.join(PATIENCE_S)


@pytest.fixture
def on_sqlite(store: Store) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("Postgres has no one writer")


@pytest.mark.usefixtures("on_sqlite")
def test_what_can_wait_waits_until_nobody_stands_in_line(leader: Leader, store: Store) -> None:
    batch = [told(events.ChannelCreated)]
    writer = Thread(target=leader._give_way, args=(batch,))
    with line_of_two(store) as leave:
        writer.start()
        leader._inbox.put(told(events.Destroyed))
        wait_for(lambda: len(batch) == 2, "what came meanwhile is taken along")
        assert writer.is_alive()
        leave.set()
        writer.join(PATIENCE_S)
    assert not writer.is_alive()


@pytest.mark.usefixtures("on_sqlite")
@pytest.mark.parametrize("kind", [events.Parked, events.Answered, events.Progress])
def test_what_somebody_waits_for_is_written_at_once(
    leader: Leader, store: Store, kind: type
) -> None:
    with line_of_two(store):
        leader._give_way([told(kind)])
        batch = [told(events.ChannelCreated)]
        leader._inbox.put(told(kind))
        leader._give_way(batch)
        assert [type(one.event) for one in batch] == [events.ChannelCreated, kind]


class Turns(Leader):
    """Writes nothing, and keeps how much each turn would have written."""

    sizes: list[int]

    def _write_batch(self, batch: list[Told]) -> None:
        self.sizes.append(len(batch))
        if sum(self.sizes) == 2 * BATCH + 1:
            self._reign.over.set()


def test_what_was_gathered_in_a_crowd_is_written_in_turns_that_others_get_between(
    store: Store,
) -> None:
    timings = replace(Timings(), gather_s=1.0)
    role = SwitchRole(store, [], "/recordings", "test", timings, lambda: NOW)
    leader = Turns(role, Reign(store, 1, timings))
    leader.sizes = []
    for _n in range(2 * BATCH + 1):
        leader._inbox.put(told(events.Destroyed))
    leader._write_down()
    assert leader.sizes == [BATCH, BATCH, 1]


@pytest.mark.usefixtures("on_sqlite")
def test_an_answer_is_not_held_back_behind_a_full_turn(leader: Leader, store: Store) -> None:
    for _n in range(2 * BATCH):
        leader._inbox.put(told(events.Destroyed))
    leader._inbox.put(told(events.Answered))
    waiting = [told(events.Destroyed)]
    with line_of_two(store):
        leader._give_way(waiting)
    assert isinstance(waiting[-1].event, events.Answered)


def test_without_a_line_what_follows_at_once_shares_the_commit(store: Store) -> None:
    timings = replace(Timings(), gather_s=PATIENCE_S)
    role = SwitchRole(store, [], "/recordings", "test", timings, lambda: NOW)
    leader = Leader(role, Reign(store, 1, timings))
    assert not store.is_crowded()
    batch = [told(events.ChannelCreated)]
    for kind in (events.Destroyed, events.Answered, events.Destroyed):
        leader._inbox.put(told(kind))
    leader._give_way(batch)
    kinds = [type(one.event) for one in batch]
    assert kinds == [events.ChannelCreated, events.Destroyed, events.Answered]


def test_without_a_line_nothing_waits_for_more(leader: Leader, store: Store) -> None:
    assert not store.is_crowded()
    batch = [told(events.Destroyed)]
    leader._give_way(batch)
    assert len(batch) == 1
