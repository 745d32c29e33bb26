from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.practice import PracticeSwitch
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
