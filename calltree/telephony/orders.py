"""One command being served, and what is to be sent for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from calltree.models.calls import Attempt, SwitchCommand
from calltree.models.projects import Site
from calltree.services import leases, trunk_health
from calltree.services.breaker import Breaker
from calltree.telephony.care import Care, Work
from calltree.telephony.commands import ApiCommand
from calltree.telephony.timings import Timings


class Ask(NamedTuple):
    """One thing to send; with a job, by bgapi under that Job-UUID."""

    command: ApiCommand
    job_uuid: str = ""


class Refusal(NamedTuple):
    """Why a command is not sent: a code for its row."""

    code: str


Plan = list[Ask] | Work | Refusal


class Circumstances:
    """What every command of one transaction is judged by: read once, however many they are."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def site(self) -> Site:
        """The site's row."""
        return self._session.get_one(Site, 1)

    @cached_property
    def leader_note(self) -> dict[str, Any]:
        """What the present leader says of itself."""
        return leases.note(self._session)

    @cached_property
    def ailing(self) -> dict[str, Breaker]:
        """The trunks whose breaker is not closed."""
        return trunk_health.ailing(self._session)


@dataclass(frozen=True, slots=True)
class Order:
    """One command being served, inside the transaction that takes its row."""

    session: Session
    command: SwitchCommand
    now: datetime
    timings: Timings
    around: Circumstances
    care: Care | None = None
    recordings_root: str = ""

    @property
    def attempt(self) -> Attempt:
        """The call that the command is about."""
        return self.session.get_one(Attempt, self.command.attempt_id)
