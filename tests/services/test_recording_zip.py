"""Zips of recordings: what is in them, in parts, and what is left when it does not end (R-RC-1)."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Announcement, Store, utcnow
from calltree.errors import NotAllowed, NotFound
from calltree.models import AuditEntry, BulkJob, BulkState, RecordingState, RecordKind, Role
from calltree.services import bulk, bulk_run, erasing, recording_search, recording_zip
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.recording_zip import Places
from calltree.services.rights import Viewer
from calltree.text.days import TOKYO
from tests import factories as make
from tests.factories import NOW
from tests.recordings import Shelf

ALL = HistoryCriteria(span=Span.ALL)


@pytest.fixture
def shelf(store: Store, settings: Settings) -> Shelf:
    return Shelf.make(store, settings.recordings_dir)


@pytest.fixture
def manager(shelf: Shelf) -> Viewer:
    with shelf.store.write() as session:
        return make.viewer_of(make.make_user(session, Role.MANAGER))


def zipped(shelf: Shelf, manager: Viewer, folder: Path, criteria: HistoryCriteria = ALL) -> BulkJob:
    with shelf.store.write() as session:
        job = recording_zip.begin(session, viewer=manager, criteria=criteria, now=utcnow())
    return run(shelf, job.id, folder)


def run(shelf: Shelf, job_id: int, folder: Path) -> BulkJob:
    bulk_run.run(
        shelf.store,
        uploads_dir=folder,
        job_id=job_id,
        clock=utcnow,
        recordings=Places(shelf.root, folder, TOKYO),
    )
    with shelf.store.read() as session:
        return session.get_one(BulkJob, job_id)


def listed(archive: ZipFile) -> list[dict[str, str]]:
    text = archive.read("一覧.csv").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_R_RC_1_the_zip_holds_each_sound_as_it_is_and_a_list(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.put(sound=b"first")
    shelf.put(sound=b"second", started_at=NOW + timedelta(minutes=1), number="0698765432")
    shelf.put(sound=b"hidden", state=RecordingState.HIDDEN)
    job = zipped(shelf, manager, tmp_path)
    assert (job.state, job.counts) == (BulkState.DONE, {"zipped": 2, "no_file": 0})
    (part,) = recording_zip.parts(job)
    with ZipFile(tmp_path / part.name) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {ZIP_STORED}
        first, second, index = archive.namelist()
        assert first.startswith(f"{NOW.astimezone(TOKYO):%Y%m%d-%H%M%S}_")
        assert first.endswith("_0312345678_山田太郎_空白.mp3")
        assert (archive.read(first), archive.read(second)) == (b"first", b"second")
        assert index == "一覧.csv"
        lines = listed(archive)
    assert [line["ファイル名"] for line in lines] == [first, second]
    assert lines[1]["電話番号"] == "0698765432"
    assert lines[1]["リスト名"] == "春のリスト"
    assert (lines[1]["通話秒"], lines[1]["録音秒"]) == ("6", "6")


def test_R_RC_1_parts_are_no_larger_than_they_may_be(
    shelf: Shelf, manager: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_zip, "PART_BYTES", 250)
    for _one in range(5):
        shelf.put(sound=bytes(100))
    made = recording_zip.parts(zipped(shelf, manager, tmp_path))
    assert [part.count for part in made] == [2, 2, 1]
    for part in made:
        with ZipFile(tmp_path / part.name) as archive:
            # five calls of one second and one number are five names
            assert len(set(archive.namelist())) == part.count + 1
            assert len(listed(archive)) == part.count


def test_R_RC_1_a_file_that_is_gone_is_named_in_the_list(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.file(shelf.put()).unlink()
    job = zipped(shelf, manager, tmp_path)
    assert job.counts == {"zipped": 0, "no_file": 1}
    with ZipFile(tmp_path / recording_zip.parts(job)[0].name) as archive:
        (line,) = listed(archive)
    assert (line["ファイル名"], line["備考"]) == ("", "ファイルがありません")


def test_R_RC_1_one_numbers_recordings_with_those_dialled_by_hand(
    shelf: Shelf, manager: Viewer
) -> None:
    wanted = [
        shelf.put(number="0312345678", started_at=NOW - timedelta(days=400)),
        shelf.put(number="0312345678", record={"kind": RecordKind.MANUAL}),
    ]
    shelf.put(number="03123456789")
    shelf.put(number="0312345679")
    asked = HistoryCriteria.parse([("span", "all"), ("number", "03-1234-5678")])
    with shelf.store.read() as session:
        found = recording_search.page(session, viewer=manager, criteria=asked, now=NOW)
        total = recording_search.total(session, viewer=manager, criteria=asked, now=NOW)
    assert [sound.recording.id for sound in found.sounds] == wanted[::-1]
    assert (total.count, total.length_ms, total.last_id) == (2, 12_000, wanted[1])


def test_R_RC_1_pages_of_the_list_follow_one_another(shelf: Shelf, manager: Viewer) -> None:
    ids = [shelf.put(started_at=NOW + timedelta(seconds=at // 2)) for at in range(7)]
    seen, after = [], ""
    while True:
        with shelf.store.read() as session:
            page = recording_search.page(
                session, viewer=manager, criteria=ALL, now=NOW, after=after, size=3
            )
        seen += [sound.recording.id for sound in page.sounds]
        after = page.next_key
        if not after:
            break
    assert seen == ids[::-1]


def test_R_RC_1_recordings_that_came_later_are_left_out(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.put()
    with shelf.store.write() as session:
        job = recording_zip.begin(session, viewer=manager, criteria=ALL, now=utcnow())
    shelf.put()
    assert run(shelf, job.id, tmp_path).counts["zipped"] == 1


def test_R_RC_1_a_worker_that_takes_over_begins_anew(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.put()
    with shelf.store.write() as session:
        job = recording_zip.begin(session, viewer=manager, criteria=ALL, now=utcnow())
        row = session.get_one(BulkJob, job.id)
        row.heartbeat_at, row.rows_done = utcnow() - timedelta(minutes=1), 1
    (tmp_path / f"recordings-{job.id}-dead-1.zip.part").write_bytes(b"half")
    done = run(shelf, job.id, tmp_path)
    assert (done.state, done.rows_done) == (BulkState.DONE, 1)
    assert [path.name for path in tmp_path.glob("recordings-*")] == [
        part.name for part in recording_zip.parts(done)
    ]


def test_R_RC_1_nothing_is_left_of_one_that_was_cancelled(
    shelf: Shelf, manager: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_zip, "TELL_S", 0)
    shelf.put()
    shelf.put()
    with shelf.store.write() as session:
        job = recording_zip.begin(session, viewer=manager, criteria=ALL, now=utcnow())
        session.get_one(BulkJob, job.id).cancel_requested = True
    assert run(shelf, job.id, tmp_path).state is BulkState.CANCELLED
    assert list(tmp_path.glob("recordings-*")) == []


def test_R_RC_1_a_full_disk_is_said_before_anything_is_written(
    shelf: Shelf, manager: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_zip, "SPARE_BYTES", 10**18)
    shelf.put()
    job = zipped(shelf, manager, tmp_path)
    assert (job.state, job.failure) == (BulkState.FAILED, "no_space")
    assert list(tmp_path.glob("recordings-*")) == []


def test_R_RC_1_a_part_can_be_taken_for_a_day(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.put()
    job = zipped(shelf, manager, tmp_path)
    assert job.ended_at is not None

    def part(number: int, now=job.ended_at) -> str:
        with shelf.store.read() as session:
            return recording_zip.part(
                session, viewer=manager, job_id=job.id, number=number, now=now
            )[1].name

    assert (tmp_path / part(1)).is_file()
    over = job.ended_at + recording_zip.KEPT
    for number, now in ((0, job.ended_at), (2, job.ended_at), (1, over)):
        with pytest.raises(NotFound):
            part(number, now)


def test_R_RC_4_who_may_not_download_begins_no_zip(shelf: Shelf, manager: Viewer) -> None:
    shelf.put()
    with shelf.store.write() as session:
        operator = make.viewer_of(make.make_user(session))
    with pytest.raises(NotAllowed), shelf.store.write() as session:
        recording_zip.begin(session, viewer=operator, criteria=ALL, now=utcnow())
    with shelf.store.write() as session:
        job = recording_zip.begin(session, viewer=manager, criteria=ALL, now=utcnow())
    with pytest.raises(NotFound), shelf.store.read() as session:
        bulk.get(session, viewer=operator, job_id=job.id)


def test_R_RC_4_the_log_says_how_many_were_zipped_and_never_the_number(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    shelf.put()
    asked = HistoryCriteria.parse([("span", "all"), ("number", "0312345678")])
    zipped(shelf, manager, tmp_path, asked)
    with shelf.store.read() as session:
        started, done = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert started.action == "bulk.recording_zip.started"
    assert started.detail == {"count": 1, "search": "span=all&number=…5678"}
    assert (done.action, done.detail["zipped"]) == ("bulk.recording_zip.done", 1)


# --- 個人情報の削除


def erase(shelf: Shelf, manager: Viewer, number: str) -> None:
    now = utcnow()
    with shelf.store.write() as session:
        count = erasing.known(session, viewer=manager, number=number, now=now).count
        erasing.erase(session, viewer=manager, number=number, typed=str(count), now=now)


def removed(shelf: Shelf) -> list[str]:
    with shelf.store.read() as session:
        return recording_zip.taken_away(session, now=utcnow())


def test_R_LS_11_a_zip_with_an_erased_persons_voice_goes_at_once(
    shelf: Shelf, manager: Viewer, tmp_path: Path
) -> None:
    ids = [shelf.put(number=number) for number in ("0312345678", "0312340002", "0312340003")]
    ours = HistoryCriteria.parse([("span", "all"), ("number", "0312345678")])
    hers = HistoryCriteria.parse([("span", "all"), ("number", "0312340003")])
    with_him, with_all, without = (
        zipped(shelf, manager, tmp_path, criteria) for criteria in (ours, ALL, hers)
    )
    rung: list[Announcement] = []
    shelf.store.publisher = rung.extend
    erase(shelf, manager, "0312345678")
    assert [one.ids["func"] for one in rung if one.topic == "job"] == [recording_zip.REMOVE]
    gone = [part.name for job in (with_him, with_all) for part in recording_zip.parts(job)]
    assert removed(shelf) == gone
    for job in (with_him, with_all):
        with pytest.raises(NotFound), shelf.store.read() as session:
            recording_zip.part(session, viewer=manager, job_id=job.id, number=1, now=utcnow())
    with shelf.store.read() as session:
        kept = session.get_one(BulkJob, without.id)
        assert recording_zip.parts(kept) == recording_zip.parts(without)
        assert kept.findings["spans"] == [[ids[2], ids[2]]]


def test_R_LS_11_a_zip_being_made_of_an_erased_person_is_thrown_away(
    shelf: Shelf, manager: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put()
    shelf.put(number="0312340002")
    close = recording_zip._Parcel.close

    def erased_meanwhile(parcel: recording_zip._Parcel) -> None:
        erase(shelf, manager, "0312345678")
        close(parcel)

    monkeypatch.setattr(recording_zip._Parcel, "close", erased_meanwhile)
    job = zipped(shelf, manager, tmp_path)
    assert (job.state, job.failure, job.findings) == (BulkState.FAILED, "person_erased", {})
    assert list(tmp_path.glob("recordings-*")) == []


def test_R_LS_11_runs_of_recordings_are_written_short() -> None:
    assert recording_zip._spans([1, 2, 3, 7, 9, 10]) == [[1, 3], [7, 7], [9, 10]]
    spans = recording_zip._spans(range(0, 10 * recording_zip.MOST_SPANS + 2, 2))
    assert len(spans) <= recording_zip.MOST_SPANS
    assert all(any(first <= one <= last for first, last in spans) for one in range(0, 10_002, 2))
