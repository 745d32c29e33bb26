"""Sound files for tests: real WAV files as FreeSWITCH leaves them, written here."""

import math
import struct
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path

RATE = 8000
HEADER = 44


def tone(hertz: float, seconds: float, loud: int = 9000) -> array:
    """A tone of 16 bit samples at 8 kHz."""
    return _wave(hertz, _count(seconds), loud)[:]


@cache
def _wave(hertz: float, samples: int, loud: int) -> array:
    """Made once: many tests ask for the same seconds, which are 8,000 sines each."""
    return array(
        "h", (int(loud * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(samples))
    )


def silence(seconds: float) -> array:
    return array("h", bytes(2 * _count(seconds)))


def loudness(samples: Sequence[int], hertz: float, rate: int = RATE) -> float:
    """How much of a tone there is (Goertzel): half the height of a wave that is nothing else."""
    if not samples:
        return 0.0
    turn = 2 * math.cos(2 * math.pi * hertz / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + turn * last - before
    power = before * before + last * last - turn * before * last
    return math.sqrt(max(power, 0.0)) / len(samples)


def _count(seconds: float) -> int:
    return round(seconds * RATE)


def write_wav(path: Path, left: array, right: array | None, *, stated: int | None = None) -> Path:
    """Write a WAV: stereo, mono without `right`. `stated` is what its header says of the length."""
    samples = left
    if right is not None:
        samples = array("h", bytes(4 * len(left)))
        samples[0::2], samples[1::2] = left, right
    data = samples.tobytes()
    length = len(data) if stated is None else stated
    block = 2 if right is None else 4
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + length, b"WAVE", b"fmt ", 16, 1,
                       block // 2, RATE, RATE * block, block, 16, b"data", length)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + data)
    return path
