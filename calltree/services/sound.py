"""Sound files: a WAV as the switch left it in, a small MP3 and what can be said of it out.

Standard library and LAME only. Files are read in pieces, so an hour costs no more memory than a
minute; a piece goes through C loops (slices, max, map), about 0.2 s for a minute of talk.
"""

from __future__ import annotations

import math
import operator
import os
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import lameenc

KBIT_S = 16
"""For both channels together: 120,000 bytes a minute (R-RC-1 allows 125,000)."""
RATE_HZ = 16_000
"""MPEG-2, which every player knows; 8 kHz would be the unofficial MPEG-2.5."""
PAIRS = 300
"""Peaks of the waveform for each channel."""

_LAME_QUALITY = 5
_PIECE_FRAMES = 8_000 * 30
_WIDTH = 2
_PLAIN, _EXTENSIBLE = 1, 0xFFFE


class UnreadableSound(ValueError):
    """The file is no 16 bit PCM WAV of one or two channels, or no MP3."""


@dataclass(frozen=True, slots=True)
class Wav:
    """Where the samples stand in a WAV file."""

    channels: int
    rate_hz: int
    offset: int
    frames: int

    @property
    def length_ms(self) -> int:
        """Length in milliseconds."""
        return self.frames * 1000 // self.rate_hz


@dataclass(frozen=True, slots=True)
class Heard:
    """What an encoded sound is like; loudness is the RMS of 16 bit samples, 0–32767."""

    length_ms: int
    waveform: bytes
    """Peaks 0–255, left and right in turn."""
    loud_left: float
    loud_right: float
    channels: int


def read_wav(file: BinaryIO) -> Wav:
    """Find the samples of an open WAV file.

    A recording that a power cut ended says 0 bytes of data, or more than there are: its samples
    are then what is really there. Raises UnreadableSound.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    if _chunk(file, 12)[0:4] != b"RIFF":
        raise UnreadableSound("no RIFF")
    layout: tuple[int, int, int, int] | None = None
    while True:
        head = _chunk(file, 8)
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            break
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", _chunk(file, 16))
            layout = (kind, channels, rate, bits)
            length -= 16
        file.seek(length + length % 2, os.SEEK_CUR)
    if layout is None:
        raise UnreadableSound("no format")
    kind, channels, rate, bits = layout
    wanted = kind in (_PLAIN, _EXTENSIBLE) and channels in (1, 2) and bits == 8 * _WIDTH
    if not wanted or not 8_000 <= rate <= 48_000:
        raise UnreadableSound("no 16 bit PCM")
    there = size - file.tell()
    length = min(length or there, there)
    return Wav(channels, rate, file.tell(), length // (_WIDTH * channels))


def _chunk(file: BinaryIO, length: int) -> bytes:
    found = file.read(length)
    if len(found) < length:
        raise UnreadableSound("cut off")
    return found


def encode(source: BinaryIO, target: BinaryIO) -> Heard:
    """Write an open WAV file as stereo MP3; a mono one goes to both channels.

    Left stays left. Raises UnreadableSound, also when there is not one sample.
    """
    wav = read_wav(source)
    if wav.frames == 0:
        raise UnreadableSound("no sound")
    lame = lameenc.Encoder()
    lame.silence()
    lame.set_channels(2)
    lame.set_in_sample_rate(wav.rate_hz)
    lame.set_out_sample_rate(RATE_HZ)
    lame.set_bit_rate(KBIT_S)
    lame.set_quality(_LAME_QUALITY)
    peaks = _Peaks(wav.frames)
    for piece in _pieces(source, wav):
        peaks.add(piece)
        target.write(lame.encode(piece.tobytes()))
    target.write(lame.flush())
    loud_left, loud_right = peaks.loudness()
    return Heard(wav.length_ms, peaks.waveform(), loud_left, loud_right, wav.channels)


def _pieces(source: BinaryIO, wav: Wav) -> Iterator[array[int]]:
    """Give the samples, left and right in turn, half a minute at a time."""
    source.seek(wav.offset)
    left = wav.frames
    while left > 0:
        count = min(left, _PIECE_FRAMES)
        samples = array("h", _chunk(source, count * _WIDTH * wav.channels))
        if sys.byteorder == "big":
            samples.byteswap()
        if wav.channels == 1:
            both = array("h", bytes(2 * _WIDTH * count))
            both[0::2], both[1::2] = samples, samples
            samples = both
        yield samples
        left -= count


class _Peaks:
    """The highest sample of each of 300 stretches, and the energy, per channel."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._stretch = max(math.ceil(frames / PAIRS), 1)
        self._seen = 0
        self._highest = [bytearray(math.ceil(frames / self._stretch)) for _ in range(2)]
        self._energy = [0, 0]

    def add(self, samples: array[int]) -> None:
        frames = len(samples) // 2
        for channel in (0, 1):
            side = samples[channel::2]
            self._energy[channel] += sum(map(operator.mul, side, side))
            start = 0
            while start < frames:
                index, into = divmod(self._seen + start, self._stretch)
                part = side[start : start + self._stretch - into]
                peak = min(max(max(part), -min(part)) >> 7, 255)
                self._highest[channel][index] = max(self._highest[channel][index], peak)
                start += len(part)
        self._seen += frames

    def waveform(self) -> bytes:
        both = bytearray(2 * len(self._highest[0]))
        both[0::2], both[1::2] = self._highest
        return bytes(both)

    def loudness(self) -> tuple[float, float]:
        left, right = (math.sqrt(energy / self._frames) for energy in self._energy)
        return left, right


# --- MP3, only as far as it must be known that a whole one was written

_KBIT_S_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_2 = (22_050, 24_000, 16_000)
_FRAME_SAMPLES_2 = 576


def mp3_length_ms(path: Path) -> int:
    """Walk the frames of an MPEG-2 Layer III file and give its length.

    Raises UnreadableSound for anything that is not frame after frame to the last byte.
    """
    data = path.read_bytes()
    at = samples = rate = 0
    while at < len(data):
        if len(data) - at < 4:
            raise UnreadableSound("cut off")
        head = int.from_bytes(data[at : at + 4], "big")
        bit_rate, rate_index = head >> 12 & 15, head >> 10 & 3
        if head >> 17 != 0b1111_1111_1111_001 or not 0 < bit_rate < 15 or rate_index == 3:
            raise UnreadableSound("no frame")
        rate = _RATES_2[rate_index]
        padding = head >> 9 & 1
        at += 72 * _KBIT_S_2[bit_rate] * 1000 // rate + padding
        samples += _FRAME_SAMPLES_2
    if at != len(data) or not samples:
        raise UnreadableSound("cut off")
    return samples * 1000 // rate
