"""リスト管理: リスト一覧, リスト詳細, 空リスト作成, 手動でリスト登録, 有効化 and grants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from calltree.blueprints import criteria_fields, taken_away
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, put_error
from calltree.blueprints.navigation import admin_only
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy, sentence
from calltree.models import CustomerList, ItemTarget, SavedSearch
from calltree.services import (
    customers,
    list_bin,
    lists,
    patterns,
    people,
    projects,
    saved_searches,
    scope,
    search,
)
from calltree.services.criteria import Criteria, Order
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text.sheets_out import CsvTable

bp = Blueprint("lists", __name__, url_prefix="/admin/lists")

CLOSED_NAMES = {
    lists.NOT_ENABLED: N_("not enabled"),
    lists.NOT_GRANTED: N_("granted to nobody"),
    lists.PROJECT_STOPPED: N_("project stopped"),
}
CELLS_SHOWN = 6
"""Columns of リスト詳細 besides the number and the call's; the customer's page has all."""


class EmptyListForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """空リスト作成: a name and its columns."""

    project_id = SelectField(lazy(N_("Project")), coerce=int)
    name = StringField(
        lazy(N_("List name")), validators=[InputRequired(), Length(max=lists.MAX_NAME)]
    )
    columns = TextAreaField(
        lazy(N_("Columns")),
        description=lazy(N_("One in each line. The phone number is always there.")),
    )


class GrantsForm(FlaskForm):  # type: ignore[misc]  # wtforms has no types
    """To whom a list is granted."""

    users = CheckListField(lazy(N_("Users of the list")), coerce=int)
    groups = CheckListField(lazy(N_("Groups")), coerce=int)


@bp.get("/")
@requires(Right.SEE_LISTS)
def index() -> ResponseReturnValue:
    """Show リスト一覧."""
    session = reading()
    project_id = request.args.get("project", type=int)
    text = request.args.get("q", "")
    rows = lists.overview(session, viewer=viewer(), project_id=project_id, text=text)
    return render_template(
        "lists/index.html",
        rows=rows,
        project_id=project_id,
        text=text,
        projects=projects.all_projects(session),
        closed_names=CLOSED_NAMES,
        import_url=url_for("imports.upload"),
        export_url=url_for("exports.customers", project_id=project_id) if project_id else None,
    )


@bp.get("/overview.csv")
@requires(Right.EXPORT)
def overview_csv() -> ResponseReturnValue:
    """Give what リスト一覧 shows as a file."""
    admin_only()
    project_id = request.args.get("project", type=int)
    text = request.args.get("q", "")
    rows = lists.overview(reading(), viewer=viewer(), project_id=project_id, text=text)
    taken_away.note(action="lists.exported", kind="list", rows=len(rows))
    header = [
        _("List number"), _("List name"), _("Project"), _("Customers registered"), _("Worked"),
        _("Progress"), _("Calls"), _("Connects"), _("Connect rate"), _("Enabled"),
        _("Users of the list"),
    ]  # fmt: skip
    body = CsvTable().chunks(header, [_csv_row(row) for row in rows])
    response = Response(body, mimetype="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="lists.csv")
    return response


def _csv_row(row: lists.Row) -> list[object]:
    folder = row.folder
    return [
        folder.id,
        folder.name,
        row.project,
        folder.customers,
        folder.worked,
        _share(folder.worked, folder.customers),
        folder.dials,
        folder.connects,
        _share(folder.connects, folder.dials),
        _("Enabled") if folder.enabled else _("Disabled"),
        _(", ").join(row.users),
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "–"


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.CREATE_LISTS)
def create() -> ResponseReturnValue:
    """空リスト作成."""
    form = EmptyListForm()
    running = projects.running(reading())
    form.project_id.choices = [(project.id, project.name) for project in running]
    if form.validate_on_submit():
        try:
            with writing() as session:
                folder = lists.create(
                    session,
                    viewer=viewer(),
                    project_id=form.project_id.data,
                    name=form.name.data or "",
                    columns=(form.columns.data or "").splitlines(),
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("The list %(name)s was created.", name=folder.name), "ok")
            return go(url_for("lists.settings", list_id=folder.id))
    status = 422 if form.errors else 200
    return render_template("lists/new.html", form=form), status


@bp.get("/<int:list_id>")
@requires(Right.SEE_LISTS)
def detail(list_id: int) -> ResponseReturnValue:
    """Show リスト詳細: the search over every column, and a page of what it finds."""
    session = reading()
    folder, project = scope.get_list_and_project(session, viewer=viewer(), list_id=list_id)
    criteria = criteria_fields.asked()
    asked: dict[str, Any] = {
        "list_id": list_id, "criteria": criteria, "viewer": viewer(), "now": utcnow(),
        "folder": folder,
    }  # fmt: skip
    after = request.args.get("after", type=int)
    found = search.page(session, **asked, after=after)
    if criteria.is_empty:
        total = folder.customers
    elif after is None and found.next_after is None:
        total = len(found.rows)  # all are on this page: nothing is left to be counted
    else:
        total = search.count(session, **asked)
    next_url = criteria_fields.address(
        "lists.detail", criteria, list_id=list_id, after=found.next_after
    )
    first_url = criteria_fields.address("lists.detail", criteria, list_id=list_id)
    last = customers.last_words(session, customers=found.rows, cycles={list_id: folder.cycle})
    return render_template(
        "lists/detail.html",
        folder=folder,
        project=project,
        found=found,
        total=total,
        pairs=criteria.pairs(),
        saved=_saved(session, folder),
        save_url=criteria_fields.address("saved_searches.save", criteria, list_id=list_id),
        sort_url=criteria_fields.sort_address("lists.detail", criteria, list_id=list_id),
        next_url=next_url if found.next_after else None,
        first_url=first_url if after else None,
        shown=[place for place in lists.shown(folder) if not place[2]][:CELLS_SHOWN],
        closed=lists.why_closed(session, folder=folder, project=project),
        closed_names=CLOSED_NAMES,
        last=last.results,
        names=last.users,
        export_url=criteria_fields.address("exports.customers", criteria, list_id=list_id),
        **criteria_fields.choices(session, folder, criteria),
        Order=Order,
    )


def _saved(session: Session, folder: CustomerList) -> list[tuple[SavedSearch, str, bool]]:
    """Saved searches with the addresses they lead to, and whether they may be removed."""
    who = viewer()
    return [
        (
            kept,
            criteria_fields.address(
                "lists.detail", Criteria.restored(kept.criteria), list_id=folder.id
            ),
            saved_searches.may_remove(who, kept),
        )
        for kept in saved_searches.seen(session, viewer=who, project_id=folder.project_id)
    ]


@bp.get("/<int:list_id>/settings")
@requires(Right.SEE_LISTS)
def settings(list_id: int) -> ResponseReturnValue:
    """Show 有効化, grants, the name and 表示項目."""
    return _settings_page(list_id)


def _settings_page(
    list_id: int, error: str = "", form: GrantsForm | None = None
) -> tuple[str, int]:
    session = reading()
    folder, project = scope.get_list_and_project(session, viewer=viewer(), list_id=list_id)
    granted = lists.grants(session, list_id=list_id)
    form = form or GrantsForm(
        formdata=None, users=sorted(granted.user_ids), groups=sorted(granted.group_ids)
    )
    _offer(session, form)
    page = render_template(
        "lists/settings.html",
        folder=folder,
        project=project,
        form=form,
        error=error,
        shown=lists.shown(folder),
        closed=lists.why_closed(session, folder=folder, project=project),
        closed_names=CLOSED_NAMES,
    )
    return page, 422 if error or form.errors else 200


def _offer(session: Session, form: GrantsForm) -> None:
    form.users.choices = [
        (user.id, f"{user.name} ({user.login_id})") for user in lists.receivers(session)
    ]
    form.groups.choices = people.group_names(session)


@bp.post("/<int:list_id>/enabled")
@requires(Right.GRANT_LISTS)
def enable(list_id: int) -> ResponseReturnValue:
    """有効化 or 無効化."""
    wanted = request.form.get("enabled") == "1"
    with writing() as session:
        lists.set_enabled(session, viewer=viewer(), list_id=list_id, enabled=wanted, now=utcnow())
    flash(_("The list is enabled.") if wanted else _("The list is disabled."), "ok")
    return go(url_for("lists.settings", list_id=list_id))


@bp.post("/<int:list_id>/grants")
@requires(Right.GRANT_LISTS)
def grant(list_id: int) -> ResponseReturnValue:
    """Grant the list to exactly these users and groups."""
    form = GrantsForm()
    _offer(reading(), form)
    if not form.validate():
        return _settings_page(list_id, form=form)
    wanted = lists.Grants(frozenset(form.users.data or ()), frozenset(form.groups.data or ()))
    try:
        with writing() as session:
            lists.set_grants(session, viewer=viewer(), list_id=list_id, wanted=wanted, now=utcnow())
    except Refused as refusal:
        return _settings_page(list_id, sentence(refusal.code, **refusal.values))
    flash(_("Saved."), "ok")
    return go(url_for("lists.settings", list_id=list_id))


@bp.post("/<int:list_id>/name")
@requires(Right.EDIT_MASTER_DATA)
def rename(list_id: int) -> ResponseReturnValue:
    """Give the list another name."""
    try:
        with writing() as session:
            lists.rename(
                session,
                viewer=viewer(),
                list_id=list_id,
                name=request.form.get("name", ""),
                now=utcnow(),
            )
    except Refused as refusal:
        return _settings_page(list_id, sentence(refusal.code, **refusal.values))
    flash(_("Saved."), "ok")
    return go(url_for("lists.settings", list_id=list_id))


@bp.post("/<int:list_id>/delete")
@requires(Right.EDIT_MASTER_DATA)
def delete(list_id: int) -> ResponseReturnValue:
    """Put the list with its customers into the bin."""
    typed = request.form.get("confirmation", "")
    try:
        with writing() as session:
            folder = list_bin.delete_list(
                session, viewer=viewer(), list_id=list_id, typed=typed, now=utcnow()
            )
            name = folder.name
    except Refused as refusal:
        return _settings_page(list_id, sentence(refusal.code, **refusal.values))
    flash(_("The list %(name)s is in the bin.", name=name), "ok")
    return go(url_for("lists.index"))


@bp.post("/<int:list_id>/shown")
@requires(Right.EDIT_MASTER_DATA)
def shown(list_id: int) -> ResponseReturnValue:
    """Set 表示項目: which columns the call screen shows, how large, in which order."""
    places = sorted(_places(), key=lambda pair: pair[0])
    with writing() as session:
        lists.set_shown(
            session,
            viewer=viewer(),
            list_id=list_id,
            hidden=request.form.getlist("hidden"),
            large=request.form.getlist("large"),
            order=[column for _place, column in places],
            now=utcnow(),
        )
    flash(_("Saved."), "ok")
    return go(url_for("lists.settings", list_id=list_id))


def _places() -> Iterator[tuple[int, str]]:
    """The order boxes: one number and one column name each."""
    numbers = request.form.getlist("place")
    for number, column in zip(numbers, request.form.getlist("column"), strict=False):
        digits = number.strip()
        yield int(digits) if digits.isascii() and digits.isdigit() else 10**6, column


@bp.route("/<int:list_id>/customers/new", methods=["GET", "POST"])
@requires(Right.IMPORT)
def add_customer(list_id: int) -> ResponseReturnValue:
    """手動でリスト登録."""
    session = reading()
    folder = scope.get_list(session, viewer=viewer(), list_id=list_id)
    error, field = "", ""
    if request.method == "POST":
        try:
            with writing() as write:
                customers.add(
                    write,
                    viewer=viewer(),
                    list_id=list_id,
                    number=request.form.get("number", ""),
                    form=_customer_form(),
                    now=utcnow(),
                )
        except Refused as refusal:
            error, field = sentence(refusal.code, **refusal.values), refusal.field or ""
        else:
            flash(_("The customer was added."), "ok")
            return go(url_for("lists.add_customer", list_id=list_id))
    page = render_template(
        "lists/add_customer.html",
        folder=folder,
        items=patterns.items_of(session, folder.project_id, ItemTarget.CUSTOMER),
        levels=projects.get(session, folder.project_id).prospect_levels,
        error=error,
        field=field,
        typed=request.form,
    )
    return page, 422 if error else 200


def _customer_form() -> customers.CustomerForm:
    return customers.form_of(request.form.items())
