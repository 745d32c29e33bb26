"""The call screen: drawing it, and everything that is pressed on it (R-CL-3…7, R-LS-9)."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import call_screen
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.page import page_id
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import CallRecord, Customer, Origin
from calltree.services import (
    customers,
    desk,
    drafts,
    gate,
    holds,
    patterns,
    presses,
    projects,
    records,
    results,
    scope,
)
from calltree.services.results import ResultForm
from calltree.services.rights import Right

bp = Blueprint("calling", __name__, url_prefix="/operator/call")

PARTS = {
    "operator": "operator/_operator.html",
    "call_status": "operator/_call_status.html",
    "actions": "operator/_actions.html",
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


@bp.get("/")
@requires(Right.DIAL)
def screen() -> ResponseReturnValue:
    """Show the open customer; without one, the lists."""
    context = call_screen.draw(reading(), viewer=viewer(), now=utcnow())
    if context is None:
        return redirect(url_for("operator.home"), 303)
    return render_template("operator/call.html", **context)


@bp.get("/part/<name>")
@requires(Right.DIAL)
def part(name: str) -> ResponseReturnValue:
    """Give one fragment of the screen, asked for while the live line is down."""
    if name not in PARTS:
        raise NotFound(name)
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    queue = call_screen.queue(session, viewer=viewer())
    return render_template(PARTS[name], queue=queue, **call_screen.live(session, at))


@bp.post("/open/<int:customer_id>")
@requires(Right.DIAL)
def open_customer(customer_id: int) -> ResponseReturnValue:
    """Open a customer by hand: from a search, a task, the history."""
    now = utcnow()
    with writing() as session:
        _sit_down(session, now)
        desk.open_customer(
            session, viewer=viewer(), customer_id=customer_id, page_id=page_id(), now=now
        )
        desk.forget_countdown(session, user_id=viewer().user_id)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/start")
@requires(Right.DIAL)
def start() -> ResponseReturnValue:
    """Begin walking the queue just made: the first customer opens, nothing is dialled."""
    now = utcnow()
    with writing() as session:
        _sit_down(session, now)
        taken = desk.next_customer(session, viewer=viewer(), page_id=page_id(), now=now)
    return _after_next(taken.is_end)


def _sit_down(session: Session, now: datetime) -> None:
    """Make this the operator's page; refused while another one is in use."""
    mine = viewer()
    desk.enter(session, viewer=mine, node=settings().node_names[0], now=now)
    if not desk.claim_page(session, user_id=mine.user_id, page_id=page_id(), now=now):
        raise Refused("page_in_use")


def _after_next(is_end: bool) -> ResponseReturnValue:
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if is_end and (at is None or at.customer is None):
        return redirect(url_for("operator.end"), 303)
    return redirect(url_for("calling.screen"), 303)


