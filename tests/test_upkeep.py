"""Backups are whole, verified and restorable; the doctor sees what is wrong (R-AR-4)."""

import gzip
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import stamp
from sqlalchemy import create_engine, func, select, text, update

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.jobs import backups as backup_job
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    Customer,
    Origin,
    Recording,
    Role,
    Setting,
    Site,
    User,
)
from calltree.models.recordings import RecordingState
from calltree.services import backups
from calltree.upkeep import backup, doctor, sqlite_copy
from calltree.upkeep.findings import Light
from calltree.upkeep.routine import back_up
from tests import factories as make
from tests.browser import Browser
from tests.ports import free_port

MIGRATIONS = Path(__file__).parent.parent / "migrations"


@pytest.fixture
def site(app: Flask, settings: Settings) -> Flask:
    """A site with people, a list and customers, and tables that know their migration."""
    with app.app_context():
        stamp(directory=str(MIGRATIONS))
    with store_of(app).write() as session:
        make.make_site(session)
        make.make_user(session)
        folder = make.make_list(session)
        for _n in range(5):
            make.make_customer(session, folder)
    # a port of its own: a site that is being tried beside the tests has the usual one
    app.extensions["calltree.settings"] = replace(
        settings, secret_key="a secret of the tests", port=free_port()
    )
    return app


def store_of(app: Flask) -> Store:
    store: Store = app.extensions["calltree.store"]
    return store


def settings_of(app: Flask) -> Settings:
    settings: Settings = app.extensions["calltree.settings"]
    return settings


def run(app: Flask, *words: str):
    """One command; its result."""
    return app.test_cli_runner().invoke(args=list(words))


def customers(app: Flask) -> int:
    with store_of(app).read() as session:
        return session.scalars(select(func.count(Customer.id))).one()


def test_R_AR_4_a_backup_restores_what_was_there_and_leaves_the_other_beside(
    site: Flask, tmp_path: Path
) -> None:
    done = run(site, "backup", "--out", str(tmp_path / "kept"))
    assert done.exit_code == 0, done.output
    file = Path(done.output.splitlines()[0])
    with store_of(site).write() as session:
        folder = make.make_list(session)
        make.make_customer(session, folder)
    assert customers(site) == 6

    refused = run(site, "restore", str(file))
    assert (refused.exit_code, customers(site)) == (1, 6)
    assert "customers 6" in refused.output

    restored = run(site, "restore", str(file), "--yes")
    assert restored.exit_code == 0, restored.output
    assert customers(site) == 5
    with store_of(site).read() as session:
        restored_at = session.get_one(Site, 1).restored_at
        noted = session.scalars(
            select(AuditEntry.detail).where(AuditEntry.action == "backup.restored")
        ).one()
        aside = restored.output.partition(" as ")[2].split()[0].rstrip(".")
        if store_of(site).engine.dialect.name == "postgresql":
            kept = session.scalar(text(f"SELECT count(*) FROM {aside}.customers"))
        else:
            kept = sqlite_copy.count(Path(aside))["customers"]
    assert restored_at is not None
    assert utcnow() - restored_at < timedelta(seconds=30), "reconcile would hang up calls"
    assert noted["file"] == file.name
    assert kept == 6


def test_R_AR_4_the_quiet_after_a_restore_begins_with_the_first_leader(
    site: Flask, tmp_path: Path
) -> None:
    file = run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0]
    assert run(site, "restore", file, "--yes").exit_code == 0
    later = utcnow() + timedelta(hours=1)
    with store_of(site).write() as session:
        assert backups.begin_after_restore(session, now=later)
        assert session.get_one(Site, 1).restored_at == later
        session.flush()
        assert not backups.begin_after_restore(session, now=later + timedelta(hours=1)), "once"


def test_R_AR_4_triggers_and_search_work_after_a_restore(site: Flask, tmp_path: Path) -> None:
    file = Path(run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0])
    assert run(site, "restore", str(file), "--yes").exit_code == 0
    with store_of(site).write() as session:
        make.make_customer(session, make.make_list(session))
    with pytest.raises(Exception, match=r"audit|append"), store_of(site).write() as session:
        session.execute(update(AuditEntry).values(action="changed"))


def test_R_AR_4_restore_is_refused_while_somebody_leads_the_switch(
    site: Flask, tmp_path: Path
) -> None:
    file = run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0]
    with store_of(site).write() as session:
        make.make_switch(session)
    refused = run(site, "restore", file, "--yes")
    assert refused.exit_code == 1
    assert customers(site) == 5


def test_R_AR_4_restore_is_refused_while_another_has_the_database_open(
    site: Flask, tmp_path: Path
) -> None:
    file = run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0]
    database = backup.database_file(settings_of(site))
    if database is None:
        url = settings_of(site).database_url.replace("+psycopg", "")
        code = f"import psycopg; c = psycopg.connect({url!r}); print(1, flush=True); input()"
    else:
        code = f"f = open({str(database)!r}); print(1, flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        refused = run(site, "restore", file, "--yes")
    finally:
        other.communicate(b"\n")
    assert refused.exit_code == 1, refused.output
    assert run(site, "restore", file, "--yes").exit_code == 0


