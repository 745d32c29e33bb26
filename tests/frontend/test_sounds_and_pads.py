"""Scripts of single pages in a real Chromium: a guidance's sound, the number pad, reminders."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from calltree.services import guidance_sound, sound
from tests.sounds import loudness, tone, write_wav
from tests.windows import Windows

pytestmark = pytest.mark.browser

HERE = Path(__file__).resolve().parent
JS = HERE.parents[1] / "calltree" / "static" / "js"
ORIGIN = "http://pages.test"
POLICY = "default-src 'self'; script-src 'self'; media-src 'self' blob:"
PATIENCE_MS = 60_000


def show(page: Page, script: str, body: str) -> Page:
    """A page with one of our scripts."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        if name == "/":
            route.fulfill(
                content_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": POLICY},
                body=f"<!doctype html><html lang=ja><head><title>t</title></head><body>{body}"
                f"<script type=module src=/{script}></script></body></html>",
            )
        elif name == f"/{script}":
            route.fulfill(content_type="text/javascript", body=(JS / script).read_text())
        else:
            route.fulfill(status=204)

    page.route("**/*", answer)
    page.goto(ORIGIN + "/")
    return page


FORM = """<form data-guidance="180"><input type="file" name="file">
<button type="button" data-records data-record="録音" data-stop="止める"><span>録音</span></button>
<p data-says data-taken="保存できます" data-unreadable="読み取れません" data-long="長すぎます"></p>
<audio controls data-preview hidden></audio><button>保存</button></form>"""
SAVES_AT_ONCE = """document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  event.preventDefault();
  window.sent = [...(window.sent || []), document.querySelector("input").files[0]?.name];
});
document.querySelector("input").addEventListener("change", () => {
  document.querySelector("form > button:last-child").click();
})"""


def sent_by(page: Page) -> tuple[str, guidance_sound.Normal]:
    """Name and sound of what 保存 would send now, as the server takes it in."""
    expect(page.locator("[data-says]")).to_have_text("保存できます", timeout=PATIENCE_MS)
    expect(page.locator("audio")).to_be_visible()
    sent = page.evaluate(
        """async () => {
          const [file] = document.querySelector("input").files;
          return { name: file.name, bytes: [...new Uint8Array(await file.arrayBuffer())] };
        }"""
    )
    return sent["name"], guidance_sound.normalise(io.BytesIO(bytes(sent["bytes"])))


def is_the_tone(made: guidance_sound.Normal) -> bool:
    samples = list(memoryview(made.wav)[44:].cast("h"))
    return loudness(samples, 440) > 10 * loudness(samples, 900)


@pytest.mark.parametrize("kind", ["mp3", "m4a"])
def test_R_IN_1_a_chosen_mp3_or_m4a_is_sent_as_the_wav_that_the_server_reads(
    chromium: Windows, tmp_path: Path, kind: str
) -> None:
    chosen = HERE / "tone.m4a"
    if kind == "mp3":
        chosen = tmp_path / "tone.mp3"
        source = write_wav(tmp_path / "a.wav", tone(440, 1.0), None)
        with source.open("rb") as wav, chosen.open("wb") as mp3:
            sound.encode(wav, mp3)
    page = show(chromium.new_page(), "guidance.js", FORM)
    page.set_input_files("input", chosen)
    name, made = sent_by(page)
    assert name == "tone.wav"
    assert abs(made.length_ms - 1000) < 200
    assert is_the_tone(made)


MICROPHONE = """Object.defineProperty(navigator, "mediaDevices", { value: {
  async getUserMedia() {
    const room = (window.room = new AudioContext());
    const [tone, heard] = [room.createOscillator(), room.createMediaStreamDestination()];
    tone.connect(heard);
    tone.start();
    window.microphone = heard.stream.getTracks()[0];
    return heard.stream;
  },
} });"""
"""One into which somebody whistles at 440 Hz."""
LISTENS = """() => new Promise((said) => {
  const look = () => (window.room?.currentTime > 0.6 ? said() : requestAnimationFrame(look));
  look();
})"""
"""Until the whistle is long enough; not wait_for_function, which the page's policy may refuse."""


