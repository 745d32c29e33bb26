"""The configuration that we render, read by a real FreeSWITCH (FREESWITCH_BIN)."""

import base64
import hashlib
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from simple_websocket import Client

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import CallerIdForm, NumberForm, Role, SwitchCommand, TrunkKind
from calltree.services import switch_checks, trunks
from calltree.telephony import commands, inspection, trunk_loading
from calltree.telephony.care import Care
from calltree.telephony.commands import OutsideCall
from calltree.telephony.config.wanted import Gateway
from calltree.telephony.esl import CommandRefused
from calltree.telephony.serving import Desk
from calltree.telephony.timings import Timings
from calltree.upkeep.findings import Light
from calltree.upkeep.switch_state import Reading, judge
from tests.factories import make_site, make_trunk, make_user, viewer_of
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.telephony.contract import Live

pytestmark = pytest.mark.freeswitch

SECRET = "sh4red&secret"
DIGITS = {
    "answers": ("", "200"),
    "busy": ("USER_BUSY", "486"),
    "early 404": ("UNALLOCATED_NUMBER", "404"),
    "leaves": ("NORMAL_CLEARING", "200"),
    "fax": ("", "200"),
    "voicemail": ("", "200"),
    "refuses": ("CALL_REJECTED", "603"),
    "unavailable": ("NO_USER_RESPONSE", "480"),
    "congested": ("NORMAL_TEMPORARY_FAILURE", "503"),
}


HOSTILE = "p\"/><x a='$${hostname}${x}&]]>"
KNOWN = "0501112222"
A1_HASH = hashlib.md5(f"{KNOWN}:calltree:{HOSTILE}".encode()).hexdigest()  # noqa: S324 - SIP's own
NOBODY = '<document type="freeswitch/xml"><section name="result"/></document>'
SOMEBODY = (
    '<document type="freeswitch/xml"><section name="directory"><domain name="calltree">'
    f'<user id="{KNOWN}"><params><param name="a1-hash" value="{A1_HASH}"/></params></user>'
    "</domain></section></document>"
)


class Asked(BaseHTTPRequestHandler):
    """Our web endpoint as the switch sees it: knows one telephone, remembers who asked."""

    seen: list[tuple[str, str]] = []  # noqa: RUF012 - one for the module, which is what is wanted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.append((self.headers.get("Authorization", ""), body))
        answer = (SOMEBODY if f"user={KNOWN}" in body else NOBODY).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedSwitch]:
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/switch/directory"
        directory = tmp_path_factory.mktemp("freeswitch")
        try:
            with rendered_switch(directory, directory_url=url, secret=SECRET) as found:
                yield found
        finally:
            server.shutdown()


@pytest.fixture
def live(switch: RenderedSwitch) -> Iterator[Live]:
    url = f"esl://:{quote(switch.wanted.esl.password, safe='')}@127.0.0.1:{switch.wanted.esl.port}"
    found = Live(url, real=True, rate=1, recordings=str(switch.recordings))
    yield found
    found.close()


@pytest.fixture
def here(switch: RenderedSwitch, tmp_path: Path) -> Settings:
    found = Settings.from_env({"DATA_DIR": str(tmp_path), "ESL_URL": "esl://:x@127.0.0.1"})
    return replace(found, switch_place=switch.wanted.place)


