"""Answering calls that come in, on the operator's pages (R-IN-2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Customer,
    CustomerHold,
    CustomerList,
    DoNotCall,
    Draft,
    InboundAction,
    Operator,
    OperatorState,
    Site,
    Situation,
    SwitchCommand,
    SystemResult,
    User,
)
from calltree.services import inbound_walk, operators, outcomes, records
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.incoming import CALLER, OURS, Incoming, open_incoming

pytestmark = pytest.mark.one_database

ROOM = "/operator/inbound/"
PANEL = f"{ROOM}ringing"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def site(store: Store) -> Incoming:
    site = open_incoming(store)
    site.route((Situation.OPEN, InboundAction.RING_ALL))
    return site


class Seat:
    """Somebody 待機 at a page, and the switch's side of their calls."""

    def __init__(self, app: Flask, site: Incoming, **given: object) -> None:
        self.site = site
        self.user_id = site.ready(**given)
        self.browser = Browser(app)
        self.browser.sign_in_as(self.user_id)
        with site.store.write() as session:
            session.get_one(Operator, self.user_id).page_id = PAGE["X-Page-Id"]

    def press(self, path: str, form: dict[str, str] | None = None, status: int = 200) -> Answer:
        return self.browser.press(f"{ROOM}{path}", form or {}, headers=PAGE, status=status)

    def post(self, path: str, status: int = 303, **form: str) -> Answer:
        return self.browser.post(f"{ROOM}{path}", form, headers=PAGE, status=status)

    def answers(self, call_id: int, **form: str) -> None:
        """応答, and the switch joins them."""
        self.post(f"{call_id}/answer", **form)
        with self.site.store.write() as session:
            attempt = session.get_one(Attempt, call_id)
            attempt.state, attempt.answered_at = CallState.TALKING, NOW
            attempt.joined_at = NOW
            operators.move(session, user_id=self.user_id, by=operators.Move.JOIN, now=NOW)
            inbound_walk.joined(session, attempt=attempt, now=NOW)

    def hangs_up(self, call_id: int) -> None:
        with self.site.store.write() as session:
            attempt = session.get_one(Attempt, call_id)
            attempt.state, attempt.ended_at, attempt.talk_ms = CallState.ENDED, NOW, 65_000
            records.call_ended(session, attempt=attempt, outcome=outcomes.TALKED, now=NOW)
            operators.unlock(session, user_id=self.user_id, attempt_id=call_id, now=NOW)

    def operator(self) -> Operator:
        with self.site.store.read() as session:
            return session.get_one(Operator, self.user_id)

    def record(self, call_id: int) -> CallRecord:
        with self.site.store.read() as session:
            return session.scalars(select(CallRecord).where(CallRecord.attempt_id == call_id)).one()


@pytest.fixture
def seat(app: Flask, site: Incoming) -> Seat:
    return Seat(app, site)


def customer(site: Incoming, number: str = CALLER, **given: object) -> int:
    with site.store.write() as session:
        folder = session.get_one(CustomerList, site.list_id)
        return make.make_customer(session, folder, number=number, **given).id


def test_R_IN_2_a_ringing_call_stands_on_every_page_with_who_calls(
    seat: Seat, site: Incoming
) -> None:
    mine = customer(site, cells=["山田商店"], short_note="午後に連絡")
    with site.store.write() as session:
        foreign = make.make_list(session)
        make.make_customer(session, foreign, number=CALLER, cells=["よその商店"])
        session.add(DoNotCall(number=CALLER, source="form", created_at=NOW))
        folder = session.get_one(CustomerList, site.list_id)
        make.make_record(
            session,
            session.get_one(Customer, mine),
            list_id=folder.id,
            status_id=make.built_in(session, BuiltIn.PROSPECT).id,
            system=SystemResult.NONE,
        )
    assert seat.browser.get("/operator/").one("#ringing").get("hidden") is not None
    call_id = site.arrives()
    for page in ("/operator/tasks/", "/operator/manual/"):
        panel = seat.browser.get(page).one("#ringing")
        assert panel.get("hidden") is None, page
        assert panel["data-rings"] == str(call_id)
    shown = seat.browser.get(PANEL).text
    for words in (
        "山田商店",
        "午後に連絡",
        "見込",
        "他に1件（権限なし）",
        "架電禁止",
        "03-1234-0000",
    ):
        assert words in shown
    assert "よその商店" not in shown


