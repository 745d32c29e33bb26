"""Driving one campaign: what it has learnt, whom it has in hand, and its next dials."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Attempt, CallState, Campaign, CampaignState, Project
from calltree.services import (
    campaign_checks,
    campaign_dialling,
    campaign_facts,
    campaign_leads,
    campaign_scene,
    campaign_team,
    campaigns,
    gate,
    redialling,
)
from calltree.services.campaign_facts import Why
from calltree.services.campaign_leads import Lead, Places
from calltree.services.campaign_scene import Counted
from calltree.telephony.pacing import Decision, Memory, Rule, Scene, Share, decide, remembered
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

AT_ONCE = 3
"""Dials of one transaction: a press, or who has answered, waits no longer than for these."""
GIVE_WAY_LOOK_S = 0.002
REMEMBERED = 1000
"""Dials of before from which a new leader learns."""
COUNTED_EVERY_S = 20.0
"""Between two counts of whole lists, and between two looks for wrongs."""
EMPTY_S = 2.0
"""Lists that gave nobody are not read again before this."""

Sessions = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What every pilot of one reign stands on."""

    read: Sessions
    write: Sessions
    epoch: int
    timings: Timings
    clock: Callable[[], datetime]
    nodes: Callable[[], Collection[str]]
    """The switches that are heard now."""
    began: float
    """When this leader began, by the monotonic clock."""
    crowded: Callable[[], bool] = lambda: False
    """Whether something was heard that waits to be written down: it may be an answer."""

    def seconds(self, since: datetime, now: datetime) -> float:
        """Seconds of the dialler: a hurried site's pass faster."""
        return (now - since).total_seconds() / self.timings.second_s

    def give_way(self) -> None:
        """Let what was heard be written first: it may be an answer, and that customer waits."""
        until = time.monotonic() + self.timings.give_way_s
        time.sleep(0)
        while self.crowded() and time.monotonic() < until:
            time.sleep(GIVE_WAY_LOOK_S)

    @property
    def settling(self) -> bool:
        """Whether the leader has only just begun."""
        return time.monotonic() - self.began < self.timings.settle_s


@dataclass(slots=True)
class View:
    """How a campaign stands at one moment."""

    campaign: Campaign
    rule: Rule
    why: Why | None
    """What forbids every dial."""
    counted: Counted
    share: Share
    lines_free: int
    lines: int
    ready: int
    """待機 on switches that are heard: an answer on another could not be joined."""


