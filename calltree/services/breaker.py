"""The circuit breaker of a trunk: a pure table of states, without a database or a clock.

A trunk that fails again and again is left alone for a while: operators would otherwise press one
customer after the other into it, and the carrier would see a flood. After the wait one call may
try; it closes the breaker or doubles the wait.

    closed ──(FAULTS faults in a row, or no channel at all)──▶ open
    open ──(the wait is over, a dial asks)──▶ half open: that dial is the probe
    half open ──probe worked──▶ closed        ──probe failed──▶ open, wait doubled
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FAULTS = 5
"""So many faults in a row, with no call between them that got through."""
WITHIN = timedelta(seconds=120)
"""Faults further apart than this are no row: a quiet trunk is not shut for yesterday's."""
FIRST_WAIT_S = 15
LONGEST_WAIT_S = 300
PROBE_LOST = timedelta(seconds=90)
"""A probe of which nothing was heard for so long is given up, and another may try."""


class BreakerState(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Sign(StrEnum):
    """What the end of one call tells about the trunk that it left by."""

    WORKED = "worked"
    """The network was reached: an answer, a ring, or the customer's own refusal."""
    FAULT = "fault"
    """The trunk or carrier failed; the customer was not reached."""
    DOWN = "down"
    """There was no channel at all: the gateway is down or unknown. No second try is needed."""
    NOTHING = "nothing"
    """Nothing can be told: we hung up ourselves, or the call was lost."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One trunk's breaker."""

    state: BreakerState = BreakerState.CLOSED
    faults: int = 0
    """In a row, while closed."""
    last_fault_at: datetime | None = None
    until: datetime | None = None
    """While open: until when nobody tries."""
    wait_s: int = FIRST_WAIT_S
    """How long the next opening lasts."""
    probe_since: datetime | None = None
    """While half open: when the one call that may try left; None while none does."""


def admits(breaker: Breaker, now: datetime) -> bool:
    """Answer whether a call may leave by this trunk now."""
    if breaker.state is BreakerState.OPEN:
        return breaker.until is None or now >= breaker.until
    if breaker.state is BreakerState.HALF_OPEN:
        return breaker.probe_since is None or now - breaker.probe_since >= PROBE_LOST
    return True


def let_through(breaker: Breaker, now: datetime) -> Breaker:
    """Note that a call leaves; past a wait it is the probe. Only when `admits`."""
    if breaker.state is BreakerState.CLOSED:
        return breaker
    return replace(breaker, state=BreakerState.HALF_OPEN, until=None, probe_since=now)


def heard(breaker: Breaker, sign: Sign, *, probe: bool, now: datetime) -> Breaker:
    """Note what a call's end tells. `probe`: it is the one that may try.

    While open or half open only the probe counts: what else ends by then had left before.
    """
    if breaker.state is BreakerState.CLOSED:
        return _heard_closed(breaker, sign, now)
    if breaker.state is BreakerState.OPEN or not probe:
        return breaker
    if sign is Sign.WORKED:
        return Breaker()
    if sign is Sign.NOTHING:
        return replace(breaker, probe_since=None)
    return _open(breaker, now)


def _heard_closed(breaker: Breaker, sign: Sign, now: datetime) -> Breaker:
    if sign is Sign.NOTHING:
        return breaker
    if sign is Sign.WORKED:
        return Breaker()
    last = breaker.last_fault_at
    in_a_row = last is not None and now - last <= WITHIN
    counted = replace(breaker, faults=breaker.faults + 1 if in_a_row else 1, last_fault_at=now)
    if sign is Sign.DOWN or counted.faults >= FAULTS:
        return _open(counted, now)
    return counted


def _open(breaker: Breaker, now: datetime) -> Breaker:
    return Breaker(
        state=BreakerState.OPEN,
        faults=breaker.faults,
        last_fault_at=now,
        until=now + timedelta(seconds=breaker.wait_s),
        wait_s=min(breaker.wait_s * 2, LONGEST_WAIT_S),
    )
