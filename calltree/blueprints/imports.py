"""CSVでリスト登録: the wizard from a file to a list that operators can call (R-LS-3…7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, flash, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import SelectField, StringField
from wtforms.validators import Length

from calltree.blueprints import import_words, taken_away, uploads
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import optional_id, put_error
from calltree.blueprints.navigation import admin_only
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go, wants_fragment
from calltree.locale import lazy
from calltree.models import CustomerList, Import, ImportState, Project
from calltree.services import import_memory, imports, lists, people
from calltree.services.import_check import Choices, Duplicate, Target, Treatment
from calltree.services.import_rejects import Rejects
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text.sheets_out import CsvTable

bp = Blueprint("imports", __name__, url_prefix="/admin/imports")

WAITING = (ImportState.UPLOADED, ImportState.CHECKING)
WORKING = (
    ImportState.RUNNING,
    ImportState.PUBLISHED,
    ImportState.UPDATING,
    ImportState.UNDOING,
)


class UploadForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """Step 1: the file and where it goes."""

    file = FileField(lazy(N_("File")), validators=[FileRequired(lazy(N_("Choose a file.")))])
    list_id = SelectField(lazy(N_("Into")), coerce=optional_id)
    project_id = SelectField(lazy(N_("Project of the new list")), coerce=int, choices=[])
    name = StringField(
        lazy(N_("Name of the new list")),
        description=lazy(N_("Empty: the name of the file.")),
        validators=[Length(max=lists.MAX_NAME)],
    )

    def offer(self) -> None:
        """Fill the choices."""
        running, folders = imports.targets(reading(), viewer=viewer())
        names = {project.id: project.name for project in running}
        self.project_id.choices = [(project.id, project.name) for project in running]
        self.list_id.choices = [("", _("A new list"))] + [
            (folder.id, f"{names[folder.project_id]} / {folder.name}")
            for folder in folders
            if folder.project_id in names
        ]


@bp.get("/")
@requires(Right.IMPORT)
def index() -> ResponseReturnValue:
    """List the imports, newest first."""
    session = reading()
    before = request.args.get("before", type=int)
    rows = imports.page(session, before_id=before)
    return render_template(
        "imports/index.html",
        rows=rows,
        **imports.names(session, rows),
        words=import_words,
        older=rows[-1].id if len(rows) == imports.PAGE else None,
    )


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.IMPORT)
def upload() -> ResponseReturnValue:
    """Take a file in: step 1."""
    form = UploadForm(list_id=request.args.get("list", type=int))
    form.offer()
    fault = None
    if form.validate_on_submit():
        try:
            given = _receive(form)
        except Refused as refusal:
            fault = refusal if refusal.code.startswith("import_no_") else None
            put_error(form, refusal)
        else:
            return go(url_for("imports.show", import_id=given.id))
    page = render_template("imports/new.html", form=form, fault=fault)
    return page, 422 if form.errors else 200


def _receive(form: UploadForm) -> Import:
    with uploads.kept(form.file.data, "list.csv") as stored, writing() as session:
        return imports.receive(
            session,
            viewer=viewer(),
            project_id=form.project_id.data,
            list_id=form.list_id.data,
            new_list_name=(form.name.data or "").strip()
            or Path(stored.filename).stem[: lists.MAX_NAME],
            filename=stored.filename,
            stored_name=stored.stored_name,
            size_bytes=stored.size_bytes,
            now=utcnow(),
        )


def _get(import_id: int) -> Import:
    return imports.get(reading(), viewer=viewer(), import_id=import_id)


@bp.get("/<int:import_id>")
@requires(Right.IMPORT)
def show(import_id: int) -> ResponseReturnValue:
    """Show an import at the step where it stands; `step` goes back to an earlier one."""
    given = _get(import_id)
    step = _step(given)
    return render_template(f"imports/{step}.html", step=step, **_context(given, step))


def _step(given: Import) -> str:
    if given.state in WAITING:
        return "waiting"
    if given.state in WORKING:
        return "running"
    if given.state is not ImportState.CHECKED:
        return "done"
    verdict = given.findings.get("verdict")
    asked = request.args.get("step")
    if verdict == "refused" or not given.findings.get("layout"):
        return "reading" if asked != "columns" or not given.findings.get("layout") else "columns"
    if verdict == "columns_wrong":
        return "reading" if asked == "reading" else "columns"
    return asked if asked in ("reading", "columns") else "check"


def _context(given: Import, step: str) -> dict[str, object]:
    session = reading()
    folder = session.get(CustomerList, given.list_id) if given.list_id else None
    context: dict[str, object] = {
        "given": given,
        "found": given.findings,
        "choices": Choices.read(given.choices),
        "folder": folder,
        "project": session.get(Project, given.project_id),
        "words": import_words,
        "Target": Target,
        "Treatment": Treatment,
        "Duplicate": Duplicate,
    }
    if recalled := Choices.read(given.choices).recalled:
        context["recalled"] = session.get(Import, recalled)
    if step == "done":
        context["may_undo"] = imports.may_undo(session, given=given)
        if folder is not None and given.state is ImportState.DONE:
            context["granted"] = lists.grants(session, list_id=folder.id)
            context["receivers"] = lists.receivers(session)
            context["groups"] = people.group_names(session)
    return context


@bp.get("/<int:import_id>/status")
@requires(Right.IMPORT)
def status(import_id: int) -> ResponseReturnValue:
    """Give the progress as a fragment; sends the page on when there is something new to see."""
    given = _get(import_id)
    if given.state not in (*WAITING, *WORKING) or not wants_fragment():
        return go(url_for("imports.show", import_id=given.id))
    return render_template("imports/_status.html", given=given, words=import_words)


@bp.post("/<int:import_id>/reading")
@requires(Right.IMPORT)
def choose_reading(import_id: int) -> ResponseReturnValue:
    """Read the file in another encoding or from another sheet: all else is asked anew."""
    encoding = request.form.get("encoding") or None
    if encoding not in import_words.ENCODINGS:
        encoding = None
    sheet = request.form.get("sheet") or None
    return _choose(import_id, Choices(encoding=encoding, sheet=sheet))


@bp.post("/<int:import_id>/columns")
@requires(Right.IMPORT)
def choose_columns(import_id: int) -> ResponseReturnValue:
    """Say where each column goes; `phone` picks the number's column, `number` the headers."""
    given = _get(import_id)
    choices = Choices.read(given.choices)
    width = len(given.findings.get("header", ()))
    for place in range(width):
        wanted = request.form.get(f"target-{place}", "")
        if wanted in list(Target):
            choices.targets[place] = Target(wanted)
        name = request.form.get(f"name-{place}", "").strip()
        if name:
            choices.names[place] = name[:128]
    phone = request.form.get("phone", type=int)
    if phone is not None and 0 <= phone < width:
        others = {p: t for p, t in choices.targets.items() if t is not Target.PHONE}
        choices.targets = others | {phone: Target.PHONE}
    if request.form.get("number_headers"):
        choices.number_headers = True
        choices.names = {}
    choices.recalled = import_memory.NOT_WANTED  # from here on it is this file's own
    if request.form.get("forget"):
        choices.targets, choices.names, choices.number_headers = {}, {}, False
    return _choose(import_id, choices)


