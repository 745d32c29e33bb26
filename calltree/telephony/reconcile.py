"""Reconcile: what the ledger believes against what the switch has, on connect and every 30 s.

Read, ask, write: no transaction is open while the switch is asked. `show channels` lags (the switch
writes its table after the fact), so nothing is believed gone before `uuid_exists` said so, and
nothing unknown is hung up before two passes, ten seconds of age and a look at its own variables.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.models.calls import (
    LIVE_STATES,
    TERMINAL_STATES,
    Attempt,
    CallState,
    LegState,
    Line,
    Operator,
    Origin,
)
from calltree.models.projects import Site
from calltree.models.recordings import Recording, RecordingState
from calltree.models.supervision import Monitor
from calltree.services import (
    backups,
    monitoring,
    operators,
    recording_pauses,
    records,
    transfer_facts,
)
from calltree.services.gate import take_turn
from calltree.telephony import commands, endings, joins, ledger, transfer_care
from calltree.telephony.acts import Act, CancelTimers, Look, Park, RecordAgain
from calltree.telephony.calls import Heard
from calltree.telephony.esl import CommandRefused, Link
from calltree.telephony.inbound import callers
from calltree.telephony.lease import Reign
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

APPLICATION, LISTENS = "variable_current_application", "eavesdrop"
"""What a leg does that is in somebody else's call."""
BRIDGED = ("CS_EXCHANGE_MEDIA", "CS_SOFT_EXECUTE")
"""Channel states of the two sides of a bridge; the variables that name the partner stay behind."""


class _Seen(NamedTuple):
    """How a call's row stood when its channel was asked about."""

    attempt_id: int
    state: CallState
    sequence: int


