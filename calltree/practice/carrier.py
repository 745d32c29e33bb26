"""The carrier: what happens to a number, decided by its last digit.

| digit | what | | digit | what |
|---|---|---|---|---|
| 0 | rings 1 s, answers, stays | | 5 | answers at once with a fax tone |
| 1 | busy (486) | | 6 | rings 1 s, voicemail greeting and beep |
| 2 | rings for ever | | 7 | refuses (603) |
| 3 | announcement in early media, 404 | | 8 | unavailable (480); 98: congestion (503) |
| 4 | rings 0.5 s, answers, leaves after 1 s | | 9 | a person, by chance |
"""

import random
from dataclasses import dataclass

ANSWER_CHANCE = 0.55
"""How many of the people (last digit 9) pick up."""

CAUSES = {
    "403": "CALL_REJECTED",
    "404": "UNALLOCATED_NUMBER",
    "408": "RECOVERY_ON_TIMER_EXPIRE",
    "410": "NUMBER_CHANGED",
    "480": "NO_USER_RESPONSE",
    "484": "INVALID_NUMBER_FORMAT",
    "486": "USER_BUSY",
    "488": "INCOMPATIBLE_DESTINATION",
    "500": "NORMAL_TEMPORARY_FAILURE",
    "502": "NETWORK_OUT_OF_ORDER",
    "503": "NORMAL_TEMPORARY_FAILURE",
    "504": "RECOVERY_ON_TIMER_EXPIRE",
    "603": "CALL_REJECTED",
}
"""SIP status → hangup cause, as measured on a real switch."""


@dataclass(frozen=True)
class Step:
    """After `wait` seconds the far end does `what` (ring, early, answer, say, refuse, bye)."""

    wait: float
    what: str
    value: str = ""


def script(number: str, seed: int, attempt: int, *, early_ringback: bool = False) -> list[Step]:
    """The steps for a number; `attempt` counts the calls to it, so a person varies yet repeats."""
    ring = Step(0.02, "early", "ringback") if early_ringback else Step(0.02, "ring")
    if number.endswith("98"):
        return [Step(0.02, "refuse", "503")]
    by_digit = {
        "0": [ring, Step(0.98, "answer", "customer")],
        "1": [Step(0.02, "refuse", "486")],
        "2": [ring],
        "3": [Step(0.02, "early", "announcement"), Step(4.0, "refuse", "404")],
        "4": [ring, Step(0.48, "answer", "customer"), Step(1.0, "bye")],
        "5": [Step(0.02, "answer", "fax"), Step(40.0, "bye")],
        "6": [
            ring,
            Step(0.98, "answer", "greeting"),
            Step(5.0, "say", "beep"),
            Step(0.5, "say", "silence"),
            Step(60.0, "bye"),
        ],
        "7": [ring, Step(0.48, "refuse", "603")],
        "8": [Step(0.02, "refuse", "480")],
    }
    steps = by_digit.get(number[-1:])
    return steps if steps is not None else person(ring, random.Random(f"{seed}/{number}/{attempt}"))


def person(ring: Step, chance: random.Random) -> list[Step]:
    """Somebody at home or not: draws who answers, how soon, and for how long they talk."""
    draw = chance.random()
    if draw < ANSWER_CHANCE:
        patience = min(1.5 + chance.expovariate(1 / 5.0), 24.0)
        talk = min(max(chance.lognormvariate(3.4, 0.7), 5.0), 300.0)
        return [ring, Step(patience, "answer", "customer"), Step(talk, "bye")]
    if draw < 0.90:
        return [ring]
    if draw < 0.96:
        return [Step(0.02, "refuse", "486")]
    return [ring, Step(chance.uniform(2.0, 8.0), "refuse", "603")]


def device() -> list[Step]:
    """A simulated headset: answers at once and stays."""
    return [Step(0.02, "answer", "operator")]
