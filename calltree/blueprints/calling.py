"""The call screen: opening it, the operator's state, and what is pressed in a call (R-CL-3…6)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import call_page, call_panels, call_screen, call_transfer
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.page import machine, page_id
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import Customer, DiallingMode, Operator, Origin
from calltree.services import (
    campaign_team,
    desk,
    gate,
    holds,
    inbound_desk,
    manual_calls,
    monitoring,
    presses,
    remote_dial,
    transfer_facts,
)
from calltree.services.rights import Right, Viewer

bp = Blueprint("calling", __name__, url_prefix="/operator/call")

PARTS = {
    "operator": "operator/_operator.html",
    "call_status": "operator/_call_status.html",
    "actions": "operator/_actions.html",
    "anew": "operator/_call_anew.html",
    "today": "operator/_today.html",
    "softphone": "operator/_softphone.html",
    "lines": "operator/_lines.html",
    "queue": "operator/_queue.html",
}
WISHES = {
    "hang_up": presses.hang_up,
    "hold": presses.hold,
    "resume": presses.resume,
    "mute": presses.mute,
    "unmute": presses.unmute,
}


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page: what stands there must not be replaced by the refusal."""
    message = sentence(refusal.code, **refusal.values)
    if refusal.code in {"page_in_use", "call_elsewhere"} and not wants_fragment():
        return render_template("operator/page_in_use.html", message=message), 409
    if wants_fragment():
        return toast(message, "bad", status=409)
    flash(message, "bad")
    return redirect(_back(), 303)


def _back() -> str:
    """The page that the press came from, if it is one of ours."""
    came = urlsplit(request.referrer or "")
    if came.netloc != request.host or came.path == request.path:
        return url_for("operator.home")
    return came.path + (f"?{came.query}" if came.query else "")


def toast(message: str, category: str = "warn", *, status: int = 200) -> Response:
    """Answer with a note at the page's edge, whatever the press wanted to replace."""
    body = render_template("_toast.html", category=category, message=message)
    response = Response(body, status=status, mimetype="text/html")
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "beforeend"
    response.headers["HX-Reselect"] = ".toast"
    return response


@bp.get("/")
@requires(Right.DIAL)
def screen() -> ResponseReturnValue:
    """Show the open customer; without one, the lists."""
    context = call_page.draw(reading(), viewer=viewer(), now=utcnow())
    if context is None:
        return redirect(url_for(_without_customer(reading())), 303)
    return render_template("operator/call.html", **context)


def _without_customer(session: Session) -> str:
    """Where a call without a customer has its page."""
    mine = viewer().user_id
    if inbound_desk.current(session, user_id=mine) is not None:
        return "answering.screen"
    return "manual.screen" if manual_calls.in_call(session, user_id=mine) else "operator.home"


@bp.get("/part/<name>")
@requires(Right.DIAL)
def part(name: str) -> ResponseReturnValue:
    """Give one fragment of the screen, asked for while the live line is down."""
    if name not in PARTS:
        raise NotFound(name)
    session = reading()
    # SQLite shows the moment of the request's first look, at who asks: drawn from it and dated
    # now, the fragment would displace what was drawn of a later moment.
    session.rollback()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    queue = call_panels.queue(session, viewer=viewer())
    return render_template(PARTS[name], queue=queue, **call_screen.live(session, at))


@bp.post("/open/<int:customer_id>")
@requires(Right.DIAL)
def open_customer(customer_id: int) -> ResponseReturnValue:
    """Open a customer by hand: from a search, a task, the history."""
    now = utcnow()
    sit_down(now)
    with writing() as session:
        require_page(session)
        desk.open_customer(
            session, viewer=viewer(), customer_id=customer_id, page_id=page_id(), now=now
        )
        desk.forget_countdown(session, user_id=viewer().user_id)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/start")
