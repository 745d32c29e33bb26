"""The pages' small scripts, in a real Chromium: keys, drafts, double presses, clocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.windows import Windows

pytestmark = pytest.mark.browser

CALLTREE = Path(__file__).resolve().parents[2] / "calltree"
STATIC = CALLTREE / "static"
ORIGIN = "http://pages.test"
(CONFIG,) = re.findall(
    r'<meta name="htmx-config".*?>\s', (CALLTREE / "templates/base.html").read_text(), re.DOTALL
)
PAGE = """<!doctype html><html lang="ja"><head><title>t</title>CONFIG
<meta name="site" data-version="1" data-zone="Asia/Tokyo" data-now="">
<script defer src="/htmx.js"></script><script defer src="/keys.js"></script>
<script defer src="/clock.js"></script><script defer src="/forms.js"></script>
<script defer src="/live.js"></script><script defer src="/call.js"></script></head>
<body hx-headers:inherited='{"X-CSRFToken": "token"}'>BODY</body></html>"""
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'"


class Site:
    """A page of one's own markup with our scripts; keeps what was sent to it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sent: list[tuple[str, str | None, dict[str, str]]] = []
        self.unasked: dict[str, bool] = {}
        self.body = ""
        self.answer = "<p>done</p>"
        self.anew = ""
        page.route("**/*", self._answer)

    def show(self, body: str) -> Page:
        self.body = body
        self.page.goto(ORIGIN + "/")
        return self.page

    def _answer(self, route: Route) -> None:
        request = route.request
        name = request.url.removeprefix(ORIGIN)
        if request.method == "POST":
            self.sent.append((name, request.post_data, request.headers))
            route.fulfill(status=200, content_type="text/html", body=self.answer)
        elif name.endswith(".js"):
            path = (
                STATIC / "vendor/htmx.org@4.0.1/htmx.min.js"
                if name == "/htmx.js"
                else STATIC / "js" / name[1:]
            )
            route.fulfill(content_type="text/javascript", body=path.read_text())
        elif name == "/":
            route.fulfill(
                content_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": POLICY},
                body=PAGE.replace("CONFIG", CONFIG).replace("BODY", self.body),
            )
        else:
            self.unasked[name] = "x-by-itself" in request.headers
            body = self.anew if name == "/anew" else "<p id='fresh'>fresh</p>"
            route.fulfill(status=200, content_type="text/html", body=body)


@pytest.fixture
def site(chromium: Windows) -> Site:
    return Site(chromium.new_page())


def presses(page: Page) -> list[Any]:
    return list(page.evaluate("window.pressed || []"))


def listen(page: Page) -> None:
    page.evaluate(
        "() => { window.pressed = []; document.addEventListener('click', (event) => {"
        " event.preventDefault(); window.pressed.push(event.target.closest('[id]').id); }); }"
    )


KEYS = """<button id="dial" data-key="F2">call</button>
<button id="off" data-key="F9" disabled>hang up</button>
<button id="hidden" data-key="F8" hidden>hold</button>
<button id="five" data-key="5">five</button>
<div id="menu" popover><button id="ready" data-key="Shift+F2">ready</button></div>
<button id="result" data-key="E">a result</button>
<button id="edit" data-key="Shift+E">edit</button>
<button id="save" data-key="Ctrl+S">save</button>
<button id="next" data-key="Ctrl+Enter">next</button>
<textarea id="memo" data-key="n"></textarea>"""


def test_R_CL_5_keys_press_what_is_visible_and_enabled(site: Site) -> None:
    page = site.show(KEYS)
    listen(page)
    for key in ("F2", "F9", "F8", "5", "e", "Shift+E", "Shift+F2", "Control+s", "Control+Enter"):
        page.keyboard.press(key)
    assert presses(page) == ["dial", "five", "result", "edit", "ready", "save", "next"]


def test_R_CL_5_plain_keys_are_text_while_a_field_has_the_focus(site: Site) -> None:
    page = site.show(KEYS)
    listen(page)
    page.keyboard.press("n")
    expect(page.locator("#memo")).to_be_focused()
    page.keyboard.press("5")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#memo")).to_have_value("5")
    assert presses(page) == ["next"]


