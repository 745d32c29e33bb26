"""`switch config`: a complete configuration, nothing in it that a value could break."""

import grp
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # reads what we wrote ourselves

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.config import Settings, SettingsError
from calltree.db import Store
from calltree.models import CallerIdForm, Role, Transport, TrunkKind
from calltree.services import trunks
from calltree.services.inbound_fallbacks import Fallback
from calltree.switch_place import SwitchPlace
from calltree.telephony.config import dialplan, rendering, xml
from calltree.telephony.config.rendering import render
from calltree.telephony.config.wanted import ConfigError, Gateway, Wanted
from calltree.telephony.config.writing import MARK, write
from calltree.telephony.esl import EslUrl
from tests.factories import NOW, make_site, make_user, viewer_of

HOSTILE = [
    'a"/><param name="register" value="false',
    "</gateway><gateway name='x'>",
    "$${local_ip_v4}",
    "${system(touch /tmp/x)}",
    "a]]>b",
    "a&b&amp;c",
    "<X-PRE-PROCESS cmd='exec' data='touch /tmp/x'/>",
    "<!-- -->",
    "a--b-->",
    "'\"`\\",
    "電話&回線",
]


def gateway(**given: Any) -> Gateway:
    values = {"name": "trunk3", "title": "本線", "proxy": "sip.example.jp", "registers": True}
    return Gateway(**values | {"username": "0501112222", "password": "s3cret"} | given)


def wanted(**given: Any) -> Wanted:
    values: dict[str, Any] = {
        "node": "main",
        "esl": EslUrl("127.0.0.1", 8021, "sekret"),
        "place": SwitchPlace(),
        "directory_url": "http://127.0.0.1:8000/switch/directory",
        "secret": "shared",
        "recordings": "/srv/recordings",
        "gateways": (gateway(),),
    }
    return Wanted(**values | given)


