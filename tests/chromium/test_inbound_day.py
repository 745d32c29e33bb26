"""Callers, promises and calls by hand in a real Chromium: what a step leaves, the next works on."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from calltree.db import announce, utcnow
from calltree.models import (
    CallerNumber,
    CallRecord,
    Customer,
    CustomerList,
    InboundCall,
    InboundOutcome,
    Project,
    RecordKind,
    Role,
    User,
)
from tests import factories as make
from tests.chromium.screen import Place, Seat, numbers
from tests.chromium.test_operator_inbound import hangs_up_and_saves, stands_by
from tests.floor import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

OURS = "0350004321"


def boss(place: Place, where: str) -> Page:
    with place.store.write() as session:
        user_id = make.make_user(session, Role.MANAGER).id
    window = place.window()
    window.add_cookies([{"name": "calltree", "value": place.cookie(user_id), "url": place.origin}])
    page = window.new_page()
    page.goto(place.origin + where)
    return page


def takes_calls(place: Place, seat: Seat) -> int:
    """A number of ours, of this operator's project, without a route yet; its id."""
    with place.store.write() as session:
        folder = session.get_one(CustomerList, seat.list_id)
        ours = CallerNumber(number=OURS, label="代表")
        session.add(ours)
        session.flush()
        make.add_number(session, session.get_one(Project, folder.project_id), ours)
        return ours.id


def edits_the_route(page: Page) -> None:
    """Day and night: everybody rings for a while, then a voicemail."""
    for day in range(8):
        page.locator(f"#hours_{day}").fill("00:00-24:00")
    page.get_by_label("曜日どおり").check()
    page.locator("#open_action").select_option("ring_all")
    page.locator("#open_seconds").fill("60")
    page.locator("#no_answer_action").select_option("voicemail")
    page.get_by_role("button", name="保存").click()
    expect(page).to_have_url(re.compile(r"/admin/inbound/$"))


def call_in(seat: Seat, caller: str) -> str:
    """Somebody calls the number; the channel."""
    switch = seat.place.site.switch
    return switch.order(f"inbound {caller} {OURS}").removeprefix("+OK ").strip()


def stands_in_two_lists(seat: Seat, number: str) -> None:
    """Two matches; the second is chosen before the answer, and the call saved as any other."""
    call_in(seat, number)
    choices = seat.at("#ringing[data-rings] input[name=customer]")
    expect(choices).to_have_count(2)
    chosen = choices.nth(1)
    chosen.check()
    customer = chosen.get_attribute("value")
    seat.press("F1")
    expect(seat.at("#call-form input[name='customer']")).to_have_value(customer)
    seat.sees("talking")
    hangs_up_and_saves(seat, "save_ready")
    seat.press("Control+Enter")
    expect(seat.at("#call-form")).to_have_count(0)


def is_in_no_list(seat: Seat, unknown: str) -> None:
    """Nobody knows them; one press saves them, and the call becomes theirs."""
    call_in(seat, unknown)
    expect(seat.at("#ringing[data-rings]")).to_contain_text("どのリストにもない番号")
    seat.press("F1")
    expect(seat.at("#unknown-caller")).to_be_visible()
    seat.at("#memo").fill("資料請求")
    seat.at("#caller-name").fill("新規商事")
    seat.press("F6")
    expect(seat.at("#call-form input[name='customer']")).to_be_attached()
    seat.sees("talking")
    hangs_up_and_saves(seat, "save_ready")
    seat.press("Control+Enter")
    expect(seat.at("#call-form")).to_have_count(0)


def leaves_a_message(seat: Seat, manager: Page, missed: str) -> None:
    """Passed by everybody: a voicemail that is counted, played, called back and then done."""
    manager.goto(f"{seat.place.origin}/missed/")
    expect(manager.locator("main")).to_contain_text("折り返しを待っている着信はありません")
    call_in(seat, missed)
    expect(seat.at("#ringing[data-rings]")).to_be_visible()
    seat.press("Shift+F3")
    expect(seat.at("#ringing")).to_be_hidden()
    waiting = manager.locator("#badge-missed-index")
    expect(waiting).to_have_text("1", timeout=120_000)  # the caller speaks for 15 s
    player = manager.locator("[data-missed] a[hx-get^='/recordings/']")

    def is_ready() -> bool:
        manager.reload()
        return player.count() == 1

    wait_for(is_ready, "the message can be played", patience_s=120)
    expect(manager.locator("[data-missed]")).to_contain_text("留守番電話")
    player.click()
    sound = manager.locator("#player-dock audio")
    expect(sound).to_have_js_property("ended", False)
    manager.wait_for_function("() => document.querySelector('#player-dock audio').currentTime > 0")
    assert sound.evaluate("(audio) => audio.duration") > 10

    seat.page.goto(f"{seat.place.origin}/missed/")
    seat.at("form[action$='/call-back'] button").click()
    seat.sees("talking")
    expect(waiting).to_be_hidden()
    seat.press("F9")
    expect(seat.at("#call-status")).to_have_class(re.compile(r"\bended\b"))
    manager.goto(f"{seat.place.origin}/missed/?stand=done")
    expect(manager.locator("[data-missed]")).to_contain_text("折り返し")


