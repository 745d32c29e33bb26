"""Handing a call on, on a real FreeSWITCH: who is joined with whom, and who hears whom (R-CL-4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calltree.models import CallState, LegState, OperatorState, Role, TransferOutcome, TransferState
from calltree.services import transfers
from tests.floor import Floor, wait_for
from tests.freeswitch import RenderedSwitch
from tests.sip_phone import HZ, SipPhone
from tests.telephony.handing_on import ATTENDED, BLIND, Desks
from tests.telephony.listening import by_sox, does, recorded
from tests.telephony.test_desk_phone_real import floor, switch  # noqa: F401 - fixtures
from tests.telephony.test_monitoring_real import AUDIBLE, LOUD, desk_phone, loud

pytestmark = pytest.mark.freeswitch

SECOND_HZ = 900
FAR_HZ = 440
"""What the test carrier's people say: the customer, and an outside target."""
BUSY, RINGS, STAYS = "0312349991", "0312349992", "0312349990"


class Heard(Desks):
    """The two with telephones of their own, each with a voice."""

    phones: tuple[SipPhone, SipPhone]

    def by_customer(self) -> dict[int, bool]:
        """Which voices are sent to the customer in the next second."""
        (path,) = recorded(self.floor, self.attempt.uuid)
        return {hertz: by_sox(path, hertz) > AUDIBLE for hertz in (HZ, SECOND_HZ)}

    def wait_heard(self, phone: int, hertz: int) -> None:
        wait_for(lambda: loud(self.phones[phone], hertz) > LOUD, f"{phone} hears {hertz}")

    def hears(self, phone: int, hertz: int) -> bool:
        return loud(self.phones[phone], hertz) > LOUD

    def both_parked(self) -> None:
        """Their telephones stay, for the next call."""
        for user, phone in zip((self.first, self.second), self.phones, strict=True):
            self.floor.wait_leg(user, LegState.PARKED)
            assert phone.talks


@contextmanager
def heard(floor: Floor, switch: RenderedSwitch) -> Iterator[Heard]:  # noqa: F811 - the fixtures
    wait_for(floor.link_up, "link")
    with (
        desk_phone(floor, switch, Role.OPERATOR, "desk-9", HZ) as (first, headset),
        desk_phone(floor, switch, Role.OPERATOR, "desk-8", SECOND_HZ) as (second, other),
    ):
        desks = Heard(floor, first.id, second.id)
        desks.phones = (headset, other)
        yield desks


@pytest.fixture
def desks(floor: Floor, switch: RenderedSwitch) -> Iterator[Heard]:  # noqa: F811 - the fixtures
    with heard(floor, switch) as both:
        yield both


def test_R_CL_4_blind_to_a_colleague_and_the_recording_goes_on(desks: Heard) -> None:
    path = Path(desks.floor.switch.recordings)
    path /= wait_for(lambda: desks.floor.recording(desks.attempt), "recorded").raw_name
    desks.to_colleague(BLIND)
    wait_for(desks.hears_music, "music")
    desks.press(transfers.answer, desks.second)
    desks.wait_with(desks.second)
    assert desks.partner() == desks.floor.operator_row(desks.second).leg_uuid
    desks.wait_heard(1, FAR_HZ)
    assert desks.by_customer() == {HZ: False, SECOND_HZ: True}
    size = path.stat().st_size
    wait_for(lambda: path.stat().st_size > size, "the one file grows")
    assert desks.floor.operator_row(desks.first).attempt_id is None
    desks.hang_up()
    assert desks.state(desks.second) is OperatorState.WRAP_UP
    desks.nothing_left()
    desks.both_parked()


def test_R_CL_4_a_colleague_is_consulted_three_talk_and_they_have_the_customer(
    desks: Heard,
) -> None:
    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    assert desks.hears_music()
    desks.wait_heard(0, SECOND_HZ)
    desks.wait_heard(1, HZ)
    assert desks.by_customer() == {HZ: False, SECOND_HZ: False}

    desks.press(transfers.three_way)
    desks.wait(TransferState.THREE_WAY)
    leg = desks.floor.operator_row(desks.first).leg_uuid
    wait_for(lambda: does(desks.floor, leg) == "eavesdrop", "the first one is among them")
    desks.wait_heard(0, FAR_HZ)
    desks.wait_heard(0, SECOND_HZ)
    desks.wait_heard(1, HZ)
    assert desks.by_customer() == {HZ: True, SECOND_HZ: True}

    desks.press(transfers.complete)
    desks.wait_with(desks.second)
    wait_for(lambda: does(desks.floor, leg) == "park", "out of it")
    assert desks.by_customer() == {HZ: False, SECOND_HZ: True}
    desks.hang_up()
    desks.nothing_left()
    desks.both_parked()


def test_R_CL_4_whoever_cannot_take_it_brings_the_customer_back(desks: Heard) -> None:
    desks.to_number(BLIND, BUSY)
    desks.wait_outcome(TransferOutcome.BUSY)
    desks.wait_back()
    desks.wait_heard(0, FAR_HZ)

    desks.to_number(ATTENDED, RINGS)
    wait_for(desks.hears_music, "music while it rings")
    desks.press(transfers.take_back)
    desks.wait_outcome(TransferOutcome.WITHDRAWN)
    desks.wait_back()

    desks.to_number(ATTENDED, STAYS)
    desks.wait(TransferState.CONSULTING)
    assert desks.by_customer()[HZ] is False
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.wait_outcome(TransferOutcome.TARGET_LEFT)
    desks.wait_back()

    desks.to_number(ATTENDED, STAYS)
    desks.wait(TransferState.CONSULTING)
    desks.press(transfers.three_way)
    desks.wait(TransferState.THREE_WAY)
    leg = desks.floor.operator_row(desks.first).leg_uuid
    wait_for(lambda: does(desks.floor, leg) == "eavesdrop", "the first one is among them")
    assert desks.by_customer()[HZ] is True
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.wait_back()
    assert desks.by_customer()[HZ] is True

    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    desks.press(transfers.leave, desks.second)
    desks.wait_back()
    assert desks.by_customer() == {HZ: True, SECOND_HZ: False}
    desks.hang_up()
    desks.nothing_left()
    desks.both_parked()


def test_R_CL_4_to_a_number_after_talking_with_it_ends_with_whoever_leaves(desks: Heard) -> None:
    desks.to_number(ATTENDED, STAYS)
    desks.wait(TransferState.CONSULTING)
    desks.wait_heard(0, FAR_HZ)
    desks.press(transfers.complete)
    desks.wait_with(None)
    assert desks.partner() == desks.transfer().uuid
    assert desks.floor.lines_open() == 2
    assert desks.by_customer() == {HZ: False, SECOND_HZ: False}
    assert desks.state(desks.first) is OperatorState.WRAP_UP
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.floor.wait_state(desks.attempt, CallState.ENDED)
    desks.nothing_left()
    desks.both_parked()


def test_R_CL_4_the_first_ones_telephone_dies_and_the_colleague_has_the_customer(
    desks: Heard,
) -> None:
    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    desks.floor.switch.api(f"uuid_kill {desks.floor.operator_row(desks.first).leg_uuid}")
    desks.wait_with(desks.second)
    desks.wait_heard(1, FAR_HZ)
    desks.hang_up()
