"""ユーザー管理: users, groups, deleted users, and the audit log."""

from __future__ import annotations

from flask import Blueprint, Response, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length

from calltree.blueprints import audit_lines, taken_away
from calltree.blueprints.access import go_on, requires, viewer
from calltree.blueprints.forms import CheckListField, put_error
from calltree.blueprints.navigation import admin_only, role_name
from calltree.db import utcnow
from calltree.errors import NotAllowed, Refused
from calltree.extensions import reading, settings, store, writing
from calltree.htmx import go
from calltree.locale import lazy, sentence
from calltree.models import LegKind, Role, User
from calltree.services import audit, audit_search, people, second_factor, softphones
from calltree.services.audit_search import AuditCriteria
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text.sheets_out import CsvTable

bp = Blueprint("people", __name__, url_prefix="/admin/users")


class UserForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A user as a manager sees one; the password is never shown."""

    login_id = StringField(lazy(N_("Login ID")), validators=[InputRequired(), Length(max=64)])
    name = StringField(lazy(N_("Name")), validators=[InputRequired(), Length(max=64)])
    role = SelectField(lazy(N_("Role")), coerce=Role)
    password = PasswordField(
        lazy(N_("Password")),
        description=lazy(N_("At least 8 characters. Leave it empty to keep the present one.")),
        validators=[Length(max=256)],
    )
    note = TextAreaField(lazy(N_("Note")), validators=[Length(max=1000)])
    may_dial_manually = BooleanField(lazy(N_("Manual dialling")), default=True)
    may_answer_inbound = BooleanField(lazy(N_("Answering calls")), default=True)
    may_edit_customers = BooleanField(lazy(N_("Editing customers")), default=True)
    may_play_recordings = BooleanField(lazy(N_("Playing recordings")), default=True)
    may_search_others_prospects = BooleanField(
        lazy(N_("Searching others' prospects")), default=True
    )
    may_monitor = BooleanField(lazy(N_("Listening in")), default=False)

    def offer(self, roles: list[Role]) -> None:
        """Say which roles may be chosen."""
        self.role.choices = [(role.value, f"{role.value} {role_name(role)}") for role in roles]

    def details(self) -> people.UserDetails:
        """Return what was typed; hashing happens here, outside any transaction."""
        given = self.password.data or ""
        return people.UserDetails(
            login_id=self.login_id.data or "",
            name=self.name.data or "",
            role=self.role.data,
            password_hash=people.hash_password(given) if given else "",
            note=self.note.data or "",
            restrictions={name: bool(self[name].data) for name in people.RESTRICTIONS},
        )


class GroupForm(FlaskForm):  # type: ignore[misc]  # wtforms has no types
    """A group and who is in it."""

    name = StringField(lazy(N_("Group name")), validators=[InputRequired(), Length(max=64)])
    members = CheckListField(lazy(N_("Members")), coerce=int)


def _offered_roles() -> list[Role]:
    return list(Role) if viewer().may(Right.EDIT_USERS) else [Role.OPERATOR]


@bp.get("/")
@requires(Right.SEE_USERS)
def index() -> ResponseReturnValue:
    """Show every user with their login id."""
    session = reading()
    return render_template(
        "people/index.html", users=people.active(session), groups=people.groups(session)
    )


@bp.get("/deleted")
@requires(Right.SEE_USERS)
def deleted() -> ResponseReturnValue:
    """Show 削除ユーザー."""
    return render_template("people/deleted.html", users=people.deleted(reading()))


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.CREATE_USERS)
def create() -> ResponseReturnValue:
    """Create a user."""
    form = UserForm()
    form.password.description = _("At least 8 characters.")
    form.offer(_offered_roles())
    if request.method == "GET":
        form.role.data = Role.OPERATOR
    if form.validate_on_submit():
        try:
            if not form.password.data:
                raise Refused("password_missing", field="password")
            details = form.details()
            with writing() as session:
                people.create(session, viewer=viewer(), details=details, now=utcnow())
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("%(name)s was created.", name=details.name), "ok")
            return go(url_for("people.index"))
    status = 422 if form.errors else 200
    return render_template("people/form.html", form=form, user=None), status


@bp.route("/<int:user_id>", methods=["GET", "POST"])
@requires(Right.EDIT_USERS)
def edit(user_id: int) -> ResponseReturnValue:
    """Change a user."""
    user = people.get(reading(), user_id)
    form = UserForm(obj=user)
    form.offer(_offered_roles())
    if form.validate_on_submit():
        try:
            details = form.details()
            with writing() as session:
                people.change(
                    session, viewer=viewer(), user_id=user_id, details=details, now=utcnow()
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("people.index"))
    status = 422 if form.errors else 200
    return render_template("people/form.html", form=form, user=user), status


@bp.route("/<int:user_id>/password", methods=["GET", "POST"])
@requires(Right.CREATE_USERS)
def password(user_id: int) -> ResponseReturnValue:
    """Give a user a new password: a manager anybody's, a supervisor an operator's."""
    user = people.get(reading(), user_id)
    if not viewer().may(Right.EDIT_USERS) and user.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
    error = ""
    if request.method == "POST":
        try:
            hashed = people.hash_password(request.form.get("password", ""))
            with writing() as session:
                people.set_password(
                    session, viewer=viewer(), user_id=user_id, password_hash=hashed, now=utcnow()
                )
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
        else:
            flash(_("The new password of %(name)s is in force.", name=user.name), "ok")
            return go(url_for("people.index"))
    return render_template("people/password.html", user=user, error=error), 422 if error else 200


@bp.post("/<int:user_id>/sign-out")
@requires(Right.CREATE_USERS)
def sign_out(user_id: int) -> ResponseReturnValue:
    """End a user's sessions everywhere: a manager anybody's, a supervisor an operator's."""
    name = people.get(reading(), user_id).name
    try:
        with writing() as session:
            people.sign_out_everywhere(session, viewer=viewer(), user_id=user_id, now=utcnow())
    except Refused as refusal:
        flash(sentence(refusal.code, **refusal.values), "bad")
        return go(url_for("people.password", user_id=user_id))
    if user_id == viewer().user_id:
        go_on()
    flash(_("%(name)s is signed out everywhere.", name=name), "ok")
    return go(url_for("people.index"))