@requires(Right.DIAL)
def start() -> ResponseReturnValue:
    """Begin walking the queue just made: the first customer opens.

    Nothing is dialled, but in a progressive project: there the first dials itself too (R-DL-1).
    """
    now = utcnow()
    sit_down(now)
    with writing() as session:
        require_page(session)
        taken = desk.next_customer(session, viewer=viewer(), page_id=page_id(), now=now)
        at = call_screen.desk(session, viewer=viewer(), now=now)
        if at and at.project and at.project.mode is DiallingMode.PROGRESSIVE:
            count_down(session, now)
    return after_next(is_end=taken.is_end)


def count_down(session: Session, now: datetime) -> None:
    """Let the customer who was taken be dialled after the project's wait, if CALL would do it."""
    at = call_screen.desk(session, viewer=viewer(), now=now)
    wait = at.project.auto_dial_delay_s if at and at.project else 1
    if call_screen.would_dial(session, viewer=viewer(), now=now):
        desk.count_down(session, user_id=viewer().user_id, seconds=wait, now=now)


def sit_down(now: datetime) -> None:
    """Make this the operator's page; refused while another one is in use.

    Apart from what was pressed: that locks a customer's hold first and then the operator.
    """
    mine = viewer()
    nodes, page = settings().node_names, _page()
    if desk.sits_here(reading(), user_id=mine.user_id, page=page, nodes=nodes, now=now):
        return
    with writing() as session:
        desk.enter(session, viewer=mine, nodes=nodes, now=now)
        if not _claim(session, now):
            raise Refused("page_in_use")


def require_page(session: Session) -> Operator:
    """Refuse a press of a page that another took over meanwhile; give whose it is."""
    return desk.require_page(session, user_id=viewer().user_id, page=_page())


def _page() -> desk.Page:
    return desk.Page(page_id(), machine())


def _claim(session: Session, now: datetime) -> bool:
    return desk.claim_page(
        session, user_id=viewer().user_id, page_id=page_id(), machine=machine(), now=now
    )


def after_next(*, is_end: bool) -> ResponseReturnValue:
    """Show the customer that was taken, or say that the list has ended."""
    at = call_screen.desk(reading(), viewer=viewer(), now=utcnow())
    if is_end and (at is None or at.customer is None):
        return redirect(url_for("operator.end"), 303)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/renew")
