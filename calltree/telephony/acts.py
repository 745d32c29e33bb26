"""What the switch role does because of what it heard: plain data, decided inside a transaction and
carried out only after its commit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """Something to ask of one node."""

    node: str


@dataclass(frozen=True, slots=True)
class Join(Act):
    """Record the customer's leg (once) and bridge it with the operator's, customer first."""

    attempt_id: int
    customer: str
    operator: str
    recording: str
    """Relative name; '' when the recording runs already."""


@dataclass(frozen=True, slots=True)
class PlayRingback(Act):
    """The carrier sends no tone (180): the operator hears ours."""

    operator: str


@dataclass(frozen=True, slots=True)
class StopPlaying(Act):
    """End the ringback on an operator's leg that no bridge will end."""

    leg: str


@dataclass(frozen=True, slots=True)
class SetMute(Act):
    """Silence what an operator says, or let it be heard again."""

    leg: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Park(Act):
    """Take a leg out of a call that nobody knows it listens to."""

    leg: str


@dataclass(frozen=True, slots=True)
class LimitEarly(Act):
    """Early media never ends by itself: the switch's own timer ends it."""

    customer: str
    seconds: int


@dataclass(frozen=True, slots=True)
class CancelTimers(Act):
    """Forget the switch's own timers of this leg."""

    leg: str


@dataclass(frozen=True, slots=True)
class HangUp(Act):
    """End a leg."""

    leg: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Bridge(Act):
    """Join two legs of a transfer; `first` is the one whose events tell of it."""

    first: str
    second: str
    leaves: bool = False
    """The customer goes to an outside number: their call ends with that leg from now on."""


@dataclass(frozen=True, slots=True)
class Barge(Act):
    """Let the first operator speak and hear in the customer's call with the target."""

    leg: str
    target: str


@dataclass(frozen=True, slots=True)
class RecordAgain(Act):
    """End a pause of a recording of which nobody knows whether the switch was told."""

    customer: str
    file: str


@dataclass(frozen=True, slots=True)
class ClearBegun(Act):
    """Have the file removed that the switch began for a leg that hung up in this moment."""

    attempt_id: int


@dataclass(frozen=True, slots=True)
class Apologise(Act):
    """Tell a customer for whom nobody became free that we are sorry, and release them."""

    customer: str


@dataclass(frozen=True, slots=True)
class Look(Act):
    """Ask in a moment whether this call still lives: an event that should have come may be lost."""

    attempt_id: int
    after_s: float = 0.0
    """0: after the usual moment of doubt."""
