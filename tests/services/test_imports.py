"""The list import as the worker does it (R-LS-3…7)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Customer,
    CustomerList,
    ExtraNumber,
    Import,
    ImportState,
    Project,
    Role,
)
from calltree.services import do_not_call, figures, import_run, import_undo, imports, scope, search
from calltree.services.criteria import Criteria
from calltree.services.import_check import DEFAULTS, Choices, Duplicate, Target, Treatment
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

HEADER = "電話番号,会社名,住所\r\n"


def clock() -> datetime:
    return datetime.now(UTC)


class Desk:
    """A manager with a project, who uploads files and lets the worker's steps run."""

    def __init__(self, store: Store, uploads: Path) -> None:
        self.store, self.uploads = store, uploads
        uploads.mkdir(parents=True, exist_ok=True)
        with store.write() as session:
            self.project_id = make.make_project(session).id
            self.viewer = Viewer.of(make.make_user(session, Role.MANAGER))

    def upload(self, content: bytes | str, *, list_id: int | None = None, **given: Any) -> int:
        data = content.encode("cp932") if isinstance(content, str) else content
        name = f"{len(list(self.uploads.iterdir()))}.upload"
        (self.uploads / name).write_bytes(data)
        with self.store.write() as session:
            row = imports.receive(
                session,
                viewer=self.viewer,
                project_id=self.project_id,
                list_id=list_id,
                new_list_name=f"リスト{name}",
                filename="名簿.csv",
                stored_name=name,
                size_bytes=len(data),
                now=NOW,
            )
            import_id = row.id
        self.check(import_id)
        if given:
            self.choose(import_id, **given)
        return import_id

    def choose(self, import_id: int, **given: Any) -> None:
        choices = Choices.read(self.row(import_id).choices)
        for name, value in given.items():
            setattr(choices, name, value)
        with self.store.write() as session:
            imports.choose(session, viewer=self.viewer, import_id=import_id, choices=choices)
        self.check(import_id)

    def check(self, import_id: int) -> None:
        imports.check(self.store, uploads_dir=self.uploads, import_id=import_id, now=NOW)

    def start(self, import_id: int) -> None:
        with self.store.write() as session:
            imports.start(session, viewer=self.viewer, import_id=import_id, now=NOW)

    def run(self, import_id: int) -> Import:
        import_run.run(
            self.store, uploads_dir=self.uploads, import_id=import_id, clock=clock, stale_s=0
        )
        return self.row(import_id)

    def whole(self, content: bytes | str, **given: Any) -> Import:
        import_id = self.upload(content, **given)
        self.start(import_id)
        return self.run(import_id)

    def undo(self, import_id: int) -> Import:
        with self.store.write() as session:
            imports.undo(session, viewer=self.viewer, import_id=import_id, now=NOW)
        import_undo.undo(self.store, import_id=import_id, clock=clock, stale_s=0)
        return self.row(import_id)

    def row(self, import_id: int) -> Import:
        with self.store.read() as session:
            return session.get_one(Import, import_id)

    def folder(self, list_id: int | None) -> CustomerList:
        with self.store.read() as session:
            return session.get_one(CustomerList, list_id)

    def customers(self, list_id: int | None) -> list[Customer]:
        """Those whom people can see, in file order; the list's figure agrees with them."""
        with self.store.read() as session:
            found = list(
                session.scalars(
                    select(Customer)
                    .where(Customer.list_id == list_id, scope.is_present())
                    .order_by(Customer.position)
                )
            )
            assert session.get_one(CustomerList, list_id).customers == len(found)
            assert figures.totals(session, list_id=list_id or 0).customers == len(found)
            return found

    def numbers(self, list_id: int | None) -> list[str]:
        return [customer.number for customer in self.customers(list_id)]

    def found(self, list_id: int | None, words: str) -> list[str]:
        with self.store.read() as session:
            page = search.page(
                session,
                list_id=list_id,
                criteria=Criteria(text=words),
                viewer=self.viewer,
                now=NOW,
            )
        return [customer.number for customer in page.rows]

    def extras(self, customer_id: int) -> list[str]:
        with self.store.read() as session:
            query = select(ExtraNumber.number).where(ExtraNumber.customer_id == customer_id)
            return list(session.scalars(query.order_by(ExtraNumber.position)))

    def ban(self, number: str) -> None:
        with self.store.write() as session:
            do_not_call.add(session, viewer=self.viewer, numbers=[number], now=NOW)

    def cancel(self, import_id: int) -> None:
        with self.store.write() as session:
            imports.cancel(session, viewer=self.viewer, import_id=import_id, now=NOW)

    def lists(self) -> list[str]:
        with self.store.read() as session:
            return list(session.scalars(select(CustomerList.name)))

    def seen_of(self, import_id: int) -> int:
        with self.store.read() as session:
            query = select(func.count()).where(Customer.import_id == import_id, scope.is_present())
            return session.scalar(query) or 0

    def forget_progress(self, import_id: int) -> None:
        """So that a second worker's own progress can be waited for."""
        with self.store.write() as session:
            session.get_one(Import, import_id).rows_done = 0

    def stored(self, import_id: int) -> int:
        """Rows of an import, seen or not."""
        with self.store.read() as session:
            query = select(func.count()).where(Customer.import_id == import_id)
            return session.scalar(query) or 0


