"""受電 as a manager sets it: routes, この日時に着信したら, guidances, refused callers (R-IN-1)."""

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    CallerNumber,
    ClosedDay,
    Guidance,
    InboundClosedDay,
    InboundRefusal,
    InboundRoute,
    InboundStep,
    Role,
    Situation,
)
from calltree.services import guidance_sound
from calltree.services.inbound_days import read_closed_days, write_closed_days
from tests import factories as make
from tests.browser import Browser
from tests.sounds import tone, write_wav

pytestmark = pytest.mark.one_database

ROOM = "/admin/inbound/"


@pytest.fixture
def number(store: Store) -> CallerNumber:
    with store.write() as session:
        make.make_site(session)
        return make.make_caller_number(session, "0312345678", label="代表")


@pytest.fixture
def manager(app: Flask, store: Store, number: CallerNumber) -> Browser:
    with store.write() as session:
        user = make.make_user(session, Role.MANAGER)
    browser = Browser(app)
    browser.sign_in_as(user)
    return browser


@pytest.fixture
def guidance(store: Store, number: CallerNumber) -> Guidance:
    with store.write() as session:
        row = Guidance(
            name="休業日の案内", sound=b"RIFF", length_ms=5000, size_bytes=4, created_at=make.NOW
        )
        session.add(row)
        session.flush()
        return row


def test_R_IN_1_a_manager_sets_a_route_and_sees_it(
    manager: Browser, store: Store, number: CallerNumber, guidance: Guidance
) -> None:
    page = manager.get(ROOM)
    assert "03-1234-5678" in page.text
    assert "話中音" in page.text
    shown = manager.get(f"{ROOM}{number.id}").values("main form")
    assert shown["hours_0"] == "09:00-18:00"
    answer = manager.submit(
        hours_0="10～12、13～19",
        closed_days="2099-12-29 - 2099-12-31 年末年始",
        closed_day_action="guidance",
        closed_day_guidance_id=str(guidance.id),
        after_hours_action="forward",
        after_hours_forward_to="０３－５５５５－６６６６",
        after_hours_seconds="30",
    )
    assert answer.location == ROOM
    with store.read() as session:
        route = session.get_one(InboundRoute, number.id)
        played = select(InboundStep.situation).where(InboundStep.guidance_id == guidance.id)
        steps = session.scalars(played).all()
        days = session.scalars(select(InboundClosedDay.day)).all()
    assert route.hours[0] == "10:00-12:00 13:00-19:00"
    assert steps == [Situation.CLOSED_DAY]
    assert sorted(days) == [date(2099, 12, day) for day in (29, 30, 31)]
    listed = manager.get(ROOM).text
    assert "電話番号へ転送、03-5555-6666、30秒" in listed
    assert "ガイダンスを流して切断、「休業日の案内」" in listed


def test_R_IN_1_seconds_left_empty_are_the_usual_ones_of_the_action(
    manager: Browser, store: Store, number: CallerNumber
) -> None:
    manager.get(f"{ROOM}{number.id}")
    manager.submit(
        open_action="queue", open_seconds="", no_answer_action="voicemail", no_answer_seconds=""
    )
    with store.read() as session:
        lasting = select(InboundStep.situation, InboundStep.seconds)
        found = {row.situation: row.seconds for row in session.execute(lasting)}
    assert (found[Situation.OPEN], found[Situation.NO_ANSWER]) == (180, 120)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"hours_0": "18:00-9:00"}, "終了が開始より前です"),
        ({"hours_0": "朝"}, "9:00-18:00 のように"),
        ({"closed_days": "年末"}, "「年末」を読み取れません"),
        ({"open_seconds": "500"}, "5～120秒"),
        ({"after_hours_action": "guidance"}, "流すガイダンスを選んで"),
        ({"after_hours_action": "forward", "after_hours_forward_to": "110"}, "発信できません"),
    ],
)
def test_R_IN_1_what_is_wrong_is_said_beside_its_field(
    manager: Browser, store: Store, number: CallerNumber, typed: dict[str, Any], sentence: str
) -> None:
    manager.get(f"{ROOM}{number.id}")
    page = manager.submit(status=422, **typed)
    assert sentence in page.text
    assert page.all("[aria-invalid=true]")
    with store.read() as session:
        assert session.get(InboundRoute, number.id) is None


