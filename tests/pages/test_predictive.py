"""プレディコール as its operator sees it: no customer before they are connected (R-DL-7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask_login import login_user

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.db import Announcement, Store
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Campaign,
    CampaignState,
    Customer,
    CustomerList,
    LegState,
    Operator,
    OperatorState,
    Project,
    RecordKind,
    Role,
)
from calltree.services import campaign_answers, campaigns, gate, operators, outcomes, records
from calltree.services.campaign_dialling import dial
from calltree.services.campaign_leads import Lead
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.services.desks import Desk, furnish

AT = "/operator/predictive/"
PAGE = {"X-Page-Id": "aaaaaaaa-0000-4000-8000-000000000001"}
SECRET = "秘密商事"
NODE = "main"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def desk(app: Flask, store: Store) -> Desk:
    """An operator with nothing open, at the page that their presses come from."""
    desk = furnish(store)
    desk.leave()
    desk.change(
        Operator,
        desk.user_id,
        page_id=PAGE["X-Page-Id"],
        page_seen_at=NOW,
        state=OperatorState.AWAY,
    )
    return desk


@pytest.fixture
def op(desk: Desk, app: Flask) -> Browser:
    browser = Browser(app)
    browser.sign_in_as(desk.user_id)
    browser.get("/operator/", headers=PAGE)
    return browser


def campaign(desk: Desk, **given: Any) -> int:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        return make.make_campaign(session, folder, **({"name": "秋の架電"} | given)).id


def join(op: Browser, campaign_id: int, **options: Any) -> Answer:
    return op.post(f"{AT}join/{campaign_id}", headers=PAGE, **options)


def connected(desk: Desk, campaign_id: int, *, until: CallState = CallState.TALKING) -> Attempt:
    """What the leader does: dial the list's next customer, who answers and is joined."""
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        customer = make.make_customer(session, folder, cells=[SECRET])
        row = session.get_one(Campaign, campaign_id)
        lead = Lead(customer.id, customer.number)
        verdict, attempt = dial(session, campaign=row, lead=lead, node=NODE, epoch=0, now=NOW)
        assert attempt is not None, verdict
        assert attempt.verdict == gate.ALLOWED, attempt.verdict
        attempt.dialled_at = NOW
        records.open_for_attempt(session, attempt=attempt, now=NOW)
        attempt.state, attempt.answered_at = CallState.ANSWERED, NOW
        assert campaign_answers.assign(session, attempt=attempt, now=NOW) == desk.user_id
        if until is CallState.TALKING:
            attempt.state, attempt.joined_at = CallState.TALKING, NOW
            operators.move(session, user_id=desk.user_id, by=operators.Move.JOIN, now=NOW)
            campaign_answers.connected(session, attempt=attempt, now=NOW)
        return attempt


def hung_up(desk: Desk, attempt: Attempt) -> None:
    with desk.store.write() as session:
        row = session.get_one(Attempt, attempt.id)
        row.state, row.ended_at, row.talk_ms = CallState.ENDED, NOW, 40_000
        records.call_ended(session, attempt=row, outcome=outcomes.TALKED, now=NOW)
        campaign_answers.let_go(session, attempt=row, now=NOW)


def save(op: Browser, desk: Desk, action: str, which: BuiltIn | None, **options: Any) -> Answer:
    given = {"action": action}
    if which is not None:
        given["status"] = str(desk.status_id(which))
    return op.post(f"{AT}save", given, headers=PAGE, **options)


def test_R_DL_7_without_a_campaign_it_says_whom_to_ask(op: Browser, desk: Desk) -> None:
    campaign(desk, state=CampaignState.STOPPED)
    page = op.get(AT)
    assert "参加できるキャンペーンがありません" in page.text


