"""What the call box says of a transfer and of a paused recording: plain values (R-CL-4, R-RC-3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.blueprints.assets import kept_url
from calltree.blueprints.formats import phone
from calltree.models import (
    Attempt,
    CallState,
    Operator,
    PauseEnd,
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferState,
    User,
)
from calltree.services import recording_pauses, transfer_facts
from calltree.services.sentences import N_

WORDS = {
    TransferState.RINGING: N_("Calling %(name)s"),
    TransferState.ANSWERED: N_("%(name)s answers"),
    TransferState.CONSULTING: N_("Talking with %(name)s; the customer hears music"),
    TransferState.THREE_WAY: N_("Three-way call with %(name)s"),
}
ASKED_WORDS = {
    TransferState.ANSWERED: N_("Being joined with %(name)s"),
    TransferState.CONSULTING: N_("%(name)s asks you; the customer hears music"),
    TransferState.THREE_WAY: N_("Three-way call with %(name)s"),
}
CAME_BACK = {
    TransferOutcome.BUSY: N_("%(name)s is busy. The customer is back with you."),
    TransferOutcome.NO_ANSWER: N_("%(name)s does not answer. The customer is back with you."),
    TransferOutcome.REFUSED: N_("%(name)s declined. The customer is back with you."),
    TransferOutcome.NOT_IN_USE: N_("%(name)s is not in use. The customer is back with you."),
    TransferOutcome.TARGET_LEFT: N_("%(name)s has left. The customer is back with you."),
    TransferOutcome.FAILED: N_("%(name)s could not be reached. The customer is back with you."),
}
OUTCOME_WORDS = {
    TransferOutcome.OPEN: N_("Going on"),
    TransferOutcome.TRANSFERRED: N_("Handed over"),
    TransferOutcome.BUSY: N_("Line busy"),
    TransferOutcome.NO_ANSWER: N_("Not answered"),
    TransferOutcome.REFUSED: N_("Declined"),
    TransferOutcome.NOT_IN_USE: N_("Number not in use"),
    TransferOutcome.TARGET_LEFT: N_("The target left"),
    TransferOutcome.WITHDRAWN: N_("Taken back"),
    TransferOutcome.CUSTOMER_LEFT: N_("The customer left"),
    TransferOutcome.FAILED: N_("Could not be reached"),
}


def row(session: Session, *, operator: Operator, attempt: Attempt | None) -> dict[str, Any] | None:
    """Give the row of the transfer this operator is part of; None without one.

    word, since, buttons [(url, label, key, kind)], holds: the other buttons wait for it.
    """
    user_id = operator.user_id
    if operator.attempt_id is None:
        return None  # in no call: nothing is asked of the database
    if attempt is not None and attempt.ended_at is None and attempt.user_id == user_id:
        if attempt.joined_at is None:
            return None
        transfer = transfer_facts.under_way(session, attempt_id=attempt.id)
        return _first(session, transfer) if transfer is not None else None
    asked = transfer_facts.asked_of(session, user_id=user_id)
    if asked is None or asked.state not in ASKED_WORDS:
        return None
    name = _("colleague %(name)s", name=_name(session, asked.from_user_id))
    return {
        "word": _(ASKED_WORDS[asked.state], name=name),
        "since": asked.answered_at,
        "buttons": [(kept_url("call_transfers.press", wish="leave"), _("Leave"), "Shift+B", "")],
        "holds": True,
    }


def _first(session: Session, transfer: Transfer) -> dict[str, Any]:
    name = _called(session, transfer)
    parked = transfer.kind is TransferKind.PARKED and transfer.to_user_id is None

    def press(wish: str, label: str, key: str, kind: str = "") -> tuple[str, str, str, str]:
        return kept_url("call_transfers.press", wish=wish), label, key, kind

    buttons = []
    if transfer.state is TransferState.CONSULTING:
        buttons = [
            press("complete", _("Hand over"), "Shift+Y", "primary"),
            press("three_way", _("Three-way call"), "Shift+W"),
            press("back", _("Back to the customer"), "Shift+B"),
        ]
    elif transfer.state is TransferState.THREE_WAY:
        buttons = [
            press("complete", _("Leave the two alone"), "Shift+Y", "primary"),
            press("back", _("Let %(name)s go", name=name), "Shift+B"),
        ]
    elif parked:
        buttons = [press("back", _("Back to the customer"), "Shift+B", "primary")]
    else:
        buttons = [press("back", _("Call it off"), "Shift+B")]
    return {
        "word": _("On hold for whoever is free") if parked else _(WORDS[transfer.state], name=name),
        "since": transfer.three_way_at or transfer.consulted_at or transfer.began_at,
        "buttons": buttons,
        "holds": transfer.state is not TransferState.THREE_WAY,
    }


def came_back(session: Session, attempt: Attempt | None) -> str:
    """Say why the customer is back, while nothing happened since."""
    if attempt is None or attempt.state not in (CallState.TALKING, CallState.HELD):
        return ""
    last = session.scalar(
        select(Transfer)
        .where(Transfer.attempt_id == attempt.id)
        .order_by(Transfer.id.desc())
        .limit(1)
    )
    if last is None or last.settled_at is None or last.outcome not in CAME_BACK:
        return ""
    if last.kind is TransferKind.PARKED and last.to_user_id is None:
        return str(_("Nobody took the customer. They are back with you."))
    return str(_(CAME_BACK[last.outcome], name=_called(session, last)))


def parted(session: Session, *, user_id: int, now: datetime) -> tuple[str, str] | None:
    """Say which transfer took the customer off this operator's page: a title and a sentence."""
    last = transfer_facts.just_over(session, user_id=user_id, now=now)
    if last is None:
        return None
    if last.from_user_id == user_id:
        if last.outcome is not TransferOutcome.TRANSFERRED:
            return None
        words = _("%(name)s has the customer now.", name=_called(session, last))
        return _("The call was handed over"), words
    if last.outcome is TransferOutcome.TRANSFERRED:
        return None
    if last.outcome is TransferOutcome.CUSTOMER_LEFT:
        return _("The consultation is over"), _("The customer has hung up.")
    words = _("%(name)s has the customer again.", name=first_name(session, last))
    return _("The consultation is over"), words


