"""The call screen's routes by rule: presses, refusals and fragments that need no browser."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from calltree.db import Store
from calltree.models import (
    Attempt,
    BuiltIn,
    CustomerHold,
    CustomerList,
    Draft,
    LegState,
    Operator,
    OperatorState,
    Project,
    Site,
    SwitchCommand,
    User,
    WorkQueue,
)
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk, colleague

OTHER = {"X-Page-Id": "bbbbbbbb-0000-4000-8000-000000000002"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True) as traveller:
        yield traveller


def dial(op: Browser, **data: object) -> Answer:
    given = {"press_id": str(uuid.uuid4())} | data
    return op.press("/operator/call/dial", given, headers=PAGE)


def save(op: Browser, desk: Desk, action: str, which: BuiltIn | str | None = None, **data: object):
    given = {"action": action} | data
    if which is not None:
        given["status"] = str(desk.status_id(which))
    return op.post(
        "/operator/call/save", given, status=data.pop("expect", (303, 422)), headers=PAGE
    )


# --- CALL


def test_R_CL_6_one_press_sent_twice_is_one_attempt(op: Browser, desk: Desk) -> None:
    press = str(uuid.uuid4())
    dial(op, press_id=press)
    dial(op, press_id=press)
    (attempt,) = desk.rows(Attempt)
    assert attempt.verdict == "allowed"


def test_R_CL_6_a_page_that_is_pushed_to_needs_no_answer_drawn(op: Browser, desk: Desk) -> None:
    given = {"press_id": str(uuid.uuid4())}
    live = PAGE | {"X-Live": "1"}
    assert op.press("/operator/call/dial", given, headers=live, status=204).data == b""
    (attempt,) = desk.rows(Attempt)
    assert attempt.verdict == "allowed"
    # as one whose line is down asks: the same press is the same call, and is drawn
    assert op.press("/operator/call/dial", given, headers=PAGE).one("#call-status.dialling")
    assert len(desk.rows(Attempt)) == 1


def test_R_CL_6_a_refused_press_is_an_attempt_with_its_verdict(op: Browser, desk: Desk) -> None:
    desk.change(Site, 1, lines=1)
    other = colleague(desk)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        customer = make.make_customer(session, folder)
    desk.press(user_id=other.id, customer_id=customer.id, number=customer.number)
    answer = dial(op)
    assert "回線" in answer.one(".call-says").get_text()
    assert [row.verdict for row in desk.rows(Attempt, Attempt.user_id == desk.user_id)] == [
        "no_lines"
    ]


@pytest.mark.one_database
def test_R_CL_8_with_all_lines_in_use_call_is_disabled_and_says_so(op: Browser, desk: Desk) -> None:
    desk.change(Site, 1, lines=1)
    other = colleague(desk)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        customer = make.make_customer(session, folder)
    desk.press(user_id=other.id, customer_id=customer.id, number=customer.number)
    page = op.get("/operator/call/")
    assert page.one("#call-now button").has_attr("disabled")
    assert "回線" in page.one(".call-says").get_text()
    assert "1 / 1" in page.one("#call-lines").get_text()


@pytest.mark.one_database
def test_R_PJ_4_the_caller_number_is_chosen_and_kept(op: Browser, desk: Desk) -> None:
    with desk.store.write() as session:
        second = make.make_caller_number(session, label="大阪")
        make.add_number(session, session.get_one(Project, desk.project_id), second)
    page = op.get("/operator/call/")
    assert "大阪" in page.one("select[name=caller_number]").get_text()
    chosen = op.press("/operator/call/choose", {"caller_number": str(second.id)}, headers=PAGE)
    assert chosen.one("select[name=caller_number] option[selected]")["value"] == str(second.id)
    dial(op)
    (attempt,) = desk.rows(Attempt)
    assert attempt.caller_number_id == second.id
    assert desk.customer().caller_number_id == second.id, "the customer keeps it"


def test_R_LS_9_a_number_of_nobody_is_not_dialled(op: Browser, desk: Desk) -> None:
    answer = op.post("/operator/call/dial", {"number": "0312340000"}, status=404, headers=PAGE)
    assert answer.status == 404
    assert desk.rows(Attempt) == []


def test_R_CL_15_a_recent_call_of_another_is_asked_about_once(op: Browser, desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        folder = make.make_list(session, session.get_one(Project, desk.project_id))
        make.grant(session, folder, session.get_one(User, other.id))
        twin = make.make_customer(session, folder, number=desk.number)
    desk.calls(user_id=other.id, customer_id=twin.id)
    page = op.get("/operator/call/")
    assert "佐藤花子さん" in page.one(".call-says").get_text()
    assert page.one('#call-now input[name="confirmed"]')["value"] == "1"
    dial(op, confirmed="1")
    assert desk.rows(Attempt, Attempt.user_id == desk.user_id)[0].verdict == "allowed"


def test_R_CL_3_the_same_numbers_call_from_another_list_is_marked(op: Browser, desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        folder = make.make_list(
            session, session.get_one(Project, desk.project_id), name="もう一つのリスト"
        )
        make.grant(session, folder, session.get_one(User, desk.user_id), other)
        twin = make.make_customer(session, folder, number=desk.number)
    desk.calls(user_id=other.id, customer_id=twin.id)
    page = op.get("/operator/call/")
    assert "もう一つのリスト" in page.one("#history .badge").get_text()
    assert "本日、別リストで架電済み" in page.one("#customer").get_text()


def test_R_CL_6_a_press_drawn_for_another_customer_is_refused(op: Browser, desk: Desk) -> None:
    op.press("/operator/call/dial", {"customer": "999"}, status=409, headers=PAGE)
    assert desk.rows(Attempt) == []
    record = desk.calls()
    answer = save(op, desk, "save", BuiltIn.PROSPECT, customer="999")
    assert "別の顧客" in answer.one("#call-errors").get_text()
    assert desk.get(type(record), record.id).status_id is None
    assert save(op, desk, "skip", customer="999").status == 422


# --- saving


@pytest.mark.one_database
def test_R_CL_5_while_talking_nothing_is_saved_or_left(op: Browser, desk: Desk) -> None:
    desk.leaves(desk.press())
    for action in ("save", "save_next", "next", "skip"):
        answer = save(op, desk, action, BuiltIn.PROSPECT, confirmed="ask_leave_blank")
        assert answer.status == 422, action
    assert desk.operator().customer_id == desk.customer_id


@pytest.mark.one_database
def test_R_CL_5_saving_without_a_status_is_refused_and_marked(op: Browser, desk: Desk) -> None:
    desk.calls()
    answer = save(op, desk, "save", memo="消えないで")
    assert answer.status == 422
    assert answer.one("#call-errors")["data-marks"] == "results"


@pytest.mark.one_database
def test_R_CL_6_leaving_without_a_result_is_asked_about(op: Browser, desk: Desk) -> None:
    with desk.store.write() as session:
        make.make_customer(session, session.get_one(CustomerList, desk.list_id))
    search(op, desk)
    record = desk.calls()
    asked = save(op, desk, "skip")
    assert asked.one('#call-errors input[name="confirmed"]')["value"] == "ask_leave_blank"
    assert desk.get(type(record), record.id).closed_at is None
    save(op, desk, "skip", confirmed="ask_leave_blank")
    assert desk.get(type(record), record.id).closed_at is not None


@pytest.mark.one_database
def test_R_ST_2_no_answer_after_a_long_talk_is_asked_about(op: Browser, desk: Desk) -> None:
    record = desk.calls(talk_ms=30_000)
    asked = save(op, desk, "save", BuiltIn.NO_ANSWER)
    assert asked.one('#call-errors input[name="confirmed"]')["value"] == "ask_long_no_answer"
    assert save(op, desk, "save", BuiltIn.PROSPECT).status == 303
    assert save(op, desk, "save", BuiltIn.NO_ANSWER).status == 422
    save(op, desk, "save", BuiltIn.NO_ANSWER, confirmed="ask_long_no_answer")
    assert desk.get(type(record), record.id).status_id == desk.status_id(BuiltIn.NO_ANSWER)


@pytest.mark.one_database
def test_R_ST_2_a_short_call_is_not_asked_about(op: Browser, desk: Desk) -> None:
    desk.calls(talk_ms=29_999)
    assert save(op, desk, "save", BuiltIn.NO_ANSWER).status == 303


@pytest.mark.one_database
def test_R_CL_5_save_and_next_counts_down_to_the_next_customer(op: Browser, desk: Desk) -> None:
    with desk.store.write() as session:
        second = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
    search(op, desk)
    desk.calls()
    assert save(op, desk, "save_next", BuiltIn.NO_ANSWER).location == "/operator/call/"
    operator = desk.operator()
    assert operator.customer_id == second.id
    assert operator.dial_at is not None
    stopped = op.press("/operator/call/stop-countdown", headers=PAGE)
    assert "countdown" not in stopped.one("#call-status")["class"]
    assert desk.operator().dial_at is None


@pytest.mark.one_database
def test_R_CL_5_a_wait_that_ends_before_the_screen_is_there_dials_the_next_customer(
    op: Browser, desk: Desk
) -> None:
    with desk.store.write() as session:
        second = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
    search(op, desk)
    desk.calls()
    save(op, desk, "save_next", BuiltIn.NO_ANSWER)
    of_last = {"number": desk.number, "customer": second.id, "confirmed": "1"}
    op.press("/operator/call/dial", of_last, headers=PAGE)
    [attempt] = desk.rows(Attempt, Attempt.customer_id == second.id)
    assert (attempt.number, attempt.verdict) == (second.number, "allowed")


def test_R_CL_9_a_number_of_somebody_else_is_not_dialled(op: Browser, desk: Desk) -> None:
    foreign = {"number": "0399999999", "confirmed": "1"}
    op.press("/operator/call/dial", foreign, headers=PAGE, status=404)
    assert desk.rows(Attempt) == []


def search(op: Browser, desk: Desk) -> None:
    """コールデータ検索 over the whole list, keeping the open customer."""
    op.post(f"/operator/lists/{desk.list_id}", status=307, headers=PAGE)
    (queue,) = desk.rows(WorkQueue)
    desk.change(WorkQueue, queue.id, cursor=1)


@pytest.mark.one_database
def test_R_CL_5_the_end_of_the_list_offers_to_search_again(op: Browser, desk: Desk) -> None:
    search(op, desk)
    save(op, desk, "skip")
    page = op.get("/operator/call/")
    queue = page.one("#call-queue")
    assert "リストの最後です" in queue.get_text()
    assert "再検索" in queue.get_text()


@pytest.mark.one_database
def test_R_LS_2_a_list_taken_away_is_said_at_the_next_press(op: Browser, desk: Desk) -> None:
    search(op, desk)
    desk.change(CustomerList, desk.list_id, enabled=False)
    answer = save(op, desk, "next")
    assert "このリストは利用できなくなりました" in answer.one("#call-errors").get_text()


def test_R_CL_7_a_draft_is_kept_and_shown(op: Browser, desk: Desk) -> None:
    op.press(f"/operator/call/draft/{desk.customer_id}", {"memo": "途中"}, status=204, headers=PAGE)
    assert [draft.memo for draft in desk.rows(Draft)] == ["途中"]
    assert op.get("/operator/call/").one("#memo").get_text() == "途中"


# --- states


@pytest.mark.one_database
def test_R_CL_14_away_with_a_reason_and_back_to_the_customer(op: Browser, desk: Desk) -> None:
    away = op.press("/operator/call/away", {"reason": "会議"}, headers=PAGE)
    assert away.one("#operator-state strong").get_text() == "離席（会議）"
    back = op.press("/operator/call/back", headers=PAGE)
    assert "閲覧中" in back.text
    assert desk.operator().customer_id == desk.customer_id


@pytest.mark.one_database
def test_R_CL_14_ready_leaves_the_customer(op: Browser, desk: Desk) -> None:
    assert op.post("/operator/call/ready", headers=PAGE).location == "/operator/"
    operator = desk.operator()
    assert (operator.state, operator.customer_id) == (OperatorState.READY, None)
    assert desk.rows(CustomerHold) == []


@pytest.mark.one_database
def test_R_CL_14_wrap_up_is_not_left_by_going_away(op: Browser, desk: Desk) -> None:
    desk.calls()
    refused = op.press("/operator/call/away", {"reason": "休憩"}, status=409, headers=PAGE)
    assert "保存" in refused.text
    assert desk.operator().state is OperatorState.WRAP_UP


@pytest.mark.one_database
def test_the_telephone_being_connected_is_said_gently(op: Browser, desk: Desk) -> None:
    desk.change(Operator, desk.user_id, leg_state=LegState.CONNECTING)
    page = op.get("/operator/call/")
    assert "電話に接続しています" in page.one(".call-says").get_text()
    assert page.all(".call-says .alert.bad") == []
    assert "bad" not in page.one("#softphone")["class"]


@pytest.mark.one_database
def test_signing_in_connects_the_telephone(app: Flask, store: Store) -> None:
    from calltree.services import people

    with store.write() as session:
        make.make_site(session)
        user = make.make_user(session, password_hash=people.hash_password("abcdefgh1"))
    browser = Browser(app)
    browser.get("/sign-in")
    browser.submit(login_id=user.login_id, password="abcdefgh1")
    with store.read() as session:
        assert session.get_one(Operator, user.id).leg_state is LegState.CONNECTING
        assert session.query(SwitchCommand).count() == 1


def test_R_CL_18_sign_out_asks_about_own_blanks(op: Browser, desk: Desk) -> None:
    desk.calls()
    op.get("/operator/call/")
    asked = op.post("/sign-out", status=422)
    assert "本日の空白が1件あります" in asked.text
    assert op.post("/sign-out", {"confirmed": "1"}).location == "/sign-in"
    assert desk.operator().state is OperatorState.SIGNED_OUT


@pytest.mark.one_database
def test_R_CL_16_emergency_calls_are_ruled_out_once(op: Browser, desk: Desk) -> None:
    assert "緊急通報" in op.get("/operator/").text
    assert "緊急通報" not in op.get("/operator/").text


@pytest.mark.one_database
def test_R_CL_10_the_lists_lead_back_to_a_call(op: Browser, desk: Desk) -> None:
    desk.press()
    assert op.get("/operator/", status=303).location == "/operator/call/"


# --- the side pane


@pytest.mark.one_database
def test_R_LS_9_numbers_are_added_and_removed_beside_the_call(op: Browser, desk: Desk) -> None:
    path = f"/operator/call/side/numbers/{desk.customer_id}"
    op.part(path)
    wrong = op.press(path, {"number": "110"}, status=422, headers=PAGE)
    assert wrong.one("[role=alert]")
    added = op.press(path, {"number": "090-1234-5678", "label": "携帯"}, headers=PAGE)
    assert "090-1234-5678" in added.one("#numbers").get_text()
    extra_id = added.one('input[name="remove"]')["value"]
    removed = op.press(path, {"remove": extra_id}, headers=PAGE)
    assert "090-1234-5678" not in removed.text


@pytest.mark.one_database
def test_R_US_5_without_the_right_to_edit_there_is_no_edit(op: Browser, desk: Desk) -> None:
    desk.change(User, desk.user_id, may_edit_customers=False)
    page = op.get("/operator/call/")
    assert page.all("#customer .pane-head a, #numbers .pane-head a") == []
    op.get(f"/operator/call/side/customer/{desk.customer_id}", status=403)


@pytest.mark.one_database
def test_R_CL_18_the_last_call_is_corrected_in_the_side_pane(op: Browser, desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.leave()
    shown = op.part("/operator/call/side/last")
    assert "直前の通話" in shown.text
    prospect = str(desk.status_id(BuiltIn.PROSPECT))
    op.press("/operator/call/side/last", {"status": prospect, "memo": "追記"}, headers=PAGE)
    assert desk.get(type(record), record.id).status_id == int(prospect)


@pytest.mark.one_database
def test_R_HS_3_another_ones_record_is_shown_and_not_corrected(op: Browser, desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        record = make.make_record(session, desk.customer(), user_id=other.id)
    path = f"/operator/call/side/records/{record.id}"
    assert op.part(path).all("form") == []
    op.post(path, {"status": str(desk.status_id(BuiltIn.PROSPECT))}, status=403, headers=PAGE)


@pytest.mark.one_database
def test_R_US_1_foreign_customers_and_records_are_not_found_in_the_side_pane(
    op: Browser, desk: Desk
) -> None:
    with desk.store.write() as session:
        foreign = make.make_customer(session, make.make_list(session))
        record = make.make_record(session, foreign)
    op.get(f"/operator/call/side/customer/{foreign.id}", status=404)
    op.get(f"/operator/call/side/numbers/{foreign.id}", status=404)
    op.get(f"/operator/call/side/records/{record.id}", status=404)


def test_a_part_shows_what_was_written_while_it_was_asked_for(
    op: Browser, desk: Desk, app: Flask
) -> None:
    """Who asks is looked up first, and on SQLite all that follows would show that moment."""

    def meanwhile() -> None:
        desk.change(Operator, desk.user_id, state=OperatorState.AWAY, reason="休憩")

    app.before_request_funcs[None].append(meanwhile)
    assert "離席を終える" in op.part("/operator/call/part/operator").text