ROWS = """<div data-key="Shift+C" data-rows>
<form><button id="a-1" type="submit" value="1">a</button><button id="a-2" type="submit" value="2">a</button></form>
<form>busy</form>
<form><button id="b-1" type="submit" value="1">b</button><button id="b-2" type="submit" value="2">b</button></form>
</div><button id="result" data-key="c">a result</button>"""  # noqa: E501


def test_R_CL_5_one_key_goes_to_the_rows_and_the_arrow_keys_choose(site: Site) -> None:
    page = site.show(ROWS)
    listen(page)
    for key, at in (
        ("Shift+C", "a-1"),
        ("ArrowUp", "a-1"),  # there is none above, and the page does not scroll away
        ("ArrowDown", "b-1"),
        ("ArrowRight", "b-2"),
        ("ArrowUp", "a-2"),
        ("ArrowLeft", "a-1"),
        ("ArrowDown", "b-1"),
    ):
        page.keyboard.press(key)
        expect(page.locator(f"#{at}")).to_be_focused()
    page.keyboard.press("Enter")
    assert presses(page) == ["b-1"]


@pytest.mark.parametrize("composing", ["isComposing: true", "keyCode: 229"])
def test_R_CL_5_the_enter_that_confirms_a_kanji_saves_nothing(site: Site, composing: str) -> None:
    page = site.show(KEYS)
    listen(page)
    press = (
        "(init) => document.querySelector('#memo').dispatchEvent(new KeyboardEvent('keydown',"
        "{key: 'Enter', ctrlKey: true, bubbles: true, cancelable: true, ...init}))"
    )
    page.evaluate(f"() => ({press})({{{composing}}})")
    assert presses(page) == []
    page.evaluate(f"() => ({press})({{}})")
    assert presses(page) == ["next"]


def test_R_CL_6_double_click_sends_a_form_once(site: Site) -> None:
    page = site.show(
        '<form method="post" action="/dial" hx-post="/dial" hx-target="#out">'
        '<button id="dial">call</button></form><div id="out"></div>'
    )
    page.evaluate(
        "() => { const b = document.querySelector('#dial'); b.click(); b.click(); b.click(); }"
    )
    expect(page.locator("#out p")).to_have_text("done")
    assert [name for name, _, _ in site.sent] == ["/dial"]
    assert site.sent[0][2]["x-csrftoken"] == "token"


def test_a_style_that_the_browser_gave_a_field_is_not_written_into_the_answer(site: Site) -> None:
    # a textarea dragged larger, an extension: the policy refuses style as an attribute
    page = site.show(
        '<form method="post" action="/same" hx-post="/same" hx-target="#main"><div id="main">'
        '<textarea id="memo"></textarea></div><button id="save">save</button></form>'
    )
    page.evaluate("() => { document.querySelector('#memo').style.height = '90px'; }")
    site.answer = '<textarea id="memo"></textarea><p>done</p>'
    page.locator("#save").click()
    expect(page.locator("#main p")).to_have_text("done")
    assert page.locator("#memo").get_attribute("style") is None


def test_R_CL_4_an_open_dial_pad_stays_open_when_its_part_is_drawn_anew(site: Site) -> None:
    part = (
        '<div id="part"><button id="opens" type="button" data-opens="pad">pad</button>'
        '<dialog id="pad"><button id="one">1</button></dialog><p id="said">WORD</p></div>'
    )
    page = site.show(
        f'{part}<form method="post" action="/new" hx-post="/new" hx-target="#part"'
        ' hx-swap="outerMorph"></form>'
    )
    site.answer = part.replace("WORD", "talking")
    page.locator("#opens").click()
    page.evaluate("() => document.querySelector('form').requestSubmit()")
    expect(page.locator("#said")).to_have_text("talking")
    expect(page.locator("#one")).to_be_visible()


