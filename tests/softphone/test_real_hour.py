"""The operator's hour with sound: one customer for each answer of the test carrier, by keys, on a
real FreeSWITCH; then the ledger, the recordings and the talk times are compared.

The customer's tone is 440 Hz, the operator's 600.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from calltree.db import utcnow
from calltree.jobs.recordings import finish_in
from calltree.models import Attempt, CallState, LegState, Recording, RecordingState
from tests.chromium.screen import Seat
from tests.floor import wait_for
from tests.softphone.conftest import OPERATOR_HZ
from tests.softphone.real import RealSite
from tests.softphone.test_real_calls import CUSTOMER_HZ, sox
from tests.telephony.contract import Link
from tests.telephony.listening import recorded

pytestmark = [pytest.mark.freeswitch, pytest.mark.browser, pytest.mark.one_database]

TALK_MS = 2500
"""Long enough for the tone of a microphone to stand in a recording."""
MOVED_S = 0.9
"""A switch that is busy reads nothing of a customer while it moves them from leg to leg."""
FAX_HZ, GREETING_HZ = 1100, 500
DIGITS = ("1", "4", "8", "7", "98", "3", "0", "2", "5", "6", "0", "0", "9")
"""Every answer of the test carrier; somebody who stays three times: talked, held, reloaded."""
HELD, RELOADED = 10, 11
PROPOSED = {"1": "不通", "2": "不通", "3": "現アナ", "7": "不通", "8": "不通"}
CHOSEN = {"0": ("4", "見込"), "4": ("5", "再コール"), "5": ("2", "FAX"), "6": ("1", "不通")}
CHOSEN["9"] = ("9", "アポ")
Listener = Callable[..., Browser]


class Hour:
    """One operator: `keys` presses and sees, `seat` hears and asks the switch."""

    def __init__(self, site: RealSite, browser: Browser, numbers: list[str]) -> None:
        self.site = site
        self.seat = site.seat(browser, *numbers, alone=True)
        place: Any = SimpleNamespace(store=site.store, origin=site.origin)
        self.keys = Seat(place, self.seat.user_id, self.seat.list_id, self.seat.customers)
        self.keys.page = self.seat.page

    def talks(self) -> None:
        self.keys.sees("talking")
        self.seat.wait_sound()
        self.seat.page.wait_for_timeout(TALK_MS)

    def works(self, index: int, digit: str) -> str:
        """Do with one customer what an operator does; give the result that it shall have."""
        if digit in "056":
            self.talks()
            if index == HELD:
                self.holds()
            elif index == RELOADED:
                self.reloads()
            elif digit == "5":
                self.dials_through()
            self.keys.press("F9")
        elif digit == "2":
            self.keys.sees("ringing")
            self.seat.wait_sound()
            self.keys.press("F9")
        elif digit == "3":
            self.keys.sees("early|talking")
            self.seat.wait_sound()
        elif digit == "9":
            self.keys.sees("ringing|early|talking|ended")
            if "ended" not in (self.keys.at("#call-status").get_attribute("class") or ""):
                self.keys.press("F9")
        self.keys.sees("ended")
        return self.saves(digit)

    def saves(self, digit: str) -> str:
        if digit == "98":
            self.keys.sees_text(".call-says", "結果の入力は不要です")
            self.keys.press("F3")
            return "回線エラー"
        if digit in CHOSEN:
            key, name = CHOSEN[digit]
            self.keys.picks(key, name)
        else:
            name = PROPOSED[digit]
            expect(self.keys.at("#results .result:has(:checked) > span")).to_have_text(name)
        self.keys.press("Control+Enter")
        return name

    def holds(self) -> None:
        """The customer's own telephone is listened to: it hears music, then the operator again."""
        far = self.seat.far_end()
        self.keys.press("F8")
        self.keys.sees("held")
        heard = self.heard_at(far)
        assert heard["RMS amplitude"] > 0.005, "music"
        assert abs(heard["Rough frequency"] - OPERATOR_HZ) > 40, "not the operator"
        self.keys.press("F8")
        self.keys.sees("talking")
        self.seat.wait_sound()
        self.is_heard_at(far)

    def dials_through(self) -> None:
        """Keys that are pressed in a call come out at the far end, each once and in their order."""
        far = self.seat.far_end()
        link = Link(self.site.env["ESL_URL"])
        link.send("event plain DTMF")
        self.keys.press("F4")
        for digit in "59#":
            self.keys.page.keyboard.type(digit)
            link.wait("DTMF", header="DTMF-Digit", value=digit)
        link.close()
        told = [(event.get("Unique-ID"), event.get("DTMF-Digit")) for event in link.events]
        assert told == [(far, digit) for digit in "59#"]
        self.keys.at("#dial-pad [data-closes]").click()

    def heard_at(self, leg: str) -> dict[str, float]:
        """A second of what arrives at a customer's telephone."""
        here: Any = SimpleNamespace(
            switch=SimpleNamespace(api=self.site.api, recordings=self.site.data_dir)
        )
        (file,) = recorded(here, leg)
        return sox(file, "remix", "2")

    def is_heard_at(self, leg: str) -> None:
        """Wait until the operator's voice arrives; a microphone that is opened takes its time."""
        wait_for(
            lambda: abs(self.heard_at(leg)["Rough frequency"] - OPERATOR_HZ) < 40, "the operator"
        )

    def reloads(self) -> None:
        before, leg, far = self.seat.attempt(), self.seat.operator().leg_uuid, self.seat.far_end()
        self.seat.page.reload()
        wait_for(lambda: self.seat.operator().leg_uuid != leg, "another leg")
        self.talks()
        self.is_heard_at(far)
        assert self.seat.attempt().id == before.id
        assert self.seat.leg_lives(before.uuid)