def is_reminded(seat: Seat) -> None:
    """A promise comes due on whatever page one is; its customer is opened from there."""
    with seat.place.store.write() as session:
        customer = session.get_one(Customer, seat.customers[0])
        due = utcnow() - timedelta(minutes=1)
        make.make_task(session, customer, user_id=seat.user_id, due_at=due)
        announce(session, "tasks")
    expect(seat.at("#task-reminder .reminder")).to_contain_text("再コールの時間です")
    expect(seat.at("#badge-tasks-index")).to_have_text("1")
    told = "Object.keys(localStorage).some((key) => localStorage[key].includes('@'))"
    seat.page.wait_for_function(f"() => {told}")  # it sounded, and will not again


def dials_by_hand(seat: Seat, ours: int, other: str) -> None:
    """By the pad, with a chosen number of ours, a pause of the recording and a memo."""
    seat.page.goto(f"{seat.place.origin}/operator/manual/")
    for digit in other:
        seat.at(f"[data-types='{digit}'][data-into='manual-number']").click()
    seat.at("#manual-caller").select_option(str(ours))
    seat.press("F2")
    seat.sees("talking")
    seat.press("F4")
    seat.page.locator("dialog[open] button", has_text=re.compile("^1$")).click()
    expect(seat.page.locator("dialog[open] output")).to_have_text("1")
    seat.press("Escape", "Shift+R")
    seat.sees_text(".call-recording.paused", "録音停止中")
    seat.press("Shift+R")
    expect(seat.at(".call-recording:not(.paused) button")).to_be_visible()
    seat.press("F9")
    expect(seat.at("#call-status")).to_have_class(re.compile(r"\bended\b"))
    row = seat.at("#manual-rows tbody tr").first
    play = row.locator("[hx-get^='/recordings/']")

    def is_ready() -> bool:
        seat.page.reload()
        return play.count() == 1

    wait_for(is_ready, "the recording can be played", patience_s=120)
    expect(row).to_contain_text("03-5000-4321")
    play.click()
    expect(seat.at("#player-dock svg rect.paused")).to_have_count(1)
    row.get_by_role("link", name="メモを書く").click()
    seat.at("textarea[name=memo]").fill("折り返し希望")
    seat.page.get_by_role("button", name="保存").click()
    expect(seat.at("#manual-rows tbody tr").first).to_contain_text("折り返し希望")


@pytest.mark.provokes("AudioContext encountered")
def test_R_IN_1_R_IN_3_R_CL_13_a_day_of_callers_promises_and_calls_by_hand(place: Place) -> None:
    number, unknown, missed, by_hand = numbers("0", "0", "0", "0")
    seat = place.seat(number)
    with place.store.write() as session:
        folder = session.get_one(CustomerList, seat.list_id)
        project = session.get_one(Project, folder.project_id)
        other = make.make_list(session, project)
        make.grant(session, other, session.get_one(User, seat.user_id))
        make.make_customer(session, other, number=number)
    ours = takes_calls(place, seat)
    manager = boss(place, f"/admin/inbound/{ours}")
    edits_the_route(manager)
    stands_by(seat)
    stands_in_two_lists(seat, number)
    is_in_no_list(seat, unknown)
    leaves_a_message(seat, manager, missed)
    is_reminded(seat)
    dials_by_hand(seat, ours, by_hand)

    with place.store.read() as session:
        mine = select(CallRecord).where(CallRecord.user_id == seat.user_id)
        records = session.scalars(mine.order_by(CallRecord.id)).all()
        saved = session.scalars(select(Customer).where(Customer.number == unknown)).one()
        outcomes = Counter(session.scalars(select(InboundCall.outcome)))
    assert [(one.kind, one.number) for one in records] == [
        (RecordKind.INBOUND, number),
        (RecordKind.INBOUND, unknown),
        (RecordKind.MANUAL, missed),
        (RecordKind.MANUAL, by_hand),
    ]
    assert seat.results()[:2] == ["FAX", "FAX"]
    assert (saved.list_id, saved.cells[0], records[1].customer_id) == (
        seat.list_id, "新規商事", saved.id,
    )  # fmt: skip
    assert records[3].memo == "折り返し希望"
    assert outcomes[InboundOutcome.VOICEMAIL] == 1
