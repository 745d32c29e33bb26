"""An operator with a desk phone, on a real FreeSWITCH with our configuration and our directory."""

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from calltree import create_app
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import CallState, CommandKind, LegKind, LegState, Recording, Role, User
from calltree.services import desk, gate, softphones
from calltree.services.rights import Viewer
from tests import factories as make
from tests.floor import NODE, Floor, wait_for
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.sip_phone import HZ, SipPhone
from tests.telephony.real_floor import open_real_floor

pytestmark = pytest.mark.freeswitch

SECRET = "between-switch-and-us"
EXTENSION = "desk-9"
STAYS = "0312345%d0"


@pytest.fixture
def switch(settings: Settings, store: Store, tmp_path: Path) -> Iterator[RenderedSwitch]:
    """FreeSWITCH, and our pages where it asks who may sign in."""
    app = create_app(replace(settings, switch_secret=SECRET))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/switch/directory"
    try:
        with rendered_switch(tmp_path, directory_url=address, secret=SECRET) as found:
            yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["calltree.store"].engine.dispose()


@pytest.fixture
def floor(store: Store, switch: RenderedSwitch) -> Iterator[Floor]:
    with open_real_floor(store, switch) as floor:
        yield floor


def owner(floor: Floor) -> tuple[User, str]:
    """An operator whose telephone stands on the desk, and the password that was made for it."""
    with floor.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        user = make.make_user(session)
        make.grant(session, session.get_one(make.CustomerList, floor.list_id), user)
        softphones.set_telephone(
            session, viewer=manager, user_id=user.id, kind=LegKind.DEVICE, extension=EXTENSION,
            now=utcnow(),
        )  # fmt: skip
        secret = softphones.new_device_secret(
            session, viewer=manager, user_id=user.id, now=utcnow()
        )
    return user, secret


def sit_down(floor: Floor, user: User) -> None:
    with floor.store.write() as session:
        desk.enter(session, viewer=Viewer.of(user), nodes=[NODE], now=utcnow())


def rings_at_sign_in(phone: SipPhone, floor: Floor, user: User) -> None:
    """The phone is known, its owner signs in, and it rings."""
    phone.register()
    wait_for(lambda: phone.registered, "registered")
    wait_for(floor.link_up, "link")
    sit_down(floor, user)
    wait_for(lambda: phone.rings, "the desk phone rings")


def test_only_the_phone_with_the_password_may_sign_in(floor: Floor, switch: RenderedSwitch) -> None:
    _user, secret = owner(floor)
    port = switch.wanted.place.sip_port
    for user, password, may in (
        (EXTENSION, secret, True),
        (EXTENSION, "wrong", False),
        ("desk-8", secret, False),
    ):
        with SipPhone(user, password, port) as phone:
            phone.register()
            wait_for(lambda p=phone: p.registered is not None, "an answer to REGISTER")
            assert phone.registered is may, (user, password)


def test_R_CL_4_a_desk_phone_rings_first_and_keeps_its_call_for_the_shift(
    floor: Floor, switch: RenderedSwitch
) -> None:
    user, secret = owner(floor)
    with SipPhone(EXTENSION, secret, switch.wanted.place.sip_port) as phone:
        rings_at_sign_in(phone, floor, user)
        refused = floor.press(user.id, STAYS % 11)
        assert (refused.verdict, refused.verdict_detail) != (gate.ALLOWED, {}), "nobody is there"
        phone.pick_up()
        leg = floor.wait_leg(user.id).leg_uuid

        attempt = floor.call(user.id, STAYS % 12)
        floor.wait_state(attempt, CallState.TALKING)
        sound = phone.sound
        assert sound is not None
        rang = sound.loud  # the ringing tone was heard before
        wait_for(lambda: sound.loud > rang + 50, "the customer is heard on the desk phone")
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)
        assert floor.wait_leg(user.id).leg_uuid == leg
        assert (phone.talks, phone.rang) == (True, 1), "one call for the whole shift"
        assert _frequency(floor, switch, attempt.id) == pytest.approx(HZ, abs=40)

        with floor.store.write() as session:
            desk.get_up(session, user_id=user.id, now=utcnow())
        wait_for(lambda: not phone.talks, "signing out ends the call")
        assert floor.operator_row(user.id).leg_state is LegState.NONE


def test_R_CL_10_a_desk_phone_put_down_in_a_call_rings_again_and_the_customer_is_kept(
    floor: Floor, switch: RenderedSwitch
) -> None:
    user, secret = owner(floor)
    with SipPhone(EXTENSION, secret, switch.wanted.place.sip_port) as phone:
        rings_at_sign_in(phone, floor, user)
        phone.pick_up()
        first = floor.wait_leg(user.id).leg_uuid
        attempt = floor.call(user.id, STAYS % 13)
        floor.wait_state(attempt, CallState.TALKING)
        phone.put_down()
        wait_for(lambda: phone.rings, "it rings again")
        phone.pick_up()
        assert floor.wait_leg(user.id, LegState.JOINED).leg_uuid != first
        row = floor.wait_state(attempt, CallState.TALKING)
        assert row.ended_at is None
        sound = phone.sound
        assert sound is not None
        wait_for(lambda: sound.loud > 20, "the same customer is heard")
        assert floor.records() == 1
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)


def _frequency(floor: Floor, switch: RenderedSwitch, attempt_id: int) -> float:
    """The tone on the recording's left side, the operator's."""

    def closed() -> Recording | None:
        with floor.store.read() as session:
            wanted = Recording.attempt_id == attempt_id
            return session.scalar(select(Recording).where(wanted, Recording.stopped_at.isnot(None)))

    name = wait_for(closed, "recording closed").raw_name
    told = subprocess.run(
        ["sox", str(switch.recordings / name), "-n", "remix", "1", "stat"],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    line = next(line for line in told.splitlines() if line.startswith("Rough"))
    return float(line.split()[-1])
