"""R-CL-10 and R-AR-1 in a real Chromium: each trouble provoked, each said in its sentence.

The switch is a socket that the browser's driver answers; sound needs the real one, as in
test_real_calls.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect
from sqlalchemy import select

from calltree import create_app
from calltree.config import Settings
from calltree.db import utcnow
from calltree.models import (
    Attempt,
    Audience,
    CallState,
    Customer,
    LegKind,
    Operator,
    Origin,
    ResultPattern,
)
from calltree.services import operators
from tests import factories as make
from tests.browser import Browser as Client
from tests.certificates import make_certificate, showing
from tests.chromium.house import House, running_house
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.softphone.relay import Relay, relaying
from tests.windows import PATIENCE_MS

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

SWITCH = "ws://127.0.0.1:9/sip"
KEEPS_TRACKS = """
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await ask(wanted);
  window.lastTrack = stream.getAudioTracks()[0];
  return stream;
};
"""
ELSEWHERE = """
const Socket = window.WebSocket;
window.WebSocket = new Proxy(Socket, {
  construct: (_, [at, kind]) => (kind === "sip" ? new Socket("%s", kind) : new Socket(at)),
});
"""
FAR_END = Path(__file__).with_name("far_end.js")
Listener = Callable[..., Browser]


@dataclass
class Place:
    """A site whose real switch cannot be reached by the roles; its pages do not know."""

    house: House
    settings: Settings
    list_id: int

    def page(
        self,
        browser: Browser,
        *,
        registers: int = 200,
        desk_phone: bool = False,
        speaks: bool = False,
        through: Relay | None = None,
        wss: str = "",
    ) -> Page:
        """A new operator at the list page; the switch answers REGISTER with this status.

        One that `speaks` takes the page's call too; its sound comes `through` a relay. `wss` is a
        switch at another address.
        """
        with self.house.store.write() as session:
            user = make.make_user(
                session, leg_kind=LegKind.DEVICE if desk_phone else LegKind.BROWSER
            )
            folder = session.get_one(make.CustomerList, self.list_id)
            make.grant(session, folder, user)
            make.make_customer(session, folder)
        client = Client(create_app(self.settings))
        client.sign_in_as(user)
        cookie = client.client.get_cookie("calltree")
        assert cookie is not None
        context: BrowserContext = browser.new_context(
            viewport={"width": 1366, "height": 768}, locale="ja-JP", timezone_id="Asia/Tokyo"
        )
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies(
            [{"name": "calltree", "value": cookie.value, "url": self.house.web.origin}]
        )
        context.add_init_script(KEEPS_TRACKS)
        if speaks:
            context.add_init_script(path=FAR_END)
        elif wss:
            context.add_init_script(ELSEWHERE % wss)
        elif registers:
            context.route_web_socket(SWITCH, lambda ws: _answer(ws, registers))
        if through is not None:
            context.add_init_script(through.script)
        page = context.new_page()
        page.goto(f"{self.house.web.origin}/operator/")
        return page

    def open_customer(self, page: Page) -> None:
        """Open the newest customer, who is nobody else's, moving around inside the page."""
        page.locator(f'a.button[href$="/lists/{self.list_id}"]').click()
        page.locator('form[action*="/call/open/"] button').last.click()
        expect(page.locator("#call")).to_be_visible()

    def talk(self, page: Page) -> None:
        """The newest operator talks, as far as the ledger knows, and comes back to it."""
        with self.house.store.write() as session:
            operator = session.scalars(
                select(Operator).order_by(Operator.user_id.desc()).limit(1)
            ).one()
            customer = session.get_one(Customer, operator.customer_id)
            attempt = Attempt(
                uuid=str(uuid.uuid4()),
                origin=Origin.CALL,
                user_id=operator.user_id,
                customer_id=customer.id,
                number=customer.number,
                verdict="allowed",
                state=CallState.TALKING,
                created_at=utcnow(),
                dialled_at=utcnow(),
                answered_at=utcnow(),
                joined_at=utcnow(),
            )
            session.add(attempt)
            session.flush()
            assert operators.lock(
                session, user_id=operator.user_id, attempt_id=attempt.id, now=utcnow()
            )
            operators.move(session, user_id=operator.user_id, by=operators.Move.JOIN, now=utcnow())
        page.reload()
        expect(page.locator("#operator-state.talking")).to_be_visible()
        expect(page.locator('#softphone-panel[data-state="live"]')).to_be_visible()


