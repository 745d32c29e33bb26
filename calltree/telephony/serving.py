"""Serving one command: take its row, ask the switch, note how it went. Short, never waiting for
an event. The `calls` worker does it when the doorbell rings; the leader's sweep does it for rows
whose bell was not heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import update
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from calltree.db import Store, announce
from calltree.models.calls import (
    LIVE_STATES,
    Attempt,
    CallState,
    CommandKind,
    LegState,
    Operator,
    SwitchCommand,
)
from calltree.models.people import User
from calltree.models.recordings import PauseEnd
from calltree.services import (
    monitoring,
    operators,
    recording_pauses,
    switch_commands,
)
from calltree.telephony import commands, endings, hand_on, leaving, masking
from calltree.telephony.care import Care, Work
from calltree.telephony.commands import Cause
from calltree.telephony.esl import CommandRefused, Link, LinkDown
from calltree.telephony.inbound import answering
from calltree.telephony.nodes import DOMAIN
from calltree.telephony.orders import Ask, Circumstances, Order, Plan, Refusal
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

NO_SUCH_CHANNEL = "-ERR No such channel"
LINK_DOWN = "link_down"
_KILL_TRIES = 4
_ALONG = 9
"""Dials taken along at most: those in front of them wait until all of these are written."""
_KILL_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Desk:
    """What serving needs: the ledger, who we are, and the clocks."""

    store: Store
    holder: str
    timings: Timings
    clock: Callable[[], datetime]
    care: Care | None = None
    """Looks after the switch itself; the leader has none and leaves those commands alone."""
    recordings_root: str = ""
    """As the switch sees it; without one a campaign's calls are recorded from the join on."""

    def serve(self, command_id: int, link: Link) -> bool:
        """Serve one command; False when somebody else has taken it.

        Raises LinkDown when the link broke while asking: the row is closed with 'link_down', and
        what the switch made of it is found out by the leader's reconcile.
        """
        try:
            served = self._take(command_id)
        except (ValueError, KeyError, TypeError, NoResultFound):
            # Something in the row is not what a command may hold. Nothing of it was written; a
            # row left open would be swept again every second.
            log.exception("command cannot be made", id=command_id)
            return self._give_up(command_id)
        for command, plan in served:
            self._carry_out(command, plan, link)
        return bool(served)

    def serve_with_those_behind(self, command_id: int, link: Link) -> list[int]:
        """Serve it, and in the same transaction the dials that wait right behind it; their ids.

        Twenty who press in one moment wait for a few commits of the database instead of twenty.
        Raises LinkDown as `serve` does; what was taken and not sent is closed with 'link_down'.
        """
        try:
            served = self._take(command_id, with_those_behind=True)
        except (ValueError, KeyError, TypeError, NoResultFound):
            self.serve(command_id, link)  # one of them cannot be made; alone it is found out which
            return []
        if len(served) == 1:
            self._carry_out(*served[0], link)
        else:
            self._send_together(served, link)
        return [command.id for command, _plan in served if command.id != command_id]

    def _send_together(self, dials: list[tuple[SwitchCommand, Plan]], link: Link) -> None:
        """Send what was taken along, none waiting for the reply to the one before it."""
        sent: list[tuple[SwitchCommand, Ask]] = []
        for command, plan in dials:
            if isinstance(plan, list):
                sent += [(command, ask) for ask in plan]
            else:
                self._carry_out(command, plan, link)  # a refusal, which is told
        try:
            refusals = link.bgapi_in_order(*((ask.command, ask.job_uuid) for _, ask in sent))
        except LinkDown:
            for command, _ask in sent:
                self._finish(command, LINK_DOWN)
            raise
        for (command, _ask), refusal in zip(sent, refusals, strict=True):
            if refusal:
                self._finish(command, refusal)

    def _carry_out(self, command: SwitchCommand, plan: Plan, link: Link) -> None:
        if isinstance(plan, Refusal):
            log.info("command refused", kind=command.kind, id=command.id, why=plan.code)
        else:
            self._send(command, plan, link)

    def _take(
        self, command_id: int, *, with_those_behind: bool = False
    ) -> list[tuple[SwitchCommand, Plan]]:
        """Take one that nobody else has, or none; see what is to be sent for it."""
        now = self.clock()
        # Whom it matters to that this was taken dies in a power cut too, and a dial is never sent
        # for a row of before it: it is too old then.
        with self.store.write(synced=False) as session:
            around = Circumstances(session)
            taken = [self._take_one(session, command_id, now, around)]
            if with_those_behind and taken[0] and taken[0][0].kind is CommandKind.DIAL:
                behind = switch_commands.dials_behind(session, command_id=command_id, most=_ALONG)
                taken += [self._take_one(session, other, now, around) for other in behind]
        return [one for one in taken if one is not None]

    def _take_one(
        self, session: Session, command_id: int, now: datetime, around: Circumstances
    ) -> tuple[SwitchCommand, Plan] | None:
        command = switch_commands.take(session, command_id=command_id, by=self.holder, now=now)
        if command is None:
            return None
        order = Order(session, command, now, self.timings, around, self.care, self.recordings_root)
        plan = _PLANS[command.kind](order)
        if isinstance(plan, Refusal):
            switch_commands.finish(session, command_id=command_id, now=now, failure=plan.code)
        return command, plan

    def _give_up(self, command_id: int) -> bool:
        now = self.clock()
        with self.store.write() as session:
            command = switch_commands.take(session, command_id=command_id, by=self.holder, now=now)
            if command is None:
                return False
            switch_commands.finish(session, command_id=command_id, now=now, failure="unsafe")
            attempt = session.get(Attempt, command.attempt_id) if command.attempt_id else None
            if command.kind is CommandKind.DIAL and attempt is not None:
                endings.not_sent(session, attempt, reason="UNSAFE", now=now)
            elif command.kind is CommandKind.RECORD_PAUSE and attempt is not None:
                recording_pauses.refused(session, attempt_id=attempt.id, now=now)
        return True

    def _send(self, command: SwitchCommand, plan: list[Ask] | Work, link: Link) -> None:
        failure = ""
        try:
            if callable(plan):
                failure = plan(link)
            else:
                for ask in plan:
                    failure = self._ask(ask, link) or failure
        except LinkDown:
            self._finish(command, LINK_DOWN)
            raise
        if failure or command.kind is not CommandKind.DIAL:
            self._finish(command, failure)  # a dial that was sent is told of by its events

    def _ask(self, ask: Ask, link: Link) -> str:
        """Send one; a kill that overtook its own originate is tried again a few times."""
        for remaining in reversed(range(_KILL_TRIES)):
            try:
                if ask.job_uuid:
                    link.bgapi(ask.command, ask.job_uuid)
                else:
                    link.api(ask.command)
            except CommandRefused as refused:
                early = ask.command.startswith("uuid_kill") and NO_SUCH_CHANNEL in refused.reply
                if not early or not remaining:
                    return refused.reply
                time.sleep(_KILL_PAUSE_S)
            else:
                return ""
        return ""

    def _finish(self, command: SwitchCommand, failure: str) -> None:
        now = self.clock()
        with self.store.write() as session:
            switch_commands.finish(session, command_id=command.id, now=now, failure=failure)
            if failure:
                _undo(session, command, failure, now)
            elif command.kind is CommandKind.RECORD_PAUSE and command.attempt_id is not None:
                recording_pauses.confirmed(session, attempt_id=command.attempt_id, now=now)
        if failure:
            log.warning("command failed", kind=command.kind, id=command.id, why=failure)


