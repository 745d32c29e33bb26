"""What becomes of a call that comes in (R-IN-1): a number, a moment and the facts → a plan.

Pure: `inbound_routes.facts` brings what the database says. The order in which it is decided:

1. `not_inbound`    the number is not ours, retired, or for calls out alone: refused
2. `caller_refused` 着信拒否リスト: refused
3. `withheld`       非通知, unless it is accepted
4. `no_lines`       every line is in use (R-CL-8): busy
5. `closed_day`, `holiday`, `weekday_closed`   the day is closed, with its name
6. `after_hours`    the day is open, the hour is not
7. `nobody_ready`   open and it would ring, but nobody is 待機
8. `open`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from calltree.models import HolidayHours, InboundAction, Situation
from calltree.text.days import TOKYO
from calltree.text.hours import holiday_name
from calltree.text.opening import Spans
from calltree.text.phones import DialVerdict, may_dial

RING_S: Final = 20
QUEUE_S: Final = 180
FORWARD_S: Final = 30
VOICEMAIL_S: Final = 120
USUAL_S: Final[Mapping[InboundAction, int]] = {
    InboundAction.RING_ALL: RING_S,
    InboundAction.RING_IDLE: RING_S,
    InboundAction.QUEUE: QUEUE_S,
    InboundAction.FORWARD: FORWARD_S,
    InboundAction.VOICEMAIL: VOICEMAIL_S,
}
"""Seconds of the actions that last, where nobody set others."""
HOLIDAY: Final = 7
"""Place of public holidays among the eight days."""
USUAL_DAYS: Final[tuple[Spans, ...]] = (*(((540, 1080),),) * 5, (), (), ())
"""Monday to Friday 9:00–18:00."""

RINGS: Final = frozenset({InboundAction.RING_ALL, InboundAction.RING_IDLE})
PASSES_ON: Final = RINGS | {InboundAction.QUEUE, InboundAction.FORWARD}
"""Actions that may end with nobody on the line; then follows what is done when nobody answers."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done with a call."""

    action: InboundAction
    guidance_id: int | None = None
    forward_to: str = ""
    seconds: int = 0
    tells_position: bool = False


_BUSY: Final = Step(InboundAction.REFUSE)
USUAL: Final[Mapping[Situation, Step]] = {
    Situation.OPEN: Step(InboundAction.RING_ALL, seconds=RING_S),
    Situation.AFTER_HOURS: _BUSY,
    Situation.CLOSED_DAY: _BUSY,
    Situation.ALL_BUSY: Step(InboundAction.QUEUE, seconds=QUEUE_S),
    Situation.NO_ANSWER: _BUSY,
    Situation.WITHHELD: Step(InboundAction.ACCEPT),
}
"""What is done where a manager has set nothing."""

_CLOSED = (
    InboundAction.GUIDANCE,
    InboundAction.FORWARD,
    InboundAction.VOICEMAIL,
    InboundAction.REFUSE,
)
POSSIBLE: Final[Mapping[Situation, tuple[InboundAction, ...]]] = {
    Situation.OPEN: (
        InboundAction.RING_ALL,
        InboundAction.RING_IDLE,
        InboundAction.QUEUE,
        InboundAction.GUIDANCE,
        InboundAction.FORWARD,
        InboundAction.VOICEMAIL,
    ),
    Situation.ALL_BUSY: (InboundAction.QUEUE, *_CLOSED),
    Situation.NO_ANSWER: _CLOSED,
    Situation.AFTER_HOURS: _CLOSED,
    Situation.CLOSED_DAY: _CLOSED,
    Situation.WITHHELD: (InboundAction.ACCEPT, InboundAction.GUIDANCE, InboundAction.REFUSE),
}
"""What may be set for each situation, in the order in which a form offers it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One number's settings as they stand."""

    days: tuple[Spans, ...] = USUAL_DAYS
    holidays: HolidayHours = HolidayHours.CLOSED
    observes_closed_days: bool = True
    steps: Mapping[Situation, Step] = field(default_factory=lambda: USUAL)

    def step(self, situation: Situation) -> Step:
        """What is done in a situation."""
        return self.steps.get(situation) or USUAL[situation]


