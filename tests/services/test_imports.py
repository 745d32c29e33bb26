"""R-LS-3…6, R-ST-3: what a file becomes: columns, numbers, rejected rows, duplicates."""

from __future__ import annotations

import pytest

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    CustomerList,
    ImportState,
    Project,
)
from calltree.services.import_check import DEFAULTS, Duplicate, Target, Treatment
from tests import factories as make
from tests.services.import_desk import HEADER, Desk


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