@bp.post("/<int:user_id>/second-factor")
@requires(Right.EDIT_USERS)
def reset_factor(user_id: int) -> ResponseReturnValue:
    """Forget a user's second factor, whose telephone is lost; set up anew at the next sign-in."""
    name = people.get(reading(), user_id).name
    with writing() as session:
        second_factor.reset(session, viewer=viewer(), user_id=user_id, now=utcnow())
    flash(_("%(name)s sets up the second factor at the next sign-in.", name=name), "ok")
    return go(url_for("people.index"))


@bp.route("/<int:user_id>/telephone", methods=["GET", "POST"])
@requires(Right.CREATE_USERS)
def telephone(user_id: int) -> ResponseReturnValue:
    """Say how a user is reached, and give a desk phone a password, shown once."""
    user = people.get(reading(), user_id)
    if not viewer().may(Right.EDIT_USERS) and user.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
    error = secret = ""
    if request.method == "POST":
        try:
            secret = _set_telephone(user_id)
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
        else:
            if not secret:
                flash(_("Saved."), "ok")
                return go(url_for("people.index"))
    user = people.get(reading(), user_id)
    page = render_template(
        "people/telephone.html", user=user, error=error, secret=secret, domain=softphones.DOMAIN
    )
    return page, 422 if error else 200


def _set_telephone(user_id: int) -> str:
    """Save what the form says; return the desk phone's new password if one was asked for."""
    kind = LegKind.DEVICE if request.form.get("kind") == LegKind.DEVICE else LegKind.BROWSER
    with writing() as session:
        softphones.set_telephone(
            session, viewer=viewer(), user_id=user_id, kind=kind,
            extension=request.form.get("device", ""), now=utcnow(),
        )  # fmt: skip
        if request.form.get("action") != "secret" or kind is not LegKind.DEVICE:
            return ""
        return softphones.new_device_secret(session, viewer=viewer(), user_id=user_id, now=utcnow())


