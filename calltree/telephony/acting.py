"""Carrying out acts on one node: in order, on a thread of its own, with the timers that follow.

A bridge is believed when CHANNEL_BRIDGE was heard. One that is not heard within a second is asked
about and tried once more; a customer who answered is not left in silence after that.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.db import Announcement
from calltree.models.calls import LIVE_STATES, Attempt, CallState, Operator, Origin
from calltree.models.supervision import MonitorMode
from calltree.services import campaign_answers
from calltree.services.leases import LeaseLost
from calltree.telephony import commands, hand_on, ledger, safe_parts
from calltree.telephony.acts import (
    Act,
    Apologise,
    Barge,
    Bridge,
    CancelTimers,
    ClearBegun,
    HangUp,
    Join,
    LimitEarly,
    Look,
    Park,
    PlayRingback,
    RecordAgain,
    SetMute,
    StopPlaying,
)
from calltree.telephony.commands import ApiCommand, Cause
from calltree.telephony.esl import CommandRefused, Link, LinkDown
from calltree.telephony.inbound import callers, carrying
from calltree.telephony.inbound.callers import Carry
from calltree.telephony.lease import Reign
from calltree.telephony.reconcile import Reconciler
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

JOIN_TRIES = 2
NOT_RECORDED = "-ERR Cannot record"
"""The leg was there, and may have gone when its file was open already."""


@dataclass(frozen=True, slots=True)
class CheckJoin(Act):
    """Was CHANNEL_BRIDGE heard for this join?"""

    join: Join
    tries: int


@dataclass(frozen=True, slots=True)
class Recordings:
    """Where the switch writes recordings, as the switch sees it."""

    root: str
    own: Path | None = None
    """The same directory as we see it."""


class Actor:
    """Does one node's acts. `link` gives the command link, or None while there is none."""

    def __init__(
        self,
        *,
        node: str,
        reign: Reign,
        reconciler: Reconciler,
        recordings: Recordings,
        timings: Timings,
        link: Callable[[], Link | None],
    ) -> None:
        self._node = node
        self._reign = reign
        self._reconciler = reconciler
        self._recordings = recordings
        self._timings = timings
        self._link = link
        self._due: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._joining: dict[int, tuple[str, float]] = {}

    def put(self, act: Act, delay_s: float = 0.0) -> None:
        """Do this act, or do it in `delay_s` seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), act))
            self._changed.notify()

    def run(self) -> None:
        """Do what is due until the reign is over."""
        while not self._reign.over.is_set():
            act = self._next(timeout_s=0.2)
            if act is not None:
                self._do(act)

    def _next(self, timeout_s: float) -> Act | None:
        with self._changed:
            wait_s = timeout_s
            if self._due:
                wait_s = min(self._due[0][0] - time.monotonic(), timeout_s)
            if wait_s > 0:
                self._changed.wait(wait_s)
            if self._due and self._due[0][0] <= time.monotonic():
                return heapq.heappop(self._due)[2]
        return None

    def _do(self, act: Act) -> None:
        link = self._link()
        if link is None:
            log.warning("act without a link", act=type(act).__name__, node=self._node)
            self._put_off(act)
            return  # reconcile finds out what is to be done once there is one
        try:
            self._carry_out(act, link)
        except LinkDown:
            log.warning("link lost while acting", act=type(act).__name__, node=self._node)
            self._put_off(act)
        except LeaseLost:
            log.warning("no longer leading", act=type(act).__name__)
        except SQLAlchemyError as error:
            log.error("act not noted", act=type(act).__name__, error=type(error).__name__)

    def _put_off(self, act: Act) -> None:
        """What a caller should hear is carried out by the clock, once there is a link."""
        if isinstance(act, ClearBegun):
            self.put(act, self._timings.doubt_s)
        if not isinstance(act, Carry):
            return
        try:
            with self._reign.write() as session:
                callers.not_carried(session, act)
        except (LeaseLost, SQLAlchemyError) as error:
            log.error("caller not put off", error=type(error).__name__)

    def _carry_out(self, act: Act, link: Link) -> None:
        match act:
            case Carry():
                recordings = self._recordings
                carrying.carry(
                    act, link, store=self._reign.store, root=recordings.root, own=recordings.own
                )
            case Join():
                self._join(act, link, tries=1)
            case CheckJoin():
                self._check_join(act, link)
            case PlayRingback(operator=operator):
                self._ask(link, commands.play_ringback(operator))
            case StopPlaying(leg=leg):
                self._ask(link, commands.stop_playing(leg))
            case SetMute(leg=leg, muted=muted):
                self._ask(link, commands.mute(leg) if muted else commands.unmute(leg))
            case Park(leg=leg):
                self._ask(link, commands.park(leg))
            case Bridge():
                for command in hand_on.joining(act.first, act.second, leaves=act.leaves):
                    self._ask(link, command)
            case RecordAgain(customer=customer, file=file):
                path = safe_parts.switch_path(self._recordings.root, *file.split("/"))
                self._ask(link, commands.record_unmask(customer, path))
            case Barge(leg=leg, target=target):
                self._ask(link, commands.monitor(leg, target, MonitorMode.BARGE))
            case ClearBegun():
                self._clear_begun(act)
            case Apologise(customer=customer):
                self._ask(link, commands.apologise(customer))
            case LimitEarly(customer=customer, seconds=seconds):
                self._ask(link, commands.hang_up_in(seconds, customer))
            case CancelTimers(leg=leg):
                self._ask(link, commands.cancel_timers(leg))
            case HangUp(leg=leg, answered=answered):
                cause = Cause.NORMAL_CLEARING if answered else Cause.ORIGINATOR_CANCEL
                self._ask(link, commands.kill(leg, cause))
            case Look(attempt_id=attempt_id):
                for follows in self._reconciler.look(link, attempt_id):
                    self.put(follows)

    def _join(self, join: Join, link: Link, *, tries: int) -> None:
        now = time.monotonic()
        leg, since = self._joining.get(join.attempt_id, ("", -1e9))
        if tries == 1 and leg == join.operator and now - since < self._timings.bridge_s:
            return  # both legs parked in the same moment and each asked for it
        self._joining[join.attempt_id] = join.operator, now
        asked = [commands.bridge(join.customer, join.operator)]
        if join.recording:
            path = safe_parts.switch_path(self._recordings.root, *join.recording.split("/"))
            asked.insert(0, commands.record_start(join.customer, path))
        for command, reply in zip(asked, link.api_in_order(*asked), strict=True):
            if reply.startswith("-"):
                _say_refused(command, reply)
                if command is asked[0] and reply.startswith(NOT_RECORDED):
                    self.put(ClearBegun(self._node, join.attempt_id), self._timings.doubt_s)
        self.put(CheckJoin(self._node, join, tries), self._timings.bridge_s)

    def _clear_begun(self, act: ClearBegun) -> None:
        """FreeSWITCH opens the file first, and tells nobody of it when the leg is going by then."""
        with self._reign.store.read() as session:
            lives = session.get_one(Attempt, act.attempt_id).state in LIVE_STATES
        publish = self._reign.store.publisher
        if lives:
            self.put(act, self._timings.doubt_s)
        elif publish is not None:
            func = "calltree.jobs.recordings.clear_begun"
            publish([Announcement("job", {"lane": "soon", "func": func, "args": [act.attempt_id]})])

    def _check_join(self, check: CheckJoin, link: Link) -> None:
        join = check.join
        with self._reign.store.read() as session:
            attempt = session.get_one(Attempt, join.attempt_id)
            operator = session.get(Operator, attempt.user_id) if attempt.user_id else None
        waits = attempt.state is CallState.ANSWERED or attempt.joined_at is None
        if attempt.state not in LIVE_STATES or not waits:
            self._joining.pop(join.attempt_id, None)
            return
        log.warning("bridge not heard", attempt=attempt.id, tries=check.tries)
        if self._reconciler.are_joined(link, join.customer, join.operator):
            self._joining.pop(join.attempt_id, None)
            self.put(Look(self._node, attempt.id))
            return
        same_leg = operator is not None and operator.leg_uuid == join.operator
        if operator is not None and operator.leg_uuid and not same_leg:
            return  # a reload brought another leg, and its own join is looked after by itself
        leg_lives = same_leg and link.api(commands.exists(join.operator)) == "true"
        if leg_lives and check.tries < JOIN_TRIES:
            again = Join(self._node, join.attempt_id, join.customer, join.operator, "")
            self._join(again, link, tries=check.tries + 1)
            return
        self._joining.pop(join.attempt_id, None)
        if same_leg and not leg_lives and operator is not None:
            with self._reign.write() as session:
                gone = session.get_one(Operator, operator.user_id, populate_existing=True)
                if gone.leg_uuid == join.operator:
                    ledger.leg_lost(session, gone, now=self._reconciler.clock())
        if attempt.campaign_id is not None and attempt.joined_at is None:
            self._next_operator(join)  # the customer hears the guidance meanwhile
        elif attempt.origin is Origin.INBOUND and attempt.joined_at is None:
            return  # they hear music, and the clock asks the next operator
        elif attempt.state is CallState.ANSWERED and attempt.joined_at is None:
            # Music and an apology, kept by the switch itself, until a leg comes or time is up. One
            # who was joined before is there already: the end of that bridge sent them.
            self._ask(link, commands.send_to_orphanage(join.customer))

    def _next_operator(self, join: Join) -> None:
        """Let go of the operator with whom a campaign's customer could not be joined."""
        with self._reign.write() as session:
            attempt = session.get_one(Attempt, join.attempt_id, populate_existing=True)
            if attempt.state not in LIVE_STATES or attempt.user_id is None:
                return
            kept = session.get_one(Operator, attempt.user_id, populate_existing=True)
            if kept.leg_uuid == join.operator:  # else the next one is being joined already
                campaign_answers.unassign(session, attempt=attempt, now=self._reconciler.clock())

    def _ask(self, link: Link, command: ApiCommand) -> None:
        try:
            link.api(command)
        except CommandRefused as refused:
            _say_refused(command, refused.reply)


def _say_refused(command: ApiCommand, reply: str) -> None:
    """Events tell what is true; a refusal is mostly a leg that went a moment before."""
    log.info("switch refused", command=command.partition(" ")[0], reply=reply)
