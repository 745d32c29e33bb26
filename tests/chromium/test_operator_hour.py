"""The operator's hour in a real browser: buttons, keys, and what the ledger has of it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import CustomerHold, SystemResult, Task
from tests.chromium.screen import Place, Seat, numbers
from tests.floor import wait_for

pytestmark = pytest.mark.browser

WAITS_S = 60
"""Before the next dial: long enough that a slow machine does not dial before it is stopped."""


# --- forty customers

DIGITS = ("1", "4", "8", "7", "98", "3", "0", "2", "5", "6")
"""Every answer of the practice carrier but the person of digit 9, who is there by chance."""
HOUR = (*DIGITS, *("1", "8", "7") * 4, *DIGITS[:5], *("1", "8", "7") * 4, "9")
CHOSEN = {"0": ("4", "見込"), "4": ("5", "再コール"), "5": ("2", "FAX"), "6": ("1", "不通")}
"""Last digit → key and name of the result that the operator chooses; the others are proposed."""
PROPOSED = {"1": "不通", "2": "不通", "3": "現アナ", "7": "不通", "8": "不通"}
WAITS_FOR = {"2": "ringing", "0": "talking", "5": "talking", "6": "talking"} | {
    "9": "ringing|early|talking"
}
"""What the operator hangs up on."""


def work_one(seat: Seat, digit: str) -> str:
    """Do with one customer what an operator does; give the result that the ledger shall have."""
    if digit == "98":
        seat.sees("ended")
        seat.sees_text(".call-says", "結果の入力は不要です")
        seat.press("F3")
        return "回線エラー"
    # the hurried carrier ends these by itself after some seconds, so a slow page may find them over
    if waits := WAITS_FOR.get(digit):
        seat.sees(f"{waits}|ended")
        if "ended" not in (seat.at("#call-status").get_attribute("class") or ""):
            seat.press("F9")
    seat.sees("ended")
    if digit in CHOSEN:
        key, name = CHOSEN[digit]
        seat.picks(key, name)
    elif digit == "9":
        name = "アポ"
        seat.picks("9", name)
    else:
        name = PROPOSED[digit]
        expect(seat.at("#results .result:has(:checked) > span")).to_have_text(name)
    seat.press("Control+Enter")
    return name


def test_R_CL_5_forty_customers_by_keys_alone(place: Place) -> None:
    assert len(HOUR) == 40
    # each answer is written alike on Postgres; how they follow one another is the page's
    hour = HOUR if place.store.engine.dialect.name == "sqlite" else (*DIGITS, "9")
    seat = place.seat(*numbers(*hour))
    seat.begin()
    expect(seat.at("#call-now button")).to_be_enabled()
    seat.press("F2")
    expected = []
    for index, digit in enumerate(hour, 1):
        seat.position(index, len(hour))
        expected.append(work_one(seat, digit))
    seat.sees_text("#call-queue", "リストの最後です")
    assert seat.results() == expected

    # the counting table of the specification, column by column
    counted = Counter(expected)
    connected = counted["見込"] + counted["再コール"] + counted["アポ"]
    dialled = len(hour) - counted["回線エラー"]
    assert seat.today() == (dialled, connected)
    assert seat.at("#today dd").all_inner_texts() == [
        str(dialled),
        str(connected),
        f"{connected / dialled * 100:.1f}%",
    ]
    for record, result in zip(seat.records(), expected, strict=True):
        assert record.counts_dial is (result != "回線エラー")
        assert record.counts_connect is (result in {"見込", "再コール", "アポ"})
    assert {attempt.verdict for attempt in seat.attempts()} == {"allowed"}
    assert len(seat.attempts()) == len(hour), "one press, one call"
    with place.store.read() as session:
        open_tasks = session.scalars(select(Task).where(Task.list_id == seat.list_id)).all()
    assert len(open_tasks) == counted["見込"] + counted["再コール"]


# --- one call, every button


@pytest.mark.one_database
def test_R_CL_4_every_button_of_a_call(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    for name in ("切断", "保留", "消音", "ダイヤル"):
        expect(seat.at(".call-buttons").get_by_role("button", name=name)).to_be_disabled()
    seat.at("#call-now button").dblclick()
    seat.sees("talking")
    seat.press("F8")
    seat.sees("held")
    seat.sees_text("#operator-state", "保留")
    seat.press("F8")
    seat.sees("talking")
    seat.press("F7")
    seat.sees_text(".call-buttons", "消音解除")
    seat.press("F7")
    expect(seat.at(".call-buttons")).not_to_contain_text("消音解除")
    seat.press("F4")
    expect(seat.at("#dial-pad")).to_be_visible()
    with seat.page.expect_response("**/dtmf") as sent:
        seat.press("5")
    assert sent.value.status == 204
    seat.at("#dial-pad [data-closes]").click()
    for key in ("Control+s", "F3", "F6"):
        seat.press(key)
    seat.sees("talking")
    expect(seat.at('#call-actions button[value="save_next"]')).to_be_disabled()
    seat.at(".call-buttons").get_by_role("button", name="切断").click()
    seat.sees("ended")
    assert len(seat.records()) == 1, "a double click is one press"


@pytest.mark.provokes("422 .*/call/save$")
@pytest.mark.one_database
def test_R_CL_5_saving_without_a_result_is_refused_and_marked(place: Place) -> None:
    seat = place.seat(*numbers("0", "1"))
    seat.begin()
    seat.press("n")
    seat.page.keyboard.type("受付の方")
    seat.press("Escape")
    seat.call()
    seat.hang_up()
    seat.press("Control+Enter")
    seat.sees_text("#call-errors", "結果を選んでください")
    expect(seat.at("#call-errors")).to_have_attribute("data-marks", "results")
    expect(seat.at("#memo")).to_have_value("受付の方")
    seat.picks("7", "担当者不在")
    seat.press("Control+s")
    expect(seat.at("#memo")).to_have_value("")
    seat.sees_text("#history", "担当者不在")
    (entry,) = seat.memo()
    assert re.fullmatch(r"【\d{4}/\d\d/\d\d \d\d:\d\d \S+ 担当者不在】受付の方", entry)
    # the same again changes nothing; another result rewrites the record
    seat.save()
    seat.picks("4", "見込")
    seat.press("Control+s")
    seat.sees_text("#customer", "再コール予定")
    assert seat.results() == ["見込"]
    assert len(seat.memo()) == 1


@pytest.mark.provokes("422 .*/call/save$")
@pytest.mark.one_database
def test_R_ST_2_a_long_call_is_not_lost_to_no_answer_unasked(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    seat.hang_up()
    (record,) = seat.records()
    seat.change(type(record), record.id, talk_ms=31_000)
    seat.page.reload()
    expect(seat.at(".long-talk")).to_be_hidden()
    seat.picks("1", "不通")
    expect(seat.at(".long-talk")).to_be_visible()
    seat.press("Control+s")
    seat.sees_text("#call-errors", "録音が残りません")
    assert seat.results() == ["空白"]
    seat.press("Control+s")
    seat.sees_text("#history", "不通")
    assert seat.results() == ["不通"]


@pytest.mark.one_database
def test_R_CL_5_the_wait_before_the_next_dial_can_be_stopped(place: Place) -> None:
    seat = place.seat(*numbers("1", "1", "1"), auto_dial_delay_s=WAITS_S)
    seat.begin()
    seat.call("ended")
    seat.press("Control+Enter")
    seat.position(2, 3)
    seat.sees("countdown")
    seat.press("Escape")
    seat.sees("idle")
    assert len(seat.attempts()) == 1
    # SKIP changes nothing on a customer who was not dialled, and dials nothing
    seat.press("F6")
    seat.position(3, 3)
    seat.sees("idle")
    assert len(seat.attempts()) == 1
    seat.press("F3")
    seat.sees_text("#call-queue", "リストの最後です")
    seat.at("#call-queue a").click()
    seat.page.wait_for_url(f"**/operator/lists/{seat.list_id}*")


@pytest.mark.provokes("422 .*/side/numbers/")
@pytest.mark.one_database
def test_R_LS_9_a_number_is_added_beside_the_call_and_dialled_next(place: Place) -> None:
    main, extra = numbers("1", "0")
    seat = place.seat(main)
    seat.begin()
    seat.press("Shift+T")
    expect(seat.at("#extra-number")).to_be_focused()
    seat.page.keyboard.type("110")
    seat.press("Enter")
    expect(seat.at("#side [role=alert]")).to_be_visible()
    seat.at("#extra-number").fill(extra)
    seat.at("#extra-label").fill("携帯")
    seat.press("Enter")
    expect(seat.at("#numbers li")).to_have_count(2)
    seat.sees_text("#numbers", "携帯")
    seat.press("Escape", "Escape")
    expect(seat.at("#side > *")).to_have_count(0)
    seat.call("ended")
    expect(seat.at("#results :checked")).to_have_count(1)
    seat.press("F10")
    seat.sees("talking")
    seat.hang_up()
    seat.picks("9", "アポ")
    seat.save()
    assert [record.number for record in seat.records()] == [main, extra]
    assert seat.results() == ["不通", "アポ"]


@pytest.mark.one_database
def test_R_CL_18_the_last_call_is_corrected_beside_the_present_one(place: Place) -> None:
    seat = place.seat(*numbers("1", "0"))
    seat.begin()
    seat.call("ended")
    seat.press("Control+Enter")
    seat.position(2, 2)
    seat.sees("talking")
    seat.press("Shift+L")
    seat.sees_text("#side", "直前の通話")
    seat.at("#last-status").select_option(label="担当者不在")
    seat.at("#last-memo").fill("後で判明")
    seat.at("#side button.primary").click()
    seat.sees_text("#side [role=status]", "保存しました")
    assert seat.results() == ["担当者不在", "空白"]
    seat.sees("talking")
    seat.hang_up()


@pytest.mark.one_database
def test_R_CL_3_the_customer_is_edited_beside_the_call(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.press("Shift+E")
    seat.at("#cell2").fill("新しい担当")
    seat.at("#side button.primary").click()
    seat.sees_text("#customer", "新しい担当")
    assert seat.customer().cells[1] == "新しい担当"
    seat.press("Escape", "Escape", "Shift+K")
    seat.page.keyboard.type("午後が良い")
    seat.press("Escape")
    wait_for(lambda: seat.customer().short_note == "午後が良い", "the short note")


@pytest.mark.one_database
def test_R_CL_12_a_task_is_called_from_its_tab_and_reads_done(place: Place) -> None:
    seat = place.seat(*numbers("0", "0"))
    seat.begin()
    seat.call()
    seat.hang_up()
    seat.picks("5", "再コール")
    seat.save()
    seat.at("#nav").get_by_text("対応タスク").click()
    seat.page.get_by_role("link", name="フリー").click()
    expect(seat.at("tbody tr")).to_have_count(1)
    seat.at("tbody tr form button.primary").click()
    seat.sees("idle|ended")
    seat.call()
    seat.hang_up()
    seat.picks("8", "決裁者不在")
    seat.save()
    assert seat.results() == ["再コール", "決裁者不在"]
    with place.store.read() as session:
        done = session.scalars(select(Task.done_at).where(Task.list_id == seat.list_id)).all()
    assert len(done) == 1
    assert done[0] is not None
    assert SystemResult.BLANK not in {record.system for record in seat.records()}


# --- 空白, in all its ways


@pytest.mark.one_database
def test_R_CL_6_dialling_the_same_customer_again_leaves_a_blank(place: Place) -> None:
    seat = place.seat(*numbers("1"))
    seat.begin()
    seat.call("ended")
    wait_for(lambda: len(seat.records()) == 1, "the record")
    expect(seat.at("#call-now button")).to_be_enabled()
    seat.press("F2")
    wait_for(lambda: len(seat.records()) == 2, "the second record")
    seat.sees("ended")
    expect(seat.at("#results :checked")).to_have_count(1)
    seat.save()
    assert seat.results() == ["空白", "不通"]
    seat.sees_text("#today", "空白 1")


@pytest.mark.provokes("422 .*/call/save$")
@pytest.mark.one_database
def test_R_CL_6_leaving_without_a_result_warns_first(place: Place) -> None:
    seat = place.seat(*numbers("0", "0"), auto_dial_delay_s=WAITS_S)
    seat.begin()
    seat.call()
    seat.press("n")
    seat.page.keyboard.type("話の途中で切れた")
    seat.press("Escape")
    expect(seat.at("#memo-saved")).to_contain_text("下書き")
    seat.hang_up()
    seat.press("F6")
    seat.sees_text("#call-errors", "もう一度押すと空白のまま")
    seat.position(1, 2)
    seat.press("F6")
    seat.position(2, 2)
    assert seat.results() == ["空白"]
    (entry,) = seat.memo()
    assert entry.endswith("空白】話の途中で切れた")
    assert seat.today() == (1, 0)


@pytest.mark.one_database
def test_R_CL_6_closing_the_tab_warns_and_leaves_a_blank(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    seat.hang_up()
    seat.press("n")
    seat.page.keyboard.type("閉じる前のメモ")
    seat.press("Escape")
    expect(seat.at("#memo-saved")).to_contain_text("下書き")
    with seat.page.expect_event("dialog") as asked:
        seat.page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()
    wait_for(lambda: not seat.operator().page_id, "the page's last word")
    # a minute passes
    long_ago = utcnow() - timedelta(seconds=61)
    seat.change(CustomerHold, seat.customers[0], renewed_at=long_ago)
    wait_for(lambda: seat.records()[0].closed_at is not None, "the sweep")
    assert seat.results() == ["空白"]
    assert seat.memo()[0].endswith("空白】閉じる前のメモ")
    wait_for(lambda: seat.operator().customer_id is None, "the customer is given back")


@pytest.mark.provokes("422 .*/sign-out$")
@pytest.mark.one_database
def test_R_CL_18_own_blanks_are_asked_about_at_sign_out(place: Place) -> None:
    seat = place.seat(*numbers("1"))
    seat.begin()
    seat.call("ended")
    sign_out(seat.page)
    expect(seat.at("main")).to_contain_text("本日の空白が1件あります")
    seat.at("main form button").click()
    seat.page.wait_for_url("**/sign-in")
    assert seat.results() == ["空白"]


def sign_out(page: Page) -> None:
    page.locator(".topbar-end summary").click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="ログアウト").click()