@dataclass(frozen=True, slots=True)
class Facts:
    """How things stand when a call arrives. `rules` is None for a number that takes no calls."""

    rules: Rules | None
    caller: str = ""
    """Normal form; empty: 非通知."""
    refused: bool = False
    site_closed: str | None = None
    """The name, maybe empty, of the site's closed day that it is."""
    own_closed: str | None = None
    """The same of the number's own."""
    ready: bool = True
    """Somebody whom the call may ring is 待機."""
    lines_free: bool = True
    extra_prefixes: tuple[str, ...] = ()
    zone: ZoneInfo = TOKYO


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done, and why: each step follows when the one before came to nothing."""

    number: str
    situation: Situation | None
    """None: the call is refused before its hours are looked at."""
    reason: str
    """A code of `inbound_words.REASONS`."""
    name: str
    """Of the closed day or holiday; else empty."""
    steps: tuple[Step, ...]

    @property
    def answers(self) -> bool:
        """Whether the call is taken at all."""
        return self.steps[0].action is not InboundAction.REFUSE


def route(number: str, moment: datetime, facts: Facts) -> Plan:
    """Decide what happens with a call to `number` at an aware moment."""
    rules = facts.rules
    if rules is None:
        return Plan(number, None, "not_inbound", "", (_BUSY,))
    if facts.refused:
        return Plan(number, None, "caller_refused", "", (_BUSY,))
    if not facts.caller:
        withheld = rules.step(Situation.WITHHELD)
        if withheld.action is not InboundAction.ACCEPT:
            return Plan(number, Situation.WITHHELD, "withheld", "", (withheld,))
    if not facts.lines_free:
        return Plan(number, None, "no_lines", "", (_BUSY,))
    situation, reason, name = situation_at(rules, moment, facts)
    if situation is Situation.OPEN and not facts.ready and rules.step(situation).action in RINGS:
        situation, reason = Situation.ALL_BUSY, "nobody_ready"
    return Plan(number, situation, reason, name, _chain(rules, situation, facts))


def situation_at(rules: Rules, moment: datetime, facts: Facts) -> tuple[Situation, str, str]:
    """Return OPEN, AFTER_HOURS or CLOSED_DAY with the reason and the day's name."""
    local = moment.astimezone(facts.zone)
    day = local.date()
    closed = facts.own_closed
    if closed is None and rules.observes_closed_days:
        closed = facts.site_closed
    if closed is not None:
        return Situation.CLOSED_DAY, "closed_day", closed
    spans, holiday = rules.days[day.weekday()], ""
    if rules.holidays is not HolidayHours.WEEKDAY and (holiday := holiday_name(day) or ""):
        spans = rules.days[HOLIDAY] if rules.holidays is HolidayHours.OWN else ()
    if not spans:
        return Situation.CLOSED_DAY, "holiday" if holiday else "weekday_closed", holiday
    minute = local.hour * 60 + local.minute
    for start, end in spans:
        if start <= minute < end:
            return Situation.OPEN, "open", ""
    return Situation.AFTER_HOURS, "after_hours", ""


def _chain(rules: Rules, situation: Situation, facts: Facts) -> tuple[Step, ...]:
    first = _possible(rules.step(situation), facts)
    if first.action not in PASSES_ON or situation is Situation.NO_ANSWER:
        return (first,)
    return (first, _possible(rules.step(Situation.NO_ANSWER), facts))


def _possible(step: Step, facts: Facts) -> Step:
    """A number that may not be dialled any more is not forwarded to: busy instead (R-CL-16)."""
    if step.action is not InboundAction.FORWARD:
        return step
    allowed = may_dial(step.forward_to, facts.extra_prefixes) is DialVerdict.ALLOWED
    return step if allowed else _BUSY