@bp.post("/<int:user_id>/delete")
@requires(Right.EDIT_USERS)
def delete(user_id: int) -> ResponseReturnValue:
    """Delete a user."""
    with writing() as session:
        name = people.get(session, user_id).name
        people.remove(session, viewer=viewer(), user_id=user_id, now=utcnow())
    flash(_("%(name)s was deleted.", name=name), "ok")
    return go(url_for("people.index"))


@bp.route("/groups/new", methods=["GET", "POST"], defaults={"group_id": None})
@bp.route("/groups/<int:group_id>", methods=["GET", "POST"])
@requires(Right.EDIT_USERS)
def group(group_id: int | None) -> ResponseReturnValue:
    """Create or change a group."""
    session = reading()
    form = GroupForm()
    users: list[User] = people.active(session)
    form.members.choices = [(user.id, f"{user.name} ({user.login_id})") for user in users]
    if request.method == "GET" and group_id:
        found = {item.id: (item, members) for item, members in people.groups(session)}
        if group_id in found:
            form.name.data = found[group_id][0].name
            form.members.data = [user.id for user in found[group_id][1]]
    if form.validate_on_submit():
        try:
            with writing() as write:
                people.save_group(
                    write,
                    viewer=viewer(),
                    group_id=group_id,
                    name=form.name.data or "",
                    user_ids=set(form.members.data or []),
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("people.index"))
    status = 422 if form.errors else 200
    return render_template("people/group.html", form=form, group_id=group_id), status


@bp.post("/groups/<int:group_id>/delete")
@requires(Right.EDIT_USERS)
def delete_group(group_id: int) -> ResponseReturnValue:
    """Delete a group; its members stay."""
    try:
        with writing() as session:
            name = people.remove_group(session, viewer=viewer(), group_id=group_id, now=utcnow())
    except Refused as refusal:
        flash(sentence(refusal.code, **refusal.values), "bad")
        return go(url_for("people.group", group_id=group_id))
    flash(_("The group %(name)s was deleted.", name=name), "ok")
    return go(url_for("people.index"))


@bp.get("/audit")
@requires(Right.READ_AUDIT)
def audit_log() -> ResponseReturnValue:
    """Show what a search of the audit log finds, newest first."""
    session, asked = reading(), AuditCriteria.parse(request.args.items())
    before = request.args.get("before", type=int)
    entries = audit_search.page(session, criteria=asked, before_id=before)
    query = dict(asked.pairs())
    may_export = viewer().may(Right.EXPORT)
    return render_template(
        "people/audit.html",
        lines=audit_lines.lines(session, entries),
        older_url=_audit_url("people.audit_log", {**query, "before": str(entries[-1].id)})
        if len(entries) == audit.PAGE
        else None,
        csv_url=_audit_url("people.audit_csv", query) if may_export else None,
        asked=asked,
        users=[(str(user_id), name) for user_id, name in audit_search.people(session)],
        actions=audit_lines.actions(),
        things=audit_lines.things(),
    )


def _audit_url(endpoint: str, query: dict[str, str]) -> str:
    return url_for(endpoint, **query)  # type: ignore[arg-type] # plain texts


@bp.get("/audit.csv")
@requires(Right.READ_AUDIT)
def audit_csv() -> ResponseReturnValue:
    """Send all that a search of the audit log finds; that it left is in the log, too."""
    admin_only()
    asked = AuditCriteria.parse(request.args.items())
    taken_away.note(action="audit.exported", search=audit.conditions(asked.pairs()))
    entries = audit_search.everything(store().read, criteria=asked)
    header, rows = audit_lines.sheet(entries, settings().timezone, store().read)
    response = Response(CsvTable().chunks(header, rows), mimetype="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="audit.csv")
    return response