def tree(of: Wanted, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(render(of).files[name])  # noqa: S314 - our own


def params(element: ElementTree.Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.iter("param")}


TRUNK = f"{rendering.TRUNKS}trunk3.xml"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_leaves_its_place(text: str) -> None:
    hostile = gateway(title=text, password=text, username=text, realm=text, proxy=text)
    of = wanted(
        gateways=(hostile,), secret=text, esl=EslUrl("127.0.0.1", 8021, text), node=text,
        directory_url=text,
    )  # fmt: skip
    trunk = tree(of, TRUNK)
    plain = tree(wanted(gateways=(gateway(realm="r"),)), TRUNK)
    assert [e.tag for e in trunk.iter()] == [e.tag for e in plain.iter()]
    assert params(trunk)["password"] == text
    assert params(trunk)["register"] == "true"
    assert params(tree(of, "autoload_configs/event_socket.conf.xml"))["password"] == text
    assert params(tree(of, "autoload_configs/xml_curl.conf.xml"))["gateway-url"] == text
    for name, data in render(of).files.items():
        if name in (TRUNK, "autoload_configs/switch.conf.xml", *render(of).secret):
            # FreeSWITCH expands this in the text, before it knows of attributes and comments
            assert b"${" not in data
            lines = [line for line in data.splitlines() if b"<!--" not in line]
            assert not [line for line in lines if b"X-PRE-PROCESS" in line]


@given(st.text())
def test_an_attribute_is_read_as_it_was_written(text: str) -> None:
    try:
        written = xml.param("x", text)
    except ValueError:
        assert any(ord(letter) < 32 or ord(letter) == 127 for letter in text)
        return
    try:
        found = ElementTree.fromstring(written)  # noqa: S314 - what we rendered
    except ElementTree.ParseError:
        assert any(0xFFFE <= ord(letter) <= 0xFFFF for letter in text)
        return
    assert found.attrib["value"] == text
    assert "${" not in written


@given(st.text())
def test_a_remark_stays_a_remark(text: str) -> None:
    written = xml.comment(text)
    inner = written.removeprefix("<!-- ").removesuffix(" -->")
    assert "--" not in inner
    assert not set("<>&$\n\r") & set(inner)


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\x7fb"])
def test_control_characters_are_in_no_file(text: str) -> None:
    with pytest.raises(ValueError, match="control"):
        render(wanted(gateways=(gateway(password=text),)))


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render(wanted()) == render(wanted())


def test_every_file_is_well_formed_and_said_to_be_ours() -> None:
    for name, data in render(wanted(test_carrier=True)).files.items():
        if name.endswith(".xml"):
            ElementTree.fromstring(data)  # noqa: S314 - what we rendered
            assert xml.MADE_BY.encode() in data, name
        else:
            assert data[:4] == b"RIFF"


def test_an_operators_leg_is_as_it_was_measured() -> None:
    steps = [
        (a.attrib["application"], a.attrib.get("data", ""))
        for a in tree(wanted(), "dialplan/agents.xml").iter("action")
    ]
    assert [data for name, data in steps if name == "set"][:4] == [
        "absolute_codec_string=PCMU",
        "media_timeout=15000",
        "park_after_bridge=true",
        "hangup_after_bridge=false",
    ]
    assert [name for name, _ in steps][-2:] == ["answer", "park"]


def test_the_public_side_never_dials_out_and_sets_digits_only() -> None:
    context = tree(wanted(), "dialplan/public.xml")
    names = {a.attrib["application"] for a in context.iter("action")}
    assert not names & {"bridge", "transfer", "execute_extension", "system", "lua"}
    expression = next(context.iter("condition")).attrib["expression"]
    assert expression == r"^(\+?[0-9]{2,20})$"


def test_R_IN_4_alone_it_forwards_as_the_trunk_wants_our_number() -> None:
    own = Fallback(
        "0312340000", forward_to="+81355556666", gateway="trunk3", caller_id="+81312340000",
        caller_id_form=CallerIdForm.ANONYMOUS, seconds=40,
    )  # fmt: skip
    found = ElementTree.fromstring("".join(dialplan.public([own])))  # noqa: S314 - ours
    steps = [
        (a.attrib["application"], a.attrib.get("data", ""))
        for a in found.find(".//extension[@name='inbound-0312340000']").iter("action")
    ]
    (bridge,) = [data for name, data in steps if name == "bridge"]
    variables, _, target = bridge.removeprefix("{").partition("}")
    assert target == "sofia/gateway/trunk3/+81355556666"
    assert set(variables.split(",")) == {
        "origination_caller_id_number=+81312340000",
        "origination_caller_id_name=+81312340000",
        "sip_cid_type=pid",
        "origination_privacy=screen:hide_name:hide_number",
    }
    assert [name for name, _ in steps][-3:] == ["answer", "playback", "hangup"]


def test_a_registered_trunk_and_one_known_by_address() -> None:
    registered = params(tree(wanted(), TRUNK))
    assert (registered["register"], registered["caller-id-in-from"]) == ("true", "true")
    assert registered["ping"] == "25"
    by_address = gateway(
        registers=False, username="", password="", transport=Transport.TCP,
        caller_id_form=CallerIdForm.ANONYMOUS,
    )  # fmt: skip
    other = params(tree(wanted(gateways=(by_address,)), TRUNK))
    assert other["register"] == "false"
    assert other["proxy"] == "sip.example.jp;transport=tcp"
    assert (other["caller-id-in-from"], other["from-user"]) == ("false", "anonymous")


def test_the_test_carrier_is_there_only_when_asked_for() -> None:
    extra = set(render(wanted(test_carrier=True)).files) - set(render(wanted()).files)
    assert extra == {
        "sip_profiles/testcarrier.xml",
        "sip_profiles/external/carrier.xml",
        "dialplan/testcarrier.xml",
    }


def test_addresses_and_ports_stand_where_they_belong() -> None:
    place = SwitchPlace(
        address="192.0.2.5", external="stun:stun.example.jp", rtp_ports=(30000, 31000),
        wss="0.0.0.0:7443", certs="/etc/calltree/certs",
    )  # fmt: skip
    of = wanted(place=place)
    inside = params(tree(of, "sip_profiles/internal.xml"))
    assert (inside["sip-ip"], inside["rtp-ip"]) == ("192.0.2.5", "192.0.2.5")
    assert inside["ext-rtp-ip"] == "stun:stun.example.jp"
    assert (inside["wss-binding"], inside["tls-cert-dir"]) == (place.wss, place.certs)
    assert inside["ws-binding"] == "127.0.0.1:5066"
    core = params(tree(of, "autoload_configs/switch.conf.xml"))
    assert (core["rtp-start-port"], core["rtp-end-port"]) == ("30000", "31000")


def test_the_event_socket_listens_where_the_settings_link_to() -> None:
    name = "autoload_configs/event_socket.conf.xml"
    local = params(tree(wanted(), name))
    assert (local["listen-ip"], local["apply-inbound-acl"]) == ("127.0.0.1", "loopback.auto")
    away = params(tree(wanted(esl=EslUrl("10.0.0.5", 8022, "x")), name))
    assert (away["listen-ip"], away["listen-port"]) == ("10.0.0.5", "8022")
    for esl in (EslUrl("switch.example", 8021, "x"), EslUrl("127.0.0.1", 8021, "ClueCon")):
        with pytest.raises(ConfigError, match="ESL_URL"):
            render(wanted(esl=esl))


def test_a_directory_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "freeswitch.xml").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write(tmp_path, wanted())
    assert (tmp_path / "freeswitch.xml").read_text() == "mine"
    (tmp_path / MARK).write_text("[]")
    with pytest.raises(ConfigError, match="not ours"):
        write(tmp_path, wanted())
    with pytest.raises(ConfigError, match="not empty"):
        write(tmp_path / "freeswitch.xml", wanted())