def test_R_DL_7_only_running_campaigns_of_granted_lists_are_offered(
    op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    with desk.store.write() as session:
        foreign = make.make_list(session, session.get_one(Project, desk.project_id))
        other = make.make_campaign(session, foreign, name="よその架電").id
    page = op.get(AT)
    assert page.one(f"form[action='{AT}join/{mine}']")
    assert "よその架電" not in page.text
    join(op, other, status=404)
    assert desk.operator().campaign_id is None


def test_R_DL_2_who_waits_is_shown_no_customer_until_one_is_connected(
    op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    assert join(op, mine).location == AT
    assert (desk.operator().state, desk.operator().campaign_id) == (OperatorState.READY, mine)
    page = op.get(AT)
    assert "待機中" in page.one("#predictive-wait").get_text()
    assert page.all("button[data-key='F2']") == []

    connected(desk, mine, until=CallState.ANSWERED)
    joining = op.get(AT)
    assert "お客様につないでいます" in joining.text
    assert SECRET not in joining.html
    assert SECRET not in op.part(f"{AT}wait").html


def test_R_DL_2_the_connected_customers_page_appears(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    join(op, mine)
    connected(desk, mine)
    assert op.part(f"{AT}wait").one("#wait-call")["hx-get"] == "/operator/call/"
    assert op.get(AT, status=303).location == "/operator/call/"
    page = op.get("/operator/call/")
    assert SECRET in page.text
    for absent in ("CALL", "保存して次へ", "SKIP", "保存して別番号へ"):
        assert absent not in page.one(".call-right").get_text()
    labels = [one.find("span").get_text() for one in page.all("#call-actions button")]
    assert labels == ["保存して待機", "保存して離席", "この通話で終了"]
    assert page.one("#call-form")["action"] == f"{AT}save"
    assert "#live" in page.one("#call-form")["hx-select-oob"]  # the waiting page hears of more
    assert page.all("#numbers input") == []  # nothing is dialled by hand
    assert "切断" in page.one("#call-status").get_text()


def test_R_DL_7_unsaved_one_stays_in_wrap_up_and_saved_one_waits_again(
    op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    join(op, mine)
    attempt = connected(desk, mine)
    talking = save(op, desk, "save_ready", BuiltIn.PROSPECT, status=422)
    assert "通話" in talking.one("#call-errors").get_text()
    hung_up(desk, attempt)
    assert desk.operator().state is OperatorState.WRAP_UP
    save(op, desk, "save_ready", None, status=422)
    assert desk.operator().state is OperatorState.WRAP_UP
    assert save(op, desk, "save_ready", BuiltIn.FAX).location == AT
    operator = desk.operator()
    assert (operator.state, operator.campaign_id) == (OperatorState.READY, mine)
    assert operator.customer_id is None
    [record] = desk.rows(CallRecord, CallRecord.attempt_id == attempt.id)
    assert (record.kind, record.user_id) == (RecordKind.PREDICTIVE, desk.user_id)
    assert record.saved_at is not None


def test_R_DL_7_save_and_go_away_keeps_the_campaign(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    join(op, mine)
    hung_up(desk, connected(desk, mine))
    save(op, desk, "save_away", BuiltIn.FAX)
    assert (desk.operator().state, desk.operator().campaign_id) == (OperatorState.AWAY, mine)
    page = op.get(AT)
    assert "離席中" in page.one("#predictive-wait").get_text()
    assert op.post("/operator/call/ready", headers=PAGE).location == AT
    assert desk.operator().state is OperatorState.READY


def test_R_DL_7_finish_after_this_call_leaves_what_is_typed_and_the_campaign_afterwards(
    op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    join(op, mine)
    attempt = connected(desk, mine)
    pressed = op.press(f"{AT}last", headers=PAGE)
    assert pressed.one("#call-actions")  # nothing else of the page is drawn anew
    assert "保存して終了" in pressed.text
    assert pressed.one("button[aria-pressed='true']")
    assert "保存して待機" in op.press(f"{AT}last", headers=PAGE).text  # not after all
    op.press(f"{AT}last", headers=PAGE)
    hung_up(desk, attempt)
    assert save(op, desk, "save_ready", BuiltIn.FAX).location == AT
    assert (desk.operator().state, desk.operator().campaign_id) == (OperatorState.AWAY, None)


def test_R_DL_7_leaving_ends_it_and_a_paused_campaign_says_so(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    join(op, mine)
    desk.change(Campaign, mine, state=CampaignState.PAUSED)
    assert "キャンペーン一時停止中" in op.get(AT).text
    assert op.post(f"{AT}leave", headers=PAGE).location == AT
    assert (desk.operator().state, desk.operator().campaign_id) == (OperatorState.AWAY, None)


def test_R_DL_7_a_pause_is_shown_at_once_and_a_stop_leads_back_to_the_choice(
    app: Flask, op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    join(op, mine)
    told: list[Announcement] = []
    store = app.extensions["calltree.store"]
    store.publisher = told.extend
    own = Announcement("operator", {"user_id": desk.user_id})
    addresses = {f"operator:user_id={desk.user_id}"}
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
    with app.test_request_context("/live?page=predictive"):
        login_user(SignedIn(desk.viewer(), 0))
        page = panels.find("predictive", desk.viewer())

        def drawn(fresh: bool = False) -> str:
            with desk.store.read() as session:
                return "".join(page.draw(session, addresses, fresh))

        assert "待機中" in drawn(True)
        with store.write() as session:
            campaigns.pause(session, viewer=manager, campaign_id=mine, now=NOW)
        assert own in told
        assert "キャンペーン一時停止中" in drawn()
        told.clear()
        with store.write() as session:
            campaigns.stop(session, viewer=manager, campaign_id=mine, now=NOW)
        assert own in told
        assert 'hx-get="/operator/predictive/"' in drawn()
        assert "hx-get" not in drawn()  # once


def test_R_DL_7_without_a_telephone_one_cannot_start(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    desk.change(Operator, desk.user_id, leg_state=LegState.LOST)
    join(op, mine)
    assert op.get(AT).all(".toast.bad, .toast")
    assert desk.operator().campaign_id is None


def test_R_CL_17_a_second_page_cannot_start(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    other = {"X-Page-Id": "bbbbbbbb-0000-4000-8000-000000000002"}
    op.post(f"{AT}join/{mine}", headers=other, status=409)
    assert desk.operator().campaign_id is None


def pulls(drawn: Iterable[str]) -> list[str]:
    """What leads a page to the call; whether anybody calls in is drawn on every page."""
    return [part for part in drawn if 'hx-get="/operator/call/"' in part]


@pytest.mark.one_database
def test_R_DL_2_any_other_page_gives_way_once_for_each_call(
    app: Flask, op: Browser, desk: Desk
) -> None:
    mine = campaign(desk)
    join(op, mine)
    own = {f"operator:user_id={desk.user_id}"}
    with app.test_request_context("/live?page=plain"):
        login_user(SignedIn(desk.viewer(), 0))
        plain = panels.find("plain", desk.viewer())
        with desk.store.read() as session:
            assert pulls(plain.draw(session, own, True)) == []
            assert pulls(plain.draw(session, own, False)) == []
        attempt = connected(desk, mine)
        with desk.store.read() as session:
            [pulled] = pulls(plain.draw(session, own, False))
            assert pulls(plain.draw(session, own, False)) == []
            waiting = "".join(panels.find("predictive", desk.viewer()).draw(session, own, True))
        assert 'hx-get="/operator/call/"' in pulled
        assert 'id="wait-call"' in waiting
        with desk.store.read() as session:  # opened in the middle of the call: left alone
            late = panels.find("plain", desk.viewer())
            assert pulls(late.draw(session, own, True)) == []
        hung_up(desk, attempt)
        with desk.store.read() as session:
            assert pulls(plain.draw(session, own, False)) == []


def test_R_DL_7_a_customer_opened_by_hand_has_call_again(op: Browser, desk: Desk) -> None:
    mine = campaign(desk)
    join(op, mine)
    op.post(f"/operator/call/open/{desk.customer_id}", headers=PAGE)
    page = op.get("/operator/call/")
    assert page.all("#call-now")
    assert "保存して次へ" in page.text
    assert desk.get(Customer, desk.customer_id).number