def test_R_IN_1_a_guidance_is_recorded_in_the_page(chromium: Windows) -> None:
    page = chromium.new_page()
    page.add_init_script(MICROPHONE)
    show(page, "guidance.js", FORM)
    page.get_by_role("button", name="録音").click()
    page.evaluate(LISTENS)
    page.get_by_role("button", name="止める").click()
    name, made = sent_by(page)
    assert name == "recording.wav"
    assert made.length_ms > 300
    assert is_the_tone(made)
    assert page.evaluate("window.microphone.readyState") == "ended"
    expect(page.get_by_role("button", name="録音")).to_be_visible()


def test_R_IN_1_a_file_that_is_no_sound_is_not_sent(chromium: Windows, tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"no sound at all" * 100)
    page = show(chromium.new_page(), "guidance.js", FORM)
    page.set_input_files("input", tmp_path / "a.m4a")
    expect(page.locator("[data-says]")).to_have_text("読み取れません", timeout=PATIENCE_MS)
    assert page.evaluate("document.querySelector('input').files.length") == 0


def test_R_IN_1_a_save_waits_for_the_sound_that_is_being_read(
    chromium: Windows, tmp_path: Path
) -> None:
    source = write_wav(tmp_path / "a.wav", tone(440, 1.0), None)
    with source.open("rb") as wav, (tmp_path / "a.mp3").open("wb") as mp3:
        sound.encode(wav, mp3)
    (tmp_path / "b.mp3").write_bytes(b"no sound at all" * 100)
    page = show(chromium.new_page(), "guidance.js", FORM)
    page.evaluate(SAVES_AT_ONCE)
    page.set_input_files("input", tmp_path / "b.mp3")
    expect(page.locator("[data-says]")).to_have_text("読み取れません", timeout=PATIENCE_MS)
    page.set_input_files("input", tmp_path / "a.mp3")
    expect(page.locator("[data-says]")).to_have_text("保存できます", timeout=PATIENCE_MS)
    assert page.evaluate("window.sent") == ["a.wav"]


def test_R_CL_13_the_pad_types_where_the_number_stands(chromium: Windows) -> None:
    pad = '<input id="n"><button data-types="0" data-into="n">0</button>'
    pad += '<button data-types="9" data-into="n">9</button>'
    pad += '<button data-types="" data-into="n">x</button>'
    page = show(chromium.new_page(), "forms.js", pad)
    for press in ("0", "9", "9", "x", "0"):
        page.get_by_text(press, exact=True).click()
    expect(page.locator("#n")).to_have_value("090")


COUNTS_REMINDERS = """
window.tones = 0;
window.notices = [];
window.AudioContext = class extends AudioContext {
  createOscillator() { window.tones += 1; return super.createOscillator(); }
};
window.Notification = class extends EventTarget {
  static permission = "granted";
  constructor(title, given) { super(); window.notices.push([title, given.body]); }
};
"""


def test_R_CL_12_a_reminder_sounds_once_to_each_who_sits_there(chromium: Windows) -> None:
    banner = """<div id="task-reminder" data-user="%s"><div data-due="7@2026-11-24" data-says="x">
      <strong>再コール</strong></div></div><p>y</p>"""
    page = chromium.new_page()
    page.add_init_script(COUNTS_REMINDERS)
    show(page, "tasks.js", banner % 3)
    told = "window.localStorage.getItem('calltree:reminded:3')"
    page.wait_for_function("() => window.notices.length === 1")
    assert page.evaluate("window.notices") == [["再コール", "x"]]
    assert page.evaluate(told) is None, "nobody has heard it yet"
    page.get_by_text("y").click()
    page.wait_for_function("() => window.tones === 2")
    assert page.evaluate(told) == '["7@2026-11-24"]'
    page.get_by_text("y").click()
    page.reload()
    page.get_by_text("y").click()
    assert page.evaluate("[window.tones, window.notices.length]") == [0, 0], "once"
    page.unroute_all()
    show(page, "tasks.js", banner % 4)
    page.get_by_text("y").click()
    page.wait_for_function("() => window.tones === 2")


