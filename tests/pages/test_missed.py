"""不在着信・留守番電話: the list, its badge, calling back, and whose they are (R-IN-3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    CustomerList,
    InboundAction,
    InboundCall,
    InboundOutcome,
    Operator,
    Origin,
    Recording,
    RecordingState,
    Role,
    Situation,
)
from calltree.services import inbound_walk, outcomes, records
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.incoming import CALLER, Incoming, open_incoming

pytestmark = pytest.mark.one_database

ROOM = "/missed/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def site(store: Store) -> Incoming:
    site = open_incoming(store)
    site.route((Situation.OPEN, InboundAction.RING_ALL))
    return site


def somebody(site: Incoming, app: Flask, role: Role = Role.OPERATOR) -> tuple[Browser, int]:
    user_id = site.ready(role=role)
    with site.store.write() as session:
        session.get_one(Operator, user_id).page_id = PAGE["X-Page-Id"]
    browser = Browser(app)
    browser.sign_in_as(user_id)
    return browser, user_id


def missed(
    site: Incoming, caller: str = CALLER, outcome: InboundOutcome = InboundOutcome.MISSED
) -> int:
    """Somebody called, and gave up."""
    call_id = site.arrives(caller)
    with site.store.write() as session:
        attempt = session.get_one(Attempt, call_id)
        attempt.state, attempt.ended_at = CallState.ENDED, NOW + timedelta(seconds=12)
        inbound_walk.call_ended(session, attempt=attempt, message_ms=0, now=NOW)
        session.get_one(InboundCall, call_id).outcome = outcome
        records.call_ended(session, attempt=attempt, outcome=outcomes.MISSED, now=NOW)
    return call_id


def test_R_IN_3_missed_calls_are_listed_with_who_called_and_a_badge(
    app: Flask, site: Incoming
) -> None:
    op, _me = somebody(site, app)
    with site.store.write() as session:
        folder = session.get_one(CustomerList, site.list_id)
        make.make_customer(session, folder, number=CALLER, cells=["山田商店"])
    assert "折り返しを待っている着信はありません" in op.get(ROOM).text
    missed(site)
    missed(site, "")
    page = op.get(ROOM)
    assert page.one("#badge-missed-index").get_text().strip() == "2"
    withheld, known = page.all("[data-missed]")
    assert "山田商店" in known.get_text()
    assert "待ち時間 0:12" in known.get_text()
    assert "非通知" in withheld.get_text()
    assert withheld.select("form[action$='/call-back']") == []
    assert len(op.get(f"{ROOM}?number={CALLER}").all("[data-missed]")) == 1
    assert len(op.get(f"{ROOM}?number={CALLER[3:7]}").all("[data-missed]")) == 1
    assert op.get(f"{ROOM}?outcome=voicemail").all("[data-missed]") == []


def test_R_IN_3_calling_back_is_one_press_through_the_gate_and_ends_the_wait(
    app: Flask, site: Incoming
) -> None:
    op, me = somebody(site, app)
    with site.store.write() as session:
        folder = session.get_one(CustomerList, site.list_id)
        mine = make.make_customer(session, folder, number=CALLER).id
    call_id = missed(site)
    row = op.get(ROOM).one("[data-missed]")
    press = row.select_one("input[name=press_id]")["value"]
    assert row.select_one("input[name=customer]")["value"] == str(mine)
    given = {"press_id": str(press), "customer": str(mine)}
    answer = op.post(f"{ROOM}{call_id}/call-back", given, headers=PAGE)
    assert answer.location == "/operator/call/"
    again = op.post(f"{ROOM}{call_id}/call-back", given, headers=PAGE)
    assert again.location == "/operator/call/"
    with site.store.read() as session:
        call = session.get_one(InboundCall, call_id)
        back = session.get_one(Attempt, call.called_back_attempt_id)
        assert (back.origin, back.verdict, back.customer_id) == (Origin.CALLBACK, "allowed", mine)
        assert (call.done_by_id, call.done_at is None) == (me, False)
    assert op.get(ROOM).all("[data-missed]") == []
    assert "折り返し" in op.get(f"{ROOM}?stand=done").one("[data-missed]").get_text()


def test_R_IN_3_whoever_is_in_no_list_is_called_back_by_hand(app: Flask, site: Incoming) -> None:
    op, _me = somebody(site, app)
    call_id = missed(site)
    answer = op.post(f"{ROOM}{call_id}/call-back", {"press_id": "p1"}, headers=PAGE)
    assert answer.location == "/operator/manual/"
    with site.store.read() as session:
        call = session.get_one(InboundCall, call_id)
        back = session.get_one(Attempt, call.called_back_attempt_id)
        assert (back.origin, back.number) == (Origin.MANUAL, CALLER)
        assert back.caller_number_id == site.number_id  # they see the number they called


def test_R_CL_15_a_question_of_the_gate_is_asked_before_calling_back(
    app: Flask, site: Incoming
) -> None:
    op, me = somebody(site, app)
    call_id = missed(site)
    with site.store.write() as session:
        other = make.make_user(session, name="佐藤花子")
        session.add(
            Attempt(
                uuid="earlier", origin=Origin.CALL, user_id=other.id, number=CALLER,
                verdict="allowed", state=CallState.ENDED, created_at=NOW, dialled_at=NOW,
                ended_at=NOW,
            )
        )  # fmt: skip
    path = f"{ROOM}{call_id}/call-back"
    asked = op.post(path, {"press_id": "p1"}, headers=PAGE, status=200)
    assert "佐藤花子" in asked.text
    with site.store.read() as session:
        assert session.get_one(InboundCall, call_id).done_at is None
    op.post(path, {"press_id": "p2", "confirmed": "1"}, headers=PAGE)
    with site.store.read() as session:
        assert session.get_one(InboundCall, call_id).done_by_id == me


def test_R_IN_3_a_call_is_given_to_somebody_and_marked_as_done_or_not(
    app: Flask, site: Incoming
) -> None:
    op, me = somebody(site, app)
    boss, _boss_id = somebody(site, app, Role.SUPERVISOR)
    _other, other_id = somebody(site, app)
    call_id = missed(site)
    boss.post(f"{ROOM}{call_id}/assign", {"user_id": str(other_id)})
    assert op.get(f"{ROOM}?who={me}").all("[data-missed]") == []
    op.post(f"{ROOM}{call_id}/assign", {"user_id": str(me)}, status=403)  # it is another's
    assert len(boss.get(f"{ROOM}?who={other_id}").all("[data-missed]")) == 1
    assert "自分が担当する" not in op.get(ROOM).text
    boss.post(f"{ROOM}{call_id}/assign", {"user_id": ""})
    assert "自分が担当する" in op.get(ROOM).text
    op.post(f"{ROOM}{call_id}/assign", {"user_id": str(me)})
    assert "担当をやめる" in op.get(ROOM).text
    op.post(f"{ROOM}{call_id}/done", {"done": "1"})
    assert op.get(ROOM).all("[data-missed]") == []
    op.post(f"{ROOM}{call_id}/done", {"done": "0", "stand": "done"})
    assert len(op.get(ROOM).all("[data-missed]")) == 1


def test_R_IN_3_a_message_is_played_by_whoever_may_call_back(app: Flask, site: Incoming) -> None:
    op, _me = somebody(site, app)
    with site.store.write() as session:
        group = make.make_group(session)
        group_id = group.id
    call_id = missed(site, outcome=InboundOutcome.VOICEMAIL)
    with site.store.write() as session:
        record = session.query(CallRecord).filter_by(attempt_id=call_id).one()
        session.add(
            Recording(
                attempt_id=call_id, record_id=record.id, raw_name="", stored_name="v.mp3",
                state=RecordingState.STORED, started_at=NOW, length_ms=8000, waveform=b"",
            )
        )  # fmt: skip
        session.flush()
    row = op.get(ROOM).one("[data-missed]")
    player = row.select_one("a[aria-controls='player-dock']")["href"]
    assert op.get(str(player)).status == 200
    with site.store.write() as session:  # it rang for others alone
        session.get_one(InboundCall, call_id).group_id = group_id
    assert op.get(ROOM).all("[data-missed]") == []
    op.get(str(player), status=404)
    op.post(f"{ROOM}{call_id}/done", {"done": "1"}, status=404)
    boss, _boss_id = somebody(site, app, Role.SUPERVISOR)
    assert len(boss.get(ROOM).all("[data-missed]")) == 1
    boss.get(str(player))


def test_R_IN_3_pages_go_on_by_key(app: Flask, site: Incoming) -> None:
    op, _me = somebody(site, app)
    with site.store.write() as session:
        for place in range(53):
            attempt = Attempt(
                uuid=f"in-{place}", origin=Origin.INBOUND, number=CALLER, verdict="allowed",
                state=CallState.ENDED, caller_number_id=site.number_id, created_at=NOW,
                ended_at=NOW,
            )  # fmt: skip
            session.add(attempt)
            session.flush()
            session.add(
                InboundCall(
                    attempt_id=attempt.id, action=InboundAction.RING_ALL, step_started_at=NOW,
                    outcome=InboundOutcome.MISSED,
                )
            )  # fmt: skip
    first = op.get(ROOM)
    assert len(first.all("[data-missed]")) == 50
    older = op.get(str(first.one("a[rel=next]")["href"]))
    assert len(older.all("[data-missed]")) == 3
    assert older.all("a[rel=next]") == []
