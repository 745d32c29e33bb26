"""A ledger after a long run, held against itself and against what the switch told of each leg."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select

from bench._heard import Ears, Leg
from bench._telephone import Site, percentile
from calltree.db import utcnow
from calltree.models import (
    TERMINAL_STATES,
    Attempt,
    CallRecord,
    CallState,
    Campaign,
    Line,
    Operator,
    SystemResult,
)
from calltree.services import campaign_facts

AHEAD_S = 0.5
"""What was heard this late may not have been written when its leader was killed."""
TAKES_OVER_S = 20.0
"""So long a busy machine may take until the next leader has looked at every channel."""
FREE_FOR_S = 1.0
"""Who had waited so long, in real seconds, while somebody was free, should have been joined."""
SILENT_S = 5.0
"""So long nobody who was answered may hear nothing."""


@dataclass
class Truth:
    """What is compared: the ledger's calls, and the switch's legs by their ids."""

    site: Site
    campaign_id: int
    ears: Ears
    rate: float
    """How many times faster than real the site's clocks are."""
    silence_rate: float
    """Customers' seconds in a real one, where silence is counted."""
    leaders_killed: list[float]
    """When, in seconds since 1970."""

    def __post_init__(self) -> None:
        with self.site.store.read() as session:
            self.calls = list(
                session.scalars(
                    select(Attempt).where(Attempt.verdict == "allowed").order_by(Attempt.id)
                )
            )
            self.records = Counter(session.scalars(select(CallRecord.attempt_id)))
            # counted from the day of the first call: a run may go on over midnight
            begun = self.calls[0].created_at if self.calls else utcnow()
            self.day = campaign_facts.day_of(session, campaign_id=self.campaign_id, now=begun)
            self.abandoned_records = session.scalar(
                select(func.count()).where(CallRecord.system == SystemResult.ABANDONED)
            )
            self.lines = session.scalar(select(func.count()).where(Line.released_at.is_(None)))
            self.locked = session.scalar(
                select(func.count()).where(Operator.attempt_id.is_not(None))
            )
            self.min_gap = timedelta(minutes=session.get_one(Campaign, self.campaign_id).busy_min)
        self.legs: dict[str, Leg] = {
            call.uuid: self.ears.legs[call.uuid]
            for call in self.calls
            if call.uuid in self.ears.legs
        }

    def nobody_heard(self, leg: Leg) -> bool:
        """Whether its conversation began before or about when a leader died and ended soon after.

        Nobody hears the switch until the next one has begun and has asked what is there.
        """
        if leg.joined_at is None or leg.ended is None:
            return False
        begun, ended = leg.joined_at - AHEAD_S, leg.ended
        return any(begun <= at <= ended <= at + TAKES_OVER_S for at in self.leaders_killed)

    def silences(self) -> list[float]:
        """The longest silence of each customer who was answered, in their seconds."""
        return [
            leg.longest_silence * self.silence_rate
            for leg in self.legs.values()
            if leg.answered is not None
        ]


def wrongs(truth: Truth) -> dict[str, int]:
    """Count what must not be, by name."""
    calls = truth.calls
    dialled = {call.id for call in calls if call.dialled_at is not None}
    joined = {call.uuid for call in calls if call.joined_at is not None}
    heard_joined = {
        uuid for uuid, leg in truth.legs.items() if leg.joined and not truth.nobody_heard(leg)
    }
    day = truth.day
    return {
        "calls without an end": sum(call.state not in TERMINAL_STATES for call in calls),
        "lines held": truth.lines or 0,
        "operators held": truth.locked or 0,
        "dialled calls without a record": len(dialled - truth.records.keys()),
        "records without a dial": len(truth.records.keys() - dialled),
        "calls with two records": sum(count > 1 for count in truth.records.values()),
        "day's dials differ": abs(day.dials - len(dialled)),
        "day's answers are not joined and abandoned": abs(day.answers - day.joined - day.abandoned),
        "day's abandoned differ from the records": abs(
            day.abandoned - (truth.abandoned_records or 0)
        ),
        "joined in the ledger only": sum(
            not truth.legs[uuid].joined for uuid in joined if uuid in truth.legs
        ),
        "joined at the switch only": len(heard_joined - joined),
        "legs of a call that was not dialled": sum(
            call.uuid in truth.legs and call.dialled_at is None for call in calls
        ),
        "legs left behind": sum(leg.ended is None for leg in truth.legs.values()),
        "numbers dialled twice at once": _twice_at_once(truth),
        "numbers dialled again too soon": _too_soon(truth),
        "customers let go though somebody was free": let_go_wrongly(calls, truth.leaders_killed),
        "customers in silence": sum(silence > SILENT_S for silence in truth.silences()),
    }