def wait_for(seen: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_starts_without_a_single_error(switch: RenderedSwitch) -> None:
    assert switch.errors_at_start == []


REGISTER = """\
REGISTER sip:calltree SIP/2.0
Via: SIP/2.0/{via} nowhere.invalid;branch=z9hG4bK{via}
Max-Forwards: 69
To: <sip:web-1@calltree>
From: <sip:web-1@calltree>;tag={via}
Call-ID: {via}@nowhere
CSeq: 1 REGISTER
Contact: <sip:a@nowhere.invalid;transport=ws>;expires=120
Content-Length: 0

"""


def test_a_telephone_is_answered_only_by_its_transports_name(switch: RenderedSwitch) -> None:
    """So a page behind a proxy that ends TLS must say WS, whatever its own address says."""
    with closing(Client(f"ws://{switch.wanted.place.ws}/", subprotocols=["sip"])) as link:
        for via in ("WSS", "WS"):
            link.send(REGISTER.format(via=via).replace("\n", "\r\n"))
        answer = link.receive(timeout=60)
        assert "SIP/2.0 401" in answer
        assert "Call-ID: WS@nowhere" in answer


def test_the_check_is_green_in_every_part(switch: RenderedSwitch, here: Settings) -> None:
    """Also the password of the event socket, which holds all that FreeSWITCH would expand."""
    gateways = [("carrier", "carrier")]
    reading = inspection.inspect(switch.wanted.esl, "rendered", here, gateways, now=utcnow())
    found = judge(reading, now=utcnow())
    others = [(one.part, one.code) for one in found if one.light is not Light.GREEN]
    assert others == [("certificate", "certificate_unknown")]
    assert reading.browsers == switch.wanted.place.ws
    assert [path for path in here.recordings_dir.rglob("*") if path.is_file()] == []
    wrong = replace(switch.wanted.esl, password="wrong")
    assert inspection.inspect(wrong, "r", here, [], now=utcnow()).down == "auth"


def test_a_directory_that_the_switch_does_not_share_is_found_out(
    switch: RenderedSwitch, here: Settings, tmp_path: Path
) -> None:
    away = replace(here, switch_recordings=str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    with switch.link() as link:
        assert inspection.read(link, "r", away, [], now=utcnow()).switch_writes == "elsewhere"
        nowhere = replace(here, switch_recordings="/proc/nothing")
        assert inspection.read(link, "r", nowhere, [], now=utcnow()).switch_writes == "no"


def test_every_last_digit_of_the_test_carrier(live: Live) -> None:
    stories = {what: live.dial(what) for what in (*DIGITS, "rings")}
    found = {}
    for what, (cause, _sip) in DIGITS.items():
        story = stories[what]
        if cause:
            event = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=story.uuid)
            found[what] = (event.get("Hangup-Cause"), event.get("variable_sip_term_status"))
        else:
            live.link.wait("CHANNEL_ANSWER", value=story.uuid)
            found[what] = ("", "200")
    assert found == DIGITS
    assert "CHANNEL_PROGRESS_MEDIA" in [
        e.name for e in live.link.events if e.get("Unique-ID") == stories["early 404"].uuid
    ]
    live.link.wait("CHANNEL_PROGRESS", value=stories["rings"].uuid)
    for what in ("rings", "answers", "fax", "voicemail"):
        assert live.link.api(f"uuid_exists {stories[what].uuid}") == "true", what


def test_a_person_is_drawn_by_the_legs_id(live: Live) -> None:
    """Sixteen calls do not all go the same way: once in 400 million runs they would."""
    for _ in range(16):
        live.link.job("originate {calltree_call_id=9}sofia/gateway/carrier/0312345679 &park")
    ways: set[str] = set()

    def drawn() -> bool:
        told = live.link.api("show channels")
        ways.update(re.findall(r"sleep,(2000|6000|600000|4000),XML,testcarrier", told))
        return len(ways) > 1

    wait_for(drawn)
    live.link.api("hupall NORMAL_CLEARING calltree_call_id 9")


def test_a_customer_left_alone_hears_music_then_an_apology_and_is_released(live: Live) -> None:
    story = live.dial("answers")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    assert live.link.api(f"uuid_transfer {story.uuid} orphan XML calltree").startswith("+OK")
    music = live.link.wait("PLAYBACK_START", value=story.uuid)
    assert music.get("Playback-File-Path") == "local_stream://default"
    wait_for(lambda: story.uuid in live.link.api("show tasks"))
    assert live.link.api(f"uuid_transfer {story.uuid} orphan-end XML calltree").startswith("+OK")
    ended = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=story.uuid)
    assert ended.get("Hangup-Cause") == "NORMAL_CLEARING"
    played = [
        e.get("Playback-File-Path") or ""
        for e in live.link.events
        if e.name == "PLAYBACK_START" and e.get("Unique-ID") == story.uuid
    ]
    assert played[-1].endswith("/sounds/apology.wav")


def test_a_call_from_outside_is_answered_by_the_guidance_when_nobody_takes_it(
    switch: RenderedSwitch, live: Live
) -> None:
    leg = str(uuid.uuid4())
    to = f"0501112222@127.0.0.1:{switch.wanted.place.trunk_port}"
    live.link.job(f"originate {{origination_uuid={leg}}}sofia/testcarrier/{to} &park")
    live.link.wait("CHANNEL_PROGRESS", value=leg)
    live.link.wait("CHANNEL_ANSWER", value=leg)
    ended = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=leg)
    assert ended.get("variable_sip_hangup_disposition") == "recv_bye"
    inside = [e for e in live.link.events if e.get("variable_calltree_did") == "0501112222"]
    assert {e.get("Caller-Context") for e in inside} == {"public"}


