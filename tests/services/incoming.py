"""A site that is called: one number of ours, operators 待機, and what the leader does by time."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    InboundAction,
    InboundCall,
    InboundRoute,
    InboundStep,
    LegState,
    OperatorState,
    Situation,
)
from calltree.services import gate, inbound_calls, inbound_walk, operators
from tests import factories as make
from tests.factories import NOW

OURS = "0312340000"
CALLER = "0998765432"
ALL_DAY = ["00:00-24:00"] * 8
NODE = "main"


@dataclass
class Incoming:
    """What comes in, asked of the ledger."""

    store: Store
    number_id: int
    project_id: int
    list_id: int

    def route(
        self, *steps: tuple[Situation, InboundAction], seconds: int = 20, **given: Any
    ) -> None:
        """Set what the number does; open at every hour."""
        with self.store.write() as session:
            session.add(InboundRoute(caller_number_id=self.number_id, hours=ALL_DAY, **given))
            session.flush()
            session.add_all(
                InboundStep(
                    caller_number_id=self.number_id,
                    situation=situation,
                    action=action,
                    seconds=seconds,
                )
                for situation, action in steps
            )

    def ready(self, *, since_s: int = 0, **given: Any) -> int:
        """Somebody 待機 since so long; gives the user's id."""
        with self.store.write() as session:
            user = make.make_user(session, **given)
            make.grant(session, session.get_one(make.CustomerList, self.list_id), user)
            make.make_operator(
                session,
                user,
                state=OperatorState.READY,
                since=NOW - timedelta(seconds=since_s),
                leg_state=LegState.PARKED,
            )
        return user.id

    def arrives(self, caller: str = CALLER, *, now: datetime = NOW, number: str = OURS) -> int:
        with self.store.write() as session:
            gate.take_turn(session)
            written = inbound_walk.arrive(
                session,
                channel=str(uuid.uuid4()),
                number=number,
                caller=caller,
                node=NODE,
                epoch=1,
                now=now,
            )
            assert written is not None
            _attempt, call = written
            call.carried_serial, call.carried_epoch = call.serial, 1
            return call.attempt_id

    def walk(self, now: datetime) -> list[int]:
        """What the leader does at a moment; gives whom it walked."""
        with self.store.read() as session:
            due = inbound_walk.due(session, nodes=[NODE], epoch=1, now=now)
        for attempt_id in due:
            with self.store.write() as session:
                gate.take_turn(session)
                call = inbound_walk.walk(session, attempt_id=attempt_id, now=now)
                if call is not None:
                    call.carried_serial, call.carried_epoch = call.serial, 1
        return due

    def rings(self, user_id: int, now: datetime = NOW) -> list[int]:
        with self.store.read() as session:
            found = inbound_calls.ringing_for(session, user_id=user_id, now=now)
        return [one.attempt_id for one in found]

    def answer(self, user_id: int, attempt_id: int, now: datetime = NOW) -> Attempt:
        with self.store.write() as session:
            return inbound_calls.answer(session, user_id=user_id, attempt_id=attempt_id, now=now)

    def decline(self, user_id: int, attempt_id: int, now: datetime = NOW) -> None:
        with self.store.write() as session:
            inbound_calls.decline(session, user_id=user_id, attempt_id=attempt_id, now=now)

    def park(self, user_id: int, attempt_id: int, now: datetime = NOW) -> None:
        with self.store.write() as session:
            inbound_calls.park(session, user_id=user_id, attempt_id=attempt_id, now=now)

    def is_heard(self, attempt_id: int, now: datetime = NOW) -> None:
        """The switch answered, for music or a guidance."""
        with self.store.write() as session:
            attempt = session.get_one(Attempt, attempt_id)
            attempt.state, attempt.answered_at = CallState.ANSWERED, now

    def call(self, attempt_id: int) -> InboundCall:
        with self.store.read() as session:
            return session.get_one(InboundCall, attempt_id)

    def attempt(self, attempt_id: int) -> Attempt:
        with self.store.read() as session:
            return session.get_one(Attempt, attempt_id)

    def state(self, user_id: int) -> OperatorState:
        with self.store.read() as session:
            return session.get_one(operators.Operator, user_id).state


def open_incoming(store: Store) -> Incoming:
    """One number of ours, shown by one project with one list."""
    with store.write() as session:
        make.make_site(session, lines=10)
        make.make_switch(session)
        number = make.make_caller_number(session, OURS)
        project = make.make_project(session, main_number_id=number.id)
        folder = make.make_list(session, project)
    return Incoming(store, number.id, project.id, folder.id)