def test_what_is_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    out = tmp_path / "conf"
    write(out, wanted())
    modes = {
        str(path.relative_to(out)): stat.S_IMODE(path.stat().st_mode)
        for path in out.rglob("*")
        if path.is_file()
    }
    secret = {name for name, mode in modes.items() if mode == 0o600}
    assert secret == {*render(wanted()).secret, MARK}
    assert set(modes.values()) == {0o600, 0o640}
    for path in out.rglob("*"):
        if path.is_file() and str(path.relative_to(out)) not in secret:
            assert b"s3cret" not in path.read_bytes()


def test_a_group_reads_all_and_the_administrators_directory_keeps_its_mode(
    tmp_path: Path,
) -> None:
    out, group = tmp_path / "conf", grp.getgrgid(os.getgid()).gr_name
    out.mkdir()
    out.chmod(0o2750)
    write(out, wanted(), group=group)
    assert stat.S_IMODE(out.stat().st_mode) == 0o2750
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in out.rglob("*") if p.is_file()}
    assert modes.pop(MARK) == 0o600
    assert set(modes.values()) == {0o640}
    assert {stat.S_IMODE(p.stat().st_mode) & 0o777 for p in out.rglob("*") if p.is_dir()} == {0o750}
    with pytest.raises(ConfigError, match="SWITCH_GROUP"):
        write(tmp_path / "other", wanted(), group="no-such-group")


def test_only_what_differs_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "conf"
    first = write(out, wanted())
    assert set(first.changed) == set(render(wanted()).files)
    assert write(out, wanted()).changed == ()
    other = wanted(gateways=(gateway(password="an0ther"), gateway(name="trunk4")))
    assert set(write(out, other).changed) == {TRUNK, f"{rendering.TRUNKS}trunk4.xml"}
    gone = write(out, wanted(gateways=()))
    assert set(gone.removed) == {TRUNK, f"{rendering.TRUNKS}trunk4.xml"}
    assert not (out / TRUNK).exists()


