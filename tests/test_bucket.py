"""R-RC-2: recordings in an S3-compatible store: carried, played, zipped, destroyed; and it is away.

The store is moto's server on loopback, reached by HTTP as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from flask import Flask
from moto.server import ThreadedMotoServer

from calltree import bucket as buckets
from calltree import create_app
from calltree.bucket import Bucket, BucketDown
from calltree.config import BucketPlace, Settings, SettingsError
from calltree.db import utcnow
from calltree.jobs import recordings as job
from calltree.models import BulkJob, Recording, RecordingState, Role
from calltree.services import bulk_run, recording_zip, recordings, sound
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.recording_zip import Places
from calltree.text.days import TOKYO
from calltree.upkeep import database_checks
from tests import factories as make
from tests.browser import Browser
from tests.ports import free_port
from tests.services.archive import ENDED, Archive
from tests.services.desks import furnish

pytestmark = pytest.mark.one_database

SWITCH = ("esl://:ClueCon@127.0.0.1:1",)
"""A real one, though none is there: practice recordings go to no bucket."""


NOBODY = f"http://127.0.0.1:{free_port()}"


@pytest.fixture(autouse=True)
def _who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(server: str, tmp_path: Path) -> BucketPlace:
    name = re.sub(r"[^a-z0-9]", "-", tmp_path.name.lower()).strip("-")[:60]
    return BucketPlace(f"b-{name}"[:63].strip("-"), "site/", server, "ap-northeast-1")


@pytest.fixture
def bucket(place: BucketPlace) -> Bucket:
    found = buckets.connected(place)
    found.client.create_bucket(
        Bucket=place.bucket, CreateBucketConfiguration={"LocationConstraint": place.region}
    )
    return found


@pytest.fixture
def with_bucket(settings: Settings, place: BucketPlace) -> Settings:
    wss = ("wss://switch.example.jp/sip",)
    return replace(settings, esl_urls=SWITCH, switch_wss_urls=wss, recordings_s3=place)


@pytest.fixture
def archive(with_bucket: Settings, app: Flask, store) -> Archive:
    with_bucket.recordings_dir.mkdir()
    return Archive(furnish(store), with_bucket.recordings_dir, [])


def finished(archive: Archive, bucket: Bucket) -> Recording:
    recording = archive.call()
    archive.talk(recording)
    job.finish_in(archive.store, archive.root, recording, bucket=bucket, now=ENDED)
    return archive.row(recording)


def away(place: BucketPlace) -> Bucket:
    return buckets.connected(replace(place, endpoint=NOBODY))


def test_R_RC_2_a_finished_copy_is_in_the_bucket_and_not_in_the_directory(
    archive: Archive, bucket: Bucket
) -> None:
    row = finished(archive, bucket)
    assert (row.state, row.raw_name) == (RecordingState.STORED, "")
    assert archive.files() == []
    assert bucket.size(row.stored_name) == row.size_bytes > 0
    told = bucket.client.head_object(Bucket=bucket.name, Key=f"site/{row.stored_name}")
    assert told["ContentType"] == "audio/mpeg"
    again = archive.root / "again.mp3"
    with bucket.opened(row.stored_name) as body:
        again.write_bytes(body.read())
    assert sound.mp3_length_ms(again) > 5_900


def test_R_RC_4_it_is_played_in_ranges_and_downloaded_as_from_the_directory(
    archive: Archive, bucket: Bucket, with_bucket: Settings
) -> None:
    row = finished(archive, bucket)
    with bucket.opened(row.stored_name) as body:
        whole = body.read()
    app = create_app(with_bucket)
    app.testing = True
    with archive.store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
    browser = Browser(app)
    browser.sign_in_as(manager.id)
    address = browser.get(f"/recordings/{row.id}").one("audio")["src"]
    assert browser.client.get(address).data == whole
    part = browser.client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert browser.client.get(address, headers={"Range": "bytes=-10"}).data == whole[-10:]
    beyond = browser.client.get(address, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    file = browser.client.get(f"/recordings/{row.id}/download", headers={"Range": "bytes=0-9"})
    assert (file.status_code, file.data) == (200, whole)
    assert file.headers["Cache-Control"] == "no-store"
    assert "filename*=UTF-8''2" in file.headers["Content-Disposition"]


def test_R_RC_1_a_zip_takes_it_from_where_it_is(
    archive: Archive, bucket: Bucket, tmp_path: Path
) -> None:
    row = finished(archive, bucket)
    other = archive.call(now=ENDED + timedelta(minutes=1))
    archive.talk(other)
    archive.finish(other, now=ENDED + timedelta(minutes=2))  # made before there was a bucket
    with archive.store.write() as session:
        viewer = make.viewer_of(make.make_user(session, Role.MANAGER))
        job_id = recording_zip.begin(
            session, viewer=viewer, criteria=HistoryCriteria(span=Span.ALL), now=utcnow()
        ).id
    places = Places(archive.root, tmp_path, TOKYO, bucket)
    bulk_run.run(
        archive.store, uploads_dir=tmp_path, job_id=job_id, clock=utcnow, recordings=places
    )
    with archive.store.read() as session:
        done = session.get_one(BulkJob, job_id)
    assert done.counts == {"zipped": 2, "no_file": 0}
    with ZipFile(tmp_path / recording_zip.parts(done)[0].name) as archived:
        assert [info.file_size for info in archived.infolist()[:2]] == [
            row.size_bytes, archive.row(other).size_bytes,
        ]  # fmt: skip


def test_R_ST_2_what_is_destroyed_is_gone_from_the_bucket_before_anybody_is_told(
    archive: Archive, bucket: Bucket, place: BucketPlace
) -> None:
    row = finished(archive, bucket)
    archive.desk.change(
        Recording, row.id, state=RecordingState.HIDDEN, destroy_after=ENDED, destroyed_reason="x"
    )
    job.sweep_in(archive.store, archive.root, bucket=away(place), now=ENDED)
    assert archive.row(row.id).destroyed_at is None
    assert bucket.size(row.stored_name)
    job.sweep_in(archive.store, archive.root, bucket=bucket, now=ENDED)
    assert archive.row(row.id).destroyed_at == ENDED
    assert bucket.size(row.stored_name) is None


def test_R_RC_2_while_the_bucket_is_away_the_directory_keeps_and_it_is_carried_at_night(
    archive: Archive, bucket: Bucket, place: BucketPlace
) -> None:
    row = finished(archive, away(place))
    assert (row.state, archive.files()) == (RecordingState.STORED, [".mp3"])
    assert job.carry_all(archive.store, archive.root, away(place)) == 0
    assert job.carry_all(archive.store, archive.root, bucket) == 1
    assert archive.files() == []
    assert bucket.size(row.stored_name) == row.size_bytes
    assert job.carry_all(archive.store, archive.root, bucket) == 0


def test_R_RC_5_an_original_left_by_a_killed_job_goes_though_the_copy_is_far(
    archive: Archive, bucket: Bucket
) -> None:
    row = finished(archive, bucket)
    archive.talk(row.id)
    with archive.store.read() as session:
        name = recordings.files_of(session, recording_id=row.id)[0]
    archive.desk.change(Recording, row.id, raw_name=name)
    job.finish_in(archive.store, archive.root, row.id, bucket=bucket, now=ENDED)
    assert (archive.row(row.id).raw_name, archive.files()) == ("", [])


def test_R_LS_11_what_was_destroyed_while_it_was_carried_stays_nowhere(
    archive: Archive, bucket: Bucket
) -> None:
    recording = archive.call()
    archive.talk(recording)
    row = archive.finish(recording)

    class Slow:
        """A bucket during whose upload the recording's end is decided."""

        def put(self, name: str, path: Path) -> None:
            bucket.put(name, path)
            archive.desk.change(Recording, recording, state=RecordingState.DESTROYED)

        def remove(self, name: str) -> None:
            bucket.remove(name)

    job.carry(archive.store, archive.root, Slow(), recording)
    assert archive.files() == []
    assert bucket.size(row.stored_name) is None


