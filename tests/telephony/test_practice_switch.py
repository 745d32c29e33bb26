"""What only the practice switch can do: its carrier, its sound files and faults to order."""

from __future__ import annotations  # array[int] is no type at run time in Python 3.11

import itertools
import json
import math
import time
import uuid
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calltree.practice.carrier import ANSWER_CHANCE, script
from calltree.practice.originate import DialError, inline_apps, parse, variables_of
from calltree.telephony import events
from tests.practice import PracticeSwitch
from tests.telephony.contract import Link, Live, Story

RATE = 8
OPERATOR_HZ, CUSTOMER_HZ = 600, 440


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeSwitch]:
    with PracticeSwitch(tmp_path_factory.mktemp("switch"), rate=RATE) as switch:
        yield switch


@pytest.fixture
def live(hurried: PracticeSwitch) -> Iterator[Live]:
    live = Live(hurried.url, real=False, rate=RATE, recordings=str(hurried.recordings))
    yield live
    hurried.order("calm")
    live.close()


def joined(live: Live, what: str = "answers", **variables: str) -> Story:
    """A customer joined with an operator's leg."""
    leg = live.operator()
    story = live.dial(what, **variables)
    story.operator = leg
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    live.link.api(f"uuid_bridge {story.uuid} {leg}")
    live.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    return story


@pytest.mark.parametrize(
    ("what", "heard"),
    [
        ("answers", ["PROGRESS", "ANSWER", "PARK"]),
        ("leaves", ["PROGRESS", "ANSWER", "PARK", "HANGUP"]),
        ("fax", ["ANSWER", "PARK"]),
        ("voicemail", ["PROGRESS", "ANSWER", "PARK"]),
    ],
)
def test_the_last_digit_decides_who_answers(live: Live, what: str, heard: list[str]) -> None:
    story = live.dial(what)
    live.link.wait(f"CHANNEL_{heard[-1]}", value=story.uuid)
    assert story.order()[3 : 3 + len(heard)] == heard


def test_people_answer_by_the_seeded_chance() -> None:
    numbers = [f"03{n:07}9" for n in range(2000)]
    drawn = [script(number, 7, 0) for number in numbers]
    answered = sum(any(step.what == "answer" for step in steps) for steps in drawn)
    assert abs(answered / 2000 - ANSWER_CHANCE) < 0.05
    assert drawn == [script(number, 7, 0) for number in numbers]
    assert drawn != [script(number, 8, 0) for number in numbers]
    assert drawn != [script(number, 7, 1) for number in numbers]


def test_ringing_tone_can_come_as_early_media(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("ringback early")
    story = live.dial("answers")
    live.link.wait("CHANNEL_ANSWER", value=story.uuid)
    assert story.order()[3:] == ["PROGRESS_MEDIA", "PARK", "ANSWER"]


# --- sound files


def sides(path: Path) -> tuple[array[int], array[int]]:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, 8000)
        both = array("h", sound.readframes(sound.getnframes()))
    return both[0::2], both[1::2]


