"""Handing a call on, and pausing its recording, from the call screen (R-CL-4, R-RC-3)."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Flask, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from calltree.blueprints import call_screen, call_transfer, call_words, calling
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, writing
from calltree.htmx import wants_fragment
from calltree.models import Attempt, Customer, CustomerList, TransferKind
from calltree.services import recording_pauses, transfer_colleagues, transfer_facts, transfers
from calltree.services.rights import Right

bp = Blueprint("call_transfers", __name__, url_prefix="/operator/call/transfer")

WISHES = {
    "complete": transfers.complete,
    "three_way": transfers.three_way,
    "back": transfers.take_back,
    "leave": transfers.leave,
}
CLOSED = '<hx-partial hx-target="#side" hx-swap="innerHTML"></hx-partial>'
RECORDING = {"pause": recording_pauses.begin, "go_on": recording_pauses.go_on}


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page, as on the call screen."""
    return calling.refused(refusal)


@bp.get("/")
@requires(Right.DIAL)
def panel() -> ResponseReturnValue:
    """Whom to hand the call on to: colleagues with what they do, or a number."""
    session, mine = reading(), viewer()
    at = call_screen.desk(session, viewer=mine, now=utcnow())
    attempt = at.attempt if at is not None else None
    live = attempt is not None and attempt.ended_at is None
    found = (
        transfer_colleagues.of(session, attempt=attempt, user_id=mine.user_id)
        if live and attempt is not None
        else []
    )
    return render_template(
        "operator/_transfer.html",
        live=live,
        colleagues=found,
        words=call_words.STATE_WORDS,
        may_dial_out=mine.may(Right.DIAL_MANUALLY),
        press_id=str(uuid.uuid4()),
    )


@bp.post("/colleague/<int:user_id>")
@requires(Right.DIAL)
def to_colleague(user_id: int) -> ResponseReturnValue:
    """転送 or 相談転送 to an operator."""
    with writing() as session:
        transfers.to_operator(
            session, viewer=viewer(), user_id=user_id, kind=_kind(),
            press_id=calling.press_id(), now=utcnow(),
        )  # fmt: skip
    return _begun()


@bp.post("/park")
@requires(Right.DIAL)
def park() -> ResponseReturnValue:
    """保留して残す: whoever is free takes the customer."""
    with writing() as session:
        transfers.to_anybody(session, viewer=viewer(), press_id=calling.press_id(), now=utcnow())
    return _begun()


@bp.post("/number")
@requires(Right.DIAL)
def to_number() -> ResponseReturnValue:
    """転送 or 相談転送 to an outside number."""
    with writing() as session:
        transfers.to_number(
            session, viewer=viewer(), number=request.form.get("number", ""), kind=_kind(),
            press_id=calling.press_id(), now=utcnow(),
        )  # fmt: skip
    return _begun()


def _begun() -> ResponseReturnValue:
    """Answer with the call box, where the transfer goes on; whom to choose is closed.

    Left open it would press again with the press id that has begun one.
    """
    answer = make_response(calling.status())
    if wants_fragment() and answer.status_code == 200:
        answer.set_data(answer.get_data(as_text=True) + CLOSED)
    return answer


def _kind() -> TransferKind:
    attended = request.form.get("kind") == TransferKind.ATTENDED
    return TransferKind.ATTENDED if attended else TransferKind.BLIND


@bp.post("/press/<wish>")
@requires(Right.DIAL)
def press(wish: str) -> ResponseReturnValue:
    """転送する, 三者通話, 戻る; 抜ける of a colleague."""
    if wish not in WISHES:
        raise NotFound(wish)
    with writing() as session:
        WISHES[wish](session, user_id=viewer().user_id, now=utcnow())
    if wish == "leave" and wants_fragment():
        return calling.parted(status=200)
    return calling.status()


@bp.post("/recording/<wish>")
@requires(Right.DIAL)
def record(wish: str) -> ResponseReturnValue:
    """録音を一時停止, 録音を再開."""
    if wish not in RECORDING:
        raise NotFound(wish)
    with writing() as session:
        RECORDING[wish](session, user_id=viewer().user_id, now=utcnow())
    return calling.status()


@bp.get("/offer")
@requires(Right.DIAL)
def offer() -> ResponseReturnValue:
    """Give the panel of what a colleague asks alone, while the live line is down."""
    return render_template("operator/_offer.html")


@bp.post("/answer")
@requires(Right.DIAL)
def answer() -> ResponseReturnValue:
    """受ける: one's own customer is left, the call and its customer's page come."""
    mine, now = viewer(), utcnow()
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        transfers.answer(session, user_id=mine.user_id, now=now)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/take/<int:transfer_id>")
@requires(Right.DIAL)
def take(transfer_id: int) -> ResponseReturnValue:
    """応答 of a parked customer: one's own is left, their page comes."""
    mine, now = viewer(), utcnow()
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        transfers.take(session, user_id=mine.user_id, transfer_id=transfer_id, now=now)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/refuse")
@requires(Right.DIAL)
def refuse() -> ResponseReturnValue:
    """断る: the customer goes back."""
    with writing() as session:
        transfers.refuse(session, user_id=viewer().user_id, now=utcnow())
    if not wants_fragment():
        return redirect(url_for("operator.home"), 303)
    return render_template("operator/_offer.html")


def offered() -> dict[str, Any] | None:
    """Say who asks the viewer to take which customer over; None while nobody does."""
    session = reading()
    mine = viewer()
    transfer = transfer_facts.offered_to(session, user_id=mine.user_id)
    if transfer is None:
        return None
    parked = transfer.kind is TransferKind.PARKED
    if parked and not transfer_colleagues.may_take(
        session, transfer=transfer, user_id=mine.user_id
    ):
        return None
    attempt = session.get_one(Attempt, transfer.attempt_id)
    customer = session.get(Customer, attempt.customer_id) if attempt.customer_id else None
    folder = session.get(CustomerList, attempt.list_id) if attempt.list_id else None
    return {
        "parked": parked,
        "answer_url": url_for("call_transfers.take", transfer_id=transfer.id)
        if parked
        else url_for("call_transfers.answer"),
        "attended": transfer.kind is TransferKind.ATTENDED,
        "name": call_transfer.first_name(session, transfer),
        "since": transfer.began_at,
        "number": attempt.number,
        "customer": next((cell for cell in customer.cells if cell), "") if customer else "",
        "list": folder.name if folder else "",
        "note": customer.short_note if customer else "",
    }


def init_app(app: Flask) -> None:
    """Let every page of an operator draw what is asked of them."""
    app.add_template_global(offered, "transfer_offered")
