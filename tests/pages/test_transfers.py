"""Handing a call on, as two operators press it (R-CL-4), and pausing its recording (R-RC-3)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import select

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    LegState,
    Operator,
    OperatorState,
    Origin,
    Recording,
    RecordKind,
    TransferState,
    User,
)
from calltree.services import recording_pauses, transfer_facts, transfer_moves
from calltree.services.rights import Viewer
from calltree.text.days import site_day
from tests import factories as make
from tests.browser import Browser

pytestmark = pytest.mark.one_database
AT = "/operator/call/transfer/"


@pytest.fixture
def two(store: Store, browser_of: Callable[[int], Browser]) -> tuple[Browser, Browser, int]:
    """Somebody who talks with 山田商店, a colleague who waits, and the colleague's id."""
    now = utcnow()
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session)
        folder = make.make_list(session)
        first, second = (
            make.make_user(session, name="佐藤花子"),
            make.make_user(session, name="鈴木"),
        )
        make.grant(session, folder, first, second)
        customer = make.make_customer(session, folder, number="0312345678", cells=["山田商店"])
        call = Attempt(
            uuid=str(uuid.uuid4()), origin=Origin.CALL, user_id=first.id,
            customer_id=customer.id, list_id=folder.id, project_id=folder.project_id,
            number=customer.number, node="main", verdict="allowed", state=CallState.TALKING,
            created_at=now, dialled_at=now, answered_at=now, joined_at=now,
        )  # fmt: skip
        session.add(call)
        session.flush()
        session.add(Recording(attempt_id=call.id, raw_name="2026/11/24/a.wav", started_at=now))
        make.make_hold(session, customer, first)
        make.make_operator(
            session, first, state=OperatorState.TALKING, attempt_id=call.id,
            leg_uuid=str(uuid.uuid4()), leg_state=LegState.JOINED, customer_id=customer.id,
            since=now,
        )  # fmt: skip
        make.make_operator(
            session, second, state=OperatorState.READY, leg_uuid=str(uuid.uuid4()), since=now
        )
    return browser_of(first.id), browser_of(second.id), second.id