@dataclass(slots=True)
class Reconciler:
    """Passes over one node. `run` gives the acts that follow from what was found."""

    node: str
    reign: Reign
    timings: Timings
    clock: Callable[[], datetime]
    _strangers: set[str] = field(default_factory=set)

    def run(self, link: Link, *, first: bool = False) -> list[Act]:
        """Make one pass. Raises LinkDown when the switch cannot be asked.

        `first`: on a new link, by which nobody will tell any more of what ended before.
        """
        rows = _rows(link)
        listed = {str(row["uuid"]): _created(row) for row in rows}
        now = self.clock()
        with self.reign.store.read() as session:
            calls = self._open_calls(session)
            legs = self._open_legs(session)
            targets = transfer_care.open_targets(session, node=self.node)
            site = session.get_one(Site, 1)
        came = [str(r["uuid"]) for r in rows if r.get("context") == ledger.AGENTS_CONTEXT]
        found = {uuid: _dump(link, uuid) for uuid in {*calls, *legs, *came, *targets}}
        acts: list[Act] = []
        with self.reign.write() as session:
            if backups.begin_after_restore(session, now=now):
                site = session.get_one(Site, 1)
            for uuid in came:
                if uuid not in legs:
                    acts += self._take_leg(session, uuid, found[uuid] or {}, now)
            for uuid, leg_user in legs.items():
                acts += self._mend_leg(session, leg_user, uuid, found[uuid], now)
            for uuid, seen in calls.items():
                acts += self._mend_call(session, seen, found[uuid], now, untold=first)
            for uuid in targets:
                settle = timedelta(seconds=self.timings.reconcile_settle_s)
                acts += transfer_care.mend(session, uuid, found[uuid], settle=settle, now=now)
            acts += [
                RecordAgain(self.node, channel, file)
                for channel, file in recording_pauses.to_be_heard_again(session, node=self.node)
            ]
            recording_pauses.ask_unanswered_again(
                session,
                node=self.node,
                settle=timedelta(seconds=self.timings.reconcile_settle_s),
                untold=first,
                now=now,
            )
            self._tidy(session, now)
        self._hang_up_strangers(link, listed, {*calls, *legs, *targets}, site, now)
        return acts

    def callers_unheard(self, link: Link) -> list[Act]:
        """Take in who called while nobody of ours listened and has not been served otherwise."""
        rows = [row for row in _rows(link) if _calls_in(row)]
        with self.reign.store.read() as session:
            known = set(
                session.scalars(
                    select(Attempt.uuid).where(Attempt.uuid.in_([str(r["uuid"]) for r in rows]))
                )
            )
        acts: list[Act] = []
        for row in rows:
            if str(row["uuid"]) in known:
                continue
            with self.reign.write() as session:
                take_turn(session)
                acts += callers.arrived(
                    session,
                    channel=str(row["uuid"]),
                    number=str(row.get("initial_dest") or row.get("dest") or ""),
                    caller=str(row.get("initial_cid_num") or row.get("cid_num") or ""),
                    answered=row.get("callstate") == "ACTIVE",
                    node=self.node,
                    epoch=self.reign.epoch,
                    now=self.clock(),
                )
        return acts

    def look(self, link: Link, attempt_id: int) -> list[Act]:
        """Find out about one call that may be over without having told so."""
        with self.reign.store.read() as session:
            attempt = session.get(Attempt, attempt_id)
        if attempt is None or attempt.state not in LIVE_STATES:
            return []
        seen = _Seen(attempt.id, attempt.state, attempt.seen_sequence)
        found = _dump(link, attempt.uuid)
        with self.reign.write() as session:
            return self._mend_call(session, seen, found, self.clock(), settled=True)

    def are_joined(self, link: Link, customer: str, leg: str) -> bool:
        """Whether the switch has the two joined: a second bridge of them would end the first."""
        dump = _dump(link, customer) or {}
        return dump.get("Channel-State") in BRIDGED and _peer(dump) == leg

    def _open_calls(self, session: Session) -> dict[str, _Seen]:
        rows = session.execute(
            select(Attempt.uuid, Attempt.id, Attempt.state, Attempt.seen_sequence).where(
                Attempt.node == self.node,
                Attempt.ended_at.is_(None),
                Attempt.state != CallState.QUEUED,
            )
        ).all()
        return {row.uuid: _Seen(row.id, row.state, row.seen_sequence) for row in rows}

    def _open_legs(self, session: Session) -> dict[str, int]:
        rows = session.execute(
            select(Operator.leg_uuid, Operator.user_id).where(
                Operator.leg_node == self.node,
                Operator.leg_state.in_((LegState.CONNECTING, LegState.PARKED, LegState.JOINED)),
            )
        ).all()
        return {row.leg_uuid: row.user_id for row in rows}

    def _mend_call(
        self,
        session: Session,
        seen: _Seen,
        dump: dict[str, str] | None,
        now: datetime,
        *,
        settled: bool = False,
        untold: bool = False,
    ) -> list[Act]:
        """`settled`: asked because it may be over, and long enough after; `untold`: see `run`."""
        attempt = session.get_one(Attempt, seen.attempt_id, populate_existing=True)
        if attempt.state not in LIVE_STATES or attempt.state is CallState.QUEUED:
            return []
        attempt.epoch = self.reign.epoch
        if dump is None:
            settle = timedelta(seconds=self.timings.reconcile_settle_s)
            if attempt.dialled_at and now - attempt.dialled_at <= settle and not settled:
                return [Look(self.node, attempt.id, self.timings.reconcile_settle_s)]
            if not settled and not untold:
                # A leg that hangs up is not there any more, and tells why only when it is done.
                return [Look(self.node, attempt.id)]
            endings.lost(session, attempt, now=now)
            return ledger.mute_ends(session, attempt)
        if (attempt.state, attempt.seen_sequence) != (seen.state, seen.sequence):
            return []  # it moved meanwhile, so its events are coming and know better
        return _mend_living(session, attempt, dump, now)

    def _mend_leg(
        self,
        session: Session,
        user_id: int,
        uuid: str,
        dump: dict[str, str] | None,
        now: datetime,
    ) -> list[Act]:
        operator = session.get_one(Operator, user_id, populate_existing=True)
        if operator.leg_uuid != uuid or operator.leg_state in (LegState.NONE, LegState.LOST):
            return []
        if dump is None:
            settle = timedelta(seconds=self.timings.reconcile_settle_s)
            connecting = operator.leg_state is LegState.CONNECTING
            if connecting and operator.leg_since and now - operator.leg_since < settle:
                return []
            ledger.leg_lost(session, operator, now=now)
            return []
        listens = dump.get(APPLICATION) == LISTENS
        if listens and transfer_care.is_one_of_three(session, operator):
            return []
        if (row := monitoring.of(session, user_id=user_id)) or listens:
            return self._mend_listening(session, operator, row, dump, now)
        if dump.get("Answer-State") != "answered" or dump.get("Channel-State") in BRIDGED:
            return []
        if transfer_care.is_one_of_three(session, operator):
            return transfer_care.mend_three(session, operator)
        if operator.leg_state is not LegState.PARKED:
            return ledger.leg_parked(session, operator, now=now)
        return []

    def _mend_listening(
        self,
        session: Session,
        operator: Operator,
        row: Monitor | None,
        dump: dict[str, str],
        now: datetime,
    ) -> list[Act]:
        """A leg listens where its row says so, and nowhere else."""
        listens = dump.get(APPLICATION) == LISTENS
        if row is None:
            return [Park(self.node, operator.leg_uuid)]
        if listens or now - row.changed_at < monitoring.SETTLES:
            return []
        return ledger.leg_parked(session, operator, now=now)

    def _take_leg(
        self, session: Session, uuid: str, dump: dict[str, str], now: datetime
    ) -> list[Act]:
        """A leg that a page made while nobody listened becomes its operator's."""
        told = dump.get("variable_calltree_user_id", "")
        operator = session.get(Operator, int(told)) if told.isdigit() else None
        if operator is None or not operators.may_bring_leg(operator):
            return []
        if operator.leg_uuid == uuid or operator.leg_state not in (LegState.NONE, LegState.LOST):
            return []
        if dump.get("Answer-State") != "answered":
            return []  # its CHANNEL_ANSWER will tell
        acts = ledger.leg_begun(
            session, user_id=operator.user_id, uuid=uuid, node=self.node, now=now
        )
        return acts + ledger.leg_parked(session, operator, now=now)

    def _tidy(self, session: Session, now: datetime) -> None:
        """Let go of what calls that are over still hold; it should never find anything."""
        over = Attempt.state.in_(TERMINAL_STATES)
        for line in session.scalars(
            select(Line)
            .join(Attempt, Attempt.uuid == Line.uuid)
            .where(Line.released_at.is_(None), over, Attempt.node == self.node)
        ):
            log.error("line of a call that is over", attempt=line.attempt_id)
            line.released_at = now
        transfer_care.tidy(session, node=self.node, now=now)
        for held in session.execute(
            select(Operator.user_id, Attempt.id)
            .join(Attempt, Attempt.id == Operator.attempt_id)
            .where(over)
        ).all():
            log.error("operator locked by a call that is over", attempt=held.id)
            operators.unlock(session, user_id=held.user_id, attempt_id=held.id, now=now)
        for recording in session.scalars(
            select(Recording)
            .join(Attempt, Attempt.id == Recording.attempt_id)
            .where(Recording.state == RecordingState.RECORDING, over)
        ):
            log.error("recording of a call that is over", attempt=recording.attempt_id)
            endings.recording_stopped(session, recording, length_ms=0, now=now)

    def _hang_up_strangers(
        self,
        link: Link,
        listed: dict[str, datetime | None],
        known: set[str],
        site: Site,
        now: datetime,
    ) -> None:
        """End channels that carry our site's id and that no row knows.

        Never soon after a backup was restored: the rows may be what is missing, not the calls.
        """
        quiet = timedelta(seconds=self.timings.restored_quiet_s)
        if site.restored_at is not None and now - site.restored_at < quiet:
            self._strangers = set()
            return
        old = timedelta(seconds=self.timings.unknown_age_s)
        seen_before, self._strangers = self._strangers, set()
        for uuid, created in listed.items():
            if uuid in known:
                continue
            self._strangers.add(uuid)
            if uuid not in seen_before or created is None or now - created < old:
                continue
            if not self._is_known_now(uuid):
                _end_if_ours(link, uuid, site.site_key)

    def _is_known_now(self, uuid: str) -> bool:
        """A call may have been made since this pass began to read."""
        with self.reign.store.read() as session:
            attempt = session.scalar(
                select(Attempt.id).where(Attempt.uuid == uuid, Attempt.state.in_(LIVE_STATES))
            )
            leg = session.scalar(
                select(Operator.user_id).where(
                    Operator.leg_uuid == uuid,
                    or_(Operator.leg_state != LegState.NONE, Operator.leg_state.is_(None)),
                )
            )
            target = transfer_facts.of_leg(session, leg_uuid=uuid)
        return attempt is not None or leg is not None or target is not None


