"""What the switch does by itself with a call while CALLTREE is away (R-IN-4).

For each number that takes calls: the guidance of its closed hours, or the number that it is
forwarded to then. Rendered into the switch's configuration, anew with every change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import NotFound
from calltree.models import (
    CallerIdForm,
    CallerNumber,
    InboundAction,
    NumberForm,
    Site,
    Trunk,
)
from calltree.models.inbound import FALLS_BACK_TO
from calltree.services import guidances, inbound_facts, inbound_routes, trunks
from calltree.services.inbound_rules import FORWARD_S
from calltree.text.phones import DialVerdict, may_dial


@dataclass(frozen=True, slots=True)
class Fallback:
    """One number's. Neither a guidance nor a target: the site's own sound."""

    number: str
    guidance_id: int | None = None
    sound: bytes = field(default=b"", repr=False)
    forward_to: str = ""
    """As the trunk wants it."""
    gateway: str = ""
    caller_id: str = ""
    """What the target is shown, as the trunk wants it."""
    caller_id_form: CallerIdForm = CallerIdForm.FROM
    seconds: int = FORWARD_S

    @property
    def file(self) -> str:
        """The guidance's name below the configuration's `sounds/`."""
        return f"guidance-{self.guidance_id}.wav" if self.sound else ""


def fallbacks(session: Session) -> list[Fallback]:
    """Return one for each number that takes calls."""
    return [_of(session, number) for number in inbound_routes.numbers(session)]


def _of(session: Session, number: CallerNumber) -> Fallback:
    rules = inbound_facts.rules_of(session, number_id=number.id)
    for situation in FALLS_BACK_TO:
        step = rules.step(situation)
        if step.action is InboundAction.FORWARD:
            if dialled := _dialled(session, step.forward_to):
                trunk, target = dialled
                return Fallback(
                    number.number,
                    forward_to=target,
                    gateway=trunk.gateway,
                    caller_id=_in_form(trunk, number.number),
                    caller_id_form=trunk.caller_id_form,
                    seconds=step.seconds or FORWARD_S,
                )
        elif step.guidance_id is not None and step.action is not InboundAction.REFUSE:
            try:
                sound = guidances.sound_of(session, step.guidance_id)
            except NotFound:
                continue
            return Fallback(number.number, guidance_id=step.guidance_id, sound=sound)
    return Fallback(number.number)


def _dialled(session: Session, number: str) -> tuple[Trunk, str] | None:
    """The trunk and the form of the number by which it is reached; None if it may not be."""
    site = session.scalars(select(Site)).one()
    if may_dial(number, site.extra_prefixes) is not DialVerdict.ALLOWED:
        return None
    ways = trunks.gateways(session, number=number, trunk_id=None)
    if not ways:
        return None
    known = {trunk.gateway: trunk for trunk in trunks.all_trunks(session)}
    trunk = known.get(ways[0])
    return (trunk, _in_form(trunk, number)) if trunk is not None else None


def _in_form(trunk: Trunk, number: str) -> str:
    abroad = trunk.number_form is NumberForm.E164 and number.startswith("0")
    return f"+81{number[1:]}" if abroad else number