@pytest.fixture
def desk(store: Store, settings: Settings) -> Desk:
    return Desk(store, settings.uploads_dir)


def test_R_LS_3_a_cp932_file_becomes_a_list(desk: Desk) -> None:
    done = desk.whole(
        HEADER + "03-1234-5678,髙橋商店,東京都港区\r\n０９０１２３４５６７８,山田,\r\n"
    )
    assert done.state is ImportState.DONE
    first, second = desk.customers(done.list_id)
    assert desk.folder(done.list_id).columns == ["会社名", "住所"]
    assert (first.number, first.number_given) == ("0312345678", "03-1234-5678")
    assert first.cells == ["髙橋商店", "東京都港区"]
    assert (second.number, second.number_given) == ("09012345678", "０９０１２３４５６７８")


def test_R_LS_3_imported_rows_are_found_by_search(desk: Desk) -> None:
    done = desk.whole(HEADER + "0312345678,サクラ商店,東京都港区\r\n0312345679,梅屋,大阪\r\n")
    assert desk.found(done.list_id, "さくら") == ["0312345678"]


def test_R_LS_3_adding_matches_columns_by_header_in_any_order(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    import_id = desk.upload("業種,住所,電話番号\r\n小売,大阪,0612345678\r\n", list_id=first.list_id)
    layout = desk.row(import_id).findings["layout"]
    assert (layout["missing"], layout["left_out"]) == (["会社名"], ["業種"])
    desk.start(import_id)
    desk.run(import_id)
    assert desk.folder(first.list_id).columns == ["会社名", "住所"]
    assert desk.customers(first.list_id)[1].cells == ["", "大阪"]


def test_R_LS_3_a_new_column_is_added_when_asked(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    content = "電話番号,業種\r\n0612345678,小売\r\n"
    desk.whole(content, list_id=first.list_id, targets={1: Target.COLUMN})
    assert desk.folder(first.list_id).columns == ["会社名", "住所", "業種"]
    assert desk.customers(first.list_id)[1].cells == ["", "", "小売"]


def test_R_LS_3_a_list_of_200000_takes_no_more(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    with desk.store.write() as session:
        session.get_one(CustomerList, first.list_id).customers = 199_999
    import_id = desk.upload(HEADER + "0312345679,a,\r\n0312345670,b,\r\n", list_id=first.list_id)
    findings = desk.row(import_id).findings
    assert (findings["verdict"], findings["over"]) == ("refused", 200_001)
    with pytest.raises(Refused, match="import_not_ready"):
        desk.start(import_id)


def test_R_LS_4_a_missing_number_column_can_be_picked(desk: Desk) -> None:
    import_id = desk.upload("名称,連絡先電話番号\r\n桜,03-1234-5678\r\n")
    findings = desk.row(import_id).findings
    assert findings["verdict"] == "columns_wrong"
    assert findings["layout"]["proposals"] == [1]
    desk.choose(import_id, targets={1: Target.PHONE})
    desk.start(import_id)
    done = desk.run(import_id)
    assert desk.numbers(done.list_id) == ["0312345678"]
    assert desk.folder(done.list_id).columns == ["名称"]


def test_R_LS_4_duplicate_headers_are_numbered_by_one_choice(desk: Desk) -> None:
    import_id = desk.upload("電話番号,住所,住所\r\n0312345678,東京,港区\r\n")
    assert desk.row(import_id).findings["verdict"] == "refused"
    desk.choose(import_id, number_headers=True)
    desk.start(import_id)
    assert desk.folder(desk.run(import_id).list_id).columns == ["住所1", "住所2"]


def test_R_ST_3_a_column_named_like_a_status_is_refused_with_both_sides(desk: Desk) -> None:
    import_id = desk.upload("電話番号,不通,顧客ID\r\n0312345678,東京,1\r\n")
    findings = desk.row(import_id).findings
    assert findings["verdict"] == "columns_wrong"
    by_code = {problem["code"]: problem for problem in findings["layout"]["problems"]}
    assert by_code["name_clash_status"]["other"] == "不通"
    assert by_code["name_clash_status"]["project"]
    assert by_code["name_reserved"]["name"] == "顧客ID"
    desk.choose(import_id, names={1: "前回の結果"}, targets={2: Target.IGNORE})
    desk.start(import_id)
    assert desk.folder(desk.run(import_id).list_id).columns == ["前回の結果"]


def test_R_ST_3_a_column_named_like_an_attribute_item_is_refused_with_both_sides(
    desk: Desk,
) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        make.make_item(session, project, name="ABC区分")
        project_name = project.name
    import_id = desk.upload("電話番号,会社名,ａｂｃ区分\r\n0312345678,桜,小売\r\n")
    findings = desk.row(import_id).findings
    assert findings["verdict"] == "columns_wrong"
    (problem,) = findings["layout"]["problems"]
    assert problem == {
        "code": "name_clash_item",
        "name": "ａｂｃ区分",
        "place": 2,
        "other": "ABC区分",
        "project": project_name,
        "list": "",
    }
    with pytest.raises(Refused, match="import_not_ready"):
        desk.start(import_id)
    desk.choose(import_id, targets={2: Target.IGNORE})
    desk.start(import_id)
    assert desk.folder(desk.run(import_id).list_id).columns == ["会社名"]


def test_R_ST_3_a_status_made_while_the_rows_go_in_stops_them(desk: Desk) -> None:
    import_id = desk.upload("電話番号,業種\r\n0312345678,小売\r\n")
    desk.start(import_id)
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        make.make_status(session, make.get_pattern(session, project), "業種")
    done = desk.run(import_id)
    assert (done.state, done.failure) == (ImportState.FAILED, "changed_meanwhile")
    assert desk.stored(import_id) == 0


def test_R_LS_5_each_reason_is_counted_and_the_rest_goes_in(desk: Desk) -> None:
    cells = ["03-1234-5678", "03-1234-5678/06-1234-5678", "1234-5678", "", "03-1234-567"]
    cells += ["3.12E+09", "03-1234-5679内線12", "110"]
    done = desk.whole("会社名,電話番号\r\n" + "".join(f"社,{cell}\r\n" for cell in cells))
    assert desk.numbers(done.list_id) == ["0312345678"]
    assert done.counts["by_reason"] == {
        "two_or_more": 1,
        "no_area_code": 1,
        "empty": 1,
        "wrong_length": 1,
        "exponent": 1,
        "extension": 1,
        "not_allowed": 1,
    }
    shown = done.findings["shown"]
    assert [(note["row"], note["column"]) for note in shown[:2]] == [
        (3, "電話番号"),
        (4, "電話番号"),
    ]


def test_R_LS_5_two_numbers_become_number_and_extra(desk: Desk) -> None:
    done = desk.whole("電話番号\r\n03-1234-5678/06-1234-5678\r\n", split_numbers=True)
    (customer,) = desk.customers(done.list_id)
    assert customer.number == "0312345678"
    assert desk.extras(customer.id) == ["0612345678"]


def test_R_LS_4_further_columns_become_extra_numbers(desk: Desk) -> None:
    content = "電話番号,携帯,FAX\r\n0312345678,090-1234-5678,03 1234 5678\r\n"
    done = desk.whole(content, targets={1: Target.EXTRA, 2: Target.EXTRA})
    (customer,) = desk.customers(done.list_id)
    assert desk.extras(customer.id) == ["09012345678"]
    assert desk.folder(done.list_id).columns == []


def test_R_LS_6_the_preview_counts_each_kind_before_anything_is_written(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    desk.whole(HEADER + "0612345678,梅,大阪\r\n")
    desk.ban("0512345678")
    rows = [
        "0312345678",
        "+81-6-1234-5678",
        "052-123-4567",
        "0521234567",
        "0512345678",
        "0112345678",
    ]
    import_id = desk.upload(
        HEADER + "".join(f"{number},社,\r\n" for number in rows), list_id=first.list_id
    )
    counts = desk.row(import_id).findings["counts"]
    assert counts["duplicates"] == {"list": 1, "project": 1, "file": 1, "banned": 1}
    assert (counts["new"], counts["skipped"]) == (3, 3)
    assert desk.stored(import_id) == 0
    desk.start(import_id)
    desk.run(import_id)
    assert desk.numbers(first.list_id) == ["0312345678", "0612345678", "0521234567", "0112345678"]


def test_R_LS_6_extra_numbers_are_compared_too(desk: Desk) -> None:
    first = desk.whole("電話番号,携帯\r\n0312345678,09012345678\r\n", targets={1: Target.EXTRA})
    import_id = desk.upload("電話番号\r\n090-1234-5678\r\n", list_id=first.list_id)
    assert desk.row(import_id).findings["counts"]["duplicates"] == {"list": 1}


def test_R_LS_6_update_overwrites_with_non_empty_cells_only(desk: Desk) -> None:
    first = desk.whole(HEADER + "0312345678,桜,東京\r\n")
    done = desk.whole(
        HEADER + "03-1234-5678,,大阪\r\n0612345678,梅,\r\n",
        list_id=first.list_id,
        duplicates={**DEFAULTS, Duplicate.LIST: Treatment.UPDATE},
    )
    assert done.state is ImportState.DONE
    old, new = desk.customers(first.list_id)
    assert (old.cells, old.number_given, new.number) == (["桜", "大阪"], "0312345678", "0612345678")
    assert desk.found(first.list_id, "大阪") == ["0312345678"]


def test_R_LS_6_a_later_row_of_the_file_can_fill_an_earlier_one(desk: Desk) -> None:
    done = desk.whole(
        HEADER + "0312345678,桜,\r\n0312345678,,東京\r\n",
        duplicates={**DEFAULTS, Duplicate.FILE: Treatment.UPDATE},
    )
    (customer,) = desk.customers(done.list_id)
    assert customer.cells == ["桜", "東京"]


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