@bp.post("/<int:import_id>/rows")
@requires(Right.IMPORT)
def choose_rows(import_id: int) -> ResponseReturnValue:
    """Say what becomes of duplicates and of cells with several numbers."""
    choices = Choices.read(_get(import_id).choices)
    for kind in Duplicate:
        wanted = request.form.get(kind.value, "")
        allowed = [t for t in Treatment if kind is not Duplicate.BANNED or t != Treatment.UPDATE]
        if wanted in allowed:
            choices.duplicates[kind] = Treatment(wanted)
    choices.split_numbers = bool(request.form.get("split_numbers"))
    return _choose(import_id, choices)


def _choose(import_id: int, choices: Choices) -> ResponseReturnValue:
    with writing() as session:
        imports.choose(session, viewer=viewer(), import_id=import_id, choices=choices)
    return go(url_for("imports.show", import_id=import_id))


@bp.post("/<int:import_id>/start")
@requires(Right.IMPORT)
def start(import_id: int) -> ResponseReturnValue:
    """Let the worker take the rows in."""
    with writing() as session:
        imports.start(session, viewer=viewer(), import_id=import_id, now=utcnow())
    return go(url_for("imports.show", import_id=import_id))


@bp.post("/<int:import_id>/cancel")
@requires(Right.IMPORT)
def cancel(import_id: int) -> ResponseReturnValue:
    """Stop a run, or drop a file that was never run."""
    with writing() as session:
        imports.cancel(session, viewer=viewer(), import_id=import_id, now=utcnow())
    return go(url_for("imports.show", import_id=import_id))


