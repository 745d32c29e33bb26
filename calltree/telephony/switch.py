"""The `switch` role: one leader at a time hears what happens and writes it to the ledger.

Threads of a reign: one keeps the lease, one per node listens, one per node acts, one writes what
was heard, one looks at the clocks. When the reign is over all of them end, and this process stands
by for the next.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from calltree.config import Settings
from calltree.db import Announcement, Store, utcnow
from calltree.models.calls import Attempt, CallState, Origin
from calltree.services import (
    campaign_facts,
    desk,
    gate,
    holds,
    inbound_walk,
    legs,
    monitoring,
    operators,
    recording_pauses,
    switch_commands,
    transfer_facts,
    transfer_moves,
)
from calltree.services.leases import LeaseLost
from calltree.telephony import endings, ledger
from calltree.telephony.acting import Actor, Recordings
from calltree.telephony.acts import Act, HangUp, Look
from calltree.telephony.checking import Checking
from calltree.telephony.dialler.loop import Dialler
from calltree.telephony.esl import LinkDown
from calltree.telephony.foretelling import Foretelling
from calltree.telephony.hearing import Hearing, Told
from calltree.telephony.inbound import ahead, callers
from calltree.telephony.lease import Reign, take_lease
from calltree.telephony.nodes import Node, nodes
from calltree.telephony.reconcile import Reconciler
from calltree.telephony.recording_days import make_days
from calltree.telephony.serving import Desk
from calltree.telephony.timings import Every, Timings

log = structlog.get_logger(__name__)

INBOX_LIMIT = 10_000
BATCH = 20
"""Some 50 ms of the one writer's turn."""
LOOK_S = 0.005
TICK_S = 0.1
STOP_S = 5.0
CHORES = [
    {"lane": "soon", "func": "calltree.jobs.recordings.sweep", "ttl": 15},
    {"lane": "soon", "func": "calltree.jobs.webhooks.deliver", "ttl": 15},
    {"lane": "soon", "func": "calltree.jobs.imports.sweep", "ttl": 15},
    {"lane": "soon", "func": "calltree.jobs.bulk.sweep", "ttl": 15},
    {"lane": "bulk", "func": "calltree.jobs.nightly.run_if_due", "ttl": 15},
]
"""Jobs rung for by the leader; one that waited a whole round is not needed any more."""


@dataclass(frozen=True, slots=True)
class SwitchRole:
    """What the role is made of; `run` does it until `stop` is set."""

    store: Store
    nodes: Sequence[Node]
    recordings_root: str
    """The recordings directory as the switch sees it."""
    holder: str
    timings: Timings
    clock: Callable[[], datetime] = utcnow
    inbox_limit: int = INBOX_LIMIT
    recordings_dir: Path | None = None
    """The same as we see it: guidances are written there for the switch."""
    settings: Settings | None = None
    """Of the site, with which its switches are checked; None: they are not."""

    def run(self, stop: threading.Event) -> None:
        """Lead whenever nobody else does. Returns after `stop`."""
        while not stop.is_set():
            reign = take_lease(self.store, holder=self.holder, timings=self.timings, stop=stop)
            if reign is not None:
                Leader(self, reign).lead(stop)


