from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.db import Store
from tests.floor import Floor, open_floor
from tests.practice import RATE, PracticeSwitch
from tests.telephony.scripted import ScriptedPeer, obedient


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """A peer that signs clients in and repeats what it is asked; `peer.answer` can be replaced."""
    peer = ScriptedPeer(obedient)
    yield peer
    peer.close()


@pytest.fixture
def practice_switch(tmp_path: Path) -> Iterator[PracticeSwitch]:
    """A practice switch in a process of its own, in real time."""
    with PracticeSwitch(tmp_path) as switch:
        yield switch


@pytest.fixture
def rate() -> float:
    """How much quicker the carrier and the switch's own timers are."""
    return RATE


@pytest.fixture
def switch(tmp_path: Path, rate: float) -> Iterator[PracticeSwitch]:
    """A practice switch in a hurry."""
    with PracticeSwitch(tmp_path, rate=rate) as switch:
        yield switch


@pytest.fixture
def floor(store: Store, switch: PracticeSwitch) -> Iterator[Floor]:
    """The roles on that switch, in threads of this process."""
    with open_floor(store, switch) as floor:
        yield floor
