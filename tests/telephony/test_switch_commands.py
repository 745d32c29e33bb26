"""What we ask of the switch: exact forms, and nothing that a text could add."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.telephony import commands, pings
from calltree.telephony.commands import ApiCommand, Cause, OutsideCall
from calltree.telephony.safe_parts import SwitchPath, UnsafePartError, switch_path
from calltree.telephony.wire import CommandReader, encode_command

C = "11111111-2222-4333-8444-555555555555"
A = "66666666-2222-4333-8444-555555555555"
FILE = switch_path("/var/rec", "ab12", f"{C}.wav")


def call(**changes: Any) -> OutsideCall:
    parts: dict[str, Any] = {
        "uuid": C,
        "number": "0312345670",
        "caller_number": "0501112222",
        "gateway": "carrier",
        "attempt_id": 4711,
        "site_id": "k3f9",
        "ring_s": 25,
    }
    return OutsideCall(**{**parts, **changes})


def variables(command: str) -> dict[str, str]:
    inner = command[command.index("{") + 1 : command.index("}")]
    return dict(pair.split("=", 1) for pair in inner.split(","))


def test_a_manual_call_is_parked_with_our_ids() -> None:
    command = commands.originate_manual(call(), recording=FILE)
    assert command.startswith("originate {")
    assert command.endswith("}sofia/gateway/carrier/0312345670 &park")
    assert variables(command) == {
        "origination_uuid": C,
        "originate_timeout": "26",
        "origination_caller_id_number": "0501112222",
        "origination_caller_id_name": "0501112222",
        "calltree_attempt": "4711",
        "calltree_site": "k3f9",
        "RECORD_STEREO": "true",
        "RECORD_STEREO_SWAP": "true",
        "RECORD_USE_THREAD": "false",
        "transfer_after_bridge": "orphan:XML:calltree",
        "park_timeout": "30",
        "execute_on_answer": f"'record_session {FILE}'",
    }
    assert "execute_on_answer" not in variables(commands.originate_manual(call(), recording=None))


def test_a_predictive_call_is_released_by_the_switch_alone() -> None:
    command = commands.originate_predictive(call(), recording=FILE, wait_s=2)
    assert command.endswith("}sofia/gateway/carrier/0312345670 answered XML calltree")
    assert variables(command)["ignore_early_media"] == "true"
    assert variables(command)["calltree_wait_ms"] == "2000"
    assert variables(command)["execute_on_answer"] == f"'record_session {FILE}'"
    assert "park_timeout" not in variables(command)
    assert variables(command)["calltree_guidance"] == "guidance.wav"
    own = commands.originate_predictive(call(), recording=None, wait_s=2, guidance=7, apology=12)
    assert variables(own)["calltree_guidance"] == "said-7.wav"
    assert variables(own)["calltree_apology"] == "said-12.wav"


def test_a_desk_phone_is_parked_and_outlives_the_customer() -> None:
    command = commands.originate_operator_device(
        uuid=A, extension="2001", domain="pbx.example", user_id=7, site_id="k3f9", ring_s=30
    )
    assert command.endswith("}user/2001@pbx.example &park")
    assert variables(command)["park_after_bridge"] == "true"
    assert variables(command)["absolute_codec_string"] == "PCMU"
    assert variables(command)["media_timeout"] == "60000"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (commands.bridge(C, A), f"uuid_bridge {C} {A}"),
        (commands.kill(C), f"uuid_kill {C} NORMAL_CLEARING"),
        (commands.kill(C, Cause.ORIGINATOR_CANCEL), f"uuid_kill {C} ORIGINATOR_CANCEL"),
        (
            commands.hold(C),
            f"uuid_transfer {C} endless_playback:local_stream://default inline",
        ),
        (commands.apologise(C), f"uuid_transfer {C} answered-end XML calltree"),
        (commands.send_to_orphanage(C), f"uuid_transfer {C} orphan XML calltree"),
        (commands.record_start(C, FILE), f"uuid_record {C} start {FILE}"),
        (commands.record_stop(C, FILE), f"uuid_record {C} stop {FILE}"),
        (commands.record_mask(C, FILE), f"uuid_record {C} mask {FILE}"),
        (commands.record_unmask(C, FILE), f"uuid_record {C} unmask {FILE}"),
        (
            commands.play_ringback(A),
            f"uuid_broadcast {A} tone_stream://L=-1;%(1000,2000,400,16) aleg",
        ),
        (commands.stop_playing(A), f"uuid_break {A} all"),
        (commands.mute(A), f"uuid_audio {A} start read mute -1"),
        (commands.unmute(A), f"uuid_audio {A} stop"),
        (commands.send_dtmf(C, "12#*"), f"uuid_send_dtmf {C} 12#*"),
        (commands.hang_up_in(25, C), f"sched_hangup +25 {C} NO_ANSWER"),
        (commands.orphan_in(60, C), f"sched_transfer +60 {C} orphan XML calltree"),
        (commands.cancel_timers(C), f"sched_del {C}"),
        (commands.set_attempt(C, 9), f"uuid_setvar {C} calltree_attempt 9"),
        (commands.set_site(C, "k3f9"), f"uuid_setvar {C} calltree_site k3f9"),
        (commands.clear_transfer_after_bridge(C), f"uuid_setvar {C} transfer_after_bridge"),
        (commands.exists(C), f"uuid_exists {C}"),
        (commands.dump(C), f"uuid_dump {C} json"),
        (commands.show_channels(), "show channels as json"),
        (commands.gateway_status("carrier"), "sofia status gateway carrier"),
        (commands.status(), "status"),
        (commands.version(), "version"),
    ],
)
def test_a_command_has_the_measured_form(command: ApiCommand, text: str) -> None:
    assert command == text


def test_a_leg_is_never_bridged_with_itself() -> None:
    with pytest.raises(UnsafePartError):
        commands.bridge(C, C)


BUILDERS: list[Callable[[str], object]] = [
    lambda t: commands.originate_manual(call(number=t), recording=None),
    lambda t: commands.originate_manual(call(caller_number=t), recording=None),
    lambda t: commands.originate_manual(call(uuid=t), recording=None),
    lambda t: commands.originate_manual(call(gateway=t), recording=None),
    lambda t: commands.originate_manual(call(site_id=t), recording=None),
    lambda t: commands.originate_manual(call(attempt_id=t), recording=None),
    lambda t: commands.originate_manual(call(ring_s=t), recording=None),
    lambda t: commands.originate_manual(call(), recording=SwitchPath(t)),
    lambda t: commands.originate_predictive(call(), recording=SwitchPath(t), wait_s=1),
    lambda t: commands.originate_predictive(call(), recording=FILE, wait_s=t),
    lambda t: commands.originate_operator_device(
        uuid=A, extension=t, domain="d", user_id=1, site_id="s", ring_s=1
    ),
    lambda t: commands.originate_operator_device(
        uuid=A, extension="e", domain=t, user_id=1, site_id="s", ring_s=1
    ),
    lambda t: commands.bridge(t, A),
    lambda t: commands.bridge(C, t),
    lambda t: commands.kill(t),
    lambda t: commands.hold(t),
    lambda t: commands.apologise(t),
    lambda t: commands.record_start(C, switch_path("/m", t)),
    lambda t: commands.record_start(C, switch_path(t, "g.wav")),
    lambda t: commands.record_start(C, SwitchPath(t)),
    lambda t: commands.send_dtmf(C, t),
    lambda t: commands.hang_up_in(1, t),
    lambda t: commands.orphan_in(1, t),
    lambda t: commands.cancel_timers(t),
    lambda t: commands.set_site(C, t),
    lambda t: commands.gateway_status(t),
    lambda t: encode_command(pings.ping(t).line, pings.ping(t).headers).decode(),
]

# What the lab's crafted numbers were made of, near forms that are allowed, and any text at all.
HOSTILE = st.one_of(
    st.text(),
    st.text("0123456789\n\r\0 '\"{}[],|&$;:=@^%\\/.#*-abc٣３", max_size=40),
    st.builds(
        lambda good, bad, at: good[:at] + bad + good[at:],
        st.sampled_from(["0312345670", C, "carrier", "/var/rec/a.wav"]),
        st.sampled_from(["\n\n", "\n", "\r\n", "\0", " ", ",", "'", "}", "|", "&", "${a}", ":_:"]),
        st.integers(0, 40),
    ),
)


@given(st.integers(0, len(BUILDERS) - 1), HOSTILE)
def test_no_text_adds_a_line_a_command_or_a_variable(index: int, text: str) -> None:
    builder = BUILDERS[index]
    try:
        command = str(builder(text))
    except UnsafePartError:
        return
    if index == len(BUILDERS) - 1:
        assert command.count("\n") == 4
        return
    # what got through is one of the plain forms, whole
    assert re.fullmatch(r"[0-9A-Za-z_.*#/-]+", text)
    assert text in command
    assert len(CommandReader().feed(encode_command(f"bgapi {command}", {"Job-UUID": A}))) == 1
    marked = command.replace(text, "x")
    assert not re.search(r"[\n\r\0\"|$\\<>`]", marked)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "12",
        "1" * 16,
        "+81312345670",
        "03-1234-5678",
        "０３１２３４５６７８",
        "٠١٢٣٤",
        "0312345670\n",
        "0312345670 ",
        "0312345670,0312345671",
        "0312345670@127.0.0.1:5999",
        "0312345670 '&system(touch x)'",
        "0312345670\n\napi status",
        "0312345670|0312345671",
        "0312345670:_:0312345671",
        "0312345670;x=y",
        "${system(touch x)}",
    ],
)
def test_only_three_to_fifteen_digits_are_a_number(number: str) -> None:
    with pytest.raises(UnsafePartError) as caught:
        call(number=number)
    assert not number or number not in str(caught.value)  # the log must not repeat it
    with pytest.raises(UnsafePartError):
        call(caller_number=number)


@pytest.mark.parametrize(
    "parts",
    [
        ("/rec", ".."),
        ("/rec", "."),
        ("/rec", ""),
        ("/rec", "a/b"),
        ("/rec", "a b.wav"),
        ("/rec", "a,b.wav"),
        ("/rec", ".hidden"),
        ("/rec/../etc", "a.wav"),
        ("rec", "a.wav"),
        ("/", "a.wav"),
        ("/rec",),
    ],
)
def test_a_path_is_absolute_and_built_from_ids(parts: tuple[str, ...]) -> None:
    with pytest.raises(UnsafePartError):
        switch_path(*parts)


@pytest.mark.parametrize("seconds", [0, -1, True, 1.5, "5", 10**9])
def test_a_timer_is_whole_seconds(seconds: Any) -> None:
    with pytest.raises(UnsafePartError):
        commands.hang_up_in(seconds, C)


@pytest.mark.parametrize("attempt_id", [0, -1, True, "1", 2**63])
def test_an_attempt_is_a_positive_id(attempt_id: Any) -> None:
    with pytest.raises(UnsafePartError):
        call(attempt_id=attempt_id)


def test_an_unknown_cause_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a valid Cause"):
        commands.kill(C, "NORMAL_CLEARING\n\napi status")