def test_a_strangers_number_is_never_expanded(switch: RenderedSwitch, tmp_path: Path) -> None:
    """An INVITE to `${system(touch FILE)}` gets 404 and touches nothing."""
    touched = tmp_path / "touched"
    user = quote(f"${{system(touch {touched})}}", safe="")
    place = f"127.0.0.1:{switch.wanted.place.trunk_port}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(10)
        ours = f"127.0.0.1:{phone.getsockname()[1]}"
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=audio 39998 RTP/AVP 0\r\n"
        )
        lines = [
            f"INVITE sip:{user}@{place} SIP/2.0",
            f"Via: SIP/2.0/UDP {ours};branch=z9hG4bK1;rport",
            f"From: <sip:0312345678@{ours}>;tag=1",
            f"To: <sip:{user}@{place}>",
            f"Call-ID: {uuid.uuid4()}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:0312345678@{ours}>",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
        ]
        phone.sendto("\r\n".join([*lines, "", sdp]).encode(), ("127.0.0.1", int(place[10:])))
        status = 100
        while status < 200:
            status = int(phone.recv(65536).split(b" ", 2)[1])
    assert status == 404
    assert not touched.exists()


def test_operators_are_asked_for_at_our_address_with_the_secret(switch: RenderedSwitch) -> None:
    Asked.seen.clear()
    with pytest.raises(CommandRefused):
        switch.api("find_user_xml id 1001 calltree")
    assert Asked.seen
    authorization, body = Asked.seen[0]
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"switch:{SECRET}"
    assert "section=directory" in body
    assert "user=1001" in body


def trunk(switch: RenderedSwitch, **given: Any) -> Gateway:
    """A trunk that leads to the test carrier."""
    values = {"name": "trunk7", "title": "--><x>$${hostname}", "username": "u", "password": "p"}
    return Gateway(**values | {"proxy": f"127.0.0.1:{switch.carrier_port}"} | given)


def dial(live: Live, **given: object) -> str:
    """A call to somebody who stays, through the trunk, by our own command."""
    leg = str(uuid.uuid4())
    call = OutsideCall(
        uuid=leg, number="0312345670", caller_number="0501112222", gateway="trunk7",
        attempt_id=1, site_id="k3f9", ring_s=25, **given,
    )  # fmt: skip
    live.link.job(str(commands.originate_manual(call, recording=None)))
    live.link.wait("CHANNEL_ANSWER", value=leg)
    return leg


def test_trunks_are_taken_changed_and_removed_while_a_call_goes_on(
    switch: RenderedSwitch, here: Settings, live: Live
) -> None:
    with switch.link() as link:
        first = switch.with_gateways(trunk(switch))
        assert trunk_loading.load(link, first, here) == ""
        leg = dial(live)
        changed = switch.with_gateways(trunk(switch, username="other", password=HOSTILE))
        assert trunk_loading.load(link, changed, here) == ""
        assert "<username>other</username>" in switch.api("sofia xmlstatus gateway trunk7")
        document = switch.api("xml_locate configuration configuration name sofia.conf")
        assert 'name="password" value="p&quot;/&gt;&lt;x a=' in document
        assert "$${hostname}${x}&amp;]]" in document
        second = dial(live)
        assert trunk_loading.load(link, switch.wanted, here) == ""
        assert "Invalid Gateway" in switch.api("sofia xmlstatus gateway trunk7")
        assert "<status>UP" in switch.api("sofia xmlstatus gateway carrier")
    for call in (leg, second):
        assert live.link.api(f"uuid_exists {call}") == "true"
        assert live.link.api(f"uuid_kill {call}") == "+OK\n"
        ended = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=call)
        assert ended.get("variable_sip_hangup_disposition") == "send_bye"
    assert [line for line in switch.errors() if "XML" in line or "xml" in line] == []