@requires(Right.DIAL)
def renew() -> ResponseReturnValue:
    """Keep telephone, page and customer; told on loading and every 10 s (R-CL-2, R-CL-17)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        desk.enter(session, viewer=mine, nodes=settings().node_names, now=now)
        ours = _claim(session, now)
    if not ours:
        return _instead_of_main("operator/_page_in_use.html")
    # Apart: whoever presses locks the hold first and then the operator.
    with writing() as session:
        renewal = _renew_hold(session, now)
    if renewal is not None and not renewal.held:
        return parted()
    if renewal is not None and renewal.released_in_s is not None:
        return toast(_("This customer will be released in %(n)s seconds.", n=renewal.released_in_s))
    if not request.form.get("shows") and remote_dial.under_way(reading(), user_id=mine.user_id):
        return toast(_("Another program has begun a call for you. Open the call screen."))
    return Response(status=204)


def _renew_hold(session: Session, now: datetime) -> holds.Renewal | None:
    at = call_screen.desk(session, viewer=viewer(), now=now)
    if at is None or at.customer is None:
        # The page still shows a customer whom the sweep or a manager has taken away.
        return holds.Renewal(held=False) if request.form.get("shows") else None
    mine = viewer().user_id
    renewal = holds.renew(
        session, customer_id=at.customer.id, user_id=mine, page_id=page_id(), now=now
    )
    if renewal.held:
        return renewal
    if transfer_facts.sees_customer(session, user_id=mine, customer_id=at.customer.id):
        return holds.Renewal(held=True)  # theirs once it is handed over
    # A reload has a page of its own; the hold is still this user's, so it moves here.
    try:
        holds.take(session, customer_id=at.customer.id, user_id=mine, page_id=page_id(), now=now)
    except Refused:
        return renewal
    return holds.Renewal(held=True)


def parted(*, status: int = 409) -> Response:
    """Say where the customer went, instead of the page that showed them."""
    over = call_transfer.parted(reading(), user_id=viewer().user_id, now=utcnow())
    return _instead_of_main("operator/_released.html", status=status, parted=over)


def _instead_of_main(template: str, *, status: int = 409, **values: Any) -> Response:
    drawn = render_template(template, message="", **values)
    response = Response(drawn, status=status, mimetype="text/html")
    response.headers["HX-Retarget"] = "#main"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


@bp.post("/take-over")
@requires(Right.DIAL)
def take_over() -> ResponseReturnValue:
    """こちらで使う: this page instead of the other; a call moves on the same machine only."""
    now = utcnow()
    with writing() as session:
        desk.take_over_page(
            session, user_id=viewer().user_id, page_id=page_id(), machine=machine(), now=now
        )
    return redirect(url_for("calling.screen"), 303)


@bp.post("/close")
@requires(Right.DIAL)
def close() -> ResponseReturnValue:
    """The page says that it is going: another may be used at once."""
    with writing() as session:
        desk.release_page(session, user_id=viewer().user_id, page_id=page_id())
        monitoring.end(session, user_id=viewer().user_id, now=utcnow())
    return Response(status=204)


@bp.post("/away")
@requires(Right.DIAL)
def go_away() -> ResponseReturnValue:
    """離席, with a reason."""
    with writing() as session:
        reason = request.form.get("reason", "")
        desk.go_away(session, user_id=viewer().user_id, reason=reason, now=utcnow())
    return _state_changed()


@bp.post("/back")
@requires(Right.DIAL)
def come_back() -> ResponseReturnValue:
    """Back from 離席, to the open customer or to 待機."""
    with writing() as session:
        desk.come_back(session, user_id=viewer().user_id, now=utcnow())
    return _state_changed()


@bp.post("/ready")
@requires(Right.DIAL)
def stand_by() -> ResponseReturnValue:
    """待機: the open customer is left."""
    now = utcnow()
    sit_down(now)
    with writing() as session:
        require_page(session)
        desk.stand_by(session, user_id=viewer().user_id, now=now)
        joined = campaign_team.campaign_of(session, user_id=viewer().user_id) is not None
    return redirect(url_for("predictive.screen" if joined else "operator.home"), 303)


def _state_changed() -> ResponseReturnValue:
    if not wants_fragment():
        return redirect(_back(), 303)
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    shown = call_screen.fragment(session, at, "_operator.html")
    return render_template("operator/_operator.html", **shown)


@bp.post("/choose")
@requires(Right.DIAL)
def choose() -> ResponseReturnValue:
    """Pick the number that CALL dials, or ours that it shows; CALL says at once if it may."""
    with writing() as session:
        at = call_screen.desk(session, viewer=viewer(), now=utcnow())
        if at is not None and at.customer is not None:
            _choose(session, at, request.form.get("number", ""))
    return status()


def _choose(session: Session, at: call_screen.Desk, number: str) -> None:
    """Keep what is offered of what was asked for; anything else is the customer's own choice."""
    if at.customer is None or at.project is None:
        return
    wanted = request.form.get("caller_number", type=int)
    ours = {caller.id for caller in gate.caller_numbers(session, project=at.project)}
    theirs = call_panels.numbers_of(session, at.customer)
    desk.choose(
        session,
        user_id=viewer().user_id,
        number=number if number in theirs and number != at.customer.number else "",
        caller_number_id=wanted if wanted in ours else None,
    )


def press_id() -> str | None:
    """Tell which press this is; one too long for its column is no page of ours."""
    given = request.form.get("press_id", "")
    return given if 0 < len(given) <= 36 else None


def require_same(customer: Customer) -> None:
    """Refuse a press that was drawn for another customer than the one who is open by now."""
    drawn_for = request.form.get("customer", type=int)
    if drawn_for is not None and drawn_for != customer.id:
        raise Refused("customer_changed")