COUNTS_TONES = """
sessionStorage.setItem("calltree.desk", "1");
window.tones = 0;
window.AudioContext = class extends AudioContext {
  constructor(...given) { super(...given); window.ear = this; }
  createOscillator() { window.tones += 1; return super.createOscillator(); }
};
window.goesThrough = (states, rings) => {
  for (const state of states) {
    const ringing = state === "offered" && rings ? '<b id="ringing" data-rings="1"></b>' : "";
    document.querySelector("p").innerHTML = ringing;
    document.getElementById("operator-state").className = `operator-state ${state}`;
    document.dispatchEvent(new Event("htmx:after:swap"));
    document.dispatchEvent(new Event("htmx:after:swap"));
  }
};
"""


def test_R_DL_3_a_customer_who_is_connected_without_a_press_is_heard_coming(
    chromium: Windows,
) -> None:
    page = chromium.new_page()
    page.add_init_script(COUNTS_TONES)
    show(page, "joined.js", '<div id="operator-state" class="operator-state ready"></div><p>x</p>')
    page.get_by_text("x").click()
    page.wait_for_function("() => window.ear?.state === 'running'")
    by_press = [["wrap_up", "browsing", "dialling", "talking"], ["ready", "offered", "talking"]]
    for rings, states in enumerate(by_press):
        page.evaluate("given => window.goesThrough(...given)", [states, bool(rings)])
    page.evaluate("given => window.goesThrough(...given)", [["wrap_up", "ready", "talking"], False])
    page.wait_for_function("() => window.tones >= 2")
    page.evaluate("given => window.goesThrough(...given)", [["ready", "offered", "talking"], False])
    page.wait_for_function("() => window.tones >= 4")
    assert page.evaluate("() => window.tones") == 4, "none for those who pressed"


def test_R_IN_2_the_box_of_the_ring_tone_makes_room_for_whoever_calls(chromium: Windows) -> None:
    """Anybody who opened it to let a practice call come in would find it upon 応答."""
    page = show(
        chromium.new_page(),
        "ring.js",
        '<button popovertarget="ring-box">着信音</button><div id="ring-box" popover>音量'
        '<select data-ring-speaker><option value=""></option></select>'
        '<input type="range" data-ring-volume></div><section id="ringing"></section>',
    )
    page.get_by_role("button", name="着信音").click()
    box = page.locator("#ring-box")
    expect(box).to_be_visible()
    page.evaluate("document.querySelector('#ringing').dataset.says = '着信 03'")
    page.evaluate("document.querySelector('#ringing').dataset.rings = '1'")
    expect(box).to_be_hidden(timeout=PATIENCE_MS)
    page.get_by_role("button", name="着信音").click()
    expect(box).to_be_visible()  # for the same call nothing is closed twice
    page.evaluate("document.querySelector('#ringing').dataset.rings = '1 2'")
    expect(box).to_be_hidden(timeout=PATIENCE_MS)


def test_R_IN_2_a_speaker_that_is_gone_is_said(chromium: Windows) -> None:
    page = chromium.new_page()
    page.add_init_script(
        """localStorage.setItem("calltree.ring", '{"speaker":"gone"}');
        sessionStorage.setItem("calltree.desk", "1");
        // what a browser answers for a device that was pulled out; this page is not https
        AudioContext.prototype.setSinkId = async (id) => { if (id) throw new Error("gone"); };"""
    )
    show(
        page,
        "ring.js",
        "<p data-ring-lost hidden>使えません</p><p>y</p>"
        '<section id="ringing" data-rings="1" data-says="着信 03"></section>',
    )
    expect(page.locator("[data-ring-lost]")).to_be_hidden()
    page.get_by_text("y").click()
    expect(page.locator("[data-ring-lost]")).to_be_visible(timeout=PATIENCE_MS)