def _parts(drawn: int, customer: int = 1, *, enabled: bool = True) -> str:
    """The call box and the buttons below it of one drawing, as an answer or a push has them."""
    off = "" if enabled else " disabled"
    parts = {
        "call-status": f' data-drawn="{drawn}" data-anew="/anew"><form id="call-now">'
        f'<input type="hidden" name="customer" value="{customer}"></form>',
        "call-actions": f'><button id="save"{off}>{drawn}</button>',
    }
    return "".join(
        f'<hx-partial hx-target="#{name}" hx-swap="outerMorph"><div id="{name}"{rest}</div>'
        "</hx-partial>"
        for name, rest in parts.items()
    )


def _arrives(page: Page, text: str) -> None:
    """Let an answer come in."""
    page.evaluate(
        "(text) => htmx.swap({sourceElement: document.querySelector('#side'), swap: 'none', text})",
        text,
    )


def _call_screen(site: Site) -> Page:
    drawn = re.sub("</?hx-partial.*?>", "", _parts(200))
    return site.show(
        '<div id="call"><p id="side"></p><form id="call-form">'
        f'<input type="hidden" name="customer" value="1"></form>{drawn}</div>'
    )


def test_R_CL_4_a_drawing_that_was_overtaken_switches_no_button_off(site: Site) -> None:
    page = _call_screen(site)
    site.anew = _parts(300)
    _arrives(page, _parts(250))
    expect(page.locator("#save")).to_have_text("250")
    page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver(() => window.seen.push(document.querySelector("#save").disabled))
            .observe(document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )
    _arrives(page, _parts(240, enabled=False))
    expect(page.locator("#save")).to_have_text("300")  # what was left out was asked for anew
    assert True not in page.evaluate("() => window.seen")


def test_R_CL_4_a_clock_that_was_set_back_does_not_stop_the_screen(site: Site) -> None:
    page = _call_screen(site)
    _arrives(page, _parts(250))
    site.anew = _parts(101)
    _arrives(page, _parts(100, enabled=False))
    expect(page.locator("#save")).to_have_text("101")
    _arrives(page, _parts(102))
    expect(page.locator("#save")).to_have_text("102")


def test_R_CL_6_no_button_of_the_next_customer_stands_beside_this_one(site: Site) -> None:
    page = _call_screen(site)
    _arrives(page, _parts(300, customer=2))
    assert page.locator("#save").inner_text() == "200"
    _arrives(page, _parts(310))
    expect(page.locator("#save")).to_have_text("310")


def test_R_CL_7_what_is_typed_is_kept_on_the_server(site: Site) -> None:
    page = site.show(
        '<span id="saved" data-saved="保存済み"></span><textarea id="memo" name="memo"'
        ' data-draft-url="/draft" data-draft-status="saved"></textarea>'
    )
    page.locator("#memo").press_sequentially("17時")
    page.locator("#memo").blur()
    expect(page.locator("#saved")).to_contain_text("保存済み")
    assert [(name, body) for name, body, _ in site.sent] == [("/draft", "memo=17%E6%99%82")]


def test_R_CL_7_an_older_draft_never_arrives_after_a_newer_one(site: Site) -> None:
    page = site.show('<textarea id="memo" name="memo" data-draft-url="/draft"></textarea>')
    held: list[Route] = []
    page.route("**/draft", lambda route: held.append(route))

    def sent() -> list[str | None]:
        page.evaluate("() => fetch('/later')")  # what was sent before it is known by now
        return [route.request.post_data for route in held]

    def typed(text: str) -> list[str | None]:
        page.locator("#memo").fill(text)
        page.locator("#memo").blur()
        return sent()

    assert typed("1") == ["memo=1"]
    assert typed("12") == typed("123") == ["memo=1"], "the server may take the second one first"
    with page.expect_request("**/draft"):
        held[0].fulfill(status=204)
    assert sent() == ["memo=1", "memo=123"]


