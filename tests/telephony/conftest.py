from collections.abc import Iterator

import pytest

from tests.telephony.scripted import ScriptedPeer, obedient


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """A peer that signs clients in and repeats what it is asked; `peer.answer` can be replaced."""
    peer = ScriptedPeer(obedient)
    yield peer
    peer.close()