def test_R_CL_4_the_colleague_is_asked_and_sees_the_customers_page(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    assert "鈴木" in first.get(AT).text
    assert "山田商店" not in second.get(f"{AT}offer").text
    first.post(f"{AT}colleague/{second_id}", {"kind": "attended", "press_id": "one"})
    assert "鈴木さんを呼び出しています" in first.get("/operator/call/").text
    offer = second.get(f"{AT}offer").text
    assert "山田商店" in offer
    assert "佐藤花子さんからの相談転送" in offer
    second.post(f"{AT}answer", {})
    assert "山田商店" in second.get("/operator/call/").text
    with store.read() as session:
        transfer = transfer_facts.asked_of(session, user_id=second_id)
        assert transfer is not None
        assert transfer.state is TransferState.ANSWERED


def test_R_CL_4_a_declined_transfer_is_said(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    first.post(f"{AT}colleague/{second_id}", {"kind": "blind", "press_id": "one"})
    second.post(f"{AT}refuse", {})
    assert "鈴木さんに断られました。お客様に戻りました。" in first.get("/operator/call/").text
    with store.read() as session:
        assert session.get_one(Operator, second_id).state is OperatorState.READY


def test_R_CL_4_a_parked_customer_is_offered_to_who_is_free_and_taken(
    two: tuple[Browser, Browser, int],
) -> None:
    first, second, _ = two
    first.post(f"{AT}park", {"press_id": "one"})
    assert "空いている方の応答を待っています" in first.get("/operator/call/").text
    assert "山田商店" not in first.get(f"{AT}offer").text
    offer = second.get(f"{AT}offer")
    assert "佐藤花子さんのお客様が保留中です" in offer.text
    assert "断る" not in offer.text
    second.post(str(offer.one("form")["action"]), {})
    assert "山田商店" in second.get("/operator/call/").text


def test_R_CL_4_whom_to_choose_closes_once_somebody_is_asked(
    two: tuple[Browser, Browser, int],
) -> None:
    first, _, second_id = two
    answer = first.post(
        f"{AT}colleague/{second_id}",
        {"kind": "blind", "press_id": "one"},
        status=200,
        headers={"HX-Request": "true"},
    )
    assert '<hx-partial hx-target="#side" hx-swap="innerHTML"></hx-partial>' in answer.html


def test_R_CL_4_who_is_consulted_talks_and_is_told_when_it_is_over(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    first.post(f"{AT}colleague/{second_id}", {"kind": "attended", "press_id": "one"})
    second.post(f"{AT}answer", {})
    with store.write() as session:
        transfer = transfer_facts.asked_of(session, user_id=second_id)
        assert transfer is not None
        transfer_moves.consulted(session, transfer, now=utcnow())
    page = second.get("/operator/call/").text
    assert "佐藤花子さんと相談中" in page
    assert "未発信" not in page
    assert "佐藤花子さんが対応中です" not in page
    answer = second.press(f"{AT}press/leave")
    assert answer.headers["HX-Retarget"] == "#main", "no CALL is left to be pressed"
    assert "お客様は佐藤花子さんに戻りました。" in answer.text
    told = second.post("/operator/call/renew", {"shows": "1"}, status=409).text
    assert "お客様は佐藤花子さんに戻りました。" in told
    assert "マネージャー" not in told


def test_R_CL_4_who_handed_over_is_told_at_once_who_has_the_customer(
    app: Flask, two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    with app.test_request_context("/live?page=call"):
        with store.read() as session:
            who = Viewer.of(session.scalars(select(User).where(User.name == "佐藤花子")).one())
        login_user(SignedIn(who, 0))
        page = panels.find("call", who)
        own = {f"operator:user_id={who.user_id}"}

        def pushed() -> str:
            with store.read() as session:
                return "".join(page.draw(session, own, False))

        assert "引き継ぎました" not in pushed()
        hand_over(first, second, second_id, store)
        assert "鈴木さんがお客様を引き継ぎました。" in pushed()
        assert "引き継ぎました" not in pushed(), "said once"


def test_R_CL_4_who_handed_over_with_a_lost_line_is_told_by_the_next_renewal(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    hand_over(first, second, second_id, store)
    told = first.post("/operator/call/renew", {"shows": "1"}, status=409).text
    assert "鈴木さんがお客様を引き継ぎました。" in told


def test_R_CL_4_the_record_shows_who_had_the_call(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first, second, second_id = two
    with store.write() as session:
        call = session.scalars(select(Attempt)).one()
        record = CallRecord(
            kind=RecordKind.OUTBOUND, attempt_id=call.id, customer_id=call.customer_id,
            list_id=call.list_id, project_id=call.project_id, user_id=call.user_id,
            number=call.number, started_at=call.created_at, site_day=site_day(call.created_at),
            saved_at=call.created_at,
        )  # fmt: skip
        session.add(record)
        session.flush()
        page = f"/history/{record.id}"
    assert not first.get(page).all("#handed-on")
    hand_over(first, second, second_id, store)
    (line,) = second.get(page).all("#handed-on tbody tr")
    cells = [cell.get_text(" ", strip=True) for cell in line.find_all("td")]
    assert cells[1:3] == ["佐藤花子", "鈴木"]
    assert "相談" in cells[3]


def test_R_CL_4_the_clock_of_a_held_call_counts_from_the_hold(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first = two[0]
    with store.write() as session:
        call = session.scalars(select(Attempt)).one()
        call.joined_at = call.answered_at = utcnow() - timedelta(minutes=5)
        call.state, call.held_since = CallState.HELD, utcnow() - timedelta(seconds=40)
        since = call.held_since
    page = first.get("/operator/call/")
    assert page.one("#call-word").get_text() == "保留中"
    clock = page.one("#call-status .call-word time")
    assert datetime.fromisoformat(str(clock["data-since"])) == since


def hand_over(first: Browser, second: Browser, second_id: int, store: Store) -> None:
    first.post(f"{AT}colleague/{second_id}", {"kind": "attended", "press_id": "one"})
    second.post(f"{AT}answer", {})
    with store.write() as session:
        transfer = transfer_facts.asked_of(session, user_id=second_id)
        assert transfer is not None
        attempt = session.get_one(Attempt, transfer.attempt_id)
        transfer_moves.hand_over(session, transfer, attempt, now=utcnow())


def test_R_RC_3_a_pause_is_red_once_the_switch_paused_and_survives_a_reload(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    first = two[0]
    first.post(f"{AT}recording/pause", {})
    asked = first.get("/operator/call/").text
    assert "まだ録音中です" in asked
    assert "録音停止中" not in asked
    with store.write() as session:
        call = session.scalars(select(Attempt)).one().id
        recording_pauses.confirmed(session, attempt_id=call, now=utcnow())
    for _ in range(2):
        assert "録音停止中" in first.get("/operator/call/").text
    first.post(f"{AT}recording/go_on", {})
    assert "録音停止中" not in first.get("/operator/call/").text
    first.post(f"{AT}recording/pause", {})
    with store.write() as session:
        recording_pauses.refused(session, attempt_id=call, now=utcnow())
    assert "録音を一時停止できませんでした" in first.get("/operator/call/").text


def test_R_CL_4_who_is_asked_about_a_call_by_hand_has_its_page(
    two: tuple[Browser, Browser, int], store: Store
) -> None:
    """Without a customer there is no call screen: the box stands on 手動発信."""
    first, second, second_id = two
    with store.write() as session:
        call = session.scalars(select(Attempt)).one()
        call.origin = Origin.MANUAL
        call.customer_id = call.list_id = call.project_id = None
        session.get_one(Operator, call.user_id).customer_id = None
        session.get_one(User, second_id).may_dial_manually = False
    assert "鈴木" not in first.get(AT).text, "without the right there is no page for it"
    with store.write() as session:
        session.get_one(User, second_id).may_dial_manually = True
    first.post(f"{AT}colleague/{second_id}", {"kind": "attended", "press_id": "one"})
    second.post(f"{AT}answer", {})
    with store.write() as session:
        transfer = transfer_facts.asked_of(session, user_id=second_id)
        transfer.state = TransferState.CONSULTING
    assert second.get("/operator/call/", status=303).headers["Location"] == "/operator/manual/"
    assert "抜ける" in second.get("/operator/manual/").text