def test_R_CL_7_a_save_is_not_followed_by_the_draft_of_the_same_words(site: Site) -> None:
    page = site.show(
        '<form method="post" action="/save" hx-post="/save" hx-target="#main"><div id="main">'
        '<textarea id="memo" name="memo" data-draft-url="/draft"></textarea></div>'
        '<button id="save">save</button></form>'
    )
    page.locator("#memo").press_sequentially("later")
    page.locator("#save").click()
    expect(page.locator("#main p")).to_have_text("done")
    page.evaluate("() => window.dispatchEvent(new Event('pagehide'))")
    assert [name for name, _, _ in site.sent] == ["/save"]


def test_R_CL_6_nothing_is_taken_that_the_answer_of_a_save_would_wipe_away(site: Site) -> None:
    page = site.show(
        '<form id="form" method="post" action="/save" hx-post="/save" hx-target="#out">'
        '<textarea id="memo" name="memo"></textarea>'
        '<label data-key="4"><input type="radio" name="status" value="4">4</label>'
        '<button id="save">save</button></form><div id="out"></div>'
    )
    held: list[Route] = []
    page.route("**/save", lambda route: held.append(route))
    page.locator("#memo").press_sequentially("17")
    with page.expect_request("**/save"):
        page.locator("#save").click()
    page.locator("#memo").press_sequentially("18")
    page.locator("#save").focus()
    page.keyboard.press("4")
    expect(page.locator("#memo")).to_have_value("17")
    expect(page.locator("input[type=radio]")).not_to_be_checked()
    held[0].fulfill(status=200, content_type="text/html", body="<p>done</p>")
    expect(page.locator("#out p")).to_have_text("done")
    page.keyboard.press("4")
    expect(page.locator("input[type=radio]")).to_be_checked()


@pytest.mark.parametrize("hangs", [False, True])
def test_R_CL_7_a_save_waits_for_the_draft_on_its_way(site: Site, hangs: bool) -> None:
    page = site.show(
        '<form method="post" action="/save" hx-post="/save" hx-target="#out">'
        '<textarea id="memo" name="memo" data-draft-url="/draft"></textarea>'
        '<button id="save" name="does" value="next">save</button></form><div id="out"></div>'
    )
    page.clock.install()
    held: list[Route] = []
    page.route("**/draft", lambda route: held.append(route))
    page.locator("#memo").fill("17")
    page.locator("#memo").blur()
    page.evaluate("() => { const b = document.querySelector('#save'); b.click(); b.click(); }")
    page.evaluate("() => fetch('/later')")  # what was sent before it is known by now
    assert (len(held), site.sent) == (1, []), "the server may take the save first"
    if hangs:
        page.clock.fast_forward(5000)
    else:
        held[0].fulfill(status=204)
    expect(page.locator("#out p")).to_have_text("done")
    assert [(name, body) for name, body, _ in site.sent] == [("/save", "memo=17&does=next")]


def test_R_CL_5_the_next_dial_presses_itself_at_its_time(site: Site) -> None:
    page = site.show(
        '<form method="post" action="/dial" hx-post="/dial" hx-target="#out">'
        '<button data-fires-at="2000-01-01T00:00:00Z">call</button></form><div id="out"></div>'
    )
    expect(page.locator("#out p")).to_have_text("done")
    assert len(site.sent) == 1


@pytest.mark.provokes("htmx:error: timeout")
@pytest.mark.parametrize("stopped", [True, False])
def test_R_CL_5_a_wait_that_was_stopped_dials_nothing_however_late_the_answer(
    site: Site, stopped: bool
) -> None:
    site.page.clock.install(time="2026-11-24T10:00:00Z")
    page = site.show(
        '<form method="post" action="/dial" hx-post="/dial" hx-target="#out">'
        '<button data-fires-at="2026-11-24T10:00:30Z">call</button></form>'
        '<form method="post" action="/stop" hx-post="/stop" hx-target="#out" data-disarms>'
        '<button id="stop">stop</button></form><div id="out"></div>'
    )
    page.route("**/stop", lambda _: None)  # its answer is on its way for ever
    if stopped:
        page.locator("#stop").click()
    page.clock.fast_forward(40_000)
    page.evaluate("() => fetch('/later')")  # what was sent before it is known by now
    assert [name for name, _, _ in site.sent] == ([] if stopped else ["/dial"])