def let_go_wrongly(calls: Iterable[Attempt], leaders_killed: Sequence[float]) -> int:
    """Count who was abandoned though somebody was free, while a leader was there to join them.

    While none is, the dialplan does what it does without us: the guidance and the apology.
    """
    return sum(
        _improper(call)
        for call in calls
        if call.answered_at is not None
        and call.ended_at is not None
        and not any(
            call.answered_at.timestamp() - TAKES_OVER_S <= at <= call.ended_at.timestamp()
            for at in leaders_killed
        )
    )


def _improper(call: Attempt) -> bool:
    """By a second of ours: a machine's work is not hurried with the site's clocks."""
    if not call.improper or call.answered_at is None or call.ended_at is None:
        return False
    return (call.ended_at - call.answered_at).total_seconds() >= FREE_FOR_S


def _by_number(truth: Truth) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {}
    for call in truth.calls:
        found.setdefault(call.number, []).append(call)
    return found


def _twice_at_once(truth: Truth) -> int:
    """By the ledger, and by the switch: the leg before had not ended."""
    count = 0
    for calls in _by_number(truth).values():
        for before, call in pairwise(calls):
            count += before.ended_at is None or before.ended_at > call.created_at
            first, second = truth.legs.get(before.uuid), truth.legs.get(call.uuid)
            if first and second:
                count += first.ended is None or first.ended > second.made
    return count


def _too_soon(truth: Truth) -> int:
    """Sooner than the campaign's shortest wait, dial to dial; what never left does not count."""
    least = truth.min_gap / truth.rate
    return sum(
        call.created_at - before.dialled_at < least
        for calls in _by_number(truth).values()
        for before, call in pairwise(calls)
        if before.dialled_at is not None
    )


def facts(truth: Truth) -> dict[str, Any]:
    """What the run came to."""
    day, silences = truth.day, truth.silences()
    unheard = sum(
        leg.answered is not None and call.answered_at is None
        for call in truth.calls
        if (leg := truth.legs.get(call.uuid))
    )
    return {
        "dials": day.dials,
        "answered": day.answers,
        "joined": day.joined,
        "abandoned": day.abandoned,
        "improper": {
            "by the site's second": day.improper,
            "by a real second": sum(map(_improper, truth.calls)),
        },
        "answers nobody of ours heard": unheard,
        "conversations between two leaders": sum(
            truth.nobody_heard(leg) and call.joined_at is None
            for call in truth.calls
            if (leg := truth.legs.get(call.uuid))
        ),
        "ends": dict(Counter(_end(call) for call in truth.calls)),
        "dialled again": sum(len(calls) - 1 for calls in _by_number(truth).values()),
        "silence_s": {
            "median": round(percentile(silences, 0.5), 2),
            "p99": round(percentile(silences, 0.99), 2),
            "longest": round(max(silences, default=0.0), 2),
        },
    }


def _end(call: Attempt) -> str:
    cause = call.hangup_cause or "-"
    return cause if call.state is CallState.FAILED else f"{call.state.value} {cause}"
