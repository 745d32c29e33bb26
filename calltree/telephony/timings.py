"""Every clock of the telephone side, in seconds, in one place (docs/clocks.md explains each)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Timings:
    """Defaults of a site. Tests and soak runs pass shorter ones; nothing else may."""

    lease_s: float = 4.0
    lease_renew_s: float = 1.0
    ping_s: float = 2.0
    ping_lost_s: float = 2.0
    sweep_s: float = 1.0
    sweep_age_s: float = 0.5
    """A command this old that nobody took is the leader's to serve."""
    dial_age_s: float = 3.0
    yes_holds_s: float = 0.5
    """For so long the gate's word on do-not-call is good; a dial served later is asked again."""
    queued_age_s: float = 5.0
    gather_s: float = 0.015
    """What can wait is gathered for so long: a channel that is made and gone is one commit."""
    give_way_s: float = 0.25
    """So long what was heard and can wait lets presses go first, which cannot."""
    bridge_s: float = 1.0
    unjoined_s: float = 400.0
    """By then the switch itself has let go of a customer who is not joined: two texts of 180 s each
    (`guidance_sound.MOST_S`), a campaign's wait and the music. Sooner would cut them short."""
    check_s: float = 300.0
    """Between two looks at how the switches are."""
    check_soon_s: float = 10.0
    """From the beginning of a reign, or a trunk's news, to the next look."""
    leg_remake_s: float = 1.0
    leg_ring_s: float = 20.0
    doubt_s: float = 1.0
    """From a sign that a call may be over to asking the switch whether it is."""
    reconcile_s: float = 30.0
    reconcile_settle_s: float = 5.0
    """A dial younger than this may not have a channel yet."""
    chores_s: float = 15.0
    """Between two rounds of the jobs that have no press of their own (recordings left behind)."""
    unknown_age_s: float = 10.0
    restored_quiet_s: float = 30.0
    connect_s: float = 2.0
    reply_s: float = 5.0
    backoff_first_s: float = 0.5
    backoff_limit_s: float = 1.5
    """Three seconds after the switch answers again operators and calls are right."""
    second_s: float = 1.0
    """A second of the dialler: its tick, its calls a second, a customer's wait for an operator."""
    settle_s: float = 30.0
    """A dialler that has just begun paces 1:1 for so long."""
    idle_alarm_s: float = 60.0
    hold_s: float = 600.0
    transfer_ring_s: float = 20.0
    """So long a colleague is asked to take a call over."""
    transfer_settle_s: float = 5.0
    """By then the switch has joined whom it was asked to; else the customer comes back."""
    callers_s: float = 0.2
    """Between two looks at what callers wait for."""
    housekeeping_s: float = 60.0

    def hurried(self, rate: float) -> Self:
        """Give the same clocks `rate` times as fast."""
        return replace(self, **{f.name: getattr(self, f.name) / rate for f in fields(self)})


class Every:
    """Something done every so often, the first time after one interval."""

    def __init__(self, interval_s: float, work: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._due = time.monotonic() + interval_s

    def look(self) -> None:
        """Do it if it is due."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._interval_s
            self._work()
