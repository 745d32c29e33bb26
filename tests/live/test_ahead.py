"""The call box ahead of the ledger: shown at once, and never for long against it."""

import json
from typing import Any
from uuid import uuid4

import pytest
import redis

from calltree import doorbells
from calltree.db import announce, utcnow
from calltree.models import (
    Attempt,
    CallState,
    Customer,
    HolidayHours,
    InboundRoute,
    LegState,
    Operator,
    OperatorState,
)
from calltree.services import gate, inbound_ahead, inbound_walk, sealing
from calltree.text import phones
from tests import factories as make
from tests.live.conftest import Line, Site
from tests.services.desks import colleague

pytestmark = pytest.mark.one_database


@pytest.fixture
def call(site: Site) -> Attempt:
    """A call that is being dialled, with the customer on the operator's screen."""
    attempt = site.desk.press(confirmed=True)
    assert attempt.verdict == "allowed"
    site.desk.leaves(attempt)
    with site.store.write() as session:
        session.get_one(Operator, site.desk.user_id).customer_id = site.desk.customer_id
    return attempt


def foretell(site: Site, call: Attempt, state: str, **ids: Any) -> None:
    """The hint alone, as the switch role publishes it: nothing is in the ledger."""
    told = {"user_id": site.desk.user_id, "uuid": call.uuid, "state": state}
    told |= {"at": utcnow().isoformat()} | ids
    publish(site, "foretold", told)


def publish(site: Site, topic: str, ids: dict[str, Any]) -> None:
    key = doorbells.site_key(site.store)
    with redis.from_url(site.web.env["REDIS_URL"]) as link:
        link.publish(doorbells.live_channel(key), json.dumps([{"topic": topic, "ids": ids}]))


def watching(site: Site) -> Line:
    line = site.open(site.desk.user_id)
    line.until('class="pane call-status dialling"')
    return line


def test_a_page_shows_what_is_heard_before_the_ledger_has_it(site: Site, call: Attempt) -> None:
    line = watching(site)
    for state, word in (("ringing", "呼出中"), ("talking", "通話中")):
        foretell(site, call, state)
        assert word in line.until(f'class="pane call-status {state}"')
    foretell(site, call, "ended", cause="USER_BUSY", sip_status="486")
    assert "data-since" not in line.until('class="pane call-status ended"')


def test_an_older_state_of_the_ledger_does_not_turn_it_back(site: Site, call: Attempt) -> None:
    line = watching(site)
    foretell(site, call, "talking")
    line.until('class="pane call-status talking"')
    with site.store.write() as session:
        announce(session, "call", attempt_id=call.id, user_id=site.desk.user_id)
    assert 'class="pane call-status talking"' in line.until('id="call-status"')


def test_the_ledger_wins_over_a_hint_it_has_overtaken(site: Site, call: Attempt) -> None:
    line = watching(site)
    foretell(site, call, "ringing")
    line.until('class="pane call-status ringing"')
    with site.store.write() as session:
        row = session.get_one(Attempt, call.id)
        row.state, row.answered_at, row.joined_at = CallState.TALKING, utcnow(), utcnow()
        announce(session, "call", attempt_id=call.id, user_id=site.desk.user_id)
    line.until('class="pane call-status talking"')
    foretell(site, call, "ringing")  # delivered twice, late
    with site.store.write() as session:
        announce(session, "call", attempt_id=call.id, user_id=site.desk.user_id)
    line.until('class="pane call-status talking"')
    assert not any("call-status ringing" in message for message in line.heard[-2:])


def test_a_hint_for_another_call_or_another_operator_shows_nothing(
    site: Site, call: Attempt
) -> None:
    line = watching(site)
    foretell(site, call, "talking", uuid="5b1b0f0e-0000-4000-8000-000000000001")
    foretell(site, call, "talking", user_id=colleague(site.desk).id)
    with site.store.write() as session:
        announce(session, "call", attempt_id=call.id, user_id=site.desk.user_id)
    assert 'class="pane call-status dialling"' in line.until('id="call-status"')


def arrives(site: Site, number: str, *user_ids: int, key: str = "") -> None:
    """Who calls, as the switch role tells it: nothing is in the ledger."""
    key = key or site.web.settings.secret_key
    told = {
        "user_ids": user_ids or [site.desk.user_id],
        "caller": sealing.seal_for_now(number, key=key, purpose=inbound_ahead.PURPOSE),
        "number": "0312340000",
        "label": "代表",
        "at": utcnow().isoformat(),
    }
    publish(site, "arrives", told)


def panels(line: Line) -> list[str]:
    return [message for message in line.heard if 'hx-target="#ringing"' in message]


def test_R_IN_2_who_calls_is_shown_before_the_ledger_has_it_and_nothing_can_be_pressed(
    site: Site,
) -> None:
    line = site.open(site.desk.user_id, "plain")
    line.until('id="ringing"')
    arrives(site, site.desk.number)
    shown = line.until('class="ringing-call')
    with site.store.read() as session:
        customer = session.get_one(Customer, site.desk.customer_id)
    assert customer.cells[0] in shown
    assert phones.format_national(site.desk.number) in shown
    for pressed in ("<form", "<button", "data-rings"):
        assert pressed not in shown


def test_who_was_announced_and_is_not_written_down_goes_away_again(site: Site) -> None:
    line = site.open(site.desk.user_id, "call")
    line.until('id="ringing"')
    arrives(site, site.desk.number)
    line.until('class="ringing-call')
    assert "ringing-call" not in line.until('id="ringing"')


def test_who_calls_is_told_to_nobody_else_and_never_by_another_key(site: Site) -> None:
    line = site.open(site.desk.user_id, "plain")
    line.until('id="ringing"')
    arrives(site, site.desk.number, colleague(site.desk).id)
    arrives(site, site.desk.number, key="of another site")
    with site.store.write() as session:
        announce(session, "inbound", user_id=site.desk.user_id)
    line.until('id="ringing"')
    assert not any("ringing-call" in shown for shown in panels(line))


def rings(site: Site, caller: str) -> None:
    """The leader writes a call down that rings at the desk."""
    now = utcnow()
    with site.store.write() as session:
        ours = make.make_caller_number(session, "0312340000", label="代表")
        session.add(
            InboundRoute(
                caller_number_id=ours.id, hours=["00:00-24:00"] * 8, holidays=HolidayHours.WEEKDAY
            )
        )
        operator = session.get_one(Operator, site.desk.user_id)
        operator.state, operator.leg_state = OperatorState.READY, LegState.PARKED
        operator.leg_node, operator.attempt_id = "main", None
        session.flush()
        gate.take_turn(session)
        called = {"channel": str(uuid4()), "number": ours.number, "caller": caller}
        assert inbound_walk.arrive(session, **called, node="main", epoch=1, now=now) is not None


def test_R_IN_2_the_ledgers_panel_follows_and_its_buttons_stay_when_another_calls(
    site: Site,
) -> None:
    line = site.open(site.desk.user_id, "plain")
    line.until('id="ringing"')
    arrives(site, site.desk.number)
    line.until('class="ringing-call')
    rings(site, site.desk.number)
    assert "/answer" in line.until("data-rings")
    arrives(site, "0398765432")
    with site.store.write() as session:
        announce(session, "inbound", user_id=site.desk.user_id)
    assert "/answer" in line.until('id="ringing"')
