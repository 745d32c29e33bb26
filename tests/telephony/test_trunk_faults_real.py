"""A trunk that leads nowhere and one that works, on a real FreeSWITCH with our configuration."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import Attempt, CallRecord, CallState, LegState, Operator, TrunkHealth
from calltree.services.breaker import BreakerState
from calltree.telephony import failover
from calltree.telephony.config.wanted import Gateway
from calltree.telephony.config.writing import write
from tests import factories as make
from tests.floor import NODE, QUICK, Floor, wait_for
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.telephony.real_floor import open_real_floor

pytestmark = pytest.mark.freeswitch

NOWHERE = "127.0.0.1:9"
UNHURRIED = replace(QUICK, reconcile_s=30.0)
"""The operator's leg of this test is a row alone; reconcile would find that out."""


@pytest.fixture
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedSwitch]:
    directory = tmp_path_factory.mktemp("freeswitch")
    with rendered_switch(directory, directory_url="http://127.0.0.1:9/", secret="x") as found:
        yield found


@pytest.fixture
def floor(store: Store, switch: RenderedSwitch) -> Iterator[Floor]:
    with open_real_floor(store, switch) as floor:
        yield floor


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be slow: who looks after faults that come late is test_trunk_faults."""
    monkeypatch.setattr(failover, "WITHIN", timedelta(minutes=5))


def trunks(store: Store, switch: RenderedSwitch, *proxies: str) -> list[str]:
    """Trunks in this order, in the ledger and in the switch."""
    with store.write() as session:
        names = [
            make.make_trunk(session, proxy=proxy, position=n).gateway
            for n, proxy in enumerate(proxies)
        ]
    gateways = [
        Gateway(name=name, title=name, proxy=proxy)
        for name, proxy in zip(names, proxies, strict=True)
    ]
    write(switch.conf, switch.with_gateways(*gateways))
    switch.api("reloadxml")
    switch.api("sofia profile external rescan")
    for name in names:
        wait_for(lambda name=name: "<state>" in switch.api(f"sofia xmlstatus gateway {name}"), name)
    return names


def call(floor: Floor, number: str) -> Attempt:
    """One press of an operator whose leg is parked, as far as the ledger knows."""
    user_id = floor.operator(leg=False)
    with floor.store.write() as session:
        operator = session.get_one(Operator, user_id)
        operator.leg_state, operator.leg_node = LegState.PARKED, NODE
        operator.leg_uuid, operator.leg_since = "00000000-0000-4000-8000-000000000000", utcnow()
    return floor.press(user_id, number)


def ended(floor: Floor, attempt: Attempt) -> Attempt:
    def row() -> Attempt | None:
        with floor.store.read() as session:
            found = session.get_one(Attempt, attempt.id)
        return found if found.ended_at else None

    found = wait_for(row, "the call ends")
    assert isinstance(found, Attempt)
    return found


def test_a_dead_trunk_is_passed_over_and_the_call_reaches_its_number(
    store: Store, switch: RenderedSwitch, floor: Floor
) -> None:
    dead, works = trunks(store, switch, NOWHERE, f"127.0.0.1:{switch.carrier_port}")
    attempt = call(floor, "0312345671")
    found = ended(floor, attempt)
    assert (found.hangup_cause, found.sip_status) == ("USER_BUSY", "486")
    assert found.trunk_id == int(works.removeprefix("trunk"))
    with store.read() as session:
        assert len(session.scalars(select(CallRecord)).all()) == 1
        assert session.get(TrunkHealth, dead) is not None


def test_a_carriers_cannot_goes_on_and_no_customer_is_charged_with_it(
    store: Store, switch: RenderedSwitch, floor: Floor
) -> None:
    works = f"127.0.0.1:{switch.carrier_port}"
    names = trunks(store, switch, works, works)
    found = ended(floor, call(floor, "0312345698"))
    assert (found.state, found.sip_status) == (CallState.FAILED, "503")
    with store.read() as session:
        health = session.scalars(select(TrunkHealth).order_by(TrunkHealth.gateway)).all()
        record = session.scalars(select(CallRecord)).one()
    assert [(row.gateway, row.faults, row.state) for row in health] == [
        (name, 1, BreakerState.CLOSED.value) for name in names
    ], "both were asked, each once"
    assert not record.counts_dial


def test_a_customers_refusal_is_not_tried_again(
    store: Store, switch: RenderedSwitch, floor: Floor
) -> None:
    works = f"127.0.0.1:{switch.carrier_port}"
    first, _second = trunks(store, switch, works, works)
    found = ended(floor, call(floor, "0312345677"))
    assert (found.hangup_cause, found.sip_status) == ("CALL_REJECTED", "603")
    assert found.trunk_id == int(first.removeprefix("trunk"))
    with store.read() as session:
        assert session.scalars(select(TrunkHealth)).all() == []
