"""R-RC-1: what becomes of a recording's sound; the files are real."""

from array import array
from pathlib import Path

import pytest

from calltree.services import sound
from calltree.services.sound import Heard, UnreadableSound
from tests.sounds import HEADER, silence, tone, write_wav


def encoded(wav: Path) -> tuple[Heard, Path]:
    copy = wav.with_suffix(".mp3")
    with wav.open("rb") as source, copy.open("wb") as target:
        heard = sound.encode(source, target)
    return heard, copy


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return tmp_path / "call.wav"


def test_R_RC_1_a_minute_takes_at_most_125000_bytes(wav: Path) -> None:
    talk = tone(300, 6) * 10
    heard, copy = encoded(write_wav(wav, talk, talk[::-1]))
    assert heard.length_ms == 60_000
    assert 110_000 < copy.stat().st_size <= 125_000
    assert abs(sound.mp3_length_ms(copy) - 60_000) < 300


def test_R_RC_1_a_long_call_is_read_in_pieces_without_a_seam(wav: Path) -> None:
    talk = tone(300, 5) * 20
    heard, copy = encoded(write_wav(wav, talk, talk))
    assert heard.length_ms == 100_000
    assert copy.stat().st_size / 100 * 60 <= 125_000
    assert abs(sound.mp3_length_ms(copy) - 100_000) < 300


def test_R_RC_1_it_is_stereo_mpeg_2_layer_3_at_16_kbit(wav: Path) -> None:
    _, copy = encoded(write_wav(wav, tone(300, 2), tone(500, 2)))
    head = int.from_bytes(copy.read_bytes()[:4], "big")
    assert head >> 21 == 0x7FF
    assert head >> 19 & 3 == 2, "MPEG-2"
    assert head >> 17 & 3 == 1, "Layer III"
    assert head >> 10 & 3 == 2, "16 kHz"
    assert head >> 6 & 3 != 3, "two channels"


def test_R_RC_1_the_waveform_keeps_operator_left_and_customer_right(wav: Path) -> None:
    left = tone(300, 1) + silence(1)
    right = silence(1) + tone(500, 1)
    heard, _ = encoded(write_wav(wav, left, right))
    operator, customer = heard.waveform[0::2], heard.waveform[1::2]
    assert sound.PAIRS * 0.9 < len(operator) == len(customer) <= sound.PAIRS
    half = len(operator) // 2
    assert min(operator[: half - 1]) > 60
    assert max(operator[half + 1 :]) == 0
    assert max(customer[: half - 1]) == 0
    assert min(customer[half + 1 : -1]) > 60


def test_the_loudness_of_each_side_is_its_rms(wav: Path) -> None:
    heard, _ = encoded(write_wav(wav, tone(300, 2, loud=10_000), silence(2)))
    assert heard.loud_left == pytest.approx(7071, rel=0.01)
    assert heard.loud_right == 0


def test_a_peak_of_the_lowest_sample_fits_into_a_byte(wav: Path) -> None:
    lowest = array("h", [-32768]) * 800
    heard, _ = encoded(write_wav(wav, lowest, lowest))
    assert set(heard.waveform) == {255}


@pytest.mark.parametrize("stated", [0, 10**9])
def test_a_recording_that_a_kill_ended_is_read_to_its_last_sample(wav: Path, stated: int) -> None:
    heard, _ = encoded(write_wav(wav, tone(300, 3), tone(500, 3), stated=stated))
    assert heard.length_ms == 3000


def test_half_a_sample_at_the_end_is_no_trouble(wav: Path) -> None:
    write_wav(wav, tone(300, 1), tone(500, 1), stated=0)
    wav.write_bytes(wav.read_bytes()[:-3])
    heard, _ = encoded(wav)
    assert heard.length_ms == 999


def test_a_mono_file_goes_to_both_channels(wav: Path) -> None:
    heard, copy = encoded(write_wav(wav, tone(300, 2), None))
    assert (heard.channels, heard.length_ms) == (1, 2000)
    assert heard.waveform[0::2] == heard.waveform[1::2]
    assert abs(sound.mp3_length_ms(copy) - 2000) < 300


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.5])
def test_a_very_short_sound_has_a_copy_too(wav: Path, seconds: float) -> None:
    heard, copy = encoded(write_wav(wav, tone(300, seconds), tone(500, seconds)))
    assert heard.length_ms == int(seconds * 1000)
    assert sound.mp3_length_ms(copy) > 0


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"nothing of the kind" * 9, b"RIFF\0\0\0\0WAVEdata\xff\xff\0\0" + b"x" * 99],
)
def test_what_is_no_wav_is_unreadable(wav: Path, content: bytes) -> None:
    wav.write_bytes(content)
    with pytest.raises(UnreadableSound):
        encoded(wav)


def test_a_header_alone_is_no_sound(wav: Path) -> None:
    write_wav(wav, silence(0), silence(0))
    assert wav.stat().st_size == HEADER
    with pytest.raises(UnreadableSound, match="no sound"):
        encoded(wav)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[1:], lambda d: d + b"\0" * 9])
def test_a_copy_that_is_not_whole_is_noticed(wav: Path, change) -> None:
    _, copy = encoded(write_wav(wav, tone(300, 2), tone(500, 2)))
    assert sound.mp3_length_ms(copy)
    copy.write_bytes(change(copy.read_bytes()))
    with pytest.raises(UnreadableSound):
        sound.mp3_length_ms(copy)