# --- what each kind writes before it is sent, in the transaction that takes its row


def _hang_up(order: Order) -> Plan:
    attempt = order.attempt
    if attempt.state not in LIVE_STATES:
        return Refusal("ended")
    attempt.ended_by = "operator"
    if attempt.node != order.command.node and attempt.state is not CallState.QUEUED:
        # Its switch is gone and the operator has left it: what lives there is ended later.
        endings.lost(order.session, attempt, now=order.now)
        return Refusal("switch_gone")
    if attempt.state is CallState.QUEUED and endings.not_sent(
        order.session, attempt, reason="CANCELLED", now=order.now
    ):
        return Refusal("not_sent")
    cause = Cause.NORMAL_CLEARING if attempt.answered_at else Cause.ORIGINATOR_CANCEL
    return [Ask(commands.kill(attempt.uuid, cause))]


def _hold(order: Order) -> Plan:
    held = order.session.scalar(
        update(Attempt)
        .where(
            Attempt.id == order.command.attempt_id,
            Attempt.state == CallState.TALKING,
            Attempt.held_since.is_(None),
        )
        .values(held_since=order.now)
        .returning(Attempt.uuid)
        .execution_options(synchronize_session=False)
    )
    if held is None:
        return Refusal("not_talking")
    attempt = order.session.get_one(Attempt, order.command.attempt_id)
    recording_pauses.end(order.session, attempt=attempt, by=PauseEnd.HOLD, now=order.now)
    # The switch's own timer: should we never come back, the customer is released with a word.
    return [
        Ask(commands.hold(held)),
        Ask(commands.orphan_in(max(int(order.timings.hold_s), 1), held)),
    ]


def _resume(order: Order) -> Plan:
    attempt = order.attempt
    operator = order.session.get(Operator, attempt.user_id) if attempt.user_id else None
    if attempt.held_since is None or attempt.state not in LIVE_STATES:
        return Refusal("not_held")
    if operator is None or operator.leg_state not in operators.LIVE_LEGS:
        return Refusal("no_leg")
    return [
        Ask(commands.cancel_timers(attempt.uuid)),
        Ask(commands.bridge(attempt.uuid, operator.leg_uuid)),
    ]


def _dtmf(order: Order) -> Plan:
    attempt = order.attempt
    if attempt.state not in LIVE_STATES:
        return Refusal("ended")
    return [Ask(commands.send_dtmf(attempt.uuid, str(order.command.args["digits"])))]


def _mute(order: Order) -> Plan:
    return _set_mute(order, muted=True)


def _unmute(order: Order) -> Plan:
    return _set_mute(order, muted=False)


