"""SQLite's commits reach the disk after the turn: who wrote waits for it, the next writer not."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import create_engine, text

from calltree.db import Announcement, Store, announce, bring_to_disk

PATIENCE_S = 60


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "kept.sqlite3"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    """A store of one table, on a file of its own."""
    store = Store(create_engine(f"sqlite:///{database}"))
    with store.write() as session:
        session.execute(text("CREATE TABLE told (what TEXT)"))
    yield store
    store.engine.dispose()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were brought to the disk since the test began."""
    files: list[str] = []

    def noted(descriptor: int) -> None:
        files.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fdatasync", noted)
    return files


def tell(store: Store, what: str, *, synced: bool = True) -> None:
    with store.write(synced=synced) as session:
        session.execute(text("INSERT INTO told VALUES (:what)"), {"what": what})
        announce(session, what)


def test_the_next_one_writes_while_the_disk_is_waited_for(
    store: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, written = Event(), Event()

    def slow_disk(_descriptor: int) -> None:
        waiting.set()
        assert written.wait(PATIENCE_S)

    heard: list[Announcement] = []
    store.publisher = heard.extend
    monkeypatch.setattr(os, "fdatasync", slow_disk)
    first = Thread(target=tell, args=(store, "first"))
    first.start()
    try:
        assert waiting.wait(PATIENCE_S)
        tell(Store(create_engine(f"sqlite:///{database}")), "second", synced=False)
        tell(store, "third", synced=False)
        assert [notice.topic for notice in heard] == ["third"]
    finally:
        written.set()
        first.join()
    assert [notice.topic for notice in heard] == ["third", "first"]


def test_what_is_written_is_on_the_disk_before_it_is_announced(
    store: Store, database: Path, synced: list[str]
) -> None:
    store.publisher = lambda told: synced.extend(notice.topic for notice in told)
    tell(store, "a record")
    assert synced == [f"{database}-wal", "a record"]


def test_a_commit_that_need_not_outlive_a_power_cut_waits_for_no_disk(
    store: Store, synced: list[str]
) -> None:
    tell(store, "a press", synced=False)
    assert synced == []


def test_what_is_rolled_back_waits_for_no_disk(store: Store, synced: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), store.write():
        1 / 0  # noqa: B018 - any exception
    assert synced == []


def test_a_disk_that_fails_is_told_and_nothing_is_announced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    heard: list[Announcement] = []
    store.publisher = heard.extend
    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(OSError, match="Input/output"):
        tell(store, "lost?")
    assert heard == []


def test_the_log_that_was_carried_over_is_not_waited_for(
    store: Store, database: Path, synced: list[str]
) -> None:
    store.engine.dispose()  # the last connection carries it over and takes it away
    bring_to_disk(Path(f"{database}-wal"))
    assert synced == []


def test_sqlite_itself_waits_for_the_disk_before_it_begins_the_log_anew(store: Store) -> None:
    """Or a commit could be in neither: NORMAL does, OFF does not."""
    with store.read() as session:
        assert session.scalar(text("PRAGMA synchronous")) == 1
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
