"""コール履歴: search, corrections, deletion of one (R-HS-1…3)."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    CallRecord,
    Customer,
    RecordCorrection,
    RecordingState,
    Role,
    User,
)
from calltree.services import results
from tests.factories import (
    grant,
    make_user,
    viewer_of,
)
from tests.pages.history_floor import Floor, plays, report, shown, sound


@pytest.fixture
def floor(store: Store, app: Flask) -> Floor:
    return Floor(store)


def test_R_HS_2_calls_are_white_manual_entries_yellow_and_hand_dialled_absent(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.manager).get("/history/")
    assert sorted(shown(page)) == sorted([floor.call.id, floor.entry.id])
    assert "manual" in page.one(f'tr[data-record="{floor.entry.id}"]').get("class", [])
    assert "manual" not in page.one(f'tr[data-record="{floor.call.id}"]').get("class", [])
    assert "03-9999-8888" not in page.text


@pytest.mark.one_database
def test_R_CL_13_a_hand_dialled_call_has_no_page_in_history(floor: Floor, browser_of) -> None:
    browser_of(floor.manager).get(f"/history/{floor.by_hand.id}", status=404)


def test_R_HS_1_the_search_lives_in_the_address(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    browser.get("/history/")
    page = browser.submit("main form[role=search]", number="0312345678", status=200)
    assert len(shown(page)) == 2
    assert str(floor.call.id) in str(shown(browser.get(f"/history/?status={floor.prospect}")))
    assert shown(browser.get(f"/history/?user={floor.other.id}")) == [floor.entry.id]
    assert shown(browser.get("/history/?from=2020-01-01&to=2020-01-02")) == []


@pytest.mark.one_database
def test_R_HS_1_what_is_older_than_a_day_is_one_press_away(floor: Floor, browser_of) -> None:
    with floor.store.write() as session:
        old = floor.record(
            session,
            number="0399990001",
            saved_at=floor.at - timedelta(days=3),
            started_at=floor.at - timedelta(days=3),
        ).id
    browser = browser_of(floor.manager)
    page = browser.get("/history/?number=9999-0001")
    assert shown(page) == []
    assert "条件に合うものはありません" in page.one("main").get_text()
    assert shown(browser.get(page.one(".empty a")["href"])) == [old]


def test_R_HS_1_pages_lead_on_and_back(floor: Floor, browser_of) -> None:
    with floor.store.write() as session:
        for n in range(60):
            floor.record(session, started_at=floor.at - timedelta(minutes=n))
    browser = browser_of(floor.manager)
    first = browser.get("/history/?span=all")
    second = browser.get(first.one('a[rel="next"]')["href"])
    assert len(shown(first)) == 50
    assert len(shown(second)) == 12
    assert not set(shown(first)) & set(shown(second))
    assert not second.all('a[rel="next"]')
    assert shown(browser.get(second.one('a[rel="prev"]')["href"])) == shown(first)


def test_R_HS_1_an_operator_sees_own_and_granted_ones_on_the_blue_screen(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.operator).get("/history/")
    assert "operator" in page.one("body")["class"]
    assert sorted(shown(page)) == sorted([floor.call.id, floor.entry.id])
    other = browser_of(floor.other)
    assert shown(other.get("/history/")) == [floor.entry.id]
    other.get(f"/history/{floor.call.id}", status=404)
    other.post(f"/history/{floor.call.id}", {"status": floor.no_answer}, status=404)


def test_R_HS_3_an_author_corrects_and_the_trace_is_shown(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.operator)
    browser.get(f"/history/{floor.call.id}")
    page = browser.submit(
        "main form", status=303, follow=True, memo="訂正です", **{f"item-{floor.item.id}": "高"}
    )
    assert "履歴を訂正しました" in page.text
    lines = page.one("#corrections").get_text(" ")
    assert "山田太郎" in lines
    assert "温度感" in lines
    assert "訂正です" in lines
    with floor.store.read() as session:
        record = session.get_one(CallRecord, floor.call.id)
        assert (record.user_id, record.started_at) == (floor.operator.id, floor.at)
        assert record.attributes == {str(floor.item.id): "高"}


@pytest.mark.one_database
def test_R_HS_3_a_manager_corrects_any_and_a_supervisor_only_own(floor: Floor, browser_of) -> None:
    page = browser_of(floor.supervisor).get(f"/history/{floor.call.id}")
    assert not page.all(f'main form[action$="/history/{floor.call.id}"]')
    browser_of(floor.supervisor).post(
        f"/history/{floor.call.id}", {"status": floor.no_answer}, status=403
    )
    browser = browser_of(floor.manager)
    browser.get(f"/history/{floor.call.id}")
    browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer})
    with floor.store.read() as session:
        record = session.get_one(CallRecord, floor.call.id)
        assert (record.status_id, record.user_id) == (floor.no_answer, floor.operator.id)
        assert session.scalars(select(RecordCorrection.user_id)).all() == [floor.manager.id]


@pytest.mark.one_database
def test_R_HS_3_a_refused_correction_says_why_and_keeps_what_was_typed(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.operator).post(
        f"/history/{floor.call.id}", {"status": "", "memo": "書きかけ"}, status=422
    )
    assert page.one("textarea").text == "書きかけ"
    assert page.all(".alert.bad")
    page = browser_of(floor.operator).post(
        f"/history/{floor.call.id}",
        {"status": floor.prospect, "callback_at": "いつか"},
        status=422,
    )
    assert page.all(".alert.bad")


@pytest.mark.one_database
def test_R_ST_5_a_manager_is_asked_before_a_ban_goes_with_its_status(
    floor: Floor, browser_of
) -> None:
    with floor.store.write() as session:
        form = results.ResultForm(status_id=floor.claim)
        results.correct(
            session,
            viewer=viewer_of(session.get_one(User, floor.manager.id)),
            record_id=floor.call.id,
            form=form,
            now=utcnow(),
        )
    browser = browser_of(floor.manager)
    page = browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer}, status=422)
    assert "架電禁止" in page.all("main form")[0].get_text()
    browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer, "withdraw_ban": "yes"})
    with floor.store.read() as session:
        assert session.get_one(CallRecord, floor.call.id).status_id == floor.no_answer


@pytest.mark.one_database
def test_R_HS_3_only_a_manager_deletes_and_it_is_audited(floor: Floor, browser_of) -> None:
    before = floor.count()
    browser_of(floor.operator).post(f"/history/{floor.call.id}/delete", status=403)
    browser_of(floor.supervisor).post(f"/history/{floor.call.id}/delete", status=403)
    browser_of(floor.manager).post(f"/history/{floor.by_hand.id}/delete", status=404)
    assert floor.count() == before
    browser_of(floor.manager).post(f"/history/{floor.call.id}/delete")
    assert floor.count() == before - 1
    with floor.store.read() as session:
        assert session.scalar(select(AuditEntry.action)) == "record.deleted"


@pytest.mark.one_database
def test_R_RC_4_what_may_be_played_has_its_button(floor: Floor, browser_of) -> None:
    sound(floor, floor.call, RecordingState.STORED)
    sound(floor, floor.entry, RecordingState.HIDDEN)
    assert len(plays(browser_of(floor.manager).get("/history/"))) == 1
    assert len(plays(browser_of(floor.operator).get("/history/"))) == 1
    with floor.store.write() as session:
        colleague = make_user(session)
        grant(session, floor.folder, colleague)
    page = browser_of(colleague).get("/history/")
    assert (len(shown(page)), plays(page)) == (2, [])  # an operator plays own ones only


@pytest.mark.one_database
def test_R_LS_12_the_number_opens_the_customer_in_a_window(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    link = browser.get("/history/").all("a[hx-target='#popup']")[0]
    popup = browser.part(str(link["hx-get"]))
    assert floor.customer.cells[0] in popup.text
    assert "見込" in popup.text
    assert browser.get(str(link["hx-get"]), status=303).location == link["href"]
    report(floor)
    client = browser_of(floor.client)
    seen = client.part(f"/customers/{floor.customer.id}/popup")
    assert "見込" in seen.text
    assert "不通" not in seen.text, "only what is reported"
    with floor.store.write() as session:
        stranger = make_user(session, Role.BUSINESS)
        outsider = make_user(session)
    for user in (stranger, outsider):
        browser_of(user).part(f"/customers/{floor.customer.id}/popup", status=404)


def test_R_LS_11_a_record_of_a_deleted_customer_leads_to_no_page(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    link = f"/customers/{floor.call.customer_id}"
    for path in ("/history/", f"/history/{floor.call.id}"):
        assert browser.get(path).all(f"a[href='{link}']")
    with floor.store.write() as session:
        session.get_one(Customer, floor.call.customer_id).deleted_at = utcnow()
    for path in ("/history/", f"/history/{floor.call.id}"):
        page = browser.get(path)
        assert not page.all(f"a[href='{link}']")
        assert not page.all(f"[hx-get^='{link}']")