def _set_mute(order: Order, *, muted: bool) -> Plan:
    operator = order.session.get_one(Operator, order.command.user_id)
    if operator.leg_state not in operators.LIVE_LEGS:
        return Refusal("no_leg")
    operators.set_muted(order.session, user_id=operator.user_id, muted=muted)
    verb = commands.mute if muted else commands.unmute
    return [Ask(verb(operator.leg_uuid))]


def _connect_leg(order: Order) -> Plan:
    operator = order.session.get_one(Operator, order.command.user_id)
    uuid = str(order.command.args["uuid"])
    if operator.leg_uuid != uuid or operator.leg_state is not LegState.CONNECTING:
        return Refusal("leg_not_wanted")
    user = order.session.get_one(User, operator.user_id)
    originate = commands.originate_operator_device(
        uuid=uuid,
        extension=user.device or str(user.id),
        domain=DOMAIN,
        user_id=user.id,
        site_id=order.around.site.site_key,
        ring_s=max(int(order.timings.leg_ring_s), 1),
    )
    return [Ask(originate, job_uuid=uuid)]


def _drop_leg(order: Order) -> Plan:
    uuid = str(order.command.args["uuid"])
    monitoring.leg_left(order.session, leg_uuid=uuid, now=order.now)
    if order.command.user_id is not None:
        operators.leg_moved(
            order.session, user_id=order.command.user_id, uuid=uuid, to=LegState.NONE, now=order.now
        )
    return [Ask(commands.kill(uuid))]


def _monitor(order: Order) -> Plan:
    args, row = order.command.args, monitoring.of(order.session, user_id=_who(order))
    if row is None or (row.attempt_id, row.mode) != (args["attempt"], args["mode"]):
        return Refusal("not_wanted")
    return [Ask(commands.monitor(str(args["uuid"]), str(args["of"]), row.mode))]


def _monitor_end(order: Order) -> Plan:
    row = monitoring.of(order.session, user_id=_who(order))
    if row is None or row.attempt_id != order.command.args["attempt"]:
        return Refusal("not_wanted")  # it is out of that call
    return [Ask(commands.park(str(order.command.args["uuid"])))]


def _who(order: Order) -> int:
    return int(order.command.user_id or 0)


def _care(order: Order) -> Plan:
    work = order.care.work(order.session, order.command) if order.care else "nobody"
    return Refusal(work) if isinstance(work, str) else work


_PLANS: dict[CommandKind, Callable[[Order], Plan]] = {
    CommandKind.DIAL: leaving.dial,
    CommandKind.ANSWER: answering.answer,
    CommandKind.CALL_IN: answering.call_in,
    CommandKind.HANG_UP: _hang_up,
    CommandKind.HOLD: _hold,
    CommandKind.RESUME: _resume,
    CommandKind.MUTE: _mute,
    CommandKind.UNMUTE: _unmute,
    CommandKind.DTMF: _dtmf,
    CommandKind.CONNECT_LEG: _connect_leg,
    CommandKind.DROP_LEG: _drop_leg,
    CommandKind.MONITOR: _monitor,
    CommandKind.MONITOR_END: _monitor_end,
    CommandKind.TRANSFER: hand_on.plan,
    CommandKind.RECORD_PAUSE: masking.plan,
    CommandKind.RECORD_GO_ON: masking.plan,
    CommandKind.LOAD_TRUNKS: _care,
    CommandKind.CHECK: _care,
}


def _undo(session: Session, command: SwitchCommand, failure: str, now: datetime) -> None:
    """Take back what was written for an act that the switch refused.

    A mute that came too late for its leg stays wished: a reload's next leg is muted too.
    """
    if command.kind is CommandKind.HOLD:
        session.execute(
            update(Attempt)
            .where(Attempt.id == command.attempt_id, Attempt.state == CallState.TALKING)
            .values(held_since=None)
        )
    elif command.kind is CommandKind.MUTE and command.user_id and NO_SUCH_CHANNEL not in failure:
        operators.set_muted(session, user_id=command.user_id, muted=False)
    elif command.kind is CommandKind.MONITOR and command.user_id is not None:
        uuid = str(command.args["uuid"])
        if monitoring.leg_left(session, leg_uuid=uuid, now=now):
            operators.leg_moved(
                session, user_id=command.user_id, uuid=uuid, to=LegState.PARKED, now=now
            )
    elif command.kind is CommandKind.RECORD_PAUSE and command.attempt_id is not None:
        # A broken link is no answer: whoever is linked to the switch asks it again.
        again = recording_pauses.ask_again if failure == LINK_DOWN else recording_pauses.refused
        again(session, attempt_id=command.attempt_id, now=now)
    elif command.kind is CommandKind.TRANSFER:
        hand_on.undo(session, command.args, now)
    elif command.kind is CommandKind.CONNECT_LEG and command.user_id is not None:
        operators.leg_moved(
            session,
            user_id=command.user_id,
            uuid=str(command.args["uuid"]),
            to=LegState.LOST,
            now=now,
        )
    if command.attempt_id is not None:
        announce(session, "call", attempt_id=command.attempt_id, user_id=command.user_id)
