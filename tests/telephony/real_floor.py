"""A floor of operators on a FreeSWITCH that we have configured: the site is no practice."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from calltree.db import Store
from calltree.models import Site
from calltree.telephony.timings import Timings
from tests.floor import UNHURRIED, Floor, open_floor
from tests.freeswitch import RenderedSwitch


def place(switch: RenderedSwitch) -> Any:
    """All of a practice switch that a floor asks."""
    esl = switch.wanted.esl
    url = f"esl://:{quote(esl.password, safe='')}@{esl.host}:{esl.port}"
    return SimpleNamespace(url=url, recordings=switch.recordings, api=switch.api)


@contextmanager
def open_real_floor(
    store: Store, switch: RenderedSwitch, timings: Timings = UNHURRIED
) -> Iterator[Floor]:
    """Everything runs on this switch."""
    with open_floor(store, place(switch), timings) as floor:
        with store.write() as session:
            session.get_one(Site, 1).practice = False
        yield floor
