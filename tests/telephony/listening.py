"""What a leg does and what is heard on it, on a switch of either kind."""

import json
import re
import subprocess
import uuid
import wave
from array import array
from pathlib import Path

from calltree.models import MonitorMode
from tests.floor import Floor, wait_for
from tests.sounds import loudness

HEARD = (
    (MonitorMode.LISTEN, False, False),
    (MonitorMode.WHISPER, True, False),
    (MonitorMode.BARGE, True, True),
    (MonitorMode.WHISPER, True, False),
)
"""Each mode: whether the operator, and whether the customer hears the supervisor."""


def does(floor: Floor, leg: str) -> str:
    told = floor.switch.api(f"uuid_dump {leg} json")
    return json.loads(told).get("variable_current_application", "") if told[0] == "{" else ""


def heard_by(floor: Floor, *legs: str, hertz: float) -> list[float]:
    """How loud a tone is in what is sent towards each leg from now on."""
    return [loudness(_left(path), hertz) for path in recorded(floor, *legs)]


def recorded(floor: Floor, *legs: str) -> list[Path]:
    """A second of each leg from now on: left what is sent towards it, right what it says."""
    paths = [Path(floor.switch.recordings) / "heard" / f"{uuid.uuid4()}.wav" for _ in legs]
    for leg, path in zip(legs, paths, strict=True):
        for name in ("RECORD_STEREO true", "RECORD_STEREO_SWAP true"):
            floor.switch.api(f"uuid_setvar {leg} {name}")
        floor.switch.api(f"uuid_record {leg} start {path}")
    for leg, path in zip(legs, paths, strict=True):
        wait_for(lambda at=path: at.exists() and at.stat().st_size > 32000, "a second of sound")
        floor.switch.api(f"uuid_record {leg} stop {path}")
    return paths


def by_sox(path: Path, hertz: int) -> float:
    """How loud a recording's left channel is about this tone: sox's RMS amplitude."""
    told = subprocess.run(
        ["sox", str(path), "-n", "remix", "1", "bandpass", str(hertz), "50", "stat"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    found = re.search(r"RMS\s+amplitude:\s+([0-9.]+)", told)
    assert found, told
    return float(found[1])


def _left(path: Path) -> array:
    with wave.open(str(path), "rb") as sound:
        return array("h", sound.readframes(sound.getnframes()))[0::2]
