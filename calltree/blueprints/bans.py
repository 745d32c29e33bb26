"""架電禁止管理: numbers that must never be dialled (R-DN-1, 3, 4)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from sqlalchemy import select
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from calltree.blueprints import bulk as bulk_pages
from calltree.blueprints import history as history_pages
from calltree.blueprints import uploads
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, end_of_day, put_error
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy, sentence
from calltree.models import BulkKind, CallRecord, DncSource, DoNotCall, User
from calltree.services import audit, ban_search, bulk, do_not_call, history, projects, scope
from calltree.services import settings as site_settings
from calltree.services.ban_search import BanCriteria, BanState
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("bans", __name__, url_prefix="/admin/do-not-call")

SOURCE_NAMES = {
    DncSource.STATUS: N_("Call result"),
    DncSource.FORM: N_("Form"),
    DncSource.CSV: N_("CSV"),
    DncSource.API: N_("API"),
}
STATE_NAMES = {
    BanState.IN_FORCE: N_("In force"),
    BanState.RELEASED: N_("Released"),
    BanState.EXPIRED: N_("Expired"),
}
FILES = (BulkKind.BAN_ADD, BulkKind.BAN_RELEASE)
SHOWN_JOBS = 8


class ScopeForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """For which projects a ban holds, and how long."""

    project_ids = CheckListField(
        lazy(N_("Only in these projects")),
        description=lazy(N_("None chosen: in all projects.")),
        coerce=int,
    )
    expires_on = DateField(
        lazy(N_("Until")),
        description=lazy(N_("Empty: for ever.")),
        validators=[Optional()],
    )
    note = StringField(lazy(N_("Note")), validators=[Length(max=256)])

    def offer(self) -> None:
        """Fill the choices."""
        found = projects.all_projects(reading())
        self.project_ids.choices = [(project.id, project.name) for project in found]


class BanForm(ScopeForm):
    """Numbers to ban, one in each line."""

    numbers = TextAreaField(
        lazy(N_("Phone numbers")),
        description=lazy(N_("One in each line, with or without hyphens.")),
        validators=[InputRequired(), Length(max=20000)],
    )


class FileForm(ScopeForm):
    """A file of numbers to ban."""

    file = FileField(lazy(N_("File")), validators=[FileRequired(lazy(N_("Choose a file.")))])


class ReleaseFileForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A file of numbers to release."""

    file = FileField(lazy(N_("File")), validators=[FileRequired(lazy(N_("Choose a file.")))])
    reason = StringField(
        lazy(N_("Reason for the release")), validators=[InputRequired(), Length(max=256)]
    )


class ChangeForm(ScopeForm):
    """Another scope or expiry for a number."""

    reason = StringField(
        lazy(N_("Reason for the change")), validators=[InputRequired(), Length(max=256)]
    )


def address(endpoint: str, criteria: BanCriteria, **values: Any) -> str:
    """Write the address of a search."""
    query: dict[str, Any] = dict(criteria.pairs())
    return url_for(endpoint, **values, **query)


@bp.get("/")
@requires(Right.SEE_BANS)
def index() -> ResponseReturnValue:
    """Show what a search finds, newest first."""
    session = reading()
    criteria = BanCriteria.parse(request.args.items())
    before = request.args.get("before", type=int)
    entries = ban_search.page(session, criteria=criteria, now=utcnow(), before_id=before)
    older = entries[-1].id if len(entries) == ban_search.PAGE else None
    return render_template(
        "bans/index.html",
        entries=entries,
        criteria=criteria,
        projects=[(str(p.id), p.name) for p in projects.all_projects(session)],
        sources=[(code.value, _(name)) for code, name in SOURCE_NAMES.items()],
        states=[(code.value, _(name)) for code, name in STATE_NAMES.items()],
        authors=[(str(user.id), user.name) for user in history.offered_users(session)],
        jobs=bulk.recent(session, viewer=viewer(), kinds=list(BulkKind)[:3], most=SHOWN_JOBS),
        job_titles=bulk_pages.TITLES,
        job_states=bulk_pages.STATES,
        next_url=address("bans.index", criteria, before=older) if older else None,
        first_url=address("bans.index", criteria) if before else None,
        export_url=address("exports.bans", criteria) if history_pages.may_export() else None,
        all_url=address("bans.release_found", criteria) if _may_release(criteria) else None,
        **_told(entries),
    )


def _may_release(criteria: BanCriteria) -> bool:
    return viewer().may(Right.RELEASE_BANS) and criteria.state is BanState.IN_FORCE