def test_an_operators_hour_with_sound(site: RealSite, listener: Listener, voice: Path) -> None:
    numbers = [f"03{61000000 + at * 100 + int(digit):08}" for at, digit in enumerate(DIGITS)]
    hour = Hour(site, listener(voice), numbers)
    hour.keys.begin()
    hour.seat.connected()
    expect(hour.keys.at("#call-now button")).to_be_enabled()
    hour.keys.press("F2")
    expected = []
    for index, digit in enumerate(DIGITS):
        hour.keys.position(index + 1, len(DIGITS))
        expected.append(hour.works(index, digit))
    hour.keys.sees_text("#call-queue", "リストの最後です")

    assert hour.keys.results() == expected
    attempts = hour.keys.attempts()
    assert [attempt.number for attempt in attempts] == numbers, "one press, one call"
    connected = expected.count("見込") + expected.count("再コール") + expected.count("アポ")
    assert hour.keys.today() == (len(DIGITS) - 1, connected)
    for attempt, digit in zip(attempts, DIGITS, strict=True):
        assert attempt.state is (CallState.FAILED if digit == "98" else CallState.ENDED), digit
    leg = hour.seat.operator()
    assert (leg.leg_state, hour.seat.leg_lives(leg.leg_uuid)) == (LegState.PARKED, True)

    for index, (attempt, digit) in enumerate(zip(attempts, DIGITS, strict=True)):
        if digit == "9":
            continue  # a draw
        assert bool(attempt.talk_ms) is (digit in "0456"), digit
        if attempt.talk_ms:
            compare(site, attempt, digit, lacks_s=MOVED_S if index == RELOADED else 0.3)


def compare(site: RealSite, attempt: Attempt, digit: str, *, lacks_s: float) -> None:
    """The recording of an answered call with its talk time and with who spoke in it."""
    with site.store.read() as session:
        row = session.scalars(select(Recording).where(Recording.attempt_id == attempt.id)).one()
    file = site.settings.recordings_dir / row.raw_name
    assert abs(sox(file)["Length (seconds)"] - attempt.talk_ms / 1000) <= lacks_s, digit
    said = {"0": CUSTOMER_HZ, "5": FAX_HZ, "6": GREETING_HZ}
    if digit in said:
        begins = sox(file, "remix", "2", "trim", "0", "0.5")
        assert abs(begins["Rough frequency"] - said[digit]) < 40, "from the first word on"
        spoken = sox(file, "remix", "1", "trim", "-1")
        assert abs(spoken["Rough frequency"] - OPERATOR_HZ) < 40, "to the last"
    finish_in(site.store, site.settings.recordings_dir, row.id, now=utcnow())
    with site.store.read() as session:
        stored = session.get_one(Recording, row.id)
    kept = RecordingState.HIDDEN if digit == "6" else RecordingState.STORED  # 不通 is let go of
    assert (stored.state, stored.problem) == (kept, "")
