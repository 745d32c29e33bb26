"""R-IN-1: sounds that callers hear come in one form and at one level, and are kept while played."""

import io
import math
import struct
from array import array

import pytest

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import InboundAction, InboundRoute, InboundStep, Role, Situation
from calltree.services import guidance_sound, guidances, inbound_refusals
from calltree.services.guidance_sound import LOUDNESS, Normal
from calltree.services.rights import Viewer
from calltree.services.sound import read_wav
from tests import factories as make
from tests.factories import NOW
from tests.sounds import loudness, tone, write_wav


def wav(samples: array, *, rate: int = 8000, channels: int = 1, bits: int = 16) -> bytes:
    data, block = samples.tobytes(), channels * bits // 8
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1,
                       channels, rate, rate * block, block, bits, b"data", len(data))  # fmt: skip
    return head + data


def wave_at(rate: int, hertz: float, seconds: float, loud: int) -> array:
    count = round(seconds * rate)
    return array("h", (int(loud * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count)))


def normal(data: bytes) -> tuple[Normal, array]:
    made = guidance_sound.normalise(io.BytesIO(data))
    assert made.wav[:4] == b"RIFF"
    assert struct.unpack("<HI", made.wav[22:28]) == (1, 8000)
    return made, array("h", made.wav[44:])


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 1), (48000, 2)])
@pytest.mark.parametrize("loud", [800, 30000])
def test_R_IN_1_every_sound_becomes_the_one_form_at_the_one_level(
    rate: int, channels: int, loud: int
) -> None:
    one = wave_at(rate, 440, 1.0, loud)
    both = one
    if channels == 2:
        both = array("h", bytes(4 * len(one)))
        both[0::2] = both[1::2] = one
    made, samples = normal(wav(both, rate=rate, channels=channels))
    assert made.length_ms in (999, 1000)
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    assert abs(rms - LOUDNESS) < 0.1 * LOUDNESS
    assert loudness(samples, 440) > 20 * loudness(samples, 900)


def test_R_IN_1_a_pause_does_not_make_speech_louder() -> None:
    spoken = tone(440, 1.0, 4000)
    _, plain = normal(wav(spoken))
    _, paused = normal(wav(spoken + array("h", bytes(2 * 8000))))
    assert max(paused) == max(plain)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"ID3\x04nothing but a beginning", "guidance_unreadable"),
        (b"", "guidance_unreadable"),
        (wav(array("h")), "guidance_unreadable"),
        (wav(array("h", [0] * 800), bits=8), "guidance_unreadable"),
        (wav(array("h", bytes(2 * 8000))), "guidance_silent"),
        (wav(array("h", [9000, -9000] * 4000 * 181)), "guidance_long"),
    ],
)
def test_R_IN_1_what_is_no_guidance_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        guidance_sound.normalise(io.BytesIO(data))
    assert (refused.value.code, refused.value.field) == (code, "file")


def test_R_IN_1_what_is_made_is_read_as_a_recording_is(tmp_path) -> None:
    made, _ = normal(write_wav(tmp_path / "a.wav", tone(440, 0.5), tone(880, 0.5)).read_bytes())
    (tmp_path / "b.wav").write_bytes(made.wav)
    with (tmp_path / "b.wav").open("rb") as file:
        assert read_wav(file).length_ms == 500


# --- kept


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make.make_site(session)
        return Viewer.of(make.make_user(session, Role.MANAGER))


SOUND = Normal(b"RIFF", 1500)


def save(store: Store, viewer: Viewer, name: str, guidance_id=None, sound=SOUND) -> int:
    with store.write() as session:
        return guidances.save(
            session, viewer=viewer, guidance_id=guidance_id, name=name, sound=sound, now=NOW
        ).id


def test_R_IN_1_a_guidance_is_named_exchanged_and_retired(store: Store, manager: Viewer) -> None:
    first = save(store, manager, " 休業日の案内 ")
    with pytest.raises(Refused, match="guidance_name_taken"):
        save(store, manager, "休業日の案内")
    with pytest.raises(Refused, match="guidance_file_missing"):
        save(store, manager, "時間外の案内", sound=None)
    with pytest.raises(Refused, match="name_missing"):
        save(store, manager, " ")
    assert save(store, manager, "年末年始の案内", first, None) == first
    save(store, manager, "年末年始の案内", first, Normal(b"RIFFnew", 2000))
    with store.read() as session:
        assert [one.name for one in guidances.all_guidances(session)] == ["年末年始の案内"]
        assert guidances.sound_of(session, first) == b"RIFFnew"
    with store.write() as session:
        guidances.retire(session, viewer=manager, guidance_id=first, now=NOW)
    with store.read() as session:
        assert guidances.all_guidances(session) == []
        with pytest.raises(NotFound):
            guidances.sound_of(session, first)
    assert save(store, manager, "年末年始の案内") != first


def test_R_IN_1_a_guidance_that_a_number_plays_stays(store: Store, manager: Viewer) -> None:
    played = save(store, manager, "案内")
    with store.write() as session:
        number = make.make_caller_number(session, "0312345678")
        session.add(InboundRoute(caller_number_id=number.id, hours=[""] * 8))
        session.flush()
        session.add(
            InboundStep(
                caller_number_id=number.id,
                situation=Situation.CLOSED_DAY,
                action=InboundAction.GUIDANCE,
                guidance_id=played,
            )
        )
    with store.read() as session:
        assert guidances.used_by(session) == {played: ["03-1234-5678"]}
    with pytest.raises(Refused, match="guidance_in_use"), store.write() as session:
        guidances.retire(session, viewer=manager, guidance_id=played, now=NOW)


def test_R_IN_1_refused_callers_are_entered_once_and_admitted_again(
    store: Store, manager: Viewer
) -> None:
    def add(number: str, viewer: Viewer = manager) -> None:
        with store.write() as session:
            inbound_refusals.add(session, viewer=viewer, number=number, note="いたずら", now=NOW)

    add("090-1111-2222")
    with pytest.raises(Refused, match="refusal_known"):
        add("09011112222")
    with pytest.raises(Refused, match="number_unreadable"):
        add("いたずら")
    with store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    with pytest.raises(NotAllowed):
        add("09033334444", supervisor)
    with store.write() as session:
        inbound_refusals.remove(session, viewer=manager, number="09011112222", now=NOW)
    with pytest.raises(NotFound), store.write() as session:
        inbound_refusals.remove(session, viewer=manager, number="09011112222", now=NOW)
    with store.read() as session:
        assert inbound_refusals.all_refusals(session) == []
