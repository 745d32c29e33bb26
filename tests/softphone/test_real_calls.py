"""Calls with sound: real browsers on a real FreeSWITCH with its test carrier.

The customer's tone is 440 Hz, the operator's 600.
"""

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from calltree.models import CallState, LegState, OperatorState
from tests.floor import wait_for
from tests.sip_phone import SipPhone
from tests.softphone.conftest import OPERATOR_HZ
from tests.softphone.real import RealSeat, RealSite
from tests.softphone.relay import relaying

pytestmark = [pytest.mark.freeswitch, pytest.mark.browser]

STAYS, RINGS_ON, ANNOUNCEMENT = "0312345%d0", "0312345%d2", "0312345%d3"
CUSTOMER_HZ = 440
Listener = Callable[..., Browser]


USED = count(11)


def numbers(*forms: str) -> list[str]:
    """Numbers of their own for each test: no two live calls go to one number."""
    used = next(USED)
    return [form % used for form in forms]


def sox(file: Path, *effects: str) -> dict[str, float]:
    """What sox measures of a file."""
    told = subprocess.run(
        ["sox", str(file), "-n", *effects, "stat"], capture_output=True, text=True, check=True
    ).stderr
    return {
        " ".join(name.split()): float(value)
        for name, value in re.findall(r"^(.+?):\s+(-?[0-9.]+)$", told, re.MULTILINE)
    }