def test_R_AR_4_a_damaged_backup_is_refused_and_nothing_changes(
    site: Flask, tmp_path: Path
) -> None:
    file = Path(run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0])
    whole = file.read_bytes()
    with tarfile.open(file) as tar:
        first = tar.next()
        assert first is not None
        middle = first.offset_data + first.size // 2
    broken = (
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        whole[: len(whole) // 2],
        b"",
        b"no tar at all" * 1000,
    )
    for content in broken:
        file.write_bytes(content)
        refused = run(site, "restore", str(file), "--yes")
        assert refused.exit_code == 1
        assert "Error: " in refused.output
        assert customers(site) == 5
    assert not list(tmp_path.glob(".calltree-*"))


def content_of(tar: tarfile.TarFile, head: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(head)
    assert file is not None
    return file.read()


def test_R_AR_4_a_backup_with_forged_counts_is_not_believed(site: Flask, tmp_path: Path) -> None:
    file = Path(run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0])
    with tarfile.open(file) as tar:
        kept = {head.name: content_of(tar, head) for head in tar}
    told = json.loads(kept[backup.MANIFEST])
    told["counts"]["customers"] += 1
    kept[backup.MANIFEST] = json.dumps(told).encode()
    with tarfile.open(file, "w") as tar:
        for name, content in kept.items():
            head = tarfile.TarInfo(name)
            head.size = len(content)
            tar.addfile(head, io.BytesIO(content))
    assert run(site, "restore", str(file), "--yes").exit_code == 1


def test_a_backup_is_for_its_owner_alone_and_holds_no_secret(
    site: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESL_URL", "esl://:hidden-word@127.0.0.1:8021")
    file = Path(run(site, "backup", "--out", str(tmp_path)).output.splitlines()[0])
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        for head in tar:
            content = content_of(tar, head)
            if head.name.endswith(".gz"):
                content = gzip.decompress(content)
            assert b"hidden-word" not in content
            assert b"a secret of the tests" not in content
    assert "ESL_URL" in backup.read_manifest(file).variables


def test_recordings_come_along_with_files_and_go_back_where_they_are_missing(
    site: Flask, tmp_path: Path
) -> None:
    root = settings_of(site).recordings_dir
    sound = root / "2026/11/22/a.mp3"
    sound.parent.mkdir(parents=True)
    sound.write_bytes(b"sound" * 100)
    file = Path(run(site, "backup", "--out", str(tmp_path), "--files").output.splitlines()[0])
    sound.unlink()
    assert run(site, "restore", str(file), "--yes").exit_code == 0
    assert sound.read_bytes() == b"sound" * 100


def test_a_backup_can_be_made_while_somebody_writes(site: Flask, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with store_of(site).write() as session:
                make.make_customer(session, make.make_list(session))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        path, manifest = backup.make(
            settings_of(site), store_of(site), tmp_path, files=False, now=utcnow()
        )
    finally:
        stop.set()
        writer.join()
    assert backup.verify(path).counts == manifest.counts


def test_R_AR_4_the_night_makes_one_backup_and_keeps_the_newest(site: Flask) -> None:
    settings, store, now = replace(settings_of(site), backup_keep=2), store_of(site), utcnow()
    folder = settings.backups_dir
    folder.mkdir()
    for day in range(1, 5):
        (folder / f"calltree-2020010{day}-030000.tar").write_bytes(b"old")
    (folder / "my own.tar").write_bytes(b"kept")
    assert backup_job.claim(store, now)
    assert not backup_job.claim(store, now), "two at once"
    assert backup_job.run_in(settings, store)
    assert not backup_job.claim(store, utcnow()), "there is one of today"
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3
    assert {"calltree-20200104-030000.tar", "my own.tar"} < set(names)
    with store.read() as session:
        assert not backups.state(session, now=utcnow()).late


def test_R_AR_4_a_backup_that_failed_is_told_and_tried_again_after_an_hour(
    site: Flask, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.write_text("")
    settings, store, now = settings_of(site), store_of(site), utcnow()
    assert backup_job.claim(store, now)
    assert not backup_job.run_in(replace(settings, backup_dir=file / "below"), store)
    with store.read() as session:
        state = backups.state(session, now=now)
    assert state.problem
    assert state.good_at is None
    assert not backup_job.claim(store, now + timedelta(minutes=59))
    assert backup_job.claim(store, now + timedelta(minutes=61))


def test_R_AR_4_red_when_the_last_good_one_is_older_than_26_hours(site: Flask) -> None:
    now = utcnow()
    with store_of(site).write() as session:
        session.execute(update(User).values(created_at=now))
        backups.note_good(session, file="x", size_bytes=1, now=now)
        backups.note_failed(session, problem="disk full", now=now + timedelta(hours=24))
        assert not backups.state(session, now=now + timedelta(hours=26)).late
        assert backups.state(session, now=now + timedelta(hours=26, seconds=1)).late
        session.delete(session.get_one(Setting, backups.SETTING))
        assert not backups.state(session, now=now + timedelta(hours=26)).late, "too new to blame"
        assert backups.state(session, now=now + timedelta(hours=27)).late


def test_R_AR_4_the_manager_sees_the_backups_age_and_red_when_it_is_late(
    site: Flask, browser_of: Callable[[User], Browser]
) -> None:
    with store_of(site).write() as session:
        manager = make.make_user(session, Role.MANAGER)
        session.execute(update(User).values(created_at=utcnow()))
    browser = browser_of(manager)
    assert "バックアップ" not in browser.get("/admin/").text
    with store_of(site).write() as session:
        backups.note_good(session, file="x", size_bytes=1, now=utcnow() - timedelta(hours=25))
    page = browser.get("/admin/").text
    assert "最終バックアップ: " in page
    assert "最後のバックアップは" not in page
    with store_of(site).write() as session:
        backups.note_good(session, file="x", size_bytes=1, now=utcnow() - timedelta(hours=27))
    assert "最後のバックアップは" in browser.get("/admin/").text
    with store_of(site).write() as session:
        backups.note_failed(session, problem="disk full", now=utcnow())
    assert "前回のバックアップに失敗しました: disk full" in browser.get("/admin/").text


def test_R_AR_4_one_command_upgrades_with_a_backup_first(site: Flask) -> None:
    done = run(site, "upgrade")
    assert done.exit_code == 0, done.output
    assert len(backup.list_of(settings_of(site).backups_dir)) == 1


# --- doctor


def lights(app: Flask) -> dict[str, set[Light]]:
    found = doctor.examine(settings_of(app), store_of(app), now=utcnow())
    told: dict[str, set[Light]] = {}
    for finding in found:
        told.setdefault(finding.part, set()).add(finding.light)
        assert finding.says
        assert finding.todo or finding.light is Light.GREEN, "what to do?"
    return told


def test_the_doctor_finds_nothing_red_in_what_works(site: Flask) -> None:
    back_up(settings_of(site), store_of(site), out=None)
    told = lights(site)
    assert Light.RED not in {light for part in ("settings", "database", "redis", "permissions",
        "clock", "recordings", "backup") for light in told[part]}  # fmt: skip
    assert told["jobs"] == told["web"] == {Light.RED}, "nobody runs here"
    assert set(told) >= set(doctor.CHECKS) - {"switch"}


def test_the_doctor_sees_what_is_wrong(site: Flask) -> None:
    store, now = store_of(site), utcnow()
    with store.write() as session:
        folder = make.make_list(session)
        record = make.make_record(session, make.make_customer(session, folder))
        attempt = Attempt(
            uuid="0" * 36,
            origin=Origin.CALL,
            number=record.number,
            verdict="allowed",
            state=CallState.ENDED,
            created_at=now,
            ended_at=now,
        )
        session.add(attempt)
        session.flush()
        session.add(
            Recording(
                attempt_id=attempt.id,
                raw_name="",
                stored_name="2026/a.mp3",
                state=RecordingState.STORED,
                started_at=now,
            )
        )
        session.get_one(Site, 1).practice = False
        backups.note_good(session, file="x", size_bytes=1, now=now - timedelta(hours=27))
    settings = replace(
        settings_of(site),
        secret_key="short",
        redis_url="unix:///nowhere/redis.sock",
        esl_urls=("esl://:ClueCon@127.0.0.1:1",),
        clock_rate=10.0,
    )
    settings.data_dir.chmod(0o777)
    found = doctor.examine(settings, store, now=now)
    red = [finding.part for finding in found if finding.light is Light.RED]
    assert red.count("settings") == 3
    assert {"redis", "switch", "recordings", "backup", "permissions"} <= {*red}


def test_the_doctor_answers_programs_and_with_its_exit_code(site: Flask) -> None:
    done = run(site, "doctor", "--json")
    assert done.exit_code == 1
    assert {"part", "light", "says", "todo"} == set(json.loads(done.output)[0])
    assert run(site, "doctor").exit_code == 1


def test_the_doctor_survives_a_database_that_is_away(site: Flask, tmp_path: Path) -> None:
    file = tmp_path / "none" / "x.db"
    broken = replace(settings_of(site), database_url=f"sqlite:///{file}")
    engine = create_engine(broken.database_url)
    found = doctor.examine(broken, Store(engine), now=utcnow())
    engine.dispose()
    assert {f.part for f in found if f.light is Light.RED} >= {"database", "backup"}


def test_a_damaged_sqlite_file_is_found(site: Flask, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with sqlite3.connect(copy) as database:
        database.execute("CREATE TABLE customers (id INTEGER, t TEXT)")
        database.executemany(
            "INSERT INTO customers VALUES (?, ?)", [(i, "x" * 500) for i in range(99)]
        )
    database.close()
    body = bytearray(copy.read_bytes())
    body[8192:12288] = b"\xff" * 4096
    copy.write_bytes(body)
    with pytest.raises(Exception, match="damaged"):
        sqlite_copy.check(copy)