@bp.post("/renew")
@requires(Right.DIAL)
def renew() -> ResponseReturnValue:
    """Keep page and customer; told every 10 s by the open page (R-CL-2, R-CL-17)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        desk.enter(session, viewer=mine, node=settings().node_names[0], now=now)
        ours = desk.claim_page(session, user_id=mine.user_id, page_id=page_id(), now=now)
        renewal = _renew_hold(session, now) if ours else None
    if not ours:
        return _instead_of_main("operator/_page_in_use.html", 409)
    if renewal is not None and not renewal.held:
        return _instead_of_main("operator/_released.html", 409)
    if renewal is not None and renewal.released_in_s is not None:
        return _toast(
            _("This customer will be released in %(n)s seconds.", n=renewal.released_in_s)
        )
    return Response(status=204)


def _renew_hold(session: Session, now: datetime) -> holds.Renewal | None:
    at = call_screen.desk(session, viewer=viewer(), now=now)
    if at is None or at.customer is None:
        return None
    mine = viewer().user_id
    renewal = holds.renew(
        session, customer_id=at.customer.id, user_id=mine, page_id=page_id(), now=now
    )
    if renewal.held:
        return renewal
    # A reload has a page of its own; the hold is still this user's, so it moves here.
    try:
        holds.take(session, customer_id=at.customer.id, user_id=mine, page_id=page_id(), now=now)
    except Refused:
        return renewal
    return holds.Renewal(held=True)


def _instead_of_main(template: str, status: int) -> Response:
    response = Response(render_template(template), status=status, mimetype="text/html")
    response.headers["HX-Retarget"] = "#main"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def _toast(message: str) -> Response:
    body = render_template("_toast.html", category="warn", message=message)
    response = Response(body, mimetype="text/html")
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "beforeend"
    return response


@bp.post("/take-over")
@requires(Right.DIAL)
def take_over() -> ResponseReturnValue:
    """こちらで使う: this page instead of the other."""
    now = utcnow()
    with writing() as session:
        desk.take_over_page(
            session, user_id=viewer().user_id, page_id=page_id(), same_machine=_same(), now=now
        )
    return redirect(url_for("calling.screen"), 303)


def _same() -> bool:
    """A call can move inside one browser: its sound comes from a telephone or from this machine."""
    return True


@bp.post("/close")
@requires(Right.DIAL)
def close() -> ResponseReturnValue:
    """The page says that it is going: another may be used at once."""
    with writing() as session:
        desk.release_page(session, user_id=viewer().user_id, page_id=page_id())
    return Response(status=204)


@bp.post("/dial")
@requires(Right.DIAL)
def dial() -> ResponseReturnValue:
    """CALL: ask the gate; the answer is on the screen either way."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        _sit_down(session, now)
        at = call_screen.desk(session, viewer=mine, now=now)
        if at is None or at.customer is None:
            raise Refused("nothing_open")
        waiting = at.operator.dial_at is not None
        number = request.form.get("number") or at.operator.chosen_number or at.customer.number
        asked = gate.DialRequest(
            origin=Origin.NEXT if waiting else Origin.CALL,
            number=number,
            user_id=mine.user_id,
            customer_id=at.customer.id,
            caller_number_id=request.form.get("caller_number", type=int),
            press_id=request.form.get("press_id") or None,
            confirmed=request.form.get("confirmed") == "1",
        )
        desk.forget_countdown(session, user_id=mine.user_id)
        desk.choose_number(session, user_id=mine.user_id, number=_kept(number, at.customer))
        gate.ask(session, request=asked, now=now)
    return _status()


def _kept(number: str, customer: Customer) -> str:
    return "" if number == customer.number else number


@bp.post("/press/<wish>")
@requires(Right.DIAL)
def press(wish: str) -> ResponseReturnValue:
    """切断, 保留, 再開, 消音, 消音解除."""
    if wish not in WISHES:
        raise NotFound(wish)
    with writing() as session:
        WISHES[wish](session, user_id=viewer().user_id, now=utcnow())
    return _status()


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
        desk.forget_countdown(session, user_id=viewer().user_id)
    return _status()


def _status() -> ResponseReturnValue:
    """Answer a press with the call box; without htmx with the page."""
    if not wants_fragment():
        return redirect(url_for("calling.screen"), 303)
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    return render_template("operator/_call_status.html", **call_screen.live(session, at))


@bp.post("/save")
@requires(Right.DIAL)
def save() -> ResponseReturnValue:
    """保存して次へ, 保存のみ, 保存して別番号へ, 次へ, SKIP."""
    action = request.form.get("action", "save")
    try:
        if action in {"save", "save_next", "save_other"}:
            _save_result()
        if action == "save_other":
            _other_number()
        if action in {"save_next", "next", "skip"}:
            return _go_on(dials=action != "skip")
    except Refused as refusal:
        return _refused(refusal)
    return redirect(url_for("calling.screen"), 303)


def _save_result() -> None:
    mine = viewer()
    at = call_screen.desk(reading(), viewer=mine, now=utcnow())
    if at is None or at.customer is None or at.project is None:
        raise Refused("nothing_open")
    form = result_form(project_id=at.project.id)
    with writing() as session:
        results.save(session, viewer=mine, customer_id=at.customer.id, form=form, now=utcnow())


def result_form(*, project_id: int) -> ResultForm:
    """Read the result boxes of a posted form; times are the site's. Raises Refused."""
    given = request.form
    items = patterns.items_of(reading(), project_id)
    shown = {item.id: given.get(f"item{item.id}", "") for item in items}
    return ResultForm(
        status_id=given.get("status", type=int),
        memo=given.get("memo", ""),
        attributes={str(item_id): text for item_id, text in shown.items()},
        prospect_level=given.get("prospect_level"),
        callback_at=callback_time(given.get("callback_at", "")),
        task_user_id=given.get("task_user", type=int),
    )


def callback_time(typed: str) -> datetime | None:
    """Read a datetime-local box. Raises Refused 'callback_unreadable'."""
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise Refused("callback_unreadable", field="callback_at") from None
    return moment.replace(tzinfo=settings().timezone)


