"""One leader at a time, by the database's clock; who lost the lease writes nothing."""

import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from calltree.services import leases


@pytest.fixture
def ledger(store):
    return store


@pytest.fixture
def postgres(store):
    if store.engine.dialect.name != "postgresql":
        pytest.skip("one writer at a time there")
    return store


def _take(ledger, holder, ttl_s=60.0):
    with ledger.write() as session:
        return leases.take(session, name="switch", holder=holder, ttl_s=ttl_s)


def test_a_second_taker_waits_until_the_first_gives_up(ledger):
    assert _take(ledger, "a") == 1
    assert _take(ledger, "b") is None
    with ledger.write() as session:
        leases.give_up(session, name="switch", epoch=1)
    assert _take(ledger, "b") == 2


def test_a_lease_that_ran_out_is_lost_even_if_nobody_took_it(ledger):
    epoch = _take(ledger, "a", ttl_s=-1.0)
    with ledger.write() as session:
        assert not leases.renew(session, name="switch", epoch=epoch, ttl_s=60, note={})
        with pytest.raises(leases.LeaseLost):
            leases.require(session, name="switch", epoch=epoch)


def test_a_paused_leader_writes_nothing_after_another_took_over(ledger):
    old = _take(ledger, "a", ttl_s=-1.0)
    new = _take(ledger, "b")
    with ledger.write() as session:
        leases.require(session, name="switch", epoch=new)
        with pytest.raises(leases.LeaseLost):
            leases.require(session, name="switch", epoch=old)


def test_renewing_keeps_it_and_tells_the_note(ledger):
    epoch = _take(ledger, "a")
    with ledger.write() as session:
        told = {"nodes": {"practice": {"link_up": True}}}
        assert leases.renew(session, name="switch", epoch=epoch, ttl_s=60, note=told)
    with ledger.read() as session:
        assert leases.link_is_up(session, node="practice")
        assert not leases.link_is_up(session, node="elsewhere")


def test_a_dead_leaders_note_is_not_believed(ledger):
    epoch = _take(ledger, "a")
    with ledger.write() as session:
        told = {"nodes": {"practice": {"link_up": True}}}
        leases.renew(session, name="switch", epoch=epoch, ttl_s=-1, note=told)
    with ledger.read() as session:
        assert not leases.link_is_up(session, node="practice")


def test_racing_takers_have_one_winner(ledger):
    won = []
    ready = threading.Barrier(6)

    def race(holder):
        ready.wait()
        if (epoch := _take(ledger, holder)) is not None:
            won.append(epoch)

    racers = [threading.Thread(target=race, args=(f"h{n}",)) for n in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert won == [1]


def test_a_leader_that_writes_can_renew(postgres):
    epoch = _take(postgres, "a")
    with postgres.write() as writing:
        leases.require(writing, name="switch", epoch=epoch)
        kept = []
        renewing = threading.Thread(target=lambda: kept.append(_renewed(postgres, epoch)))
        renewing.start()
        renewing.join()
    assert kept == [True]


def test_nobody_takes_a_lease_whose_leader_is_still_writing(postgres):
    old = _take(postgres, "a")
    with postgres.write() as writing:
        leases.require(writing, name="switch", epoch=old)
        refused = []
        taking = threading.Thread(target=lambda: refused.append(_waits_for_the_row(postgres, old)))
        taking.start()
        taking.join()
    assert refused == [True]
    assert _take(postgres, "b") == old + 1


def test_a_leader_that_writes_while_it_is_deposed_sees_it(postgres):
    """It began when the row still had its own epoch, for all that it could see."""
    old = _take(postgres, "a")
    lost = []

    def write():
        with postgres.write() as session:
            try:
                leases.require(session, name="switch", epoch=old)
            except leases.LeaseLost:
                lost.append(True)

    writing = threading.Thread(target=write)
    with postgres.write() as session:
        leases.give_up(session, name="switch", epoch=old)
        assert leases.take(session, name="switch", holder="b", ttl_s=60) == old + 1
        writing.start()
        _until_it_waits(postgres, writing)
    writing.join()
    assert lost == [True]


@contextmanager
def _hasty(store):
    """A write that the database breaks off where it would have to wait for a row."""
    with store.write() as session:
        session.execute(text("SET LOCAL lock_timeout = '3s'"))
        yield session


def _renewed(store, epoch):
    try:
        with _hasty(store) as session:
            return leases.renew(session, name="switch", epoch=epoch, ttl_s=60, note={})
    except OperationalError:
        return False


def _give_up(store, epoch):
    with _hasty(store) as session:
        leases.give_up(session, name="switch", epoch=epoch)


def _waits_for_the_row(store, epoch):
    _give_up(store, epoch)
    try:
        with _hasty(store) as session:
            leases.take(session, name="switch", holder="b", ttl_s=60)
    except OperationalError:
        return True
    return False


def _until_it_waits(store, thread):
    """Until somebody waits for a row in this database, or has not waited at all."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        with store.read() as session:
            if session.scalar(waiting):
                return
        time.sleep(0.01)
