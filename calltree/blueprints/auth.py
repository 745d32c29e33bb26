"""Signing in and out, and switching between the two screens."""

from __future__ import annotations

from flask import (
    Blueprint,
    Flask,
    Response,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user
from sqlalchemy.orm import Session

from calltree.blueprints import halfway
from calltree.blueprints.access import SignedIn, go_on, public, requires, viewer
from calltree.blueprints.given import whole
from calltree.blueprints.language import CHOSEN
from calltree.blueprints.navigation import screen
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import limiter, login, reading, settings, writing
from calltree.locale import sentence
from calltree.services import accounts, desk, people, records, second_factor
from calltree.services.accounts import Account
from calltree.services.rights import Right, Viewer, landing
from calltree.text.folding import fold_name

bp = Blueprint("auth", __name__)

# Asked by the page itself, not by a person: they must not keep an idle session alive. What htmx
# asks by itself says so in a header (live.js), since a person may press the same address.
BY_ITSELF = "X-By-Itself"
PASSIVE = (
    "assets.serve",
    "live.socket",
    "calling.part",
    "calling.renew",
    "softphone.report",
    "imports.status",
    "exports.recent",
    "health.alive",
    "health.ready",
)


@bp.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """Show the sign-in form."""
    if current_user.is_authenticated:
        return redirect(url_for(landing(viewer().role)), 303)
    return render_template("auth/sign_in.html", failed=False, login_id="")


@bp.post("/sign-in")
@public
@limiter.limit("10/minute;60/hour")
@limiter.limit(
    "5/minute;30/hour",
    # folded as the look-up folds it, or every spelling of an id would have tries of its own
    key_func=lambda: "account:" + fold_name(request.form.get("login_id", ""))[:64],
)
def try_sign_in() -> ResponseReturnValue:
    """Check the login id and password; a failure never says which of the two was wrong."""
    login_id = request.form.get("login_id", "")
    if not accounts.may_come_from(reading(), address=request.remote_addr or ""):
        page = render_template("auth/sign_in.html", failed=False, elsewhere=True, login_id=login_id)
        return page, 403
    user = accounts.verify(reading(), login_id=login_id, password=request.form.get("password", ""))
    if user is None:
        page = render_template("auth/sign_in.html", failed=True, login_id=login_id)
        return page, 422
    if user.owes_factor:
        chosen = {CHOSEN: session[CHOSEN]} if CHOSEN in session else {}
        session.clear()  # of whoever sat here before, a secret that was being set up included
        session.update(chosen)
        halfway.begin(user)
        return redirect(halfway.address(request.args.get("next")), 303)
    come_in(user)
    return redirect(next_address(user), 303)


def come_in(user: Account, *, proven: bool = False) -> None:
    """Begin a session of somebody who has proven who they are."""
    with writing() as write:
        accounts.note_sign_in(write, user_id=user.viewer.user_id, now=utcnow())
        if CHOSEN in session:
            accounts.set_locale(write, user_id=user.viewer.user_id, locale=session[CHOSEN])
        if landing(user.viewer.role) == "operator.home":
            _sit_down(write, user.viewer)
    session.clear()
    session["seen_at"] = utcnow().timestamp()
    session["proven"] = proven
    login_user(SignedIn(user.viewer, user.session_version))


def next_address(user: Account) -> str:
    """Say where to go after signing in: where they wanted to, or where their role starts."""
    return _safe_next() or url_for(landing(user.viewer.role))


def _sit_down(write: Session, who: Viewer) -> None:
    """Begin the shift: the telephone is called while the page still loads."""
    desk.enter(write, viewer=who, nodes=settings().node_names, now=utcnow())


def _safe_next() -> str | None:
    """Accept only a path of our own as the address to go on to."""
    asked = request.args.get("next", "")
    # Browsers and werkzeug drop tabs and line feeds: "/<tab>/elsewhere" would lead elsewhere.
    ours = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return asked if ours else None


@bp.post("/sign-out")
@requires(Right.OWN_ACCOUNT)
def sign_out() -> ResponseReturnValue:
    """End the session: the customer, the telephone and the page are left; not during a call.

    Own records of today without a result are asked about first (R-CL-18).
    """
    mine, now = viewer().user_id, utcnow()
    blanks = records.own_blanks(reading(), user_id=mine, now=now)
    if records.leaves_blank(reading(), user_id=mine):
        open_here = records.open_record(reading(), user_id=mine)
        blanks += [open_here] if open_here else []
    if blanks and not request.form.get("confirmed"):
        return render_template("auth/sign_out.html", blanks=blanks), 422
    with writing() as write:
        desk.get_up(write, user_id=mine, now=now)
    logout_user()
    session.clear()
    return redirect(url_for("auth.sign_in"), 303)


@bp.route("/password", methods=["GET", "POST"])
@requires(Right.OWN_ACCOUNT)
@limiter.limit("10/minute", methods=["POST"])
def password() -> ResponseReturnValue:
    """Change one's own password; this session goes on, the others end."""
    error = ""
    if request.method == "POST":
        try:
            _change_own_password()
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
        else:
            flash(_("Your password was changed."), "ok")
            return redirect(url_for("auth.home"), 303)
    codes_left = second_factor.codes_left(reading(), user_id=viewer().user_id)
    page = render_template("auth/password.html", error=error, codes_left=codes_left)
    return page, 422 if error else 200


def _change_own_password() -> None:
    mine = viewer().user_id
    require_password(request.form.get("present", ""))
    hashed = people.hash_password(request.form.get("password", ""))
    with writing() as write:
        people.set_password(
            write, viewer=viewer(), user_id=mine, password_hash=hashed, now=utcnow()
        )
    go_on()


def require_password(given: str) -> None:
    """Raise Refused 'password_wrong' unless it is the viewer's: somebody else may sit there."""
    if not people.is_password_of(reading(), user_id=viewer().user_id, password=given):
        raise Refused("password_wrong")


@bp.post("/sign-out-elsewhere")
@requires(Right.OWN_ACCOUNT)
def sign_out_elsewhere() -> ResponseReturnValue:
    """End one's own sessions on every other machine; this one goes on."""
    with writing() as write:
        people.sign_out_everywhere(write, viewer=viewer(), user_id=viewer().user_id, now=utcnow())
    go_on()
    flash(_("You are signed out everywhere else."), "ok")
    return redirect(url_for("auth.home"), 303)


@bp.post("/switch-screen")
@requires(Right.SWITCH_SCREEN)
def switch_screen() -> ResponseReturnValue:
    """Go from 管理画面 to オペレータ画面 and back."""
    session["screen"] = "operator" if screen() == "admin" else "admin"
    if session["screen"] == "operator":
        with writing() as write:
            _sit_down(write, viewer())
    return redirect(url_for(f"{session['screen']}.home"), 303)


@bp.get("/")
@requires(Right.OWN_ACCOUNT)
def home() -> ResponseReturnValue:
    """Send everybody to where their role starts."""
    return redirect(url_for(landing(viewer().role)), 303)


def init_app(app: Flask) -> None:
    """Tell flask_login how a session becomes a person."""
    login.init_app(app)
    login.session_protection = None  # "strong" would sign out whoever changes network

    @login.user_loader  # type: ignore[untyped-decorator]  # the library has no types
    def load(kept: str) -> SignedIn | None:
        user_id, _sep, version = kept.partition(":")
        try:
            ids = {"user_id": whole(user_id), "session_version": whole(version)}
        except ValueError:  # of another version of the product
            return None
        user = accounts.load(
            reading(),
            **ids,
            address=request.remote_addr or "",
            seen_at=session.get("seen_at"),
            proven=session.get("proven", False),
            now=utcnow(),
        )
        if user and user.owes_factor:
            halfway.begin(user)
            return None
        g.site = user.site if user else None  # held: a session forgets rows that nobody holds
        return SignedIn(user.viewer, user.session_version) if user else None

    @app.after_request
    def remember_use(response: Response) -> Response:
        unasked = request.endpoint in PASSIVE or BY_ITSELF in request.headers
        if current_user.is_authenticated and not unasked:
            session["seen_at"] = utcnow().timestamp()
        return response
