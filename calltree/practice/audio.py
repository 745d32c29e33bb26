"""Sounds and the files they are written to: 8 kHz, 16 bit, stereo, as FreeSWITCH records.

A second of stereo is two slices of ready-made loops, so fifty recordings cost next to nothing.
"""

from __future__ import annotations  # array[int] is no type at run time in Python 3.11

import math
import struct
from array import array
from functools import lru_cache
from pathlib import Path

RATE = 8000
LOOP_SECONDS = 2
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")

OPERATOR_HZ = 600.0
CUSTOMER_HZ = 440.0
SUPERVISOR_HZ = 900.0


def _voice(pitch: float, moment: float) -> float:
    """A tone with the rise and fall of four syllables a second."""
    syllable = 0.35 + 0.65 * abs(math.sin(math.pi * 4 * moment))
    wave = math.sin(2 * math.pi * pitch * moment) + 0.25 * math.sin(4 * math.pi * pitch * moment)
    return 0.3 * syllable * wave


def _tone(pitch: float, moment: float, on: float, period: float) -> float:
    return 0.3 * math.sin(2 * math.pi * pitch * moment) if moment % period < on else 0.0


def _sample(name: str, moment: float) -> float:
    if name == "operator":
        return _voice(OPERATOR_HZ, moment)
    if name == "supervisor":
        return _voice(SUPERVISOR_HZ, moment)
    if name == "customer":
        return _voice(CUSTOMER_HZ, moment)
    if name == "announcement":
        return _voice(350.0, moment)
    if name == "greeting":
        return _voice(500.0, moment)
    if name == "music":
        return 0.2 * math.sin(2 * math.pi * (262.0 if moment < 1 else 330.0) * moment)
    if name == "ringback":
        return _tone(400.0, moment, 1.0, 2.0) * (0.5 + 0.5 * math.sin(2 * math.pi * 16 * moment))
    if name == "beep":
        return _tone(1000.0, moment, 2.0, 2.0)
    if name == "fax":
        return _tone(1100.0, moment, 0.5, 2.0)
    return 0.0


@lru_cache(maxsize=32)
def loop(name: str) -> array[int]:
    """Two seconds of a sound, or of several at once (a+b); unknown names are silence."""
    if "+" in name:
        mixed = zip(*(loop(one) for one in name.split("+")), strict=True)
        return array("h", (max(-32768, min(32767, sum(samples))) for samples in mixed))
    count = RATE * LOOP_SECONDS
    if _sample(name, 0.123) == 0.0 and name not in ("fax", "ringback", "beep"):
        return array("h", bytes(2 * count))
    return array("h", (int(32000 * _sample(name, n / RATE)) for n in range(count)))


def stretch(name: str, start: int, count: int) -> array[int]:
    """`count` samples of a sound that has been going on since sample 0."""
    sound = loop(name)
    offset = start % len(sound)
    piece = sound[offset : offset + count]
    while len(piece) < count:
        piece += sound[: count - len(piece)]
    return piece


def wav_header(channels: int, data_bytes: int) -> bytes:
    """A WAV header. FreeSWITCH writes it with no length first and mends it at the end."""
    block = 2 * channels
    return _HEADER.pack(
        b"RIFF",
        36 + data_bytes,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        RATE,
        RATE * block,
        block,
        16,
        b"data",
        data_bytes,
    )


class WavFile:
    """A recording that grows as time goes, readable (once mended) after a kill -9."""

    def __init__(self, path: Path, channels: int) -> None:
        self.path = path
        self.channels = channels
        self.samples = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._file.write(wav_header(channels, 0))

    def write(self, left: str, right: str, count: int) -> None:
        """Append `count` samples; mono files get both sides mixed."""
        if count <= 0:
            return
        a, b = stretch(left, self.samples, count), stretch(right, self.samples, count)
        if self.channels == 2:
            both = array("h", bytes(4 * count))
            both[0::2], both[1::2] = a, b
        else:
            both = array("h", ((x + y) // 2 for x, y in zip(a, b, strict=True)))
        self._file.write(both.tobytes())
        self.samples += count

    @property
    def size(self) -> int:
        return _HEADER.size + self.samples * 2 * self.channels

    def close(self) -> None:
        self._file.seek(0)
        self._file.write(wav_header(self.channels, self.size - _HEADER.size))
        self._file.close()