def _called(session: Session, transfer: Transfer) -> str:
    """Name the target as one speaks of them: a colleague, or a number."""
    name = target_name(session, transfer)
    return name if transfer.to_user_id is None else str(_("colleague %(name)s", name=name))


def target_name(session: Session, transfer: Transfer) -> str:
    """Name whom the call was to be handed on to."""
    if transfer.kind is TransferKind.PARKED and transfer.to_user_id is None:
        return str(_("Whoever is free"))
    if transfer.to_user_id is None:
        return phone(transfer.number)
    return _name(session, transfer.to_user_id)


@dataclass(frozen=True, slots=True)
class Handed:
    """One link of the chain of those who had a call."""

    at: datetime
    first: str
    target: str
    attended: bool
    three_way: bool
    outcome: str
    seconds: int | None
    """How long the target had the customer; None while they have, or never had."""


def chain(session: Session, *, attempt_id: int | None) -> list[Handed]:
    """Tell who handed a call on to whom, and how each ended."""
    found = transfer_facts.chain(session, attempt_id=attempt_id) if attempt_id is not None else []
    return [
        Handed(
            one.began_at,
            giver,
            taker or target_name(session, one),
            attended=one.kind is TransferKind.ATTENDED,
            three_way=one.three_way_at is not None,
            outcome=_(OUTCOME_WORDS[one.outcome]),
            seconds=_had_them(one),
        )
        for one, giver, taker in found
    ]


def _had_them(transfer: Transfer) -> int | None:
    if transfer.joined_at is None or transfer.ended_at is None:
        return None
    return max(int((transfer.ended_at - transfer.joined_at).total_seconds()), 0)


def first_name(session: Session, transfer: Transfer) -> str:
    """Name who hands the call on."""
    return _name(session, transfer.from_user_id)


def _name(session: Session, user_id: int) -> str:
    return session.scalar(select(User.name).where(User.id == user_id)) or ""


def recording(session: Session, attempt: Attempt | None) -> dict[str, Any]:
    """Say whether the recording is paused since when, and what the button asks for."""
    live = attempt is not None and attempt.ended_at is None and attempt.joined_at is not None
    if attempt is not None and attempt.user_id is None:
        live = False  # an outside number has the customer
    latest = None
    if live and attempt is not None:
        latest = recording_pauses.latest_of(session, attempt_id=attempt.id)
    pause = latest if latest is not None and latest.ended_at is None else None
    asked = pause is not None and pause.ended_by is PauseEnd.REQUESTED
    talking = attempt is not None and attempt.state is CallState.TALKING
    wish = "go_on" if pause is not None else "pause"
    since: datetime | None = pause.began_at if pause is not None else None
    until: datetime | None = pause.until if pause is not None else None
    return {
        "paused": pause is not None and not asked,
        "asked": asked,
        "refused": latest is not None and latest.ended_by is PauseEnd.REFUSED,
        "since": since,
        "until": until,
        "shown": live,
        "url": kept_url("call_transfers.record", wish=wish),
        "why_not": "" if pause is not None or talking else _("You are not talking."),
    }