def _mend_living(
    session: Session, attempt: Attempt, dump: dict[str, str], now: datetime
) -> list[Act]:
    """Bring a living call's row up to what its channel says."""
    records.open_for_attempt(session, attempt=attempt, now=now)
    if dump.get("Answer-State") == "answered":
        missed = attempt.answered_at is None
        joins.note_answer(session, attempt, now, now)
        if missed and attempt.origin is not Origin.INBOUND:
            # the switch records whom we dial from the answer on, and told nobody
            endings.recording_begun(session, attempt, now)
    operator = session.get(Operator, attempt.user_id) if attempt.user_id else None
    leg = operator.leg_uuid if operator else ""
    if dump.get("Channel-State") in BRIDGED:
        peer = _peer(dump)
        heard_of = attempt.state is CallState.TALKING or (
            attempt.state is CallState.EARLY and attempt.joined_at is not None
        )
        if peer == leg and not heard_of:
            taken_back = attempt.state is CallState.ANSWERED and attempt.joined_at is not None
            taken_back = taken_back or attempt.origin is Origin.INBOUND
            joins.joined(session, attempt, leg=leg, answered=False, at=now, now=now)
            return [CancelTimers(attempt.node, attempt.uuid)] if taken_back else []
        if attempt.held_since is not None and peer:
            return transfer_care.mend_customer(session, attempt, peer, now=now)
        return []
    if attempt.state is CallState.TALKING:
        heard = Heard.HELD if attempt.held_since else Heard.LEG_LOST
        joins.step(session, attempt, heard, "reconcile")
    if attempt.origin is Origin.INBOUND and attempt.joined_at is None:
        return []  # a press is joining them just now, and a second bridge would end the first
    if attempt.state is CallState.ANSWERED:
        return joins.customer_joins(session, attempt)
    if attempt.joined_at is None and dump.get("Answer-State") == "early":
        return joins.customer_joins(session, attempt)
    return []