def _other_number() -> None:
    """Choose the number after the one just dialled, and count down to it (R-LS-9)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        at = call_screen.desk(session, viewer=mine, now=now)
        if at is None or at.customer is None or at.project is None:
            raise Refused("nothing_open")
        extra = customers.extra_numbers(session, customer_id=at.customer.id)
        numbers = [at.customer.number, *(number.number for number in extra)]
        dialled = at.record.number if at.record else at.customer.number
        later = numbers[numbers.index(dialled) + 1 :] if dialled in numbers else []
        if not later:
            raise Refused("no_other_number")
        desk.choose_number(session, user_id=mine.user_id, number=later[0])
        desk.count_down(
            session, user_id=mine.user_id, seconds=at.project.auto_dial_delay_s, now=now
        )


def _go_on(*, dials: bool) -> ResponseReturnValue:
    """Take the next customer; 次へ and 保存して次へ dial after the project's wait."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        _sit_down(session, now)
        taken = desk.next_customer(session, viewer=mine, page_id=page_id(), now=now)
        if dials and taken.customer_id is not None:
            at = call_screen.desk(session, viewer=mine, now=now)
            wait = at.project.auto_dial_delay_s if at and at.project else 1
            if call_screen.would_dial(session, viewer=mine, now=now):
                desk.count_down(session, user_id=mine.user_id, seconds=wait, now=now)
    return _after_next(taken.is_end)


def _refused(refusal: Refused) -> ResponseReturnValue:
    """Answer a refused save beside the boxes, which keep what was typed."""
    errors = [(BOXES.get(refusal.code, "results"), sentence(refusal.code, **refusal.values))]
    if wants_fragment():
        return render_template("operator/_call_errors.html", errors=errors), 422
    context = call_screen.draw(reading(), viewer=viewer(), now=utcnow())
    if context is None:
        raise refusal
    context |= {"errors": errors, "result_missing": refusal.code == "status_missing"}
    return render_template("operator/call.html", **context), 422


BOXES = {
    "callback_past": "callback",
    "callback_unreadable": "callback",
    "task_user_unknown": "task-user",
    "attribute_missing": "attributes",
    "attribute_wrong": "attributes",
}


@bp.post("/draft/<int:customer_id>")
@requires(Right.DIAL)
def draft(customer_id: int) -> ResponseReturnValue:
    """Keep what is being typed (R-CL-7)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        scope.get_customer(session, viewer=mine, customer_id=customer_id)
        drafts.keep(
            session,
            user_id=mine.user_id,
            customer_id=customer_id,
            memo=request.form.get("memo", "")[:20000],
            now=now,
        )
        holds.touch(session, customer_id=customer_id, user_id=mine.user_id, now=now)
    return Response(status=204)


@bp.post("/short-note/<int:customer_id>")
@requires(Right.EDIT_CUSTOMERS)
def short_note(customer_id: int) -> ResponseReturnValue:
    """Keep the 簡易メモ as it is typed."""
    with writing() as session:
        customers.set_short_note(
            session,
            viewer=viewer(),
            customer_id=customer_id,
            text=request.form.get("short_note", ""),
            now=utcnow(),
        )
    return Response(status=204)


@bp.route("/last", methods=["GET", "POST"])
@requires(Right.ADD_RECORDS)
def last() -> ResponseReturnValue:
    """直前の通話: correct one's last record beside the present call (R-CL-18)."""
    mine = viewer()
    record = records.last_of(reading(), user_id=mine.user_id)
    error = ""
    if request.method == "POST" and record is not None:
        form = ResultForm(
            status_id=request.form.get("status", type=int), memo=request.form.get("memo", "")
        )
        try:
            with writing() as session:
                results.correct(session, viewer=mine, record_id=record.id, form=form, now=utcnow())
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
    session = reading()
    record = records.last_of(session, user_id=mine.user_id)
    saved = request.method == "POST" and not error
    return render_template(
        "operator/_last_call.html", last=_last(record), error=error, saved=saved
    ), 422 if error else 200


def _last(record: CallRecord | None) -> dict[str, object] | None:
    if record is None or record.project_id is None:
        return None
    session = reading()
    customer = session.get(Customer, record.customer_id) if record.customer_id else None
    project = projects.get(session, record.project_id)
    name = next((cell for cell in customer.cells if cell), "") if customer else ""
    return {
        "at": record.started_at,
        "customer": name,
        "number": record.number,
        "result": results.result_name(session, record),
        "results": [
            (status.id, status.name, status.id == record.status_id)
            for status in patterns.offered(session, project.pattern_id)
        ],
        "memo": "",
        "save_url": url_for("calling.last"),
    }