def _told(entries: list[DoNotCall]) -> dict[str, Any]:
    """Give what stands in the columns beside an entry's own values."""
    session = reading()
    names = {project.id: project.name for project in projects.all_projects(session)}
    scopes = do_not_call.projects_of(session, [entry.id for entry in entries])
    people = {entry.user_id for entry in entries} | {entry.released_by for entry in entries}
    users = session.execute(select(User.id, User.name).where(User.id.in_(people - {None})))
    return {
        "scopes": {entry: [names[i] for i in ids] for entry, ids in scopes.items()},
        "users": dict(users.all()),
        "source_names": SOURCE_NAMES,
    }


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.ADD_BANS)
def add() -> ResponseReturnValue:
    """Ban numbers by the form."""
    form = BanForm()
    form.offer()
    if form.validate_on_submit():
        extra = tuple(site_settings.get(reading()).extra_prefixes)
        try:
            with writing() as session:
                counted = do_not_call.add(
                    session,
                    viewer=viewer(),
                    numbers=(form.numbers.data or "").splitlines(),
                    project_ids=form.project_ids.data or (),
                    note=form.note.data or "",
                    expires_at=end_of_day(form.expires_on.data),
                    extra_prefixes=extra,
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            _say(counted)
            if not counted.invalid:
                return go(url_for("bans.index"))
            _leave_invalid(form, counted.invalid)
    return render_template("bans/form.html", form=form), 422 if form.errors else 200


def _say(counted: do_not_call.Counted) -> None:
    flash(
        _(
            "%(added)s entered, %(existing)s were there already, %(invalid)s are no phone numbers.",
            added=counted.added,
            existing=counted.existing,
            invalid=len(counted.invalid),
        ),
        "warn" if counted.invalid else "ok",
    )


def _leave_invalid(form: BanForm, lines: list[str]) -> None:
    """Leave in the box only what is no number, to be mended and sent again; all else has gone."""
    form.numbers.data = "\n".join(lines)
    form.numbers.errors = [
        _("What is left in this field is no phone number. The other lines were entered."),
    ]


def _last_day(moment: datetime | None) -> date | None:
    """Return the last site day before a moment: what was typed as the expiry."""
    if moment is None:
        return None
    return (moment - timedelta(microseconds=1)).astimezone(settings().timezone).date()


@bp.route("/file", methods=["GET", "POST"])
@requires(Right.ADD_BANS)
def add_file() -> ResponseReturnValue:
    """CSVで登録: take a file in and have it checked."""
    form = FileForm()
    form.offer()
    until = end_of_day(form.expires_on.data) if form.is_submitted() else None
    if form.validate_on_submit():
        if until is not None and until <= utcnow():
            put_error(form, Refused("ban_expiry_past", field="expires_on"))
        else:
            choices = {
                "project_ids": sorted(form.project_ids.data or ()),
                "expires_at": until.isoformat() if until else None,
                "note": form.note.data or "",
            }
            return _receive(form, BulkKind.BAN_ADD, choices)
    page = render_template("bans/file.html", form=form, releases=False)
    return page, 422 if form.errors else 200


@bp.route("/release-file", methods=["GET", "POST"])
@requires(Right.RELEASE_BANS)
def release_file() -> ResponseReturnValue:
    """CSVで解除: take a file in and have it checked."""
    form = ReleaseFileForm()
    if form.validate_on_submit():
        choices = {"reason": (form.reason.data or "").strip()}
        return _receive(form, BulkKind.BAN_RELEASE, choices)
    page = render_template("bans/file.html", form=form, releases=True)
    return page, 422 if form.errors else 200


def _receive(form: FlaskForm, kind: BulkKind, choices: dict[str, Any]) -> ResponseReturnValue:
    with uploads.kept(form.file.data, "numbers.csv") as stored, writing() as session:
        job = bulk.receive(
            session,
            viewer=viewer(),
            kind=kind,
            filename=stored.filename,
            stored_name=stored.stored_name,
            size_bytes=stored.size_bytes,
            choices=choices,
            now=utcnow(),
        )
        job_id = job.id
    return go(url_for("bulk.show", job_id=job_id))


@bp.get("/<int:entry_id>")
@requires(Right.SEE_BANS)
def show(entry_id: int) -> ResponseReturnValue:
    """Show one entry: who entered it, from where, in which projects it holds, its release."""
    entry = do_not_call.get(reading(), viewer=viewer(), entry_id=entry_id)
    form = ChangeForm(formdata=None)
    form.offer()
    form.project_ids.data = do_not_call.projects_of(reading(), [entry_id]).get(entry_id, [])
    form.expires_on.data, form.note.data = _last_day(entry.expires_at), entry.note
    return _entry_page(entry, form)


@bp.post("/<int:entry_id>")
@requires(Right.RELEASE_BANS)
def change(entry_id: int) -> ResponseReturnValue:
    """Give the number another scope or expiry."""
    entry = do_not_call.get(reading(), viewer=viewer(), entry_id=entry_id)
    form = ChangeForm()
    form.offer()
    if form.validate_on_submit():
        try:
            with writing() as session:
                changed = do_not_call.change(
                    session,
                    viewer=viewer(),
                    entry_id=entry_id,
                    project_ids=form.project_ids.data or (),
                    expires_at=end_of_day(form.expires_on.data),
                    note=form.note.data or "",
                    reason=form.reason.data or "",
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("bans.show", entry_id=changed))
    return _entry_page(entry, form)


def _open_customer(record: CallRecord | None) -> int | None:
    """The customer of the call that made an entry, unless deleted by now."""
    if record is None or record.customer_id is None:
        return None
    try:
        scope.get_customer(reading(), viewer=viewer(), customer_id=record.customer_id)
    except NotFound:
        return None
    return record.customer_id


def _entry_page(entry: DoNotCall, form: ChangeForm) -> ResponseReturnValue:
    record = reading().get(CallRecord, entry.record_id) if entry.record_id else None
    in_force = do_not_call.is_in_force(entry, utcnow())
    others = ban_search.page(reading(), criteria=BanCriteria(number=entry.number), now=utcnow())
    page = render_template(
        "bans/show.html",
        entry=entry,
        record=record,
        customer_id=_open_customer(record),
        in_force=in_force,
        others=[other for other in others if other.id != entry.id],
        form=form,
        **_told([entry]),
    )
    return page, 422 if form.errors or form.form_errors else 200


@bp.post("/release")
@requires(Right.RELEASE_BANS)
def release() -> ResponseReturnValue:
    """Release the chosen entries, with a reason."""
    chosen = request.form.getlist("entry", type=int)[: ban_search.PAGE]
    with writing() as session:
        count = do_not_call.release(
            session,
            viewer=viewer(),
            entry_ids=chosen,
            reason=request.form.get("reason", ""),
            now=utcnow(),
        )
    if count:
        flash(_("%(count)s released.", count=count), "ok")
    else:
        flash(_("Nothing was chosen."), "info")
    return go(url_for("bans.index"))


@bp.get("/release-found")
@requires(Right.RELEASE_BANS)
def release_found() -> ResponseReturnValue:
    """Ask before all that a search finds, over all pages, is released."""
    return _ask_release(BanCriteria.parse(request.args.items()))


@bp.post("/release-found")
@requires(Right.RELEASE_BANS)
def start_release() -> ResponseReturnValue:
    """Release all that a search finds: the count must have been typed."""
    criteria = BanCriteria.parse(request.args.items())
    now, reason = utcnow(), request.form.get("reason", "").strip()[:256]
    try:
        if not reason:
            raise Refused("reason_required", field="reason")
        with writing() as session:
            count, newest = ban_search.count(session, criteria=criteria, now=now)
            bulk.check_typed(request.form.get("confirmation", ""), count)
            job = bulk.begin(
                session,
                viewer=viewer(),
                kind=BulkKind.BAN_RELEASE_FOUND,
                choices={"criteria": criteria.pairs(), "last_id": newest, "reason": reason},
                count=count,
                search=audit.conditions(criteria.pairs()),
                now=now,
            )
            job_id = job.id
    except Refused as refusal:
        return _ask_release(criteria, sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job_id))


def _ask_release(criteria: BanCriteria, error: str = "") -> ResponseReturnValue:
    session, now = reading(), utcnow()
    if criteria.state is not BanState.IN_FORCE:
        return go(address("bans.index", criteria))
    count, _newest = ban_search.count(session, criteria=criteria, now=now)
    some = ban_search.page(session, criteria=criteria, now=now, size=10)
    page = render_template(
        "bans/release.html",
        count=count,
        some=some,
        action=address("bans.start_release", criteria),
        back=address("bans.index", criteria),
        reason=request.form.get("reason", ""),
        error=error,
        **_told(some),
    )
    return page, 422 if error else 200
