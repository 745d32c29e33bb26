"""R-LS-7: an import undone, cancelled, pressed twice, killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Customer,
    ImportState,
)
from calltree.services.import_check import DEFAULTS, Duplicate, Target, Treatment
from tests import factories as make
from tests.services.import_desk import HEADER, Desk


@pytest.fixture
def desk(store: Store, settings: Settings) -> Desk:
    return Desk(store, settings.uploads_dir)


def test_R_LS_7_undo_removes_the_added_and_restores_the_updated(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n0312345679,松,京都\r\n")
    second = desk.whole(
        HEADER + "03-1234-5678,椿,大阪\r\n0312345679,竹,奈良\r\n0612345678,梅,\r\n",
        list_id=first.list_id,
        duplicates={**DEFAULTS, Duplicate.LIST: Treatment.UPDATE},
    )
    with desk.store.write() as session:  # edited since: that edit stays
        customer = session.scalars(select(Customer).where(Customer.number == "0312345679")).one()
        customer.cells = ["竹", "滋賀"]
    assert desk.undo(second.id).state is ImportState.UNDONE
    assert [c.cells for c in desk.customers(first.list_id)] == [["桜", "東京"], ["松", "滋賀"]]
    assert desk.stored(second.id) == 0


def test_R_LS_7_undo_takes_its_added_columns_back_unless_someone_uses_them(desk: Desk) -> None:
    list_id = desk.whole(HEADER + "0312345678,桜,東京\r\n").list_id
    content = "電話番号,業種\r\n0612345678,小売\r\n"
    unused = desk.whole(content, list_id=list_id, targets={1: Target.COLUMN})
    desk.undo(unused.id)
    assert desk.folder(list_id).columns == ["会社名", "住所"]
    used = desk.whole(content, list_id=list_id, targets={1: Target.COLUMN})
    later = desk.whole("電話番号,業種\r\n0612345679,医療\r\n", list_id=list_id)
    desk.undo(used.id)
    assert desk.folder(list_id).columns == ["会社名", "住所", "業種"]
    assert [c.cells for c in desk.customers(list_id)] == [["桜", "東京"], ["", "", "医療"]]
    assert later.state is ImportState.DONE


def test_R_LS_7_undo_leaves_columns_in_place_before_those_of_a_later_import(desk: Desk) -> None:
    list_id = desk.whole(HEADER + "0312345678,桜,東京\r\n").list_id
    first = desk.whole(
        "電話番号,業種\r\n0612345678,小売\r\n", list_id=list_id, targets={1: Target.COLUMN}
    )
    desk.whole("電話番号,紹介\r\n0612345679,甲\r\n", list_id=list_id, targets={1: Target.COLUMN})
    desk.undo(first.id)
    assert desk.folder(list_id).columns == ["会社名", "住所", "業種", "紹介"]
    assert desk.customers(list_id)[1].cells == ["", "", "", "甲"]


def test_R_LS_7_undo_is_refused_once_a_customer_was_dialled(desk: Desk) -> None:
    done = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    with desk.store.write() as session:
        make.make_record(session, session.get_one(Customer, desk.customers(done.list_id)[0].id))
    with pytest.raises(Refused, match="import_dialled"):
        desk.undo(done.id)
    assert desk.numbers(done.list_id) == ["0312345678"]


def test_R_LS_7_undo_of_a_new_list_takes_the_list_away(desk: Desk) -> None:
    done = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    desk.undo(done.id)
    assert desk.folder(done.list_id).deleted_at is not None


def test_R_LS_7_a_second_press_starts_nothing_twice(desk: Desk) -> None:
    import_id = desk.upload(HEADER + "0312345678,桜,東京\r\n")
    desk.start(import_id)
    desk.start(import_id)
    list_id = desk.run(import_id).list_id
    desk.start(import_id)
    desk.run(import_id)
    assert desk.numbers(list_id) == ["0312345678"]


def test_R_LS_7_two_imports_never_run_into_one_list(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    second = desk.upload(HEADER + "0312345679,a,\r\n", list_id=first.list_id)
    third = desk.upload(HEADER + "0312345670,b,\r\n", list_id=first.list_id)
    desk.start(second)
    with pytest.raises(Refused, match="import_list_busy"):
        desk.start(third)


def test_R_LS_7_cancelled_before_the_worker_took_it(desk: Desk) -> None:
    import_id = desk.upload(HEADER + "0312345678,桜,東京\r\n")
    desk.start(import_id)
    desk.cancel(import_id)
    assert desk.run(import_id).state is ImportState.CANCELLED
    assert desk.stored(import_id) == 0


@pytest.mark.parametrize("when", ["half", "twice"])
def test_R_LS_7_survives_a_worker_killed_in_the_middle(
    desk: Desk, settings: Settings, when: str
) -> None:
    content = HEADER + "".join(f"031{n:07},会社{n},東京都港区{n}\r\n" for n in range(4000))
    import_id = desk.upload(content)
    desk.start(import_id)
    for _ in range(1 if when == "half" else 2):
        kill_half_way(desk, settings, import_id)
        assert desk.row(import_id).state is ImportState.RUNNING
        assert desk.seen_of(import_id) == 0
    done = desk.run(import_id)
    assert done.state is ImportState.DONE
    numbers = desk.numbers(done.list_id)
    assert numbers == [f"031{n:07}" for n in range(4000)]
    assert len(numbers) == done.counts["new"] == desk.stored(import_id)


def test_R_LS_7_cancel_in_the_middle_leaves_nothing(desk: Desk, settings: Settings) -> None:
    content = HEADER + "".join(f"031{n:07},会社{n},東京都港区{n}\r\n" for n in range(4000))
    import_id = desk.upload(content)
    desk.start(import_id)
    with worker(settings, import_id) as process:
        wait_half_way(desk, import_id, process)
        desk.cancel(import_id)
        assert process.wait(60) == 0
    assert desk.row(import_id).state is ImportState.CANCELLED
    assert desk.stored(import_id) == 0
    assert desk.row(import_id).list_id is None
    assert desk.lists() == []


def worker(settings: Settings, import_id: int) -> subprocess.Popen[bytes]:
    """The job in a process of its own, as the worker forks one."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom sqlalchemy import create_engine\n"
        "from calltree.db import Store, utcnow\nfrom calltree.services import import_run\n"
        "import_run.run(Store(create_engine(sys.argv[1])), uploads_dir=Path(sys.argv[2]), "
        "import_id=int(sys.argv[3]), clock=utcnow, stale_s=0)\n"
    )
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            settings.database_url,
            str(settings.uploads_dir),
            str(import_id),
        ]
    )


def wait_half_way(desk: Desk, import_id: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while desk.row(import_id).rows_done < 200 or desk.stored(import_id) < 100:
        assert process.poll() is None, "the worker ended before it was half way"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kill_half_way(desk: Desk, settings: Settings, import_id: int) -> None:
    desk.forget_progress(import_id)
    with worker(settings, import_id) as process:
        wait_half_way(desk, import_id, process)
        process.send_signal(signal.SIGKILL)
    assert desk.stored(import_id) > 0