@bp.post("/<int:import_id>/undo")
@requires(Right.BULK_WORK)
def undo(import_id: int) -> ResponseReturnValue:
    """Take the whole import back."""
    with writing() as session:
        imports.undo(session, viewer=viewer(), import_id=import_id, now=utcnow())
    return go(url_for("imports.show", import_id=import_id))


@bp.post("/<int:import_id>/open")
@requires(Right.GRANT_LISTS)
def open_list(import_id: int) -> ResponseReturnValue:
    """有効化 and grants, right after the import (R-LS-2)."""
    given = _get(import_id)
    if given.list_id is None:
        raise NotFound
    wanted = lists.Grants(
        frozenset(request.form.getlist("users", type=int)),
        frozenset(request.form.getlist("groups", type=int)),
    )
    with writing() as session:
        who, now = viewer(), utcnow()
        enabled = bool(request.form.get("enabled"))
        lists.set_enabled(session, viewer=who, list_id=given.list_id, enabled=enabled, now=now)
        lists.set_grants(session, viewer=who, list_id=given.list_id, wanted=wanted, now=now)
    flash(_("Saved."), "ok")
    return go(url_for("imports.show", import_id=import_id))


@bp.get("/<int:import_id>/file")
@requires(Right.IMPORT)
def original(import_id: int) -> ResponseReturnValue:
    """Give the file as it came."""
    given = _get(import_id)
    path = settings().uploads_dir / given.stored_name
    if not path.is_file():
        raise NotFound
    _note("import.downloaded", import_id)
    return send_file(
        path,
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=given.filename,
    )


@bp.post("/<int:import_id>/file/remove")
@requires(Right.BULK_WORK)
def remove_file(import_id: int) -> ResponseReturnValue:
    """Remove the file as it came; with it go the rows that did not go in."""
    with writing() as session:
        name = imports.forget_file(session, viewer=viewer(), import_id=import_id, now=utcnow())
        if name:  # before the commit: a file that nobody knows any more would stay for ever
            (settings().uploads_dir / name).unlink(missing_ok=True)
    flash(_("The file was removed."), "ok")
    return go(url_for("imports.show", import_id=import_id))


@bp.get("/<int:import_id>/rejects.csv")
@requires(Right.IMPORT)
def rejects(import_id: int) -> ResponseReturnValue:
    """Give the rows that do not go in, with a reason column, in the file's own encoding."""
    admin_only()
    given = _get(import_id)
    path = settings().uploads_dir / given.stored_name
    if not path.is_file():
        raise NotFound
    found = Rejects(reading(), path=path, given=given)
    names = {reason: _(name) for reason, name in import_words.REASONS.items()}

    def rows() -> Iterator[list[object]]:
        for row, cells, reason in found.rows():
            yield [*cells, names[reason], row]

    _note("import.rejects_downloaded", import_id)
    header = [*found.header, _("Reason"), _("Row in the file")]
    return uploads.rejects_file(given.filename, found.encoding, header, rows())


def _note(action: str, import_id: int) -> None:
    taken_away.note(action=action, kind="import", object_id=import_id)


@bp.get("/template.csv")
@requires(Right.IMPORT)
def template() -> ResponseReturnValue:
    """Give an empty table to fill in."""
    body = CsvTable().chunks(["電話番号", "会社名", "担当者名", "住所"], [])
    response = Response(body, mimetype="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="template.csv")
    return response
