import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.db import Store
from tests.floor import Floor, open_floor
from tests.practice import RATE, PracticeSwitch
from tests.telephony.contract import Live
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


# --- contracts: the same of the practice switch, recorded traffic and a real switch

REAL = pytest.param("freeswitch", marks=pytest.mark.freeswitch)


def real_url() -> str:
    url = os.environ.get("FREESWITCH_ESL_URL", "")
    if not url:
        pytest.skip("no real FreeSWITCH: FREESWITCH_ESL_URL is not set")
    return url


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeSwitch]:
    """One practice switch for the whole module, eight times as fast."""
    with PracticeSwitch(tmp_path_factory.mktemp("switch"), rate=8) as switch:
        yield switch


@pytest.fixture(params=["practice", REAL])
def live(request: pytest.FixtureRequest) -> Live:
    """A running switch."""
    return running(request)


@pytest.fixture(params=["practice", "recorded", REAL])
def source(request: pytest.FixtureRequest) -> Live | None:
    """A running switch, or None for recorded traffic."""
    return None if request.param == "recorded" else running(request)


def running(request: pytest.FixtureRequest) -> Live:
    if request.param == "freeswitch":
        recordings = os.environ.get("FREESWITCH_RECORDINGS", "/tmp/calltree-contract")
        switch = Live(real_url(), real=True, rate=1, recordings=recordings)
    else:
        process = request.getfixturevalue("hurried")
        switch = Live(process.url, real=False, rate=8, recordings=str(process.recordings))
    request.addfinalizer(switch.close)
    return switch