def test_R_AR_6_another_version_on_the_live_line_offers_to_reload(site: Site) -> None:
    page = site.show('<p id="upgrade-bar" hidden>new</p>')
    say = (
        "(version) => document.dispatchEvent(new CustomEvent("
        "'htmx:ws:before:message:incoming', {detail: {message: {data:"
        " JSON.stringify({version})}}}))"
    )
    page.evaluate(say, "1")
    expect(page.locator("#upgrade-bar")).to_be_hidden()
    page.evaluate(say, "2")
    expect(page.locator("#upgrade-bar")).to_be_visible()


def test_pages_poll_while_the_live_line_is_down(site: Site) -> None:
    page = site.show('<p id="lost-bar" hidden>lost</p><div data-poll="/part">old</div>')
    page.evaluate("() => document.dispatchEvent(new CustomEvent('htmx:ws:close', {detail: {}}))")
    expect(page.locator("#lost-bar")).to_be_visible()
    expect(page.locator("#fresh")).to_have_text("fresh")
    page.evaluate("() => document.dispatchEvent(new CustomEvent('htmx:ws:after:connection'))")
    expect(page.locator("#lost-bar")).to_be_hidden()


def test_R_US_6_a_page_without_live_parts_asks_whether_one_is_still_signed_in(site: Site) -> None:
    site.page.clock.install()
    page = site.show('<p id="lost-bar" hidden>lost</p><p id="mine">typed</p>')
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.headers.get("x-by-itself", "")))
    page.evaluate("() => document.dispatchEvent(new CustomEvent('htmx:ws:close', {detail: {}}))")
    with page.expect_response("**/*") as first:
        page.clock.run_for(3_000)
    assert first.value.request.url == page.url
    page.clock.run_for(50_000)
    page.evaluate("() => fetch('/later')")  # what was asked before it is known by now
    assert asked[:2] == ["1", ""]
    expect(page.locator("#mine")).to_have_text("typed")  # the answer itself is of no use


TRIGGERS = {
    trigger
    for file in (CALLTREE / "templates").rglob("*.html")
    for trigger in re.findall(r'hx-trigger="([^"]+)"', file.read_text())
}
OF_A_PERSON = ("change", "input changed ")


def test_R_US_6_what_a_page_asks_by_itself_says_so(site: Site) -> None:
    clocks = {trigger for trigger in TRIGGERS if not trigger.startswith(OF_A_PERSON)}
    # bulk/_status.html and imports/_status.html choose between the two
    named = {trigger for trigger in clocks if not trigger.startswith("{{")} | {"load"}
    assert {trigger.split()[0] for trigger in named} == {"every", "load", "calltree:renew"}
    each = "".join(
        f'<i hx-get="/clock-{at}" hx-trigger="{trigger}" hx-swap="none"></i>'
        for at, trigger in enumerate(sorted(named))
    )
    site.page.clock.install()
    page = site.show(
        f'{each}<div data-poll="/poll">old</div>'
        '<button id="press" hx-get="/press" hx-swap="none">press</button>'
        '<input id="word" hx-get="/word" hx-trigger="input changed delay:400ms" hx-swap="none">'
    )
    page.evaluate("""() => {
        document.querySelectorAll("i").forEach((i) => window.htmx.trigger(i, "calltree:renew"));
        document.dispatchEvent(new CustomEvent("htmx:ws:close", { detail: {} }));
    }""")
    page.locator("#press").click()
    page.locator("#word").fill("a")
    page.clock.run_for(11_000)
    page.evaluate("() => fetch('/later')")  # what was asked before it is known by now
    asked = {f"/clock-{at}": True for at in range(len(named))}
    asked |= {"/poll": True, "/press": False}
    assert {name: site.unasked.get(name) for name in asked} == asked
    assert {site.unasked[name] for name in site.unasked if name.startswith("/word")} == {False}
