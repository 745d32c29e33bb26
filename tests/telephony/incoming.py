"""Callers on a floor: ordered from the practice switch, and what they heard."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    Attempt,
    CallerNumber,
    HolidayHours,
    InboundAction,
    InboundCall,
    InboundRoute,
    InboundStep,
    Origin,
    Situation,
)
from calltree.services import inbound_calls, operators
from tests.floor import Floor, wait_for

OURS = "0312340001"
CALLER = "09011112222"
SILENT_S = 5.0
PATIENT_S = 600
"""So long the switch waits for the roles: a machine may stand still for seconds."""


class Lobby:
    """A number of ours on a floor, and who calls it."""

    def __init__(self, floor: Floor, *, real: bool = False) -> None:
        self.floor = floor
        with floor.store.write() as session:
            number = CallerNumber(number=OURS, label="代表")
            session.add(number)
            session.flush()
            self.number_id = number.id
            session.add(
                InboundRoute(
                    caller_number_id=number.id,
                    hours=["00:00-24:00"] * 8,
                    holidays=HolidayHours.WEEKDAY,
                )
            )
        if not real:
            floor.switch.order(f"fallback {PATIENT_S}")

    def does(
        self, situation: Situation, action: InboundAction, seconds: int = 20, **given: Any
    ) -> None:
        with self.floor.store.write() as session:
            session.merge(
                InboundStep(
                    caller_number_id=self.number_id,
                    situation=situation,
                    action=action,
                    seconds=seconds,
                    **given,
                )
            )
            # as each save does: the roles keep what they have read of a version
            session.get_one(InboundRoute, self.number_id).version = uuid.uuid4().hex

    def ready(self) -> int:
        """An operator 待機."""
        user = self.floor.operator()
        with self.floor.store.write() as session:
            operators.become_ready(session, user_id=user, now=utcnow())
        return user

    def calls(self, caller: str = CALLER, *, number: str = OURS) -> str:
        """Somebody calls; the channel's uuid."""
        return self.floor.switch.order(f"inbound {caller} {number}").removeprefix("+OK ").strip()

    def arrived(self, channel: str) -> Attempt:
        return wait_for(lambda: self.attempt(channel), "the call is in the ledger")

    def attempt(self, channel: str) -> Attempt | None:
        with self.floor.store.read() as session:
            return session.scalar(select(Attempt).where(Attempt.uuid == channel))

    def attempts(self) -> list[Attempt]:
        """All calls that came in."""
        with self.floor.store.read() as session:
            return list(session.scalars(select(Attempt).where(Attempt.origin == Origin.INBOUND)))

    def call(self, attempt: Attempt) -> InboundCall:
        with self.floor.store.read() as session:
            return session.get_one(InboundCall, attempt.id)

    def wait_action(self, attempt: Attempt, action: InboundAction) -> InboundCall:
        return wait_for(
            lambda: (call := self.call(attempt)).action is action and call, f"action {action}"
        )

    def rings(self, user: int) -> list[int]:
        with self.floor.store.read() as session:
            found = inbound_calls.ringing_for(session, user_id=user, now=utcnow())
        return [one.attempt_id for one in found]

    def answer(self, user: int, attempt: Attempt) -> None:
        with self.floor.store.write() as session:
            inbound_calls.answer(session, user_id=user, attempt_id=attempt.id, now=utcnow())

    def heard(self, channel: str) -> list[tuple[int, str]]:
        """What the caller heard: from when on (ms), and what."""
        return [
            (at, what)
            for at, what in json.loads(self.floor.switch.api(f"practice heard {channel}"))
        ]

    def wait_heard(self, channel: str, what: str) -> None:
        wait_for(lambda: any(what in line for _, line in self.heard(channel)), f"heard {what}")

    def wait_carried(self, channel: str) -> None:
        """The switch has been told what becomes of the caller; before, it waits for us to say."""
        asked = f"uuid_getvar {channel} calltree_attempt"
        wait_for(lambda: self.floor.switch.api(asked).strip().isdigit(), "carried")

    def longest_silence_s(self, channel: str) -> float:
        """The longest time without a sound while the call was answered."""
        lines, answered, longest = self.heard(channel), False, 0
        ends = [at for at, _ in lines[1:]]
        for (since, what), until in zip(lines, ends, strict=False):
            answered = answered or what == "answered"
            if answered and what in ("silence", "answered"):
                longest = max(longest, until - since)
        return longest / 1000
