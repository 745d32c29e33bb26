"""What each leg of a switch heard and when, by the switch's own events: the other side of a ledger.

Silence is a leg that was answered and has nobody and no sound: neither joined nor played to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench._freeswitch import Happened, Watch

EVENTS = (
    "CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HANGUP"
    " PLAYBACK_START PLAYBACK_STOP"
)


@dataclass
class Leg:
    """One leg's life; moments are the switch's own, in seconds."""

    uuid: str
    number: str
    made: float
    answered: float | None = None
    ended: float | None = None
    joined: list[str] = field(default_factory=list)
    """The legs it was joined with, one after another."""
    joined_at: float | None = None
    silences: list[float] = field(default_factory=list)
    partner: str = ""
    playing: bool = False
    quiet_since: float | None = None

    def sounds(self, at: float) -> None:
        """Somebody or something is heard from now on."""
        if self.quiet_since is not None:
            self.silences.append(at - self.quiet_since)
        self.quiet_since = None

    def falls_silent(self, at: float) -> None:
        """Nothing is heard from now on, if nothing is."""
        if self.answered is not None and not self.partner and not self.playing:
            self.quiet_since = at if self.quiet_since is None else self.quiet_since

    @property
    def longest_silence(self) -> float:
        return max(self.silences, default=0.0)


class Ears(Watch):
    """A link of its own that notes the life of every leg."""

    def __init__(self, url: str) -> None:
        self.legs: dict[str, Leg] = {}
        super().__init__(url, EVENTS)

    def _take(self, event: object, now: float) -> None:
        get = event.get  # type: ignore[attr-defined]  # as in Watch: a parsed event
        name, uuid = str(get("Event-Name")), str(get("Unique-ID") or "")
        at = int(get("Event-Date-Timestamp") or 0) / 1e6
        self.seen.append(Happened(name, uuid, now, at))
        if name == "CHANNEL_CREATE":
            number = str(get("Caller-Destination-Number") or "")
            self.legs[uuid] = Leg(uuid, number, at)
            return
        leg = self.legs.get(uuid)
        if leg is None:
            return
        match name:
            case "CHANNEL_ANSWER" if leg.answered is None:
                leg.answered = at
                leg.falls_silent(at)
            case "PLAYBACK_START":
                leg.playing = True
                leg.sounds(at)
            case "PLAYBACK_STOP":
                leg.playing = False
                leg.falls_silent(at)
            case "CHANNEL_BRIDGE":
                self._bridged(leg, str(get("Bridge-B-Unique-ID") or ""), at)
            case "CHANNEL_UNBRIDGE":
                self._parted(leg, at)
            case "CHANNEL_HANGUP":
                self._parted(leg, at)
                leg.sounds(at)
                leg.ended = at

    def _bridged(self, leg: Leg, other: str, at: float) -> None:
        for one, partner in ((leg, other), (self.legs.get(other), leg.uuid)):
            if one is not None:
                one.partner = partner
                one.joined.append(partner)
                one.joined_at = one.joined_at or at
                one.sounds(at)

    def _parted(self, leg: Leg, at: float) -> None:
        for one in (leg, self.legs.get(leg.partner)):
            if one is not None and one.partner:
                one.partner = ""
                one.falls_silent(at)


@contextmanager
def listening(url: str) -> Iterator[Ears]:
    """Listen from now on."""
    ears = Ears(url)
    try:
        yield ears
    finally:
        ears.close()
