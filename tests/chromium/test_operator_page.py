"""The page of the call screen in a real Chromium: reloads, second tabs, states, keys, size."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect
from sqlalchemy import select

from calltree.models import Project
from tests.chromium.screen import Place, numbers
from tests.floor import wait_for

pytestmark = pytest.mark.browser

AXE = Path(__file__).resolve().parents[1] / "vendor" / "axe-core@4.14.1" / "axe.min.js"


# --- reload, second page


@pytest.mark.one_database
def test_R_CL_10_a_reload_in_mid_call_comes_back_to_it(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    with seat.page.expect_response("**/call/dial") as pressed:
        seat.call()
    assert pressed.value.status == 204, "what is pushed is not answered once more"
    seat.press("n")
    seat.page.keyboard.type("書きかけ")
    seat.press("Escape")
    expect(seat.at("#memo-saved")).to_contain_text("下書き")
    seat.page.on("dialog", lambda dialog: dialog.accept())
    seat.page.reload()
    seat.sees("talking")
    expect(seat.at("#memo")).to_have_value("書きかけ")
    # a crashed tab starts at the lists, and is brought to its call
    seat.page.goto(f"{place.origin}/operator/")
    seat.sees("talking")
    seat.hang_up()
    seat.picks("4", "見込")
    seat.save()
    assert seat.results() == ["見込"]
    assert seat.memo()[0].endswith("見込】書きかけ")


def renew(page: Page) -> None:
    page.evaluate("() => htmx.trigger('#desk', 'calltree:renew')")


@pytest.mark.provokes("409 .*/call/renew$", "Blocked attempt to show a .beforeunload.")
@pytest.mark.one_database
def test_R_CL_17_a_second_tab_is_told_and_takes_over_with_the_call(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    first = seat.page
    second = seat.window(first.context)
    second.goto(f"{place.origin}/operator/call/")
    expect(second.locator("#main")).to_contain_text("別の画面で使用中")
    second.get_by_role("button", name="こちらで使う").click()
    expect(second.locator("#call-status.talking")).to_be_visible()

    def told() -> bool:
        renew(first)  # again and again as the page does: one that comes upon another is dropped
        return "別の画面で使用中" in first.locator("#main").inner_text()

    wait_for(told, "the first page to be told")
    seat.page = second
    seat.hang_up()
    seat.picks("4", "見込")
    seat.save()
    assert seat.results() == ["見込"]


NOTES_CLOSING = """
const send = window.fetch;
window.fetch = (address, ...others) => {
  if (String(address).endsWith("/call/close")) {
    sessionStorage.closed = Number(sessionStorage.closed || 0) + 1;
  }
  return send(address, ...others);
};
"""


@pytest.mark.provokes("409 .*/call/renew$", "Blocked attempt to show a .beforeunload.")
@pytest.mark.one_database
def test_R_CL_17_a_page_that_goes_on_in_its_tab_is_not_closed(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    context = seat.page.context
    context.add_init_script(NOTES_CLOSING)
    second = context.new_page()

    def closed() -> str:
        return str(second.evaluate("() => sessionStorage.closed || 'never'"))

    second.goto(f"{place.origin}/operator/call/")
    second.get_by_role("button", name="こちらで使う").click()
    expect(second.locator("#call-status.talking")).to_be_visible()
    second.on("dialog", lambda dialog: dialog.accept())
    second.reload()
    expect(second.locator("#call-status.talking")).to_be_visible()
    assert closed() == "never", "a page that lets the other one in between"
    seat.page.close()  # it may not have been told yet, and would come in between now
    second.goto("about:blank")
    second.goto(f"{place.origin}/operator/call/")
    assert closed() == "1"
    expect(second.locator("#call-status.talking")).to_be_visible()
    seat.page = second
    seat.hang_up()
    seat.picks("4", "見込")
    seat.save()


@pytest.mark.provokes("409 .*/call/(renew|take-over)$")
@pytest.mark.one_database
def test_R_CL_17_a_call_is_not_moved_to_another_machine(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    elsewhere = seat.window()
    expect(elsewhere.locator("#main")).to_contain_text("別の画面で使用中")
    elsewhere.get_by_role("button", name="こちらで使う").click()
    expect(elsewhere.locator("#main [role=alert]")).to_contain_text("別の端末で通話中")
    seat.hang_up()
    elsewhere.get_by_role("button", name="こちらで使う").click()
    expect(elsewhere.locator("#main")).not_to_contain_text("別の画面で使用中")
    wait_for(lambda: seat.operator().page_id, "the page is the operator's")


# --- states, hours, lines


@pytest.mark.one_database
def test_R_CL_14_away_with_a_reason_and_ready(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.press("Shift+F9")
    seat.at(".state-items").get_by_role("button", name="昼休み").click()
    seat.sees_text("#operator-state", "離席（昼休み）")
    seat.press("Shift+F2")
    seat.sees_text("#operator-state", "閲覧中")
    seat.press("Shift+F9", "Shift+F2")
    seat.page.wait_for_url("**/operator/")
    seat.sees_text("#operator-state", "待機")
    assert seat.operator().customer_id is None


@pytest.mark.one_database
def test_R_CL_14_an_answer_that_the_push_overtook_closes_no_menu(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.press("Shift+F9")
    seat.at(".state-items").get_by_role("button", name="昼休み").click()
    seat.sees_text("#operator-state", "離席（昼休み）")
    held: list[tuple[Route, APIResponse]] = []
    seat.page.route("**/call/back", lambda route: held.append((route, route.fetch())))
    seat.press("Shift+F2")
    seat.sees_text("#operator-state", "閲覧中")  # as the live line has it
    seat.press("Shift+F9")
    expect(seat.at("#state-items")).to_be_visible()
    [(route, answer)] = held
    with seat.page.expect_response("**/call/back") as arrived:
        route.fulfill(response=answer)
    arrived.value.finished()
    seat.page.wait_for_function("() => !document.querySelector('.htmx-request')")
    seat.press("Shift+F2")
    seat.page.wait_for_url("**/operator/")


@pytest.mark.one_database
def test_R_CL_5_a_stopped_project_opens_the_customer_and_says_why_it_is_not_dialled(
    place: Place,
) -> None:
    seat = place.seat(*numbers("1", "0"))
    seat.begin()
    seat.call("ended")
    with place.store.read() as session:
        project_id = session.scalars(select(Project.id).order_by(Project.id.desc()).limit(1)).one()
    seat.change(Project, project_id, weekdays=[], on_holidays=False)
    seat.press("Control+Enter")
    seat.position(2, 2)
    seat.sees("idle")
    seat.sees_text(".call-says", "案件の架電時間")
    assert len(seat.attempts()) == 1
    expect(seat.at("#call-now button")).to_be_enabled()
    seat.press("F2")
    seat.sees("talking|ringing")
    seat.hang_up()


@pytest.mark.one_database
def test_R_CL_16_the_page_says_once_that_it_makes_no_emergency_calls(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    said = seat.page.get_by_text("緊急通報")
    expect(said).to_be_visible()
    seat.page.goto(f"{place.origin}/operator/")
    expect(said).to_have_count(0)


@pytest.mark.one_database
def test_R_CL_9_a_banned_number_says_why_it_is_not_dialled(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    seat.begin()
    seat.call()
    seat.hang_up()
    seat.picks("6", "クレーム")
    seat.save()
    seat.sees_text("#customer", "架電禁止")
    expect(seat.at("#call-now button")).to_be_disabled()
    seat.sees_text(".call-says", "架電禁止の番号です")


# --- the page itself


@pytest.mark.one_database
def test_R_CL_5_keys_are_text_while_one_types_and_ignore_the_ime(place: Place) -> None:
    seat = place.seat(*numbers("0", "1"))
    seat.begin()
    seat.call()
    seat.hang_up()
    seat.press("n", "4", "Shift+L")
    expect(seat.at("#memo")).to_have_value("4L")
    expect(seat.at("#results :checked")).to_have_count(0)
    seat.at("#memo").evaluate(
        "(box) => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true,"
        " bubbles: true, cancelable: true, isComposing: true}))"
    )
    seat.press("Escape")
    seat.picks("4", "見込")
    seat.position(1, 2)
    assert seat.results() == ["空白"], "confirming a kanji saves nothing"


@pytest.mark.provokes("422 .*/call/save$")
@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1280, 720)])
@pytest.mark.one_database
def test_R_CL_3_the_page_never_scrolls(place: Place, width: int, height: int) -> None:
    seat = place.seat(*numbers("0"))
    seat.page.set_viewport_size({"width": width, "height": height})
    seat.begin()
    assert overflow(seat.page) == (0, 0)
    seat.call()
    assert overflow(seat.page) == (0, 0)
    seat.hang_up()
    seat.press("Control+s")
    expect(seat.at("#call-errors .error-summary")).to_be_visible()
    assert overflow(seat.page) == (0, 0)
    for name in ("保存して次へ", "次へ", "SKIP"):
        expect(seat.at("#call-actions").get_by_role("button", name=name).first).to_be_in_viewport()


def overflow(page: Page) -> tuple[int, int]:
    """How many pixels the page could be scrolled, across and down."""
    sizes = page.evaluate(
        "() => [document.documentElement.scrollWidth - innerWidth,"
        " document.documentElement.scrollHeight - innerHeight,"
        " document.querySelector('#main').scrollHeight"
        " - document.querySelector('#main').clientHeight]"
    )
    return sizes[0], max(sizes[1], sizes[2])


@pytest.mark.one_database
def test_every_page_of_the_operators_is_accessible(place: Place) -> None:
    seat = place.seat(*numbers("0"))
    problems = {"lists": axe(seat.page)}
    seat.page.goto(f"{place.origin}/operator/lists/{seat.list_id}")
    problems["search"] = axe(seat.page)
    seat.begin()
    problems["call"] = axe(seat.page)
    seat.call()
    seat.press("Shift+L")
    seat.sees_text("#side", "直前の通話")
    problems["talking"] = axe(seat.page)
    seat.hang_up()
    seat.press("Escape")
    seat.picks("5", "再コール")
    seat.save()
    problems["saved"] = axe(seat.page)
    seat.page.goto(f"{place.origin}/operator/tasks/?tab=free")
    problems["tasks"] = axe(seat.page)
    assert {page: found for page, found in problems.items() if found} == {}


def axe(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations'],"
        " rules: {'target-size': {enabled: true}}})"
    )
    return [
        f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]
    ]
