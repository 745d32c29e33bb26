"""The page of one piece of bulk work: what its check found, how far it is, what it did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from calltree.blueprints import import_words, recording_list, taken_away
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.navigation import admin_only, stand_under
from calltree.blueprints.uploads import rejects_file
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go, wants_fragment
from calltree.locale import sentence
from calltree.models import BulkJob, BulkKind, BulkState, CustomerList, Project, User
from calltree.services import ban_files, bulk
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("bulk", __name__, url_prefix="/admin/bulk")

TITLES = {
    BulkKind.BAN_ADD: N_("Enter do-not-call numbers by file"),
    BulkKind.BAN_RELEASE: N_("Release do-not-call numbers by file"),
    BulkKind.BAN_RELEASE_FOUND: N_("Release do-not-call numbers"),
    BulkKind.RECORD_DELETE: N_("Delete call records"),
    BulkKind.RECORDING_ZIP: N_("Zip of recordings"),
    BulkKind.CUSTOMER_ASSIGN: N_("Assign customers"),
    BulkKind.CUSTOMER_MOVE: N_("Move customers"),
    BulkKind.CUSTOMER_RESET: N_("Reset customers"),
    BulkKind.CUSTOMER_DELETE: N_("Delete customers"),
    BulkKind.CUSTOMER_RESTORE: N_("Bring customers back"),
    BulkKind.CUSTOMER_DEDUPE: N_("Delete duplicates"),
    BulkKind.WHAT_IF: N_("Trial of dialling multiples"),
}
STATES = {
    BulkState.CHECKING: (N_("Being checked"), "info"),
    BulkState.CHECKED: (N_("Checked, not started"), "warn"),
    BulkState.RUNNING: (N_("Under way"), "info"),
    BulkState.DONE: (N_("Done"), "ok"),
    BulkState.CANCELLED: (N_("Cancelled"), "mute"),
    BulkState.FAILED: (N_("Failed"), "bad"),
}
COUNTS = {
    "added": N_("Entered"),
    "existing": N_("There already"),
    "released": N_("Released"),
    "absent": N_("Not on the list"),
    "deleted": N_("Deleted"),
    "zipped": N_("Zipped"),
    "no_file": N_("Left out (file missing)"),
    "assigned": N_("Assigned"),
    "unassigned": N_("Assignment taken away"),
    "moved": N_("Moved"),
    "reset": N_("Reset"),
    "restored": N_("Brought back"),
    "held": N_("Left alone (open at an operator's)"),
    "in_call": N_("Left alone (in a call)"),
    "twin": N_("Left alone (number is there already)"),
    "full": N_("Left alone (list full)"),
    "beyond": N_("Not assigned (the count of each is reached)"),
    "gone": N_("Left alone (gone meanwhile)"),
    "left": N_("Left alone (their call is still going on, or they were gone)"),
}
"""What a job may have done, in the order in which it is told."""
FAILURES = {
    "file_gone": N_("The uploaded file is gone. Upload it again."),
    "not_allowed": N_("The right to do this was taken from the person who asked for it."),
    "list_gone": N_("The list has been deleted. What is counted below was done."),
    "list_importing": N_(
        "An import began to work on one of the lists. What is counted below was done; "
        "start again for the rest when it is done."
    ),
    "person_erased": N_(
        "Personal data in it were erased meanwhile. Start it again if it is still needed."
    ),
    "no_space": N_(
        "There is not enough free space on the server's disk for this zip. Narrow the search, or "
        "ask the administrator for space."
    ),
    "unexpected": N_(
        "Something went wrong on our side. What is counted below was done; start again for the "
        "rest. If that fails too, tell the administrator."
    ),
}
HOME = {
    BulkKind.BAN_ADD: "bans.index",
    BulkKind.BAN_RELEASE: "bans.index",
    BulkKind.BAN_RELEASE_FOUND: "bans.index",
    BulkKind.RECORD_DELETE: "history.index",
    BulkKind.CUSTOMER_DEDUPE: "duplicates.index",
    BulkKind.RECORDING_ZIP: "recording_list.index",
    BulkKind.WHAT_IF: "what_if.index",
}
"""Where a job was asked for; those on customers in their list."""


@bp.get("/")
@requires(Right.ADMIN_SCREEN)
def index() -> ResponseReturnValue:
    """Show the newest bulk work of the kinds that the viewer may do."""
    session = reading()
    jobs = bulk.recent(session, viewer=viewer(), kinds=list(BulkKind))
    users = select(User.id, User.name).where(User.id.in_({job.user_id for job in jobs}))
    return render_template(
        "bulk/index.html",
        jobs=jobs,
        authors=dict(iter(session.execute(users))),
        job_titles=TITLES,
        job_states=STATES,
    )


def _get(job_id: int) -> BulkJob:
    return bulk.get(reading(), viewer=viewer(), job_id=job_id)


@bp.get("/<int:job_id>")
@requires(Right.ADMIN_SCREEN)
def show(job_id: int) -> ResponseReturnValue:
    """Show a job at the step where it stands."""
    job = _get(job_id)
    if job.kind is BulkKind.WHAT_IF:
        return go(url_for("what_if.show", trial_id=job_id))
    return _page(job)


def _page(job: BulkJob, error: str = "") -> tuple[str, int]:
    session = reading()
    stand_under(HOME.get(job.kind, "lists.index"))
    scope = job.choices.get("project_ids", [])
    page = render_template(
        "bulk/show.html",
        job=job,
        found=job.findings,
        title=_(TITLES[job.kind]),
        author=session.get_one(User, job.user_id).name,
        scope=[session.get_one(Project, project_id).name for project_id in scope],
        to_do=bulk.to_do(job),
        states=STATES,
        counts=COUNTS,
        failures=FAILURES,
        words=import_words,
        reasons={reason.value: _(name) for reason, name in import_words.REASONS.items()},
        home=_home(job),
        folders=_folders(job),
        zip=recording_list.of_job(job) if job.kind is BulkKind.RECORDING_ZIP else None,
        error=error,
    )
    return page, 422 if error else 200


def _home(job: BulkJob) -> str:
    if job.kind in HOME:
        return url_for(HOME[job.kind])
    folder = reading().get_one(CustomerList, job.choices["list_id"])
    if folder.deleted_at is not None:
        return url_for("lists.index")
    return url_for("lists.detail", list_id=folder.id)


def _folders(job: BulkJob) -> list[str]:
    """Name the list a job is about, and where it moves customers to."""
    asked = job.choices
    ids = [asked[key] for key in ("list_id", "target_id") if key in asked]
    return [reading().get_one(CustomerList, list_id).name for list_id in ids]


@bp.get("/<int:job_id>/status")
@requires(Right.ADMIN_SCREEN)
def status(job_id: int) -> ResponseReturnValue:
    """Give the progress as a fragment; sends the page on when there is something new to see."""
    job = _get(job_id)
    if job.state not in bulk.WORKING or not wants_fragment():
        return go(url_for("bulk.show", job_id=job_id))
    return render_template("bulk/_status.html", job=job)


@bp.post("/<int:job_id>/start")
@requires(Right.ADMIN_SCREEN)
def start(job_id: int) -> ResponseReturnValue:
    """Let the worker do what the check of the file found."""
    typed = request.form.get("confirmation", "")
    try:
        with writing() as session:
            bulk.start(session, viewer=viewer(), job_id=job_id, typed=typed, now=utcnow())
    except Refused as refusal:
        return _page(_get(job_id), sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job_id))


@bp.post("/<int:job_id>/cancel")
@requires(Right.ADMIN_SCREEN)
def cancel(job_id: int) -> ResponseReturnValue:
    """Stop a run, or drop a file that was never run."""
    with writing() as session:
        bulk.cancel(session, viewer=viewer(), job_id=job_id, now=utcnow())
    return go(url_for("bulk.show", job_id=job_id))


def _file(job_id: int) -> tuple[BulkJob, Path]:
    job = _get(job_id)
    path = settings().uploads_dir / job.stored_name
    if not job.stored_name or not path.is_file():
        raise NotFound
    return job, path


@bp.get("/<int:job_id>/file")
@requires(Right.ADMIN_SCREEN)
def original(job_id: int) -> ResponseReturnValue:
    """Give the file as it came."""
    job, path = _file(job_id)
    _note(job, "downloaded")
    return send_file(
        path,
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=job.filename,
    )


@bp.get("/<int:job_id>/rejects.csv")
@requires(Right.ADMIN_SCREEN)
def rejects(job_id: int) -> ResponseReturnValue:
    """Give the rows that cannot be read, with a reason column, in the file's own encoding."""
    admin_only()
    job, path = _file(job_id)
    file = ban_files.read(path, prefixes=ban_files.prefixes_of(reading()), values=False)
    names = {reason: _(name) for reason, name in import_words.REASONS.items()}

    def rows() -> Iterator[list[object]]:
        for row, cells, reason in file.rejects():
            yield [*cells, names[reason], row]

    _note(job, "rejects_downloaded")
    width = len(file.sheet.header)
    own = list(file.sheet.header) if file.has_header else ["電話番号", *[""] * (width - 1)]
    header = [*own[:width], _("Reason"), _("Row in the file")]
    return rejects_file(job.filename, file.encoding, header, rows())


def _note(job: BulkJob, verb: str) -> None:
    taken_away.note(action=f"bulk.{job.kind.value}.{verb}", kind="bulk", object_id=job.id)
