"""Whispering is heard by the operator only, barging in by both: on a real FreeSWITCH (R-WT-1)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from calltree.db import utcnow
from calltree.models import CallState, CommandKind, LegKind, Role, User
from calltree.services import desk, monitoring, softphones
from calltree.services.rights import Viewer
from tests import factories as make
from tests.floor import NODE, Floor, wait_for
from tests.freeswitch import RenderedSwitch
from tests.sip_phone import HZ, SipPhone
from tests.telephony.listening import HEARD, by_sox, does, recorded
from tests.telephony.test_desk_phone_real import floor, switch  # noqa: F401 - fixtures

pytestmark = pytest.mark.freeswitch

SUPERVISOR_HZ = 900
STAYS = "0312345610"
LOUD = 500
"""A voice is 4500, and what another's tone leaves there a few tens."""
AUDIBLE = 0.03
"""Of sox's RMS amplitude: a voice is 0.2, what another's tone leaves in its band 0.007."""


@contextmanager
def desk_phone(
    floor: Floor,  # noqa: F811 - the fixture imported above
    switch: RenderedSwitch,  # noqa: F811 - the fixture imported above
    role: Role,
    extension: str,
    hertz: int,
) -> Iterator[tuple[User, SipPhone]]:
    """Somebody who has sat down, with a telephone off the hook."""
    with floor.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        user = make.make_user(session, role)
        make.grant(session, session.get_one(make.CustomerList, floor.list_id), user)
        softphones.set_telephone(
            session, viewer=manager, user_id=user.id, kind=LegKind.DEVICE, extension=extension,
            now=utcnow(),
        )  # fmt: skip
        secret = softphones.new_device_secret(
            session, viewer=manager, user_id=user.id, now=utcnow()
        )
    with SipPhone(extension, secret, switch.wanted.place.sip_port, hertz=hertz) as phone:
        phone.register()
        wait_for(lambda: phone.registered, "registered")
        with floor.store.write() as session:
            desk.enter(session, viewer=Viewer.of(user), nodes=[NODE], now=utcnow())
        wait_for(lambda: phone.rings, "it rings")
        phone.pick_up()
        floor.wait_leg(user.id)
        yield user, phone


def loud(phone: SipPhone, hertz: int) -> float:
    """How loud a tone is in the next second on a telephone."""
    sound = phone.sound
    assert sound is not None
    sound.forget()
    wait_for(lambda: sound.hears(hertz) is not None, "a second of sound")
    return sound.hears(hertz) or 0.0


def test_R_WT_1_whisper_is_heard_by_the_operator_only_and_barge_by_both(
    floor: Floor,  # noqa: F811 - the fixture imported above
    switch: RenderedSwitch,  # noqa: F811 - the fixture imported above
) -> None:
    wait_for(floor.link_up, "link")
    with (
        desk_phone(floor, switch, Role.OPERATOR, "desk-9", HZ) as (operator, headset),
        desk_phone(floor, switch, Role.SUPERVISOR, "desk-8", SUPERVISOR_HZ) as (chief, telephone),
    ):
        attempt = floor.call(operator.id, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
        leg = floor.operator_row(chief.id).leg_uuid
        for mode, operator_hears, customer_hears in HEARD:
            with floor.store.write() as session:
                command = monitoring.begin(
                    session, viewer=Viewer.of(chief), user_id=operator.id, mode=mode, now=utcnow()
                )
            wait_for(lambda of=command.id: floor.command(of).done_at, "served")
            wait_for(lambda: does(floor, leg) == "eavesdrop", "in the call")
            wait_for(lambda: loud(telephone, HZ) > LOUD, "the supervisor hears the operator")
            assert (loud(headset, SUPERVISOR_HZ) > LOUD) is operator_hears, mode
            (path,) = recorded(floor, attempt.uuid)
            to_customer = by_sox(path, SUPERVISOR_HZ)
            assert (to_customer > AUDIBLE) is customer_hears, (mode, to_customer)
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)
        wait_for(lambda: does(floor, leg) == "park", "out of the call with its end")
        assert telephone.talks, "the supervisor's telephone stays"