def _peer(dump: dict[str, str]) -> str:
    return dump.get("variable_signal_bond") or dump.get("variable_bridge_uuid") or ""


def _rows(link: Link) -> list[dict[str, Any]]:
    told = json.loads(link.api(commands.show_channels()) or "{}")
    rows: list[dict[str, Any]] = told.get("rows") or []
    return [row for row in rows if row.get("uuid")]


def _calls_in(row: dict[str, Any]) -> bool:
    """Somebody who calls one of our numbers, and whom the dialplan has not passed on."""
    came = row.get("direction") == "inbound" and row.get("context") == callers.PUBLIC_CONTEXT
    return came and row.get("application") != "bridge"


def _created(row: dict[str, Any]) -> datetime | None:
    epoch = str(row.get("created_epoch") or "")
    return datetime.fromtimestamp(int(epoch), tz=UTC) if epoch.isdigit() else None


def _dump(link: Link, uuid: str) -> dict[str, str] | None:
    """Give a living channel's headers, None for one that does not exist."""
    if link.api(commands.exists(uuid)) != "true":
        return None
    try:
        told = json.loads(link.api(commands.dump(uuid)))
    except (CommandRefused, ValueError):
        return None  # it went between the two questions
    return {str(name): str(value) for name, value in told.items()}


def _end_if_ours(link: Link, uuid: str, site_key: str) -> None:
    dump = _dump(link, uuid)
    if dump is None or dump.get("variable_calltree_site") != site_key:
        return
    log.warning("unknown channel of ours is hung up", channel=uuid)
    try:
        link.api(commands.kill(uuid))
    except CommandRefused as refused:
        log.info("it was gone already", channel=uuid, reply=refused.reply)