def _own_desk(mine: Viewer, now: datetime) -> call_screen.Desk | None:
    """Look at the operator's desk, this page made theirs before if it is not."""
    look = partial(call_screen.desk, viewer=mine, now=now, with_last_call=False)
    at, nodes = look(reading()), settings().node_names
    if at is not None and desk.is_seat_of(at.operator, page=_page(), nodes=nodes, now=now):
        return at
    sit_down(now)
    return look(reading())


def _require_still_open(operator: Operator, customer: Customer) -> None:
    """Refuse, and undo, a press whose customer was left between the look at the desk and the turn.

    Looked at before, the desk costs those who stand in line for the database's writer nothing.
    """
    if operator.customer_id != customer.id:
        raise Refused("customer_changed")


def _number_pressed(session: Session, at: call_screen.Desk, customer: Customer) -> str:
    """Give the number that was picked on the screen; the gate refuses one that is not theirs.

    After 保存して次へ the next customer's countdown may be pushed before their screen is there. A
    wait that is over by then carries the last one's number, and means the next one's own.
    """
    own = call_screen.chosen_number(at)
    picked = request.form.get("number") or own
    counted_down = at.operator.dial_at is not None
    if counted_down and picked not in call_panels.numbers_of(session, customer):
        return own
    return picked


@bp.post("/dial")
@requires(Right.DIAL)
def dial() -> ResponseReturnValue:
    """CALL: ask the gate; what it says is on the screen either way."""
    mine, now = viewer(), utcnow()
    at = _own_desk(mine, now)
    if at is None or at.customer is None:
        raise Refused("nothing_open")
    require_same(at.customer)
    waiting = at.operator.dial_at is not None
    number = _number_pressed(reading(), at, at.customer)
    caller = request.form.get("caller_number", type=int) or at.operator.chosen_caller_id
    asked = gate.DialRequest(
        origin=Origin.NEXT if waiting else Origin.CALL,
        number=number,
        user_id=mine.user_id,
        customer_id=at.customer.id,
        caller_number_id=caller,
        press_id=press_id(),
        confirmed=request.form.get("confirmed") == "1",
    )
    is_chosen = number == call_screen.chosen_number(at)
    is_chosen = is_chosen and caller == at.operator.chosen_caller_id
    with writing(synced=False) as session:  # decision 15
        gate.ask(session, request=asked, now=now)  # first: it locks the site before the operator
        _require_still_open(require_page(session), at.customer)
        if waiting:
            desk.stop_countdown(session, user_id=mine.user_id)
        if not is_chosen:
            _choose(session, at, number)
    if request.headers.get("X-Live"):
        return Response(status=204)  # the push draws it: twice would keep the next press waiting
    return status()


@bp.post("/press/<wish>")
@requires(Right.DIAL)
def press(wish: str) -> ResponseReturnValue:
    """切断, 保留, 再開, 消音, 消音解除."""
    if wish not in WISHES:
        raise NotFound(wish)
    with writing() as session:
        WISHES[wish](session, user_id=viewer().user_id, now=utcnow())
    return status()


@bp.post("/dtmf")
@requires(Right.DIAL)
def dtmf() -> ResponseReturnValue:
    """Send push tones."""
    digits = request.form.get("digits", "")
    with writing() as session:
        presses.dtmf(session, user_id=viewer().user_id, digits=digits, now=utcnow())
    return Response(status=204)


@bp.post("/stop-countdown")
@requires(Right.DIAL)
def stop_countdown() -> ResponseReturnValue:
    """中止: the customer stays open, nothing is dialled."""
    with writing() as session:
        desk.stop_countdown(session, user_id=viewer().user_id)
    return status()


def status() -> ResponseReturnValue:
    """Answer a press with the call box; without htmx with the page."""
    if not wants_fragment():
        return redirect(url_for("calling.screen"), 303)
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    shown = call_screen.fragment(session, at, "_call_status.html")
    # as it is pushed: what surrounds a whole page is not read for it
    return current_app.jinja_env.get_template("operator/_call_status.html").render(shown)
