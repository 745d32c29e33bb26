"""Every reason of a decision as one English sentence: the message id of its translation."""

from __future__ import annotations

from calltree.pacing.rule import Decision


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogue without translating it."""
    return message


SENTENCES: dict[str, str] = {
    "pacing_preview": N_("Operators press CALL themselves, so nothing is dialled by itself."),
    "pacing_nobody_ready": N_("No operator waits for a call, so nothing is dialled."),
    "pacing_progressive": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; "
        "%(dial)s more: one line for each operator."
    ),
    "pacing_multiplier": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; "
        "%(dial)s more: at most %(ceiling)s lines (%(multiplier)s×)."
    ),
    "pacing_risk": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; %(dial)s more. After that "
        "one more customer would find nobody with a chance of %(risk)s %% (accepted: "
        "%(accepted)s %%)."
    ),
    "pacing_waiting": N_(
        "%(waiting)s customers wait for %(ready)s operators already, so nothing more is dialled."
    ),
    "pacing_over_limit": N_(
        "One line for each operator, because %(abandoned)s of %(answers)s customers were abandoned "
        "(%(smoothed)s %% smoothed); faster again below %(below)s %%. %(dial)s more."
    ),
    "pacing_settling": N_(
        "One line for each operator, because the dialler has just started. %(dial)s more."
    ),
    "pacing_small_team": N_(
        "One line for each operator, because fewer than %(team)s operators work here. "
        "%(dial)s more."
    ),
    "pacing_learning": N_(
        "One line for each operator until the answer rate is known (%(finished)s of %(needed)s "
        "calls have ended). %(dial)s more."
    ),
    "pacing_no_lines": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; %(dial)s more, "
        "for that many lines are free."
    ),
    "pacing_dial_rate": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; %(dial)s more now, "
        "for the trunk takes only so many calls a second."
    ),
    "pacing_no_numbers": N_(
        "%(ready)s operators wait and %(in_flight)s lines are under way; %(dial)s more, "
        "for that many numbers may be dialled now."
    ),
}


def say(decision: Decision) -> str:
    """The decision as one English sentence; a page says `sentence(reason, **values)` in its own."""
    return SENTENCES[decision.reason] % decision.values