def _answer(ws: WebSocketRoute, status: int) -> None:
    """A switch that answers REGISTER and takes no call."""

    def heard(message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode()
        if not text.startswith(("REGISTER", "INVITE")):
            return
        code = status if text.startswith("REGISTER") else 480
        head = dict(re.findall(r"^(Via|From|To|Call-ID|CSeq|Contact): (.*)$", text, re.MULTILINE))
        lines = [f"SIP/2.0 {code} Answer"]
        lines += [f"{name}: {head[name].strip()}" for name in ("Via", "From", "Call-ID", "CSeq")]
        lines.append(f"To: {head['To'].strip()};tag=x")
        if code == 200:
            lines.append(f"Contact: {head['Contact'].strip()};expires=120")
        ws.send("\r\n".join([*lines, "Content-Length: 0", "", ""]))

    ws.on_message(heard)


@pytest.fixture(scope="module")
def place(
    databases: SqliteDatabases | PostgresDatabases,
    redis_of_run: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("panel")
    (folder / "var").mkdir()
    env = {"ESL_URL": "esl://:x@127.0.0.1:9", "SWITCH_WSS_URL": SWITCH}
    with databases.fresh(folder) as url:
        settings = Settings.from_env(
            {"DATABASE_URL": url, "DATA_DIR": str(folder / "var"), "REDIS_URL": redis_of_run,
             "SECRET_KEY": "of the tests", **env}
        )  # fmt: skip
        with running_house(settings, folder, **env) as house:
            with house.store.write() as session:
                make.make_site(session, practice=False)
                wanted = ResultPattern.name == "標準"
                pattern = session.scalars(select(ResultPattern.id).where(wanted)).one()
                project = make.make_project(session, audience=Audience.B2B, pattern_id=pattern)
                listed = make.make_list(session, project)
                list_id = listed.id
            yield Place(house, settings, list_id)


def says(page: Page, state: str, text: str) -> None:
    panel = page.locator(f'#softphone-panel[data-state="{state}"]')
    expect(panel).to_be_visible()
    expect(panel.locator("[data-says]")).to_have_text(re.compile(text))


def test_R_CL_10_a_refused_microphone(place: Place, listener: Listener) -> None:
    page = place.page(listener(allowed=False))
    says(page, "mic_denied", "マイクの使用が許可されていません")


def test_R_CL_10_a_computer_without_a_microphone(place: Place, listener: Listener) -> None:
    page = place.page(listener(headset=False))
    says(page, "mic_missing", "マイクが見つかりません")


def test_R_CL_10_a_silent_microphone(place: Place, listener: Listener, silence: Path) -> None:
    says(place.page(listener(silence)), "mic_silent", "マイクが無音です")


def test_R_CL_10_a_headset_that_is_unplugged(place: Place, listener: Listener) -> None:
    page = place.page(listener())
    page.wait_for_function("() => window.lastTrack")
    page.evaluate("() => window.lastTrack.dispatchEvent(new Event('ended'))")
    says(page, "mic_unplugged", "ヘッドセットが外れました")


def test_R_CL_10_a_network_that_is_cut_and_comes_back(place: Place, listener: Listener) -> None:
    page = place.page(listener())
    says(page, "connecting", "接続中")
    page.context.set_offline(True)
    says(page, "network", "ネットワークが切断されました")
    page.context.set_offline(False)
    says(page, "connecting", "接続中")


def test_R_CL_10_a_switch_out_of_reach(place: Place, listener: Listener) -> None:
    says(place.page(listener(), registers=0), "switch", "電話システムに接続できません")


def test_R_CL_10_a_softphone_that_is_not_registered_is_said_in_the_call_box(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener(), registers=403)
    says(page, "unregistered", "電話システムに登録できていません")
    page.evaluate("() => { window.sameDocument = true; }")
    place.open_customer(page)
    assert page.evaluate("() => window.sameDocument"), "moving around never loads the page anew"
    box = page.locator(".call-says [data-softphone-trouble]")
    expect(box).to_contain_text("電話システムに登録できていません")
    expect(box.get_by_role("button", name="リロード")).to_be_visible()


def test_R_CL_10_no_packets_and_bad_ones_are_noticed(place: Place, listener: Listener) -> None:
    page = place.page(listener())
    judged = page.evaluate(
        """async () => {
          const script = document.querySelector('script[src$="/js/softphone.js"]').src;
          const { Quality } = await import(script.replace("softphone.js", "quality.js"));
          const fed = async (rows) => {
            const quality = new Quality();
            for (const [packetsReceived, packetsLost, jitter] of rows) {
              const counted = { packetsReceived, packetsLost, jitter };
              const report = { type: "inbound-rtp", kind: "audio", ...counted };
              await quality.take({ getStats: async () => new Map([["a", report]]) });
            }
            return [quality.silent, quality.unstable, quality.grade()];
          };
          const seconds = [...Array(8).keys()];
          const never = new Quality();
          for (const _ of seconds) await never.take({ getStats: async () => new Map() });
          return {
            never: never.silent,
            good: await fed(seconds.map(s => [s * 50, 0, 0.002])),
            still: await fed(seconds.map(s => [Math.min(s, 3) * 50, 0, 0.002])),
            lossy: await fed(seconds.map(s => [s * 50, s * 10, 0.002])),
            jittery: await fed(seconds.map(s => [s * 50, 0, 0.09])),
          };
        }"""
    )
    assert judged["good"] == [False, False, 3]
    assert judged["still"][0] is True
    assert judged["never"] is True, "sound that never came at all is missed too"
    assert judged["lossy"][1:] == [True, 1]
    assert judged["jittery"][1:] == [True, 1]
    words = page.locator("#softphone-panel template").evaluate(
        "t => Object.fromEntries([...t.content.querySelectorAll('[data-trouble]')]"
        ".map(s => [s.dataset.code, s.textContent]))"
    )
    assert words["no_audio"] == "相手の音声が届いていません。"
    assert words["unstable"] == "通信が不安定です（有線LANをお使いください）。"


def test_R_CL_10_a_customer_of_whom_nothing_comes_any_more(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener(), speaks=True)
    live = page.locator('#softphone-panel[data-state="live"]')
    expect(live).to_be_visible()
    place.open_customer(page)
    place.talk(page)
    page.evaluate("() => window.farEndSounds(false)")
    says(page, "no_audio", "相手の音声が届いていません")
    box = page.locator(".call-says [data-softphone-trouble]")
    expect(box).to_contain_text("相手の音声が届いていません")
    expect(box.get_by_role("button", name="リロード")).to_be_visible()
    page.evaluate("() => window.farEndSounds(true)")
    expect(live).to_be_visible()
    expect(box).to_be_hidden()


def test_R_CL_10_packets_that_are_lost_on_the_way_are_said(
    place: Place, listener: Listener
) -> None:
    with relaying() as relay:
        page = place.page(listener(), speaks=True, through=relay)
        live = page.locator('#softphone-panel[data-state="live"]')
        expect(live).to_be_visible()
        place.open_customer(page)
        place.talk(page)
        relay.lose(3)
        says(page, "unstable", "通信が不安定です（有線LANをお使いください）")
        assert relay.lost > 0
        expect(page.locator("#softphone-panel [data-loss]")).to_have_text(re.compile(r"^[2-9]\d"))
        box = page.locator(".call-says [data-softphone-trouble]")
        expect(box).to_contain_text("通信が不安定です")
        expect(box.get_by_role("button", name="リロード")).to_be_visible()
        relay.lose(1)
        says(page, "no_audio", "相手の音声が届いていません")
        relay.lose(0)
        expect(live).to_be_visible()
        expect(box).to_be_hidden()


def test_R_AR_1_sound_that_a_firewall_stops_is_said_by_the_telephone_and_by_the_check(
    place: Place, listener: Listener
) -> None:
    with relaying() as relay:
        relay.closed = True
        page = place.page(listener(), speaks=True, through=relay)
        check = page.context.new_page()
        check.goto(f"{place.house.web.origin}/check")
        line = check.locator('[data-check="path"]')
        expect(line).to_contain_text("音声が電話システムに届きません")
        expect(line.locator(".badge")).to_have_text("要対処")
        says(page, "no_path", "ファイアウォールでUDPが止められている")
        relay.closed = False
        expect(line.locator(".badge")).to_have_text("問題なし")
        expect(page.locator('#softphone-panel[data-state="live"]')).to_be_visible()
        page.close()
        expect(line).to_contain_text("オペレータ画面を別のウィンドウで開いてください")


def test_R_CL_10_a_switch_whose_certificate_has_expired(
    place: Place, listener: Listener, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, ends=utcnow() - timedelta(days=1))
    with showing(certificate, key) as port:
        page = place.page(listener(), wss=f"wss://localhost:{port}/sip")
        with page.expect_event(
            "console", lambda said: "ERR_CERT_" in said.text, timeout=PATIENCE_MS
        ):
            page.reload()
        says(page, "switch", "電話システムに接続できません")


def test_the_panel_offers_devices_and_keeps_what_is_chosen(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener())
    page.keyboard.press("Shift+F7")
    box = page.locator("#softphone-box")
    expect(box).to_be_visible()
    microphones = box.get_by_label("マイク", exact=True)
    expect(microphones.locator("option")).not_to_have_count(1)
    chosen = microphones.locator("option").nth(1).get_attribute("value")
    microphones.select_option(chosen)
    box.get_by_label("音量", exact=True).fill("0.4")
    page.wait_for_function("() => document.querySelector('#softphone-box [data-level]').value > 0")
    page.reload()
    page.keyboard.press("Shift+F7")
    expect(microphones).to_have_value(str(chosen))
    expect(box.get_by_label("音量", exact=True)).to_have_value("0.4")


def test_a_desk_phones_owner_has_no_telephone_in_the_page(place: Place, listener: Listener) -> None:
    page = place.page(listener(), desk_phone=True)
    page.reload()
    expect(page.locator(".softphone-note")).to_contain_text("卓上電話")
    expect(page.locator("#softphone-panel")).to_have_count(0)


def test_R_AR_1_the_check_of_a_computer_says_green_and_red(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener(), registers=200)
    page.goto(f"{place.house.web.origin}/check")

    def line(code: str) -> str:
        return f'[data-check="{code}"] .badge'

    for code in ("browser", "live", "switch"):
        expect(page.locator(line(code))).to_have_text("問題なし")
    # measured: of a busy machine it says with right that it is slow
    expect(page.locator(line("latency"))).to_have_text(re.compile("問題なし|要対処"))
    expect(page.locator(line("screen"))).not_to_have_text("確認中")
    page.get_by_role("button", name="マイクを試す").click()
    expect(page.locator(line("microphone"))).to_have_text("問題なし")
    page.get_by_role("button", name="3秒録音して再生").click()
    expect(page.locator("#environment")).to_have_attribute("data-played", re.compile("[1-9]"))
    page.get_by_role("button", name="音を鳴らす").click()
    page.get_by_role("button", name="聞こえない").click()
    expect(page.locator('[data-check="speaker"]')).to_contain_text("スピーカーを確認")


WATCH_DEVICES = """
window.asked = { microphones: [], speakers: [], spoken: [] };
const replace = RTCRtpSender.prototype.replaceTrack;
RTCRtpSender.prototype.replaceTrack = function (track) {
  window.asked.spoken.push(track.getSettings().deviceId);
  return replace.call(this, track);
};
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (what) => {
  window.asked.microphones.push(what.audio.deviceId?.exact);
  return open(what);
};
for (const player of [AudioContext, HTMLMediaElement]) {
  player.prototype.setSinkId = async (id) => { window.asked.speakers.push([player.name, id]); };
}
"""


def test_the_telephone_uses_the_microphone_and_the_speaker_that_are_chosen(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener(), speaks=True)
    page.add_init_script(WATCH_DEVICES)
    page.reload()
    expect(page.locator('#softphone-panel[data-state="live"]')).to_be_visible()
    page.keyboard.press("Shift+F7")
    box, chosen = page.locator("#softphone-box"), {}
    for name, label in (("microphones", "マイク"), ("speakers", "スピーカー")):
        choice = box.get_by_label(label, exact=True)
        expect(choice.locator("option")).not_to_have_count(1)
        chosen[name] = choice.locator("option").last.get_attribute("value")
        choice.select_option(chosen[name])
    page.wait_for_function(
        "(mine) => window.asked.speakers.at(-1)[1] === mine.speakers"
        " && window.asked.spoken.at(-1) === mine.microphones",
        arg=chosen,
    )
    assert page.evaluate("window.asked.speakers.at(-1)[0]") == "HTMLMediaElement"


def test_R_AR_1_the_check_tries_the_devices_that_the_telephone_uses(
    place: Place, listener: Listener
) -> None:
    page = place.page(listener(), registers=200)
    other = page.evaluate(
        "async () => (await navigator.mediaDevices.enumerateDevices())"
        ".filter((one) => one.kind === 'audioinput').pop().deviceId"
    )
    chosen = {"microphone": other, "speaker": "headset"}
    page.evaluate("(chosen) => localStorage.setItem('calltree.sound', chosen)", json.dumps(chosen))
    page.add_init_script(WATCH_DEVICES)
    page.goto(f"{place.house.web.origin}/check")
    page.get_by_role("button", name="3秒録音して再生").click()
    page.get_by_role("button", name="音を鳴らす").click()
    page.wait_for_function("window.asked.speakers.some(([player]) => player === 'AudioContext')")
    expect(page.locator("#environment")).to_have_attribute("data-played", re.compile("[1-9]"))
    asked = page.evaluate("window.asked")
    assert set(asked["microphones"]) == {other}  # the telephone's own and the check's
    assert {tuple(one) for one in asked["speakers"]} == {
        ("AudioContext", "headset"),
        ("HTMLMediaElement", "headset"),
    }


def test_R_AR_1_what_is_missing_is_red_with_what_to_do(place: Place, listener: Listener) -> None:
    page = place.page(listener(allowed=False), registers=0)
    page.goto(f"{place.house.web.origin}/check")
    expect(page.locator('[data-check="switch"]')).to_contain_text("電話システムが応答しません")
    page.get_by_role("button", name="マイクを試す").click()
    expect(page.locator('[data-check="microphone"]')).to_contain_text("許可されていません")
