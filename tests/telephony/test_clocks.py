"""The switch's clock beside ours, as our own ping tells it (design §5)."""

from dataclasses import replace
from datetime import timedelta

from calltree.db import Store, utcnow
from calltree.services import leases
from tests.floor import NODE, found_floor, in_thread, role, wait_for
from tests.practice import PracticeSwitch


def off(store: Store) -> dict[str, float]:
    with store.read() as session:
        return leases.clocks_off(session)


def test_a_clock_that_is_off_is_noted_with_the_link(
    store: Store, practice_switch: PracticeSwitch
) -> None:
    floor = found_floor(store, practice_switch)
    with in_thread(role(store, practice_switch).run):
        wait_for(floor.link_up, "link up")
        assert off(store) == {}
    slow = replace(role(store, practice_switch), clock=lambda: utcnow() + timedelta(seconds=30))
    with in_thread(slow.run):
        wait_for(lambda: floor.link_up() and off(store), "the difference is noted")
        assert -31 < off(store)[NODE] < -29
