"""Music and signals that we make ourselves: 8 kHz, 16 bit, mono WAV files, computed, not stored.

They carry no words. A site that wants a voice chooses guidances of its own
(`services.site_sounds`); what an administrator put in their place by hand is overwritten by such a
choice alone.
"""

from __future__ import annotations

import io
import math
import wave
from array import array
from collections.abc import Iterable

RATE = 8000
_A4 = 440.0

# A slow tune in a major pentatonic, in half tones from A4; None is a rest.
_TUNE = (-9, -5, -2, 0, -2, -5, -7, -5, -9, -12, -9, -5, -2, -5, -9, None)  # fmt: skip
_BEAT_S = 0.75


def sounds() -> dict[str, bytes]:
    """Every file by its name below `sounds/`."""
    return {
        "music/tune.wav": _wav(_tune()),
        "guidance.wav": _wav(_chime((0, 4, 7)) * 2),
        "apology.wav": _wav(_chime((7, 4, 0))),
    }


def _tune() -> array[int]:
    samples = array("h")
    for note in _TUNE * 2:
        samples.extend(_note(note, _BEAT_S, fade_s=0.5))
    return samples


def _chime(notes: Iterable[int]) -> array[int]:
    samples = array("h")
    for note in notes:
        samples.extend(_note(note, 0.6, fade_s=0.35))
    samples.extend(_note(None, 0.8, fade_s=1.0))
    return samples


def _note(half_tones: int | None, seconds: float, *, fade_s: float) -> array[int]:
    count = int(RATE * seconds)
    if half_tones is None:
        return array("h", bytes(2 * count))
    pitch = _A4 * 2 ** (half_tones / 12)
    return array("h", (_sample(pitch, n / RATE, fade_s) for n in range(count)))


def _sample(pitch: float, moment: float, fade_s: float) -> int:
    attack = min(moment / 0.02, 1.0)  # no click
    loud = 6000 * attack * math.exp(-moment / fade_s)
    turn = 2 * math.pi * pitch * moment
    return round(loud * (math.sin(turn) + 0.3 * math.sin(2 * turn)))


def _wav(samples: array[int]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()