def run(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Run the role with the settings of this process until `stop`."""
    # A thread back from the database or a link gets the interpreter soon, not after 5 ms: a caller
    # goes through three threads here while the switch tells more of them.
    sys.setswitchinterval(0.0001)
    role = SwitchRole(
        store=store,
        nodes=nodes(settings),
        recordings_root=settings.switch_recordings or str(settings.recordings_dir),
        holder=f"{os.uname().nodename[:32]}/{os.getpid()}",
        timings=Timings().hurried(settings.clock_rate),
        recordings_dir=settings.recordings_dir,
        settings=settings,
    )
    log.info("standing by", nodes=",".join(node.name for node in role.nodes))
    role.run(stop)


class Leader:
    """One reign: from taking the lease to losing it or stopping."""

    def __init__(self, role: SwitchRole, reign: Reign) -> None:
        self._role = role
        self._reign = reign
        self._timings = role.timings
        self._clock = role.clock
        self._inbox: queue.Queue[Told] = queue.Queue(role.inbox_limit)
        self._desk = Desk(
            role.store,
            f"{role.holder}/sweep",
            role.timings,
            role.clock,
            recordings_root=role.recordings_root,
        )
        self._actors: dict[str, Actor] = {}
        self._hearings: dict[str, Hearing] = {}
        self._unjoined: dict[int, float] = {}
        self._foretelling = Foretelling(lambda: role.store.publisher, reign.over)
        self._checking = Checking(reign, role.settings, role.nodes, role.timings, role.clock)
        for node in role.nodes:
            self._add(node)
        self._dialler = Dialler(
            reign=reign,
            timings=role.timings,
            clock=role.clock,
            act=self._act,
            nodes=self._heard,
            publisher=lambda: role.store.publisher,
            crowded=lambda: not self._inbox.empty(),
        )

    def lead(self, stop: threading.Event) -> None:
        """Run every thread of the reign until it is over."""
        self._make_days()
        works: list[Callable[[], None]] = [self._keep, self._write_down, self._watch_clocks]
        works += [self._foretelling.run, self._dialler.run, self._checking.run]
        works += [hearing.run for hearing in self._hearings.values()]
        works += [actor.run for actor in self._actors.values()]
        threads = [
            threading.Thread(target=self._guard, args=(work,), daemon=True) for work in works
        ]
        for thread in threads:
            thread.start()
        while not stop.is_set() and not self._reign.over.wait(0.1):
            pass
        self._reign.over.set()
        self._reign.poke()
        deadline = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._reign.end()
        log.info("no longer leading", epoch=self._reign.epoch)

    def _add(self, node: Node) -> None:
        reconciler = Reconciler(node.name, self._reign, self._timings, self._clock)
        hearing = Hearing(
            node=node,
            reign=self._reign,
            reconciler=reconciler,
            timings=self._timings,
            inbox=self._inbox,
            act=self._act,
            foretell=self._foretelling.hear,
            trunk_changed=self._checking.trunk_changed,
            clock=self._clock,
        )
        self._hearings[node.name] = hearing
        self._actors[node.name] = Actor(
            node=node.name,
            reign=self._reign,
            reconciler=reconciler,
            recordings=Recordings(self._role.recordings_root, self._role.recordings_dir),
            timings=self._timings,
            link=hearing.command_link,
        )

    def _guard(self, work: Callable[[], None]) -> None:
        """A thread that ends by a fault ends the reign: a stand-by is better than half a leader."""
        try:
            work()
        except Exception:  # whatever it was, a leader with a dead part must make room for another
            log.exception("a part of the switch role failed")
            self._reign.over.set()

    def _keep(self) -> None:
        self._reign.keep(self._note)

    def _note(self) -> dict[str, Any]:
        return {
            "nodes": {name: hearing.note() for name, hearing in self._hearings.items()},
            "holder": self._role.holder,
            campaign_facts.NOTE: self._dialler.note(),
        }

    def _heard(self) -> list[str]:
        """The switches whose events come in now: nobody is dialled whom nobody would hear."""
        return [name for name, hearing in self._hearings.items() if hearing.note()["link_up"]]

    def _act(self, act: Act) -> None:
        delay_s = act.after_s or self._timings.doubt_s if isinstance(act, Look) else 0.0
        self._actors[act.node].put(act, delay_s)

    # --- the ledger's writer

    def _write_down(self) -> None:
        while not self._reign.over.is_set():
            waiting = self._first()
            self._give_way(waiting)
            while waiting and not self._reign.over.is_set():
                batch, waiting = waiting[:BATCH], waiting[BATCH:]
                self._tell_ahead(batch)
                if not self._written(batch):
                    return

    def _tell_ahead(self, batch: list[Told]) -> None:
        if self._role.settings is not None:
            key = self._role.settings.secret_key
            ahead.tell(self._role.store, batch, key=key, now=self._clock())

    def _written(self, batch: list[Told]) -> bool:
        """Write it down, as often as it takes; False: another leads by now."""
        while not self._reign.over.is_set():
            try:
                self._write_batch(batch)
                return True
            except LeaseLost:
                return False
            except DBAPIError as error:
                # The database is away: talk goes on, events wait, the queue has its limit.
                log.error("ledger not written", error=type(error).__name__, waiting=len(batch))
                self._reign.over.wait(0.5)
        return False

    def _first(self) -> list[Told]:
        try:
            return [self._inbox.get(timeout=0.2)]
        except queue.Empty:
            return []

    def _give_way(self, waiting: list[Told]) -> None:
        """While nobody waits for what was told, gather, until all who want to write have written.

        Between two presses the one writer is free for a moment: it has to stay free for a while.
        """
        began = crowded_at = time.monotonic()
        while waiting and all(ledger.can_wait(one.event) for one in waiting):
            now = time.monotonic()
            if self._role.store.is_crowded():
                crowded_at = now
            is_quiet = now - crowded_at >= self._timings.gather_s
            if is_quiet or now - began >= self._timings.give_way_s:
                return
            with suppress(queue.Empty):
                waiting.append(self._inbox.get(timeout=LOOK_S))

    def _fill(self, batch: list[Told]) -> None:
        """Take along what came while we waited for the database's writer."""
        with suppress(queue.Empty):
            while len(batch) < BATCH:
                batch.append(self._inbox.get_nowait())

    def _write_batch(self, batch: list[Told]) -> None:
        """Several events share a commit; one that makes trouble is written alone, and may fail."""
        try:
            acts = self._hear(batch, and_more=True)
        except (DBAPIError, LeaseLost) as error:
            if len(batch) == 1 or not _is_our_fault(error):
                raise
            acts = self._one_by_one(batch)
        except Exception:  # one event that cannot be written must not take the others along
            log.exception("event not written in a batch", size=len(batch))
            acts = self._one_by_one(batch) if len(batch) > 1 else []
        for act in acts:
            self._act(act)
        self._dialler.poke()

    def _one_by_one(self, batch: list[Told]) -> list[Act]:
        acts: list[Act] = []
        for told in batch:
            try:
                acts += self._hear([told])
            except (LeaseLost, DBAPIError) as error:
                if not _is_our_fault(error):
                    raise
                log.exception("event not written", name=type(told.event).__name__)
            except Exception:  # the next reconcile finds out what this event would have told
                log.exception("event not written", name=type(told.event).__name__)
        return acts

    def _hear(self, batch: list[Told], *, and_more: bool = False) -> list[Act]:
        """Write these down in one transaction; `and_more` adds to them what waits by now.

        A caller is shown before SQLite's disk has them: the switch tells more of them at once, and
        that commit waits for it (decision 21). So nothing else comes along with one who arrives.
        """
        acts: list[Act] = []
        only_callers = all(callers.is_arrival(told.event) for told in batch)
        with self._reign.write(synced=not only_callers) as session:
            if and_more and not only_callers:
                self._fill(batch)
            if any(callers.is_arrival(told.event) for told in batch):
                gate.take_turn(session)  # a line is counted, before anything else is locked
            for told in batch:
                acts += ledger.hear(
                    session,
                    told.event,
                    node=told.node,
                    epoch=self._reign.epoch,
                    now=self._clock(),
                )
        return acts

    # --- the clocks

    def _watch_clocks(self) -> None:
        clocks = [
            Every(self._timings.sweep_s, self._sweep),
            Every(self._timings.sweep_s, self._expire),
            Every(self._timings.sweep_s, self._remake_legs),
            Every(self._timings.sweep_s, self._release_unjoined),
            Every(self._timings.sweep_s, self._give_back_customers),
            Every(self._timings.callers_s, self._walk_callers),
            Every(self._timings.reconcile_s, self._reconcile),
            Every(self._timings.housekeeping_s, self._keep_house),
            Every(self._timings.chores_s, self._ring_chores),
        ]
        while not self._reign.over.wait(TICK_S):
            for clock in clocks:
                self._tick(clock)

    def _tick(self, clock: Every) -> None:
        try:
            clock.look()
        except LinkDown as down:
            log.warning("clock without a link", why=str(down))
        except SQLAlchemyError as error:
            log.error("clock without the database", error=type(error).__name__)
        except LeaseLost:
            self._reign.over.set()

    def _sweep(self) -> None:
        """Serve commands whose doorbell nobody heard: hanging up works without Redis."""
        old = self._clock() - timedelta(seconds=self._timings.sweep_age_s)
        for name, hearing in self._hearings.items():
            link = hearing.command_link()
            if link is None:
                continue
            with self._role.store.read() as session:
                waiting = switch_commands.unserved(session, node=name, older_than=old)
            for command_id in waiting:
                if self._reign.over.is_set():
                    return
                self._desk.serve(command_id, link)

    def _expire(self) -> None:
        now = self._clock()
        old = now - timedelta(seconds=self._timings.queued_age_s)
        with self._role.store.read() as session:
            stale = session.scalar(
                select(Attempt.id)
                .where(Attempt.state == CallState.QUEUED, Attempt.created_at < old)
                .limit(1)
            )
        if stale is not None:
            with self._reign.write() as session:
                endings.expire_queued(session, older_than=old, now=now)

    def _remake_legs(self) -> None:
        now = self._clock()
        for name, hearing in self._hearings.items():
            if hearing.command_link() is None:
                continue
            with self._reign.store.read() as session:
                wanted = legs.any_lost(session, node=name)
            if wanted:
                with self._reign.write() as session:
                    legs.remake_lost(
                        session,
                        node=name,
                        lost_before=now - timedelta(seconds=self._timings.leg_remake_s),
                        ringing_before=now - timedelta(seconds=self._timings.leg_ring_s),
                        now=now,
                    )

    def _walk_callers(self) -> None:
        """Let each caller go on to the next step of their plan when it is time."""
        nodes = self._heard()
        with self._role.store.read() as session:
            due = inbound_walk.due(session, nodes=nodes, epoch=self._reign.epoch, now=self._clock())
        for attempt_id in due:
            with self._reign.write() as session:
                gate.take_turn(session)
                acts = callers.walk(
                    session, attempt_id=attempt_id, epoch=self._reign.epoch, now=self._clock()
                )
            for act in acts:
                self._act(act)

    def _release_unjoined(self) -> None:
        """End calls of customers whom no operator's leg came for, and whom the switch still has.

        It lets go of them by itself, after the music and the apology; this is for when it did not.
        """
        with self._role.store.read() as session:
            rows = session.execute(
                select(Attempt.id, Attempt.uuid, Attempt.node).where(
                    Attempt.state == CallState.ANSWERED,
                    # a caller in a queue has a plan, and a time for it
                    or_(Attempt.origin != Origin.INBOUND, Attempt.joined_at.is_not(None)),
                )
            ).all()
        now = time.monotonic()
        self._unjoined = {row.id: self._unjoined.get(row.id, now) for row in rows}
        for row in rows:
            if now - self._unjoined[row.id] > self._timings.unjoined_s and row.node in self._actors:
                self._act(HangUp(row.node, row.uuid, answered=True))

    def _give_back_customers(self) -> None:
        """Close what a closed tab or an untouched page left open (R-CL-2)."""
        now = self._clock()
        with self._role.store.read() as session:
            wanted = holds.any_over(session, now=now)
        if wanted:
            with self._reign.write() as session:
                desk.sweep(session, now=now)
        with self._role.store.read() as session:
            paused = recording_pauses.overdue(session, now=now)
        if paused:
            with self._reign.write() as session:
                recording_pauses.sweep(session, now=now)
        ring = timedelta(seconds=self._timings.transfer_ring_s)
        settle = timedelta(seconds=self._timings.transfer_settle_s)
        with self._role.store.read() as session:
            overdue = transfer_facts.overdue(session, ring=ring, settle=settle, now=now)
        if overdue:
            with self._reign.write() as session:
                transfer_moves.sweep(session, ring=ring, settle=settle, now=now)
        with self._role.store.read() as session:
            unattended = monitoring.any_unattended(session, now=now)
        if unattended:
            with self._reign.write() as session:
                monitoring.sweep(session, now=now)

    def _ring_chores(self) -> None:
        """The one clock of the site rings for what the jobs role does every so often."""
        if self._role.store.publisher is not None:
            self._role.store.publisher([Announcement("job", job) for job in CHORES])

    def _reconcile(self) -> None:
        for hearing in self._hearings.values():
            hearing.reconcile()

    def _keep_house(self) -> None:
        """Do what is due by time alone: at midnight every operator's state begins a new day."""
        self._make_days()
        with self._reign.write() as session:
            operators.split_intervals(session, now=self._clock())

    def _make_days(self) -> None:
        if self._role.recordings_dir is not None:
            try:
                make_days(self._role.recordings_dir, self._clock())
            except OSError as error:
                log.error("no directory for recordings", why=str(error))


def _is_our_fault(error: Exception) -> bool:
    """A wrong statement fails alone; a database that is away fails for everything."""
    return isinstance(error, DBAPIError) and type(error).__name__ in {
        "IntegrityError",
        "DataError",
        "ProgrammingError",
    }