def test_R_RC_1_both_are_heard_and_recorded_each_on_their_side(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    seat.page.wait_for_timeout(3000)  # something to measure
    seat.hang_up()
    file = seat.file()
    left, right = sox(file, "remix", "1"), sox(file, "remix", "2")
    assert abs(left["Rough frequency"] - OPERATOR_HZ) < 40, left
    assert abs(right["Rough frequency"] - CUSTOMER_HZ) < 40, right
    assert left["RMS amplitude"] > 0.02
    ended = wait_for(lambda: (a := seat.attempt()).state is CallState.ENDED and a, "ended")
    assert abs(left["Length (seconds)"] - ended.talk_ms / 1000) <= 0.3, "from the answer on"
    begins = sox(file, "remix", "2", "trim", "0", "0.5")
    assert abs(begins["Rough frequency"] - CUSTOMER_HZ) < 40, "the customer's first word is there"
    assert (seat.operator().leg_state, seat.leg_lives(seat.operator().leg_uuid)) == (
        LegState.PARKED,
        True,
    )


def test_R_CL_10_sound_that_is_lost_between_switch_and_page_is_said_and_the_call_goes_on(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    with relaying() as relay:
        seat = site.seat(listener(voice), *numbers(STAYS), script=relay.script)
        seat.opens()
        seat.call()
        seat.wait_sound()
        relay.lose(3)
        panel = seat.at('#softphone-panel[data-state="unstable"]')
        expect(panel.locator("[data-says]")).to_contain_text("通信が不安定です")
        expect(seat.at(".call-says [data-softphone-trouble]")).to_contain_text("有線LAN")
        relay.lose(0)
        expect(seat.at('#softphone-panel[data-state="live"]')).to_be_visible()
        assert (relay.lost > 0, seat.attempt().state) == (True, CallState.TALKING)
        seat.hang_up()


def test_R_CL_4_ringing_and_announcements_are_heard(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(ANNOUNCEMENT, RINGS_ON))
    seat.opens(0)
    seat.call("early|talking")
    seat.wait_sound()
    seat.sees("ended")
    expect(seat.at(".call-says")).to_contain_text("使われていない番号")
    seat.page.keyboard.press("3")
    seat.page.keyboard.press("Control+s")
    seat.opens(1)
    seat.call("ringing")
    seat.wait_sound()  # 180 without media: the tone is ours
    seat.hang_up()
    seat.wait_quiet()


def test_R_CL_10_a_reload_in_a_call_comes_back_to_the_same_customer(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    before, leg = seat.attempt(), seat.operator().leg_uuid
    seat.page.reload()
    wait_for(lambda: seat.operator().leg_uuid != leg, "another leg")
    seat.sees("talking")
    seat.wait_sound()
    wait_for(lambda: not seat.leg_lives(leg), "the old leg is gone")
    assert seat.attempt().id == before.id
    assert seat.leg_lives(before.uuid)
    seat.page.wait_for_timeout(4000)  # a busy machine's microphone takes its time
    seat.hang_up()
    left = sox(seat.file(), "remix", "1", "trim", "-3.5")
    assert abs(left["Rough frequency"] - OPERATOR_HZ) < 40, "the new leg is recorded too"


def test_muted_before_a_reload_is_muted_after_it(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    seat.page.keyboard.press("F7")
    expect(
        seat.at(
            '[aria-pressed="true"]',
        ).filter(has_text="消音解除")
    ).to_be_visible()
    leg = seat.operator().leg_uuid
    seat.page.reload()
    wait_for(lambda: seat.operator().leg_uuid != leg, "another leg")
    seat.sees("talking")
    seat.wait_sound()
    seat.page.wait_for_timeout(2000)
    seat.hang_up()
    assert sox(seat.file(), "remix", "1", "trim", "-1.2")["RMS amplitude"] < 0.001
    assert sox(seat.file(), "remix", "2", "trim", "-1.2")["RMS amplitude"] > 0.01
    wait_for(lambda: not seat.operator().muted, "the next customer hears the operator")


def test_R_CL_10_a_killed_browser_comes_back_to_the_same_call(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    mark = str(uuid.uuid4())
    seat = site.seat(listener(voice, mark=mark), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    before = seat.attempt()
    machine = [c for c in seat.context.cookies() if c["name"] == "calltree_machine"]
    os.kill(_browser_of(mark), signal.SIGKILL)
    seat.open(listener(voice), cookies=machine)
    seat.page.get_by_role("button", name="こちらで使う").click()
    seat.sees("talking")
    seat.wait_sound()
    assert seat.attempt().id == before.id
    assert seat.leg_lives(before.uuid)
    seat.hang_up()


def _browser_of(mark: str) -> int:
    """The first process of the Chromium that was started with this mark."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"--calltree-mark={mark}".encode() in command and b"--type=" not in command:
            return int(folder.name)
    raise AssertionError("no such browser")


def test_R_CL_17_a_second_tab_takes_the_call_over(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    first, leg, before = seat.page, seat.operator().leg_uuid, seat.attempt()
    seat.page = seat.tab()
    expect(seat.at("[data-in-use]")).to_be_visible()
    seat.page.get_by_role("button", name="こちらで使う").click()
    wait_for(lambda: seat.operator().leg_uuid != leg, "another leg")
    seat.sees("talking")
    seat.wait_sound()
    wait_for(lambda: not seat.leg_lives(leg), "the first tab's leg is ended")
    assert seat.attempt().id == before.id
    expect(first.locator('#softphone-panel[data-state="elsewhere"]')).to_be_visible()
    seat.page.wait_for_timeout(1000)
    assert seat.leg_lives(seat.operator().leg_uuid), "the first tab does not take it back"
    seat.hang_up()


def test_a_lost_socket_is_redone_at_once_without_a_call(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    leg = seat.connected().leg_uuid
    seat.drop_socket()
    wait_for(lambda: seat.operator().leg_uuid != leg, "another leg")
    seat.connected()
    wait_for(lambda: not seat.leg_lives(leg), "the old leg is gone")


def test_a_lost_socket_does_not_disturb_a_call(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    seat.opens()
    seat.call()
    seat.wait_sound()
    leg = seat.operator().leg_uuid
    seat.drop_socket()
    seat.page.wait_for_function(
        "() => window.seenSockets.filter(s => s.protocol === 'sip' && s.readyState === 1).length"
    )
    seat.wait_sound()
    assert seat.operator().leg_uuid == leg
    assert seat.attempt().state is CallState.TALKING
    seat.hang_up()
    wait_for(lambda: seat.operator().leg_uuid != leg, "redone after the call")
    seat.connected()


def test_a_leg_that_the_switch_ends_is_made_again(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat = site.seat(listener(voice), *numbers(STAYS))
    leg = seat.connected().leg_uuid
    assert site.api(f"uuid_kill {leg}").startswith("+OK")
    wait_for(
        lambda: (op := seat.operator()).leg_uuid != leg and op.leg_state is LegState.PARKED,
        "another leg",
    )


def test_signing_out_ends_the_leg_and_what_it_signed_in_with(
    site: RealSite, listener: Listener, voice: Path
) -> None:
    seat: RealSeat = site.seat(listener(voice), *numbers(STAYS))
    seat.connected()
    with seat.page.expect_response("**/operator/softphone/connect") as told:
        seat.page.reload()
    given = told.value.json()
    leg = seat.connected().leg_uuid
    assert _may_register(site, given)
    seat.at(".topbar-end details summary").click()
    seat.at('form[action$="/sign-out"] button').click()
    expect(seat.at('input[name="login_id"]')).to_be_visible()
    wait_for(lambda: not seat.leg_lives(leg), "the leg is ended")
    assert seat.operator().state is OperatorState.SIGNED_OUT
    assert not _may_register(site, given), "the token was taken back"


def _may_register(site: RealSite, given: dict[str, str]) -> bool:
    """Whether the switch lets in who has what a page signed in with."""
    told = site.api("sofia xmlstatus profile internal")
    port = re.search(r"<url>sip:[^<]*:([0-9]+)</url>", told)
    assert port, told
    user = given["uri"].removeprefix("sip:").partition("@")[0]
    with SipPhone(user, given["password"], int(port[1])) as phone:
        phone.register()
        wait_for(lambda: phone.registered is not None, "the switch has said")
        return bool(phone.registered)


def test_R_CL_14_standing_by_wants_a_microphone_that_delivers(
    site: RealSite, listener: Listener, voice: Path, silence: Path
) -> None:
    mute = site.seat(listener(silence), *numbers(STAYS))
    _stand_by(mute, "mic_silent")
    expect(mute.at("#toasts")).to_contain_text("マイクが無音です")
    assert mute.operator().state is not OperatorState.READY
    seat = site.seat(listener(voice), *numbers(STAYS))
    _stand_by(seat, "live")
    wait_for(lambda: seat.operator().state is OperatorState.READY, "standing by")


def _stand_by(seat: RealSeat, state: str) -> None:
    leg = seat.parked().leg_uuid
    seat.page.reload()  # the strip is drawn once they have sat down
    expect(seat.at(f'#softphone-panel[data-state="{state}"]')).to_be_visible()
    seat.parked(but_not=leg)
    wait_for(lambda: seat.microphone() == {"live": "ok"}.get(state, state), "the page's report")
    seat.page.keyboard.press("Shift+F9")
    seat.at('#state-items form[action$="/ready"] button').click()