def test_a_trunk_registers_with_whatever_password_the_carrier_gave(
    switch: RenderedSwitch, here: Settings
) -> None:
    """The operators' side plays the registrar: it asks for digests as a carrier does."""
    registrar = f"127.0.0.1:{switch.wanted.place.sip_port}"
    given = {"proxy": registrar, "realm": "calltree", "username": KNOWN, "registers": True}
    with switch.link() as link:
        for password, state in ((HOSTILE, "REGED"), ("wrong", "FAIL_WAIT")):
            of = switch.with_gateways(trunk(switch, password=password, **given))
            assert trunk_loading.load(link, of, here) == ""

            def read(state: str = state) -> bool:
                found = inspection.read(link, "r", here, [("trunk7", "本線")], now=utcnow())
                return found.gateways[0].state == state

            wait_for(read, 40)
        assert trunk_loading.load(link, switch.wanted, here) == ""


def test_a_managers_trunk_reaches_the_switch_through_the_calls_worker(
    switch: RenderedSwitch, settings: Settings, store: Store
) -> None:
    """Row, order, files, gateway, and the check that then says so."""
    address = quote(switch.wanted.esl.password, safe="")
    real = replace(
        settings,
        switch_place=switch.wanted.place,
        esl_urls=(f"esl://:{address}@127.0.0.1:{switch.wanted.esl.port}",),
        switch_recordings=str(settings.recordings_dir),
        switch_directory_url=switch.wanted.directory_url,
        switch_secret=SECRET,
    )
    node = real.node_names[0]
    with store.write() as session:
        make_site(session, practice=False)
        manager = viewer_of(make_user(session, Role.MANAGER))
        of = {"kind": TrunkKind.ADDRESS, "proxy": f"127.0.0.1:{switch.carrier_port}"}
        saved = make_trunk(session, username="", password="", name="本線", **of)
        orders = trunks.load(session, viewer=manager, nodes=[node], now=utcnow())
        orders += switch_checks.ask(session, viewer=manager, nodes=[node], now=utcnow())
    desk = Desk(store, "test", Timings(), utcnow, Care(real, store))
    with switch.link() as link:
        for order in orders:
            assert desk.serve(order.id, link)
    with store.read() as session:
        done = [session.get_one(SwitchCommand, order.id) for order in orders]
        kept = switch_checks.last(session, node=node)
    assert [(order.failure, bool(order.done_at)) for order in done] == [("", True)] * 2
    assert kept is not None
    reading = Reading.from_json(kept)
    assert [(one.name, one.title) for one in reading.gateways] == [(saved.gateway, "本線")]
    lights = {one.light for one in judge(reading, now=utcnow()) if one.part != "certificate"}
    assert lights == {Light.GREEN}
    with switch.link() as link:
        assert trunk_loading.load(link, switch.wanted, real) == ""


@pytest.mark.parametrize(
    ("form", "number_form", "caller", "header"),
    [
        (CallerIdForm.FROM, NumberForm.NATIONAL, "0501112222", ("", "")),
        (CallerIdForm.FROM, NumberForm.E164, "+81501112222", ("", "")),
        (CallerIdForm.ASSERTED, NumberForm.NATIONAL, "u", ("0501112222", "none")),
        (CallerIdForm.ANONYMOUS, NumberForm.E164, "anonymous", ("+81501112222", "id")),
    ],
)
def test_the_carrier_hears_our_number_where_it_looks_for_it(
    switch: RenderedSwitch, here: Settings, live: Live, form, number_form, caller, header
) -> None:
    with switch.link() as link:
        of = switch.with_gateways(trunk(switch, caller_id_form=form))
        assert trunk_loading.load(link, of, here) == ""
        live.link.events.clear()
        leg = dial(live, caller_id_form=form, number_form=number_form)
        carrier = next(
            e
            for e in live.link.events
            if e.name == "CHANNEL_CREATE" and e.get("Caller-Context") == "testcarrier"
        )
        told = live.link.api(f"uuid_dump {carrier['Unique-ID']}")
        sip = dict(re.findall(r"^variable_sip_(\S+): (.*)$", told, re.MULTILINE))
        live.link.api(f"uuid_kill {leg}")
        assert trunk_loading.load(link, switch.wanted, here) == ""
    number = "0312345670" if number_form is NumberForm.NATIONAL else "+81312345670"
    assert sip["to_user"].replace("%2B", "+") == number
    assert sip["from_user"].replace("%2B", "+") == caller
    asserted, privacy = header
    assert asserted in sip.get("P-Asserted-Identity", "").replace("%2B", "+")
    assert bool(sip.get("P-Asserted-Identity")) is bool(asserted)
    assert sip.get("Privacy", "") == privacy
