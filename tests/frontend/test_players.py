"""The player of recordings in a real Chromium: waveform, steps, speeds, one voice at a time."""

from __future__ import annotations

import io
import re
import wave
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.windows import Windows

pytestmark = pytest.mark.browser

JS = Path(__file__).resolve().parents[2] / "calltree" / "static" / "js"
ORIGIN = "http://pages.test"
LENGTH_S = 600
"""So long that what is played while the test looks is a small part of it."""
PATIENCE_MS = 60_000

PLAYER = """<section data-player id="{name}"><button data-shut>閉じる</button>
<svg data-wave width="400" height="80" viewBox="0 0 100 80" preserveAspectRatio="none"
><rect data-heard x="0" y="0" width="0" height="80"></rect></svg>
<audio controls preload="none" src="/{name}.wav" data-length="600"></audio>
<button data-skip="-5">戻る</button><button data-skip="5">進む</button>
<button data-speed="1" aria-pressed="true">1</button>
<button data-speed="1.5" aria-pressed="false">1.5</button></section>"""


def sound() -> bytes:
    """Ten minutes of silence, at a rate that costs little."""
    kept = io.BytesIO()
    with wave.open(kept, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(3000)
        file.writeframes(b"\x80" * 3000 * LENGTH_S)
    return kept.getvalue()


@pytest.fixture
def page(chromium: Windows) -> Page:
    """Two players, whose sound is sent in the pieces that are asked for, as the site does."""
    body, shown = sound(), chromium.new_page()

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        if name == "/":
            markup = "".join(PLAYER.format(name=one) for one in ("one", "other"))
            route.fulfill(
                content_type="text/html; charset=utf-8",
                body=f"<!doctype html><html lang=ja><head><title>t</title></head><body>{markup}"
                "<script src=/player.js></script></body></html>",
            )
        elif name == "/player.js":
            route.fulfill(content_type="text/javascript", body=(JS / name[1:]).read_text())
        elif name.endswith(".wav"):
            asked = re.fullmatch(r"bytes=(\d+)-\d*", route.request.headers.get("range", "bytes=0-"))
            assert asked is not None
            start = int(asked[1])
            route.fulfill(
                status=206, content_type="audio/wav", body=body[start:],
                headers={
                    "Accept-Ranges": "bytes",
                    "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}",
                },
            )  # fmt: skip
        else:
            route.fulfill(status=204)

    shown.route("**/*", answer)
    shown.set_default_timeout(PATIENCE_MS)
    shown.goto(ORIGIN + "/")
    return shown


def at(player: Locator) -> float:
    """Seconds heard so far."""
    return float(player.locator("audio").evaluate("audio => audio.currentTime"))


def went(player: Locator, act: str) -> None:
    """Do something to the audio element and wait until it is where it was sent."""
    player.locator("audio").evaluate(
        f"""audio => new Promise((done) => {{
          audio.addEventListener("seeked", done, {{ once: true }});
          {act}
        }})"""
    )


def press(player: Locator, name: str) -> None:
    """Press a step and wait until the sound is there."""
    went(player, f'audio.closest("[data-player]").querySelector("{name}").click();')


def test_R_RC_1_a_click_into_the_waveform_goes_there_and_steps_go_on_from_it(page: Page) -> None:
    one = page.locator("#one")
    one.locator("svg").click(position={"x": 200, "y": 40})  # nothing is loaded yet
    one.locator("audio").evaluate(
        """audio => new Promise((done) => {
          const there = () => audio.currentTime > 1 && !audio.seeking && (audio.pause(), done());
          audio.addEventListener("timeupdate", there);
          there();
        })"""
    )
    here = at(one)
    assert LENGTH_S / 2 - 5 < here < LENGTH_S / 2 + 60
    press(one, "[data-skip='5']")
    assert at(one) == pytest.approx(here + 5, abs=0.01)
    press(one, "[data-skip='-5']")
    press(one, "[data-skip='-5']")
    assert at(one) == pytest.approx(here - 5, abs=0.01)
    heard = one.locator("[data-heard]")
    expect(heard).to_have_attribute("width", re.compile(r"^4|^5"))
    drawn = float(heard.get_attribute("width") or 0)
    assert drawn == pytest.approx((here - 5) / LENGTH_S * 100, abs=0.01)
    one.locator("svg").click(position={"x": 0, "y": 40})
    press(one, "[data-skip='-5']")
    assert at(one) == 0


def test_R_RC_1_a_speed_is_kept_and_one_player_silences_the_others(page: Page) -> None:
    one, other = page.locator("#one"), page.locator("#other")
    one.locator("[data-speed='1.5']").click()
    expect(one.locator("[data-speed='1.5']")).to_have_attribute("aria-pressed", "true")
    expect(one.locator("[data-speed='1']")).to_have_attribute("aria-pressed", "false")
    one.locator("audio").evaluate("audio => audio.play()")
    expect(one.locator("audio")).to_have_js_property("playbackRate", 1.5)  # also once it is loaded
    expect(one.locator("audio")).to_have_js_property("paused", False)
    other.locator("audio").evaluate("audio => audio.play()")
    expect(one.locator("audio")).to_have_js_property("paused", True)
    expect(other.locator("audio")).to_have_js_property("paused", False)
    expect(other.locator("audio")).to_have_js_property("playbackRate", 1)
    other.locator("[data-shut]").click()
    expect(page.locator("audio")).to_have_count(1)