@dataclass(slots=True)
class Pilot:
    """One running campaign, for one reign. Kept by one thread."""

    campaign_id: int
    ground: Ground
    memory: Memory | None = None
    why: Why = field(default_factory=lambda: Why("pacing_settling", {"dial": 0}))
    dialling: bool = False
    alarms: list[Why] = field(default_factory=list)
    left: dict[int, int] | None = None
    """Customers who may still be dialled, by the tries they have left; None: not counted yet."""
    pace_s: float = 1.0
    """Between two ticks: a second, or so long as the calls of one transaction take of it.

    Twenty a second are three at a time: who answers at once would wait for each other.
    """
    _next_due: datetime | None = None
    _ringing: dict[int, datetime] = field(default_factory=dict)
    _leads: deque[Lead] = field(default_factory=deque)
    _places: Places = field(default_factory=Places)
    _lists: list[int] = field(default_factory=list)
    """The lists that those in hand are of."""
    _dialled: deque[float] = field(default_factory=deque)
    """When each of the last dials was made, by the monotonic clock."""
    _blocked_until: float = 0.0
    _idle_since: float | None = None
    _count_due: float = 0.0
    _leads_due: float = 0.0
    _grants_due: float = 0.0
    _somebody: bool = False
    """Whether the lists had anybody to dial when they were last read."""

    def tick(self) -> int:
        """Look at the campaign and dial what may be dialled; give how many were."""
        self._let_go_ungranted()
        with self.ground.read() as session:
            view = self._view(session)
            if view is None:
                return 0
            self._learn(session, view)
            self._count_now_and_then(session, view)
            decision = self._decide(view)
            wanted = 0 if view.why or self._blocked else decision.dial
            if wanted:
                self._refill(session, view, wanted)
        if wanted and len(self._leads) < wanted:
            decision = self._decide(view, numbers_left=len(self._leads))
        self._say(view, decision, wanted)
        if wanted and self._leads:
            dialled = self._dial(wanted)
        else:
            dialled = 0
            self._keep_brake(view, decision)
        self._watch_idle(view, dialled)
        return dialled

    def _let_go_ungranted(self) -> None:
        """Whose grant was taken away is not dialled for any more (R-DL-7)."""
        if time.monotonic() < self._grants_due:
            return
        self._grants_due = time.monotonic() + self.ground.timings.second_s
        with self.ground.read() as session:
            lost = campaign_team.ungranted(session, campaign_id=self.campaign_id)
        if lost:
            with self.ground.write() as session:
                campaign_team.dismiss(
                    session, campaign_id=self.campaign_id, users=lost, now=self.ground.clock()
                )

    def told(self) -> dict[str, Any]:
        """Say how it is, for the leader's note."""
        return {
            "why": self.why.code,
            "values": dict(self.why.values),
            "dialling": self.dialling,
            "tries_left": None if self.left is None else sorted(self.left.items()),
            "alarms": [{"code": a.code, "values": dict(a.values)} for a in self.alarms],
        }

    @property
    def _blocked(self) -> bool:
        return time.monotonic() < self._blocked_until

    def _view(self, session: Session) -> View | None:
        now = self.ground.clock()
        campaign = session.get(Campaign, self.campaign_id, populate_existing=True)
        if campaign is None or campaign.state is not CampaignState.RUNNING:
            return None
        project = session.get_one(Project, campaign.project_id, populate_existing=True)
        lists = campaign_leads.lists_in_use(session, campaign_id=campaign.id)
        if lists != self._lists:
            self._begin_anew(lists)
        nodes = self.ground.nodes()
        free, lines = campaign_scene.lines_free(session, campaign=campaign, project=project)
        counted = campaign_scene.count(session, campaign_id=campaign.id)
        return View(
            campaign=campaign,
            rule=campaigns.rule(campaign, project),
            why=campaign_scene.why_not(session, project=project, lists=lists, nodes=nodes, now=now),
            counted=counted,
            share=campaign_facts.day_of(session, campaign_id=campaign.id, now=now).share,
            lines_free=free,
            lines=lines,
            ready=sum(count for node, count in counted.ready.items() if node in nodes),
        )

    def _begin_anew(self, lists: list[int]) -> None:
        """The campaign dials other lists from now on: nobody of the former ones is in hand."""
        self._lists = lists
        self._leads.clear()
        self._places = Places()
        self._leads_due = self._count_due = 0.0

    def _decide(self, view: View, numbers_left: int | None = None) -> Decision:
        now, memory = self.ground.clock(), self._remembering(view)
        memory.braked = view.campaign.braked
        a_second = view.campaign.calls_per_second
        self.pace_s = self.ground.timings.second_s * min(1.0, AT_ONCE / a_second)
        calls_left = min(a_second, AT_ONCE) - self._dialled_just_now()
        scene = Scene(
            ready=view.ready,
            signed_in=view.counted.signed_in,
            ringing=[self.ground.seconds(at, now) for at in view.counted.ringing.values()],
            waiting=view.counted.waiting,
            lines_free=view.lines_free,
            dials_left=max(0, calls_left),
            numbers_left=numbers_left,
            settling=self.ground.settling,
        )
        return decide(view.rule, scene, view.share, memory)

    def _remembering(self, view: View) -> Memory:
        if self.memory is None:
            self.memory = Memory(ring_timeout_s=view.rule.ring_timeout_s)
        return self.memory

    def _dialled_just_now(self) -> int:
        since = time.monotonic() - self.pace_s
        while self._dialled and self._dialled[0] < since:
            self._dialled.popleft()
        return len(self._dialled)

    # --- learning

    def _learn(self, session: Session, view: View) -> None:
        if self.memory is None:
            self.memory = self._from_the_ledger(session, view)
        over = self._ringing.keys() - view.counted.ringing.keys()
        if over:
            for answered, after_s in self._ends(session, Attempt.id.in_(over)):
                tell = self.memory.answered if answered else self.memory.silent
                tell(after_s)
        self._ringing = dict(view.counted.ringing)

    def _from_the_ledger(self, session: Session, view: View) -> Memory:
        newest = (
            select(Attempt.id)
            .where(Attempt.campaign_id == self.campaign_id, Attempt.ended_at.is_not(None))
            .order_by(Attempt.id.desc())
            .limit(REMEMBERED)
        )
        ends = self._ends(session, Attempt.id.in_(newest))
        return remembered(ends, view.rule.ring_timeout_s)

    def _ends(self, session: Session, which: Any) -> list[tuple[bool, float]]:
        """What became of dials that left for the network; a fault of ours tells nothing."""
        rows = session.execute(
            select(Attempt.dialled_at, Attempt.answered_at, Attempt.ended_at)
            .where(
                which,
                Attempt.dialled_at.is_not(None),
                Attempt.state != CallState.FAILED,
                Attempt.reserved_user_id.is_(None),
            )
            .order_by(Attempt.id)
        ).all()
        ends: list[tuple[bool, float]] = []
        for dialled, answered, ended in rows:
            at = answered or ended
            if dialled is not None and at is not None:
                ends.append((answered is not None, self.ground.seconds(dialled, at)))
        return ends

    # --- whom to dial

    def _refill(self, session: Session, view: View, wanted: int) -> None:
        if len(self._leads) >= wanted or time.monotonic() < self._leads_due:
            return
        lists = campaign_leads.lists_in_use(session, campaign_id=self.campaign_id)
        self._leads = deque(
            campaign_leads.next_leads(
                session,
                campaign=view.campaign,
                lists=lists,
                places=self._places,
                most=wanted + AT_ONCE,
                now=self.ground.clock(),
            )
        )
        self._somebody = bool(self._leads)
        if not self._leads:
            self._leads_due = time.monotonic() + EMPTY_S * self.ground.timings.second_s
            self._next_due = campaign_leads.next_due(
                session, campaign=view.campaign, lists=lists, now=self.ground.clock()
            )

    def _count_now_and_then(self, session: Session, view: View) -> None:
        if time.monotonic() >= self._count_due:
            self._count_due = time.monotonic() + COUNTED_EVERY_S * self.ground.timings.second_s
            self._places = Places()  # who was passed over may be free by now
            self._count(session, view)
            self.alarms = [
                *(alarm for alarm in self.alarms if alarm.code == "alarm_idle"),
                *campaign_checks.wrongs(session, campaign=view.campaign, now=self.ground.clock()),
            ]

    def _count(self, session: Session, view: View) -> None:
        lists = campaign_leads.lists_in_use(session, campaign_id=self.campaign_id)
        self.left = campaign_leads.count_left(session, campaign=view.campaign, lists=lists)

    # --- dialling

    def _dial(self, wanted: int) -> int:
        dialled = 0
        while wanted > 0 and self._leads and not self._blocked:
            self.ground.give_way()
            made = self._dial_some(wanted)
            dialled += made
            wanted -= made
            if not made:
                break
        return dialled

    def _dial_some(self, wanted: int) -> int:
        """Dial a few in one transaction, in which all that allows them is counted anew."""
        made = full = 0  # full: so many in a row whose caller number has no line left
        with self.ground.write() as session:
            gate.take_turn(session)
            view = self._view(session)
            if view is None or view.why:
                return 0
            decision = self._decide(view)
            view.campaign.braked = decision.braked
            nodes, by_node = self.ground.nodes(), view.counted.by_node
            most = min(wanted, decision.dial, AT_ONCE)
            while made < most and self._leads:
                node = campaign_scene.node_for(view.counted, nodes)
                if node is None:
                    break
                lead = self._leads.popleft()
                code, attempt = campaign_dialling.dial(
                    session,
                    campaign=view.campaign,
                    lead=lead,
                    node=node,
                    epoch=self.ground.epoch,
                    now=self.ground.clock(),
                )
                if code in redialling.OF_CAMPAIGN:
                    self._block()
                    break
                if code != gate.ALLOWED or attempt is None:
                    log.info("not dialled", campaign=self.campaign_id, why=code)
                    full += code == "no_lines_number"
                    if full < AT_ONCE:
                        continue
                    self._block()
                    break
                made += 1
                full = 0
                self._dialled.append(time.monotonic())
                by_node[attempt.node] = by_node.get(attempt.node, 0) + 1
                if attempt.reserved_user_id is not None:
                    break  # one operator fewer waits: count anew
        return made

    def _block(self) -> None:
        """The next one would be refused too: ask nothing for a while."""
        self._leads.clear()
        self._places = Places()
        self._blocked_until = time.monotonic() + 2 * self.ground.timings.second_s

    def _keep_brake(self, view: View, decision: Decision) -> None:
        if decision.braked == view.campaign.braked:
            return
        with self.ground.write() as session:
            campaign = session.get_one(Campaign, self.campaign_id, populate_existing=True)
            campaign.braked = decision.braked

    # --- what is said

    def _say(self, view: View, decision: Decision, wanted: int) -> None:
        self.why = self._reason(view, decision, wanted)
        self.dialling = (
            view.why is None
            and (bool(self.left) or self._somebody)
            and decision.reason != "pacing_nobody_ready"
        )

    def _reason(self, view: View, decision: Decision, wanted: int) -> Why:
        if view.why is not None:
            return view.why
        under_way = len(view.counted.ringing) + view.counted.waiting
        if wanted and not self._leads and not under_way:
            if self._next_due is None:
                return Why("campaign_no_numbers")
            return Why("campaign_numbers_later", {"due_at": self._next_due.isoformat()})
        if view.ready and not view.lines_free and not under_way:
            return Why("campaign_lines_full", {"lines": view.lines})
        return Why(decision.reason, decision.values)

    def _watch_idle(self, view: View, dialled: int) -> None:
        """Operators who wait while everything is there to dial: something of ours is wrong."""
        ready = view.ready
        could = view.why is None and ready and view.lines_free and self._somebody
        under_way = view.counted.ringing or view.counted.waiting or view.counted.reserved
        if not could or dialled or under_way:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        self.alarms = [alarm for alarm in self.alarms if alarm.code != "alarm_idle"]
        if self._idle_since is None:
            return
        waited = time.monotonic() - self._idle_since
        if waited >= self.ground.timings.idle_alarm_s:
            seconds = int(waited / self.ground.timings.second_s)
            values = {"name": view.campaign.name, "ready": ready, "seconds": seconds}
            self.alarms.insert(0, Why("alarm_idle", values))