def test_a_sound_of_the_administrators_own_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "conf"
    write(out, wanted())
    (out / "sounds/guidance.wav").write_bytes(b"RIFF own voice")
    for _ in range(2):
        assert write(out, wanted()).kept == ("sounds/guidance.wav",)
    assert (out / "sounds/guidance.wav").read_bytes() == b"RIFF own voice"


def test_a_link_does_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    out, victim = tmp_path / "conf", tmp_path / "victim"
    write(out, wanted())
    victim.mkdir()
    (out / TRUNK).unlink()
    (out / TRUNK).symlink_to(victim / "x")
    with pytest.raises(ConfigError, match="link"):
        write(out, wanted())
    assert list(victim.iterdir()) == []


def test_it_is_read_from_settings_and_enabled_trunks(store: Store, settings: Settings) -> None:
    with store.write() as session:
        make_site(session, practice=False)
        manager = viewer_of(make_user(session, Role.MANAGER))
        for name, enabled in (("一", True), ("二", False)):
            details = trunks.TrunkDetails(
                name=name, proxy="192.0.2.9", kind=TrunkKind.ADDRESS, enabled=enabled
            )
            trunks.save(session, viewer=manager, trunk_id=None, details=details, now=NOW)
    real = replace(
        settings, esl_urls=("esl://:one@127.0.0.1:8021", "esl://:two@127.0.0.1:8022"),
        switch_recordings="/srv/rec",
    )  # fmt: skip
    with store.read() as session:
        found = Wanted.read(session, real, node="127.0.0.1-8022")
        assert [(g.title, g.proxy, g.registers) for g in found.gateways] == [
            ("一", "192.0.2.9", False)
        ]
        assert (found.esl.password, found.recordings) == ("two", "/srv/rec")
        with pytest.raises(ConfigError, match="names no switch"):
            Wanted.read(session, real, node="other")
        with pytest.raises(ConfigError, match="Set ESL_URL"):
            Wanted.read(session, settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWITCH_ADDRESS", "here"),
        ("SWITCH_EXTERNAL", 'a"b'),
        ("SWITCH_EXTERNAL", "stun:$${x}"),
        ("SWITCH_RTP_PORTS", "20000"),
        ("SWITCH_RTP_PORTS", "30000-20000"),
        ("SWITCH_SIP_PORT", "0"),
        ("SWITCH_TRUNK_PORT", "70000"),
        ("SWITCH_WS_LISTEN", "5066"),
        ("SWITCH_CONFIG_DIR", "relative/dir"),
        ("SWITCH_CONFIG_DIR", "/etc/a b"),
        ("SWITCH_GROUP", "a b"),
    ],
)
def test_a_variable_of_the_wrong_form_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({"DATA_DIR": str(tmp_path), name: value})


def test_wss_needs_certificates(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SWITCH_CERTS"):
        Settings.from_env({"DATA_DIR": str(tmp_path), "SWITCH_WSS_LISTEN": "0.0.0.0:7443"})


def test_each_of_several_switches_stands_in_its_own_place(store: Store, tmp_path: Path) -> None:
    env = {
        "DATA_DIR": str(tmp_path),
        "ESL_URL": "esl://:x@10.0.0.1,esl://:y@10.0.0.2",
        "SWITCH_EXTERNAL": "203.0.113.1, 203.0.113.2",
        "SWITCH_RTP_PORTS": "20000-29999,30000-39999",
        "SWITCH_TRUNK_PORT": "5090",
    }
    several = Settings.from_env(env)
    with store.read() as session:
        places = [Wanted.read(session, several, node=node).place for node in several.node_names]
    assert [one.external for one in places] == ["203.0.113.1", "203.0.113.2"]
    assert [one.rtp_ports[0] for one in places] == [20000, 30000]
    assert [one.trunk_port for one in places] == [5090, 5090]
    with pytest.raises(SettingsError, match="SWITCH_EXTERNAL: write one value, or one for each"):
        Settings.from_env(env | {"SWITCH_EXTERNAL": "a,b,c"})
