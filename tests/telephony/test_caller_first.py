"""A caller is told of before SQLite's disk has them; what the switch tells next waits for it."""

from __future__ import annotations

import json
import os
import threading
from uuid import uuid4

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Announcement, Store
from calltree.models import Attempt
from calltree.services import inbound_ahead, sealing
from calltree.telephony import events
from calltree.telephony.esl import EslUrl
from calltree.telephony.hearing import Told
from calltree.telephony.inbound.callers import PUBLIC_CONTEXT
from calltree.telephony.lease import Reign
from calltree.telephony.nodes import Node
from calltree.telephony.switch import Leader, SwitchRole
from calltree.telephony.timings import Timings
from tests.factories import NOW
from tests.floor import wait_for
from tests.services.incoming import CALLER, NODE, OURS, open_incoming


def told(kind: type, channel: str, sequence: int) -> Told:
    event = kind(
        core_uuid="core", sequence=sequence, at=NOW, unique_id=channel, attempt_id=None,
        site_id=None, user_id=None, direction="inbound", context=PUBLIC_CONTEXT,
        caller_number=CALLER, destination_number=OURS, answered=False, other_unique_id=None,
    )  # fmt: skip
    return Told(NODE, event)


@pytest.fixture
def leader(store: Store, settings: Settings) -> Leader:
    """A leader whose switch is not connected, on a site where an operator is 待機."""
    open_incoming(store).ready()
    node = Node(NODE, EslUrl.parse("esl://:nobody@127.0.0.1:1"))
    role = SwitchRole(
        store, [node], "/recordings", "test", Timings(), lambda: NOW, settings=settings
    )
    return Leader(role, Reign(store, 1, Timings()))


def test_a_caller_is_announced_first_and_the_next_event_waits_for_the_disk(
    leader: Leader, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("Postgres waits for its own disk")
    order: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: order.append("disk"))
    store.publisher = lambda notices: order.extend(notice.topic for notice in notices)
    channel = str(uuid4())
    leader._hear([told(events.ChannelCreated, channel, 1)])
    assert "inbound" in order
    assert "disk" not in order
    leader._hear([told(events.Progress, channel, 2)])
    assert "disk" in order


def test_nothing_that_waits_for_the_disk_shares_a_callers_commit(
    leader: Leader, store: Store
) -> None:
    channel = str(uuid4())
    batch = [told(events.ChannelCreated, channel, 1)]
    leader._inbox.put(told(events.Progress, channel, 2))
    acts = leader._hear(batch, and_more=True)
    assert (len(batch), leader._inbox.qsize(), len(acts)) == (1, 1, 1)
    with store.read() as session:
        assert session.scalars(select(Attempt.uuid)).all() == [channel]


def test_R_IN_2_pages_are_told_who_calls_before_it_is_written_down(
    leader: Leader, store: Store, settings: Settings
) -> None:
    heard: list[tuple[Announcement, int]] = []

    def publish(notices: list[Announcement]) -> None:
        with store.read() as session:
            written = len(session.scalars(select(Attempt.id)).all())
        heard.extend((notice, written) for notice in notices)

    store.publisher = publish
    leader._inbox.put(told(events.ChannelCreated, str(uuid4()), 1))
    thread = threading.Thread(target=leader._write_down)
    thread.start()
    wait_for(lambda: any(written for _, written in heard), "the call in the ledger")
    leader._reign.over.set()
    thread.join(60)
    ahead, written = heard[0]
    assert (ahead.topic, written) == ("arrives", 0)
    assert CALLER not in json.dumps(ahead.ids)  # Redis carries no number that could be read
    opened = sealing.opened_now(
        ahead.ids["caller"], key=settings.secret_key, purpose=inbound_ahead.PURPOSE
    )
    assert opened == CALLER
