"""A guidance as every switch plays it: 8 kHz, 16 bit, mono WAV, all of them equally loud.

Standard library only. MP3 and M4A are turned into WAV by the page that sends them (decision 18).
"""

from __future__ import annotations

import io
import math
import operator
import sys
import tempfile
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import BinaryIO

from calltree.errors import Refused
from calltree.services.sound import UnreadableSound, Wav, read_wav

RATE_HZ = 8_000
MOST_S = 180
LOUDNESS = 3_000
"""RMS of what is spoken, of 32,767: about −21 dB, as voice on the telephone is."""
_PEAK = 29_000
_MOST_GAIN = 12.0
_HEARD = 60
"""RMS below which nothing can be heard even after it was made louder."""
_STRETCH = RATE_HZ // 20
_BIGGEST = 40 << 20


@dataclass(frozen=True, slots=True)
class Normal:
    """A sound as it is kept."""

    wav: bytes
    length_ms: int


def normalise(source: BinaryIO) -> Normal:
    """Read a 16 bit WAV of one or two channels at 8–48 kHz.

    Raises Refused 'guidance_unreadable', 'guidance_long', 'guidance_silent', all of field 'file'.
    """
    with tempfile.TemporaryFile() as file:
        file.write(source.read(_BIGGEST))
        file.flush()
        try:
            wav = read_wav(file)
            samples = _mono(file, wav)
        except UnreadableSound:
            raise Refused("guidance_unreadable", field="file") from None
    samples = _at_our_rate(samples, wav.rate_hz)
    loud = _loudness(samples)
    if loud < _HEARD:
        raise Refused("guidance_silent", field="file")
    gain = min(LOUDNESS / loud, _PEAK / max(max(samples), -min(samples)), _MOST_GAIN)
    samples = array("h", (round(sample * gain) for sample in samples))
    return Normal(_written(samples), len(samples) * 1000 // RATE_HZ)


def _mono(file: BinaryIO, wav: Wav) -> Sequence[int]:
    if wav.frames > MOST_S * wav.rate_hz:
        raise Refused("guidance_long", field="file", most=MOST_S, found=wav.frames // wav.rate_hz)
    if wav.frames == 0:
        raise UnreadableSound("no sound")
    file.seek(wav.offset)
    samples = array("h", file.read(wav.frames * wav.channels * 2))
    if sys.byteorder == "big":
        samples.byteswap()
    if wav.channels == 1:
        return samples
    return [total >> 1 for total in map(operator.add, samples[0::2], samples[1::2])]


def _at_our_rate(samples: Sequence[int], rate_hz: int) -> Sequence[int]:
    """Let each of our samples be the mean of those of its time: nothing above is folded down."""
    if rate_hz == RATE_HZ:
        return samples
    count = len(samples) * RATE_HZ // rate_hz
    sums = [0, *accumulate(samples)]
    edges = [place * rate_hz // RATE_HZ for place in range(count + 1)]
    return [(sums[end] - sums[start]) // (end - start) for start, end in pairwise(edges)]


def _loudness(samples: Sequence[int]) -> float:
    """RMS of the louder half of the twentieths of a second: pauses do not count as quiet speech."""
    energies = sorted(
        sum(map(operator.mul, part, part)) / len(part)
        for part in (samples[at : at + _STRETCH] for at in range(0, len(samples), _STRETCH))
    )
    louder = energies[len(energies) // 2 :]
    return math.sqrt(sum(louder) / len(louder)) if louder else 0.0


def _written(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    into = io.BytesIO()
    with wave.open(into, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return into.getvalue()
