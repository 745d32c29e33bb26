"""The loop: looks ten times a second, ticks once, and at every change of what it looks at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from calltree.db import Announcement, Publisher
from calltree.models import Campaign, CampaignState, Operator, OperatorState
from calltree.services import campaign_answers
from calltree.services.campaign_answers import Waiting
from calltree.services.leases import LeaseLost
from calltree.telephony.acts import Act
from calltree.telephony.dialler import answering
from calltree.telephony.dialler.pilot import Ground, Pilot
from calltree.telephony.lease import Reign
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

LOOK_S = 0.1
IDLE_LOOK_S = 0.5
"""While no campaign runs and none has a call."""
LEAST_TICK_S = 0.1
"""Between two ticks, however much changes: a tick counts everything anew."""
LEAST_S = 0.02
"""Between two looks, however much happens."""

Seen = frozenset[tuple[int, int]]
"""Who is 待機: (campaign, user)."""


class Dialler:
    """Every running campaign of the site, for one reign."""

    def __init__(
        self,
        *,
        reign: Reign,
        timings: Timings,
        clock: Callable[[], datetime],
        act: Callable[[Act], None],
        nodes: Callable[[], Collection[str]],
        publisher: Callable[[], Publisher | None],
        crowded: Callable[[], bool],
    ) -> None:
        self._reign = reign
        self._timings = timings
        self._clock = clock
        self._act = act
        self._publisher = publisher
        self._ground = Ground(
            read=reign.store.read,
            write=reign.write,
            epoch=reign.epoch,
            timings=timings,
            clock=clock,
            nodes=nodes,
            began=time.monotonic(),
            crowded=crowded,
        )
        self._poked = threading.Event()
        self._pilots: dict[int, Pilot] = {}
        self._ready: Seen = frozenset()
        self._tick_due = 0.0
        self._note: dict[str, Any] = {}
        self._idle = False
        self._changed = False
        self._ticked_at = 0.0

    def run(self) -> None:
        """Look and dial until the reign is over."""
        while not self._reign.over.is_set():
            poked = self._wait()
            self._poked.clear()
            try:
                self._look(poked=poked)
            except LeaseLost:
                self._reign.over.set()
            except SQLAlchemyError as error:
                log.error("dialler without the database", error=type(error).__name__)
                self._reign.over.wait(0.5)
            self._reign.over.wait(LEAST_S)

    def _wait(self) -> bool:
        hurry = min(1.0, self._timings.second_s)
        if self._idle:  # what is heard is no concern of ours
            self._reign.over.wait(IDLE_LOOK_S * hurry)
            return False
        return self._poked.wait(LOOK_S * hurry)

    def poke(self) -> None:
        """Look now: a call moved on."""
        self._poked.set()

    def note(self) -> dict[str, Any]:
        """Say how every campaign is, and that the loop lives, for the leader's note."""
        return self._note

    def _look(self, *, poked: bool) -> None:
        with self._reign.store.read() as session:
            running = self._running(session)
            ready = _ready(session) if running else frozenset()
            waiting = campaign_answers.waiting(session)
            self._idle = not running and not campaign_answers.any_call(session)
        if waiting:
            self._serve(waiting)
        if poked or ready != self._ready or running != list(self._pilots):
            self._changed = True
        self._ready = ready
        now = time.monotonic()
        soon = now - self._ticked_at < LEAST_TICK_S * min(1.0, self._timings.second_s)
        if now >= self._tick_due or (self._changed and not soon):
            self._changed, self._ticked_at = False, now
            self._tick(running)
            pace_s = min((pilot.pace_s for pilot in self._pilots.values()), default=1.0)
            self._tick_due = time.monotonic() + min(pace_s, self._timings.second_s)
        self._tell()

    def _serve(self, waiting: list[Waiting]) -> None:
        now = self._clock()
        free = {campaign_id for campaign_id, _user in self._ready_now()}
        if not any(
            one.campaign_id in free or one.user_id is not None or self._is_late(one, now)
            for one in waiting
        ):
            return
        with self._reign.write() as session:
            acts = answering.serve(
                session, waiting=waiting, timings=self._timings, clock=self._clock
            )
        for act in acts:
            self._act(act)

    def _ready_now(self) -> Seen:
        with self._reign.store.read() as session:
            return _ready(session)

    def _is_late(self, one: Waiting, now: datetime) -> bool:
        waited_s = (now - one.answered_at).total_seconds()
        return waited_s >= one.answered_wait_s * self._timings.second_s

    def _tick(self, running: list[int]) -> None:
        self._pilots = {
            campaign_id: self._pilots.get(campaign_id) or Pilot(campaign_id, self._ground)
            for campaign_id in running
        }
        for pilot in self._pilots.values():
            if self._reign.over.is_set():
                return
            pilot.tick()

    def _tell(self) -> None:
        told = {str(campaign_id): pilot.told() for campaign_id, pilot in self._pilots.items()}
        changed = [name for name, one in told.items() if one != self._note.get(name)]
        self._note = {"ticked_at": self._clock().isoformat(), **told}
        publish = self._publisher()
        if changed and publish is not None:
            publish([Announcement("campaign", {"campaign_id": int(name)}) for name in changed])

    def _running(self, session: Session) -> list[int]:
        return list(
            session.scalars(
                select(Campaign.id)
                .where(Campaign.state == CampaignState.RUNNING)
                .order_by(Campaign.id)
            )
        )


def _ready(session: Session) -> Seen:
    rows = session.execute(
        select(Operator.campaign_id, Operator.user_id).where(
            Operator.campaign_id.is_not(None), Operator.state == OperatorState.READY
        )
    ).all()
    return frozenset((row.campaign_id, row.user_id) for row in rows)