def test_R_IN_2_withheld_and_unknown_callers_are_said_to_be_so(seat: Seat, site: Incoming) -> None:
    site.arrives()
    assert "どのリストにもない番号" in seat.browser.get(PANEL).text


def test_R_IN_2_the_only_match_opens_as_the_call_screen(seat: Seat, site: Incoming) -> None:
    mine = customer(site)
    call_id = site.arrives()
    seat.answers(call_id)
    assert seat.browser.get(ROOM, status=303).location == "/operator/call/"
    page = seat.browser.get("/operator/call/")
    assert page.one("#call-form input[name=customer]")["value"] == str(mine)
    assert page.all("#call-actions button[value=next]") == []
    seat.hangs_up(call_id)
    status = str(_status(site, BuiltIn.PROSPECT))
    seat.browser.post(
        "/operator/predictive/save",
        {"customer": str(mine), "status": status, "memo": "折返し済", "action": "save_ready"},
        headers=PAGE,
    )
    record = seat.record(call_id)
    assert (record.customer_id, record.status_id, record.kind) == (mine, int(status), "inbound")
    assert seat.operator().state is OperatorState.READY
    assert record.counts_dial is False


def _status(site: Incoming, which: BuiltIn) -> int:
    with site.store.read() as session:
        return make.built_in(session, which).id


def test_R_IN_2_of_several_one_is_chosen_before_or_after_answering(
    seat: Seat, site: Incoming
) -> None:
    first, second = customer(site, cells=["一番"]), customer(site, cells=["二番"])
    call_id = site.arrives()
    radios = seat.browser.get(PANEL).all("input[name=customer]")
    assert {radio["value"] for radio in radios} == {str(first), str(second)}
    seat.answers(call_id, customer=str(second))
    assert seat.operator().customer_id == second
    again = seat.browser.get(f"{ROOM}?choose=1")
    assert "一番" in again.text
    seat.post(f"customer/{first}")
    assert (seat.operator().customer_id, seat.record(call_id).customer_id) == (first, first)
    with site.store.read() as session:
        assert session.get(CustomerHold, second) is None


def test_R_IN_2_an_unknown_caller_is_saved_to_a_list_with_one_press(
    seat: Seat, site: Incoming
) -> None:
    call_id = site.arrives()
    seat.answers(call_id)
    page = seat.browser.get(ROOM)
    assert page.all("#call-now") == []  # there is nobody to press CALL for
    seat.post("memo", status=204, memo="鈴木様から")
    seat.post("save-to-list", list=str(site.list_id), name="鈴木工務店")
    opened = seat.operator().customer_id
    with site.store.read() as session:
        made = session.get_one(Customer, opened)
        assert (made.number, made.cells[0]) == (CALLER, "鈴木工務店")
        assert session.get_one(Draft, (seat.user_id, made.id)).memo == "鈴木様から"
    assert seat.record(call_id).customer_id == opened
    assert seat.browser.get("/operator/call/").one("#memo").get_text().strip() == "鈴木様から"
    chosen = seat.browser.get(f"{ROOM}?choose=1").one("#caller-list option[selected]")
    assert chosen["value"] == str(site.list_id)  # the next one goes there too


def test_R_IN_2_a_list_of_others_takes_nobody(seat: Seat, site: Incoming) -> None:
    with site.store.write() as session:
        foreign = make.make_list(session).id
    seat.answers(site.arrives())
    seat.press("save-to-list", {"list": str(foreign), "name": "x"}, status=404)


