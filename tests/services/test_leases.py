"""One leader at a time, by the database's clock; who lost the lease writes nothing."""

import threading

import pytest

from calltree.services import leases


@pytest.fixture
def ledger(store):
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
