"""Bulk work in the worker; the names are those of the services."""

from __future__ import annotations

from calltree import bucket, runtime
from calltree.db import utcnow
from calltree.services import bulk, bulk_run, recording_zip
from calltree.services.recording_zip import Places


def check(job_id: int) -> None:
    """Look at an uploaded file."""
    uploads_dir = runtime.settings().uploads_dir
    bulk_run.check(runtime.store(), uploads_dir=uploads_dir, job_id=job_id, now=utcnow())


def run(job_id: int) -> None:
    """Take a started job to its end."""
    settings = runtime.settings()
    bulk_run.run(
        runtime.store(),
        uploads_dir=settings.uploads_dir,
        job_id=job_id,
        clock=utcnow,
        recordings=Places(
            settings.recordings_dir, settings.exports_dir, settings.timezone, bucket.of(settings)
        ),
    )


def remove_taken_away() -> None:
    """Remove the zips that hold the voice of somebody who was erased; running it again is safe."""
    with runtime.store().read() as session:
        names = recording_zip.taken_away(session, now=utcnow())
    for name in names:
        (runtime.settings().exports_dir / name).unlink(missing_ok=True)


def sweep() -> None:
    """Ring for what was left: by a worker that died, or by a bell that nobody heard."""
    remove_taken_away()
    store = runtime.store()
    with store.read() as session:
        left = bulk.unfinished(session)
    if left and store.publisher is not None:
        store.publisher([bulk.bell(job) for job in left])