def test_R_IN_2_without_a_customer_the_call_ends_with_a_memo_and_no_dead_end(
    seat: Seat, site: Incoming
) -> None:
    call_id = site.arrives()
    seat.answers(call_id)
    assert seat.browser.get("/operator/call/", status=303).location == ROOM
    page = seat.browser.get(ROOM)
    page.one(str(page.one("[data-key='Shift+X']")["hx-target"]))  # 転送 opens beside the call
    seat.press("finish", {"memo": "早い", "action": "ready"}, status=409)
    seat.hangs_up(call_id)
    assert seat.browser.get("/operator/", status=303).location == ROOM
    page = seat.browser.get(ROOM)
    assert page.one("#finish-call button[value=ready]").get("disabled") is None
    seat.post("finish", memo="間違い電話", action="ready")
    record = seat.record(call_id)
    assert (record.memo, record.system, record.customer_id) == (
        "間違い電話",
        SystemResult.NONE,
        None,
    )
    assert seat.operator().state is OperatorState.READY


def test_R_IN_2_one_of_two_answers_and_the_other_is_told_who(
    app: Flask, seat: Seat, site: Incoming
) -> None:
    other = Seat(app, site, name="佐藤花子")
    call_id = site.arrives()
    other.answers(call_id)
    assert seat.browser.get(PANEL).one("#ringing").get("hidden") is not None
    told = seat.press(f"{call_id}/answer", status=409)
    assert "佐藤花子" in told.text


def test_R_IN_2_passing_and_parking_leave_the_call_to_the_others(
    app: Flask, seat: Seat, site: Incoming
) -> None:
    other = Seat(app, site)
    call_id = site.arrives()
    assert seat.press(f"{call_id}/decline").one("#ringing").get("hidden") is not None
    assert other.browser.get(PANEL).one("#ringing")["data-rings"] == str(call_id)
    parked = other.press(f"{call_id}/park").one("#ringing")
    assert parked.get("hidden") is None
    assert parked.get("data-rings") is None  # it is there, and quiet
    seat.answers(call_id)
    assert other.browser.get(PANEL).one("#ringing").get("hidden") is not None


def test_R_IN_2_a_parked_caller_takes_the_desk_of_who_had_a_customer_open(
    app: Flask, seat: Seat, site: Incoming
) -> None:
    open_before = customer(site, number="0366667777")
    call_id = site.arrives()
    seat.press(f"{call_id}/park")
    seat.browser.post(f"/operator/call/open/{open_before}", headers=PAGE)
    assert seat.operator().state is OperatorState.BROWSING
    seat.answers(call_id)
    assert seat.operator().customer_id is None
    assert "どのリストにもない番号" in seat.browser.get(ROOM).text
    with site.store.read() as session:
        assert session.get(CustomerHold, open_before) is None


def test_R_AR_5_a_practice_call_comes_in_on_order(seat: Seat, site: Incoming) -> None:
    customer(site)
    assert seat.browser.get("/operator/").all("form[action$='/practise']")
    said = seat.press("practise", {"who": "customer"}).text
    assert "練習の着信を鳴らしています" in said
    seat.press("practise", {"who": "withheld"})
    with site.store.read() as session:
        asked = session.scalars(select(SwitchCommand).where(SwitchCommand.kind == "call_in")).all()
    assert [row.args for row in asked] == [
        {"caller": CALLER, "number": OURS},
        {"caller": "anonymous", "number": OURS},
    ]


def test_R_AR_5_a_real_site_has_no_practice_calls(seat: Seat, site: Incoming) -> None:
    with site.store.write() as session:
        session.get_one(Site, 1).practice = False
    assert seat.browser.get("/operator/").all("form[action$='/practise']") == []
    seat.press("practise", {"who": "unknown"}, status=409)


def test_R_US_5_who_may_not_answer_has_neither_panel_nor_page(seat: Seat, site: Incoming) -> None:
    with site.store.write() as session:
        session.get_one(User, seat.user_id).may_answer_inbound = False
    assert seat.browser.get("/operator/").all("#ringing") == []
    seat.browser.get(ROOM, status=403)
    seat.browser.get("/missed/", status=403)
