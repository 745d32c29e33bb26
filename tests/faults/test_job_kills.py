"""kill -9 of a job's own process, while the role that forked it lives on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.db import Announcement
from calltree.models import ImportState
from calltree.telephony.switch import CHORES
from tests import factories as make
from tests.faults.site import Site
from tests.floor import wait_for
from tests.services.import_desk import HEADER, Desk

ROWS = 6000
BULK = "jobs bulk"


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[Site]:
    data_dir = tmp_path / "var"
    data_dir.mkdir()
    site = Site(data_dir, database_url)
    try:
        with site.store.write() as session:
            make.make_site(session)
        site.start("redis", "jobs soon", BULK)
        yield site
    finally:
        site.stop()


def job_of(site: Site, role: str) -> int | None:
    """The process that a role forked for the job in hand."""
    pid = site.processes[role].pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


@pytest.mark.one_database
def test_R_LS_7_an_import_whose_job_alone_is_killed_is_finished_by_the_next_chore(
    site: Site,
) -> None:
    desk = Desk(site.store, site.settings.uploads_dir)
    rows = [f"031{n:07},会社{n},東京都港区{n}\r\n" for n in range(ROWS)]
    import_id = desk.upload(HEADER + "".join(rows))
    desk.start(import_id)
    wait_for(lambda: desk.stored(import_id) > 100, "half way", patience_s=120)
    killed = job_of(site, BULK)
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: job_of(site, BULK) != killed, "it is gone")
    assert desk.row(import_id).state is ImportState.RUNNING
    assert desk.seen_of(import_id) == 0

    assert site.store.publisher
    site.store.publisher([Announcement("job", chore) for chore in CHORES])  # as the leader does
    done = wait_for(
        lambda: (row := desk.row(import_id)).state is ImportState.DONE and row, patience_s=120
    )
    numbers = desk.numbers(done.list_id)
    assert numbers == [f"031{n:07}" for n in range(ROWS)]
    assert len(numbers) == desk.stored(import_id)
    assert site.processes[BULK].poll() is None, "the role itself was never restarted"