def test_R_IN_1_the_page_tells_what_a_call_at_a_moment_would_meet(
    manager: Browser, store: Store, number: CallerNumber, guidance: Guidance
) -> None:
    with store.write() as session:
        session.add(ClosedDay(day=date(2026, 12, 31), name="年末年始"))
    manager.get(f"{ROOM}{number.id}")
    manager.submit(closed_day_action="guidance", closed_day_guidance_id=str(guidance.id))
    closed = manager.get(f"{ROOM}trial?at=2026-12-31T14:00")
    assert "2026/12/31(木) 14:00" in closed.text
    assert "休業日です（年末年始）" in closed.text
    assert [step.get_text() for step in closed.all(".chain li")] == [
        "ガイダンスを流して切断、「休業日の案内」"
    ]
    rung = manager.get(f"{ROOM}trial?at=2026-11-24T10:00")
    assert len(rung.all(".chain li")) == 2
    nobody = manager.get(f"{ROOM}trial?at=2026-11-24T10:00&ready=no")
    assert "待機中の人がいません" in nobody.text
    assert "日時を読み取れません" in manager.get(f"{ROOM}trial?at=today", status=422).text


def test_R_IN_1_a_supervisor_reads_and_sets_nothing(
    app: Flask, store: Store, number: CallerNumber, guidance: Guidance
) -> None:
    with store.write() as session:
        user = make.make_user(session, Role.SUPERVISOR)
    browser = Browser(app)
    browser.sign_in_as(user)
    assert "編集" not in browser.get(ROOM).one("main").get_text()
    browser.get(f"{ROOM}{number.id}", status=403)
    browser.post(f"{ROOM}refused", {"number": "09011112222"}, status=403)
    assert browser.get("/admin/guidances/").all("audio")
    browser.get(f"/admin/guidances/{guidance.id}", status=403)


def test_R_IN_1_a_guidance_is_sent_heard_and_retired(
    manager: Browser, store: Store, number: CallerNumber, tmp_path: Path
) -> None:
    sent = write_wav(tmp_path / "a.wav", tone(440, 0.5), None).read_bytes()
    manager.get("/admin/guidances/new")
    refused = manager.submit(
        status=422, name="時間外", file=(io.BytesIO(b"ID3 no wav"), "guidance.mp3")
    )
    assert "音声として読み取れない" in refused.text
    assert manager.submit(status=422, name="時間外").one("#error-summary")
    answer = manager.submit(name="時間外の案内", file=(io.BytesIO(sent), "a.wav"))
    assert answer.location == "/admin/guidances/"
    page = manager.get("/admin/guidances/")
    assert "時間外の案内" in page.text
    heard = manager.client.get(page.one("audio")["src"])
    assert heard.mimetype == "audio/wav"
    assert heard.data == guidance_sound.normalise(io.BytesIO(sent)).wav
    with store.read() as session:
        guidance = session.scalars(select(Guidance)).one()
    manager.get(f"/admin/guidances/{guidance.id}")
    manager.submit(name="夜間の案内", queue_place="3")
    page = manager.get("/admin/guidances/")
    assert "夜間の案内" in page.text
    assert "順番待ち 3番目" in page.text
    manager.get("/admin/guidances/new")
    second = (io.BytesIO(sent), "b.wav")
    taken = manager.submit(status=422, name="別の案内", queue_place="3", file=second)
    assert "この順番の案内には「夜間の案内」が選ばれています" in taken.text
    manager.post(f"/admin/guidances/{guidance.id}/retire")
    manager.get(f"/admin/guidances/{guidance.id}", status=404)


def test_R_IN_1_refused_callers_are_entered_and_admitted(
    manager: Browser, store: Store, number: CallerNumber
) -> None:
    page = manager.get(f"{ROOM}refused")
    assert "着信拒否の番号はありません" in page.text
    assert "電話番号として読み取れません" in manager.submit(status=422, number="いたずら").text
    manager.get(f"{ROOM}refused")
    manager.submit(number="090-1111-2222", note="いたずら電話")
    assert "090-1111-2222" in manager.get(f"{ROOM}refused").text
    manager.submit("table form")
    with store.read() as session:
        assert session.scalars(select(InboundRefusal)).all() == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-12-29 - 2027-01-03 年末年始", "2026-12-29 - 2027-01-03 年末年始"),
        ("２０２６年１２月３１日　大晦日", "2026-12-31 大晦日"),
        ("2026/12/30\n2026/12/31\n", "2026-12-30 - 2026-12-31"),
        ("2026-12-30 a\n2026-12-31 b", "2026-12-30 a\n2026-12-31 b"),
        ("", ""),
    ],
)
def test_R_IN_1_own_closed_days_are_lines_of_text(text: str, written: str) -> None:
    days = read_closed_days(text)
    assert write_closed_days(days) == written
    assert read_closed_days(written) == days


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-02-30 なし", "closed_day_unreadable"),
        ("2027-01-03 - 2026-12-29", "days_reversed"),
        ("2026-12-29 - 2027-12-29", "closed_days_many"),
    ],
)
def test_R_IN_1_a_line_that_is_no_day_is_named(text: str, code: str) -> None:
    with pytest.raises(Refused, match=code):
        read_closed_days(text)