def test_R_AR_4_the_doctor_tells_a_bucket_that_cannot_be_used(
    archive: Archive, bucket: Bucket, with_bucket: Settings, place: BucketPlace
) -> None:
    finished(archive, bucket)
    (fine,) = database_checks.recordings(with_bucket, archive.store)
    assert fine.light.value == "green", fine
    elsewhere = replace(with_bucket, recordings_s3=replace(place, bucket="other"))
    (lost,) = database_checks.recordings(elsewhere, archive.store)
    assert lost.light.value == "red", lost
    silent = replace(with_bucket, recordings_s3=replace(place, endpoint=NOBODY))
    (down,) = database_checks.recordings(silent, archive.store)
    assert "RECORDINGS_S3" in down.says


def test_R_RC_2_a_bucket_that_is_away_says_so(place: BucketPlace) -> None:
    with pytest.raises(BucketDown):
        away(place).size("2026/11/22/x.mp3")


def test_R_RC_2_practice_recordings_go_to_no_bucket(with_bucket: Settings) -> None:
    assert buckets.of(replace(with_bucket, esl_urls=())) is None
    assert buckets.of(replace(with_bucket, recordings_s3=None)) is None


def test_R_RC_2_the_place_is_read_from_the_environment(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "x", "SWITCH_SECRET": "x"}
    assert Settings.from_env(env).recordings_s3 is None
    far = env | {"RECORDINGS_S3": "s3://calls/tokyo/", "RECORDINGS_S3_ENDPOINT": "https://s3.jp"}
    found = Settings.from_env(far).recordings_s3
    assert found == BucketPlace("calls", "tokyo/", "https://s3.jp", "ap-northeast-1")
    bare = Settings.from_env(env | {"RECORDINGS_S3": "s3://calls", "AWS_REGION": "eu-west-1"})
    assert bare.recordings_s3 == BucketPlace("calls", "", "", "eu-west-1")
    for wrong in ("calls", "s3://", "http://calls", "s3://Calls", "s3://calls/a b"):
        with pytest.raises(SettingsError, match="RECORDINGS_S3"):
            Settings.from_env(env | {"RECORDINGS_S3": wrong})
    with pytest.raises(SettingsError, match="ENDPOINT"):
        Settings.from_env(far | {"RECORDINGS_S3_ENDPOINT": "https://key:secret@s3.jp"})