def strength(samples: array[int], hertz: int) -> float:
    """How much of a pitch there is (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hertz / 8000)
    last = before = 0.0
    for sample in samples:
        last, before = sample + turn * last - before, last
    return (last**2 + before**2 - turn * last * before) ** 0.5 / max(len(samples), 1)


def test_left_is_the_operator_and_right_the_customer(live: Live) -> None:
    path = Path(live.recordings) / "12" / "stereo.wav"
    story = joined(
        live,
        RECORD_STEREO="true",
        RECORD_STEREO_SWAP="true",
        execute_on_answer=f"'record_session {path}'",
    )
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 0.6)
    live.finish(story, kill=True)
    left, right = sides(path)
    assert strength(left, OPERATOR_HZ) > 10 * strength(left, CUSTOMER_HZ)
    assert strength(right, CUSTOMER_HZ) > 10 * strength(right, OPERATOR_HZ)
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert int(end["variable_record_samples"]) == len(left)
    assert abs(int(end["variable_billmsec"]) - int(end["variable_record_ms"])) < 100


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_masked_sound_is_silence(live: Live) -> None:
    path = Path(live.recordings) / "masked.wav"
    story = joined(live, RECORD_STEREO="true", RECORD_STEREO_SWAP="true")
    live.link.api(f"uuid_record {story.uuid} start {path}")
    assert live.link.api(f"uuid_record {story.uuid} mask {path}") == "+OK Success\n"
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 0.3)
    live.link.api(f"uuid_record {story.uuid} stop {path}")
    left, right = sides(path)
    masked = slice(-2000, None)  # a quarter of a second
    assert len(left) > 2000
    assert not any(left[masked])
    assert not any(right[masked])


def test_a_held_customer_hears_no_operator(live: Live) -> None:
    path = Path(live.recordings) / "held.wav"
    story = joined(live, RECORD_STEREO="true", RECORD_STEREO_SWAP="true")
    live.link.api(f"uuid_transfer {story.uuid} endless_playback:local_stream://default inline")
    live.link.wait("PLAYBACK_START", value=story.uuid)
    live.link.api(f"uuid_record {story.uuid} start {path}")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 0.4)
    live.link.api(f"uuid_record {story.uuid} stop {path}")
    left, right = sides(path)
    assert strength(left, OPERATOR_HZ) < strength(right, CUSTOMER_HZ) / 10


def test_no_file_outside_the_recordings_directory(live: Live, tmp_path: Path) -> None:
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    for path in (tmp_path / "out.wav", f"{live.recordings}/../out.wav"):
        reply = live.link.api(f"uuid_record {story.uuid} start {path}")
        assert reply == "-ERR Cannot record session!\n"
    assert not (tmp_path / "out.wav").exists()
    assert not (Path(live.recordings).parent / "out.wav").exists()


def test_a_power_cut_leaves_a_file_that_can_be_mended(tmp_path: Path) -> None:
    with PracticeSwitch(tmp_path, rate=RATE) as switch:
        live = Live(switch.url, real=False, rate=RATE, recordings=str(switch.recordings))
        path = switch.recordings / "cut.wav"
        story = joined(live, RECORD_STEREO="true")
        live.link.api(f"uuid_record {story.uuid} start {path}")
        wait_until(lambda: path.stat().st_size > 20_000)
        switch.kill()
        live.link.close()
    assert int.from_bytes(path.read_bytes()[40:44], "little") == 0, "the header tells no length"
    assert (path.stat().st_size - 44) % 4 == 0


# --- what happens to a leg whose partner is gone


def test_a_customer_without_operator_goes_to_the_orphanage(
    practice_switch: PracticeSwitch,
) -> None:
    # not hurried: he is kept for twenty seconds there
    live = Live(practice_switch.url, real=False, rate=1, recordings="")
    story = joined(live, transfer_after_bridge="orphan:XML:calltree")
    live.link.api(f"uuid_kill {story.operator}")
    live.link.wait("PLAYBACK_START", value=story.uuid)
    second = live.operator()
    live.link.events.clear()
    live.link.api(f"uuid_bridge {story.uuid} {second}")
    assert live.link.wait("CHANNEL_BRIDGE", value=story.uuid)["Bridge-B-Unique-ID"] == second
    assert story.uuid in live.link.api("show tasks")  # a bridge does not end its timer
    live.close()


def test_the_orphanage_ends_by_itself(live: Live) -> None:
    story = joined(live, transfer_after_bridge="orphan:XML:calltree")
    live.link.api(f"uuid_kill {story.operator}")
    live.finish(story)
    assert story.event("CHANNEL_HANGUP_COMPLETE")["Hangup-Cause"] == "NORMAL_CLEARING"


def test_blind_transfer_to_a_number(live: Live) -> None:
    story = joined(live)
    target = "{^^:absolute_codec_string=PCMU:calltree_call_id=5}sofia/gateway/carrier/0312345674"
    chain = f"set:hangup_after_bridge=true,bridge:{target}"
    assert live.link.api(f"uuid_transfer {story.uuid} '{chain}' inline") == "+OK\n"
    live.finish(story)
    order = story.order()
    assert order[order.index("UNBRIDGE") :] == [
        *("UNBRIDGE", "BRIDGE", "UNBRIDGE", "HANGUP", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert live.link.api(f"uuid_exists {story.operator}") == "true"


def test_a_busy_target_leaves_the_customer_parked(live: Live) -> None:
    story = joined(live)
    chain = "set:continue_on_fail=true^bridge:sofia/gateway/carrier/0312345671^park:"
    live.link.api(f"uuid_transfer {story.uuid} 'm:^:{chain}' inline")
    before = story.order().count("PARK")
    wait_until(lambda: live.link.api("status") and story.order().count("PARK") > before)
    assert live.link.api(f"uuid_getvar {story.uuid} originate_disposition") == "USER_BUSY"


def test_all_ring_and_one_wins(live: Live) -> None:
    story = live.dial("answers")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    chain = "set:hangup_after_bridge=true^bridge:user/1001,user/1002"
    live.link.api(f"uuid_transfer {story.uuid} 'm:^:{chain}' inline")
    winner = live.link.wait("CHANNEL_BRIDGE", value=story.uuid)["Bridge-B-Unique-ID"]
    loser = live.link.wait("CHANNEL_HANGUP", header="Hangup-Cause", value="LOSE_RACE")
    assert loser["Unique-ID"] != winner


def test_somebody_calls_us(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("fallback 600")  # it waits for us, however slow the machine is
    leg = hurried.order("inbound 09011112222 0501112222").removeprefix("+OK ")
    created = live.link.wait("CHANNEL_CREATE", value=leg)
    assert created["Call-Direction"] == "inbound"
    assert created["Caller-Context"] == "public"
    assert created["Caller-Caller-ID-Number"] == "09011112222"
    assert created["Caller-Destination-Number"] == "0501112222"
    live.link.wait("CHANNEL_PROGRESS", value=leg)
    chain = "answer:,endless_playback:local_stream://default"
    live.link.api(f"uuid_transfer {leg} '{chain}' inline")
    live.link.wait("PLAYBACK_START", value=leg)
    hurried.order(f"leave {leg}")
    end = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=leg)
    assert int(end["Caller-Channel-Answered-Time"]) > 0


# --- faults


def parked(live: Live) -> str:
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    return story.uuid


def numbers(live: Live, leg: str) -> list[int]:
    return [int(e["Event-Sequence"]) for e in live.link.events if e.get("Unique-ID") == leg]


def test_a_dropped_link_is_closed_and_the_call_goes_on(live: Live, hurried: PracticeSwitch) -> None:
    leg = parked(live)
    hurried.order("drop")
    with pytest.raises((EOFError, ConnectionError)):
        live.link.wait("CHANNEL_DESTROY", value=leg)
    assert hurried.api(f"uuid_exists {leg}") == "true"
    live.connect_again()


def test_duplicated_events_are_the_same_twice(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("duplicate 6")
    leg = parked(live)
    told = numbers(live, leg)
    assert len(told) > len(set(told))


def test_reordered_events_all_come(live: Live, hurried: PracticeSwitch) -> None:
    leg = parked(live)
    hurried.order("reorder 4")
    live.link.api(f"uuid_kill {leg}")
    for name in ("CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY"):
        live.link.wait(name, value=leg)


def test_lost_events_never_come(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("lose 3")
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    assert "CREATE" not in story.order()


def test_delayed_events_keep_their_order(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("delay 0.2")
    begun = time.monotonic()
    leg = parked(live)
    assert time.monotonic() - begun > 0.2
    told = numbers(live, leg)
    assert told == sorted(told)


def test_a_frozen_switch_answers_when_it_thaws(live: Live, hurried: PracticeSwitch) -> None:
    begun = time.monotonic()
    hurried.order("freeze 0.3")
    leg = parked(live)
    assert time.monotonic() - begun > 0.25
    told = numbers(live, leg)
    assert told == sorted(told)


def test_refused_originates_name_their_cause(live: Live, hurried: PracticeSwitch) -> None:
    hurried.order("refuse 1 SWITCH_CONGESTION")
    command = "originate sofia/gateway/carrier/0312345675 &park"
    assert live.link.api(command) == "-ERR SWITCH_CONGESTION\n"
    assert live.link.api(command).startswith("+OK ")


def test_an_unknown_fault_is_told_the_usage(hurried: PracticeSwitch) -> None:
    with pytest.raises(ValueError, match="USAGE: practice"):
        hurried.order("earthquake")


def test_an_orderly_end_hangs_everybody_up(tmp_path: Path) -> None:
    with PracticeSwitch(tmp_path, rate=RATE) as switch:
        live = Live(switch.url, real=False, rate=RATE, recordings="")
        story = joined(live)
        assert switch.stop() == 0
        end = live.link.wait("CHANNEL_HANGUP_COMPLETE", value=story.uuid)
        assert end["Hangup-Cause"] == "SYSTEM_SHUTDOWN"
        live.link.close()


# --- the text of an originate


def test_variables_may_be_quoted_or_have_their_own_separator() -> None:
    assert variables_of("a=b,c='d, e'") == {"a": "b", "c": "d, e"}
    assert variables_of("^^:a=b,c:d=e") == {"a": "b,c", "d": "e"}


def test_a_blank_outside_quotes_ends_the_dial_string() -> None:
    request = parse("{name='山田 太郎'}user/1001 &park")
    assert request.variables == {"name": "山田 太郎"}
    with pytest.raises(DialError, match="DESTINATION_OUT_OF_ORDER"):
        parse("{name=山田 太郎}user/1001 &park")


def test_a_quote_left_open_is_a_usage_error() -> None:
    with pytest.raises(DialError, match="USAGE"):
        parse("{name='x}user/1001 &park")


def test_a_comma_in_a_number_dials_twice() -> None:
    request = parse("sofia/gateway/carrier/031,sofia/gateway/carrier/032 &park")
    assert [target.number for target in request.targets] == ["031", "032"]


def test_inline_chains_have_separators_and_data() -> None:
    apps = inline_apps("sleep:400,playback:/a/b.wav,hangup:NORMAL_CLEARING")
    assert [(app.name, app.data) for app in apps] == [
        ("sleep", "400"),
        ("playback", "/a/b.wav"),
        ("hangup", "NORMAL_CLEARING"),
    ]
    assert [app.data for app in inline_apps("m:^:set:a=b,c^park:")] == ["a=b,c", ""]


def test_an_originate_to_a_chain_runs_it(live: Live) -> None:
    leg = str(uuid.uuid4())
    live.link.send("event plain CHANNEL_EXECUTE")
    chain = "sleep:400,playback:guidance,hangup:NORMAL_CLEARING"
    live.link.job(
        f"originate {{origination_uuid={leg},ignore_early_media=true}}"
        f"sofia/gateway/carrier/0312345675 '{chain}' inline"
    )
    live.link.wait("CHANNEL_DESTROY", value=leg)
    told = [e for e in live.link.events if e.get("Unique-ID") == leg]
    executed = [e["Application"] for e in told if e.name == "CHANNEL_EXECUTE"]
    assert executed == ["sleep", "playback", "hangup"]
    assert [a.name for a, b in itertools.pairwise(told) if b.name == "CHANNEL_HANGUP_COMPLETE"]
    assert json.loads(live.link.api("show channels as json"))["row_count"] >= 0


def test_the_switch_says_how_often_a_channel_was_dialled(hurried: PracticeSwitch) -> None:
    """Asked by the fault tests: nobody may be dialled twice for one attempt."""
    once, twice = str(uuid.uuid4()), str(uuid.uuid4())
    for leg in (once, twice, twice):
        hurried.api(
            f"originate {{origination_uuid={leg},ignore_early_media=true}}"
            "sofia/gateway/carrier/0312345671 &park"
        )
    asked = [hurried.api(f"practice dialled {leg}").strip() for leg in (once, twice, "nobody")]
    assert asked == ["1", "2", "0"]


def test_it_beats_for_ever_and_says_how_many_legs_it_has(tmp_path: Path) -> None:
    with PracticeSwitch(tmp_path, rate=200) as switch:  # a beat each 0.1 s
        link = Link(switch.url)
        assert link.send("event plain HEARTBEAT").startswith("+OK")
        first = link.wait("HEARTBEAT", header="Event-Info", value="System Ready")
        following = str(int(first["Event-Sequence"]) + 1)
        second = link.wait("HEARTBEAT", header="Event-Sequence", value=following)
        link.close()
    heard = [events.read(one) for one in (first, second)]
    assert [type(one) for one in heard] == [events.Heartbeat] * 2
    assert [one.sessions for one in heard if isinstance(one, events.Heartbeat)] == [0, 0]
    assert int(second["Uptime-msec"]) > int(first["Uptime-msec"])
