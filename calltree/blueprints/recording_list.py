"""録音一覧: search, room, and zips of what was found (R-RC-1, R-RC-2)."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any, cast

from flask import Blueprint, current_app, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints import history, taken_away
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.navigation import admin_only
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.models import BulkKind
from calltree.services import bulk, recording_search, recording_space, recording_zip
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.recording_space import Space
from calltree.services.rights import Right

bp = Blueprint("recording_list", __name__, url_prefix="/admin/recordings")

SHOWN_JOBS = 5
_MEASURED_FOR = timedelta(minutes=1)
_ROOM = "calltree.recordings_room"


def room() -> Space:
    """Measure the room for recordings, once a minute: 150,000 of them take some 50 ms."""
    now = utcnow()
    measured_at, space = current_app.extensions.get(_ROOM, (None, None))
    if measured_at is None or not timedelta() <= now - measured_at < _MEASURED_FOR:
        space = recording_space.space(reading(), now=now)
        current_app.extensions[_ROOM] = (now, space)
    return cast(Space, space)


def _criteria() -> HistoryCriteria:
    return HistoryCriteria.parse(request.args.items(multi=True))


@bp.get("/")
@requires(Right.DOWNLOAD_RECORDINGS)
def index() -> ResponseReturnValue:
    """Show the stored recordings that a search finds, newest first, and how much room is left."""
    session, criteria, now = reading(), _criteria(), utcnow()
    after = request.args.get("after", "")
    found = recording_search.page(session, viewer=viewer(), criteria=criteria, now=now, after=after)
    kinds = [BulkKind.RECORDING_ZIP]
    jobs = bulk.recent(session, viewer=viewer(), kinds=kinds, most=SHOWN_JOBS)
    return render_template(
        "recordings/index.html",
        sounds=found.sounds,
        criteria=criteria,
        next_url=history.address("recording_list.index", criteria, after=found.next_key)
        if found.next_key
        else None,
        first_url=history.address("recording_list.index", criteria) if after else None,
        wider_url=history.address("recording_list.index", criteria.wider),
        zip_url=history.address("recording_list.ask_zip", criteria),
        space=room(),
        zips=[
            job
            for job in jobs
            if (until := recording_zip.expires_at(job)) and now < until and recording_zip.parts(job)
        ],
        until=recording_zip.expires_at,
        **history.choices(criteria),
    )


@bp.get("/zip")
@requires(Right.DOWNLOAD_RECORDINGS)
def ask_zip() -> ResponseReturnValue:
    """Say how much it would be before all that a search finds is zipped."""
    return _ask_zip()


def _ask_zip(error: str = "") -> tuple[str, int]:
    criteria = _criteria()
    found = recording_search.total(reading(), viewer=viewer(), criteria=criteria, now=utcnow())
    page = render_template(
        "recordings/ask_zip.html",
        found=found,
        parts=ceil(found.size_bytes / recording_zip.PART_BYTES),
        hours=int(recording_zip.KEPT.total_seconds() // 3600),
        action=history.address("recording_list.start_zip", criteria),
        back=history.address("recording_list.index", criteria),
        error=error,
    )
    return page, 422 if error else 200


@bp.post("/zip")
@requires(Right.DOWNLOAD_RECORDINGS)
def start_zip() -> ResponseReturnValue:
    """Let the worker make the zip."""
    admin_only()
    try:
        with writing() as session:
            job = recording_zip.begin(session, viewer=viewer(), criteria=_criteria(), now=utcnow())
    except Refused as refusal:
        return _ask_zip(sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job.id))


@bp.get("/zip/<int:job_id>/<int:part>")
@requires(Right.DOWNLOAD_RECORDINGS)
def part(job_id: int, part: int) -> ResponseReturnValue:
    """Give one part of a finished zip, as long as it is kept; a download may be taken up again."""
    admin_only()
    job, found = recording_zip.part(
        reading(), viewer=viewer(), job_id=job_id, number=part, now=utcnow()
    )
    path = settings().exports_dir / found.name
    if not path.is_file():
        raise NotFound
    made = len(recording_zip.parts(job))
    name = f"{_('Recordings')}_{job.created_at.astimezone(settings().timezone):%Y%m%d-%H%M}"
    response = send_file(
        path,
        mimetype="application/zip",
        as_attachment=True,
        download_name=f"{name}_{part}.zip" if made > 1 else f"{name}.zip",
    )
    if response.status_code == 200 or request.headers.get("Range", "").startswith("bytes=0-"):
        _note(job.id, part)
    return response


def _note(job_id: int, part: int) -> None:
    taken_away.note(
        action="bulk.recording_zip.downloaded", kind="bulk", object_id=job_id, part=part
    )


def of_job(job: Any) -> dict[str, Any]:
    """Give the page of bulk work what it shows of a zip."""
    until = recording_zip.expires_at(job)
    over = until is not None and utcnow() >= until
    parts = [] if over else recording_zip.parts(job)
    erased = recording_zip.is_taken_away(job)
    return {"parts": parts, "until": until, "over": over, "erased": erased}
