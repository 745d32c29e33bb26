"""Playing and downloading recordings, and the list of those with a problem."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog
from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wrappers import Response

from calltree import bucket
from calltree.blueprints import formats
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.failures import failure
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import reading, settings, writing
from calltree.htmx import go, show, wants_fragment
from calltree.models import Recording, RecordingState
from calltree.services import (
    recording_pauses,
    recording_problems,
    recording_space,
    recordings,
)
from calltree.services.recording_space import Gone
from calltree.services.recordings import Problem, Sound
from calltree.services.rights import Right
from calltree.services.sentences import N_

log = structlog.get_logger(__name__)
bp = Blueprint("recordings", __name__)

SPEEDS = ("0.75", "1", "1.25", "1.5", "2")
_PIECE = 1 << 16
_PLAYER_LIVES = timedelta(hours=12)

PROBLEM_NAMES = {
    Problem.MISSING: N_("No recording"),
    Problem.UNREADABLE: N_("Damaged file"),
    Problem.SHORT: N_("Too short"),
    Problem.SILENT: N_("Both sides silent"),
    Problem.SILENT_OPERATOR: N_("Operator silent"),
    Problem.SILENT_CUSTOMER: N_("Customer silent"),
    Problem.MONO: N_("One channel only"),
}
STATE_SENTENCES = {
    RecordingState.RECORDING: N_("The recording can be played after the call."),
    RecordingState.STOPPED: N_("The recording is being prepared. It appears here in a moment."),
    RecordingState.HIDDEN: N_("The result is 不通, so no recording is kept."),
    RecordingState.MISSING: N_("There is no recording of this call. Managers have been told."),
}


@bp.errorhandler(bucket.BucketDown)
def bucket_down(error: bucket.BucketDown) -> Response:
    """Say that it will be there again: nothing is lost."""
    log.error("recordings not reached", why=str(error))
    return failure(503, "recordings_away")


@bp.get("/recordings/<int:recording_id>")
@requires(Right.PLAY_RECORDINGS)
def play(recording_id: int) -> ResponseReturnValue:
    """Show the player: a page of its own, or the part that another page puts beside a record."""
    found = _found(recording_id)
    return show("recordings/page.html", "recordings/_player.html", **_player(found))


def _found(recording_id: int) -> Sound:
    return recordings.find(reading(), viewer=viewer(), recording_id=recording_id)


def _player(found: Sound) -> dict[str, Any]:
    recording = found.recording
    peaks = recording.waveform
    return {
        "sound": found,
        "recording": recording,
        "playable": recording.state is RecordingState.STORED,
        "waits": recording.state is RecordingState.STOPPED,
        "sentence": why_silent(recording),
        "problem_id": PROBLEM_NAMES.get(Problem(recording.problem), ""),
        "sound_url": _sound_url(recording.id),
        "pairs": len(peaks) // 2,
        "operator": outline(peaks[0::2], middle=20),
        "customer": outline(peaks[1::2], middle=60),
        "paused": _paused(recording, len(peaks) // 2),
        "speeds": SPEEDS,
        "starts": wants_fragment(),
    }


def _paused(recording: Recording, pairs: int) -> list[tuple[float, float]]:
    """Say where on the waveform the recording was paused (R-RC-3)."""
    marks = recording_pauses.marks(reading(), recording=recording)
    if not recording.length_ms or pairs < 2:
        return []
    scale = (pairs - 1) / recording.length_ms
    spans = [
        (min(m.from_ms, recording.length_ms), min(m.to_ms, recording.length_ms)) for m in marks
    ]
    return [(round(a * scale, 1), round(max((b - a) * scale, 1.0), 1)) for a, b in spans]


def why_silent(recording: Recording) -> str:
    """Say why there is nothing to play; empty when there is."""
    if recording.state is not RecordingState.DESTROYED:
        said = STATE_SENTENCES.get(recording.state, "")
        return str(_(said)) if said else ""
    on = formats.day(recording.destroyed_at)
    if recording.destroyed_reason == Gone.CAPACITY:
        return str(_("Removed on %(day)s to make room.", day=on))
    if recording.destroyed_reason == Gone.RETENTION:
        return str(_("Removed on %(day)s: the project keeps recordings no longer.", day=on))
    return str(_("The recording has been deleted."))


def outline(peaks: bytes, *, middle: int, half: int = 19) -> str:
    """Draw peaks (0–255) as the path of a shape, mirrored at the line y = `middle`."""
    if not peaks:
        return ""
    # Quiet speech fills a tenth of the range: the square root lets it be seen.
    heights = [max((peak / 255) ** 0.5 * half, 0.4) for peak in peaks]
    there = [f"{x} {middle - height:.1f}" for x, height in enumerate(heights)]
    back = [f"{x} {middle + height:.1f}" for x, height in enumerate(heights)]
    return "M" + "L".join(there + back[::-1]) + "Z"


@bp.get("/recordings/<int:recording_id>/sound")
@requires(Right.PLAY_RECORDINGS)
def sound(recording_id: int) -> ResponseReturnValue:
    """Serve the sound, whole or in ranges; a player that is opened and played is one audit line.

    The address carries which player it is. Without that, or with another person's, it is a player
    of its own.
    """
    found = _found(recording_id)
    opened = _opened(recording_id)
    if opened is None:
        return redirect(_sound_url(recording_id), 303)
    response = _file(found)
    if response.status_code in (200, 206):
        _note_play(recording_id, *opened)
    return response


def _note_play(recording_id: int, player: str, opened_at: datetime) -> None:
    given: dict[str, Any] = {
        "viewer": viewer(),
        "recording_id": recording_id,
        "player": player,
        "opened_at": opened_at,
    }
    if recordings.play_noted(reading(), **given):
        return
    with writing() as session:
        recordings.note_play(session, **given, address=request.remote_addr or "", now=utcnow())


def _file(found: Sound, **options: Any) -> Response:
    recording = found.recording
    if recording.state is not RecordingState.STORED:
        raise NotFound
    path = recordings.path_below(settings().recordings_dir, recording.stored_name)
    if not path.is_file():
        return _private(_far_file(recording, **options))
    try:
        response = send_file(path, mimetype="audio/mpeg", **options)
    except RequestedRangeNotSatisfiable:
        size = path.stat().st_size
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    return _private(response)


def _private(response: Response) -> Response:
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"  # a voice is nothing to keep in a cache
    return response


def _far_file(
    recording: Recording, as_attachment: bool = False, download_name: str = "", **_options: Any
) -> Response:
    """Pass on what the bucket holds of a recording, whole or the range asked for."""
    far = bucket.of(settings())
    name = recording.stored_name
    size = far.size(name) if far else None
    if far is None or not size:
        log.error("stored recording is not there", recording=recording.id)
        raise NotFound
    asked = None if as_attachment else request.range
    span = asked.range_for_length(size) if asked else (0, size)
    if span is None:
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    first, end = span
    response = Response(_pieces(far, name, first, end - 1), mimetype="audio/mpeg")
    response.content_length = end - first
    if asked:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    if as_attachment:
        response.headers["Content-Disposition"] = (
            f"attachment; filename=recording.mp3; filename*=UTF-8''{quote(download_name, safe='')}"
        )
    return response


def _pieces(far: bucket.Bucket, name: str, first: int, last: int) -> Iterator[bytes]:
    with far.opened(name, first, last) as body:
        while piece := body.read(_PIECE):
            yield piece


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.secret_key), salt="recording player")


def _sound_url(recording_id: int) -> str:
    opened = [recording_id, viewer().user_id, secrets.token_hex(4), utcnow().timestamp()]
    return url_for("recordings.sound", recording_id=recording_id, player=_signer().dumps(opened))


def _opened(recording_id: int) -> tuple[str, datetime] | None:
    try:
        recording, user, player, opened = _signer().loads(request.args.get("player", ""))
    except (BadSignature, ValueError):
        return None
    opened_at = datetime.fromtimestamp(opened, UTC)
    if (recording, user) != (recording_id, viewer().user_id):
        return None
    return (player, opened_at) if utcnow() - opened_at < _PLAYER_LIVES else None


@bp.get("/recordings/<int:recording_id>/download")
@requires(Right.DOWNLOAD_RECORDINGS)
def download(recording_id: int) -> ResponseReturnValue:
    """Give the whole file, named by its call; each download is audited."""
    found = _found(recording_id)
    name = found.file_name(settings().timezone)
    response = _file(found, as_attachment=True, download_name=name, conditional=False)
    response.headers["Accept-Ranges"] = "none"
    with writing() as session:
        recordings.note_download(
            session,
            viewer=viewer(),
            recording_id=recording_id,
            address=request.remote_addr or "",
            now=utcnow(),
        )
    return response


@bp.post("/recordings/<int:recording_id>/protect")
@requires(Right.PROTECT_RECORDINGS)
def protect(recording_id: int) -> ResponseReturnValue:
    """Protect a recording from being removed, or no longer; the player is drawn anew."""
    with writing() as session:
        recording_space.protect(
            session,
            viewer=viewer(),
            recording_id=recording_id,
            protected=request.form.get("protected") == "1",
            now=utcnow(),
        )
    if not wants_fragment():
        return go(url_for("recordings.play", recording_id=recording_id))
    return render_template("recordings/_player.html", **_player(_found(recording_id)))


@bp.get("/admin/recordings/problems")
@requires(Right.WATCH)
def problems() -> ResponseReturnValue:
    """List missing, short and silent recordings, newest first (R-RC-5)."""
    checked = request.args.get("show") == "checked"
    before = request.args.get("before", type=int)
    session = reading()
    found = recording_problems.problems(session, viewer=viewer(), before_id=before, checked=checked)
    return render_template(
        "recordings/problems.html",
        sounds=found,
        checked=checked,
        open_count=recording_problems.count_problems(session),
        names=PROBLEM_NAMES,
        older=found[-1].recording.id if len(found) == recording_problems.PAGE else None,
    )


@bp.post("/admin/recordings/problems")
@requires(Right.WATCH)
def check_off() -> ResponseReturnValue:
    """Tick the chosen problems off."""
    chosen = request.form.getlist("recording", type=int)
    with writing() as session:
        count = recording_problems.check_off(session, viewer=viewer(), ids=chosen, now=utcnow())
    flash(_("%(count)s ticked off.", count=count), "ok")
    return go(url_for("recordings.problems"))
