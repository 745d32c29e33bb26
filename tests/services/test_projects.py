"""Projects, statuses, items, caller numbers (R-ST-1, 3, 4; R-PJ-1…6)."""

from datetime import time

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import NotFound, Refused
from calltree.models import (
    BuiltIn,
    ItemKind,
    ItemTarget,
    Project,
    ProjectState,
    ResultStatus,
    Role,
)
from calltree.services import names, patterns, projects, settings
from calltree.services.patterns import ItemDetails, StatusDetails
from calltree.services.projects import ProjectDetails
from calltree.services.rights import Viewer
from tests.factories import (
    NOW,
    built_in,
    make_caller_number,
    make_customer,
    make_item,
    make_list,
    make_pattern,
    make_project,
    make_record,
    make_site,
    make_status,
    make_user,
    viewer_of,
)


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make_site(session)
        return viewer_of(make_user(session, Role.MANAGER))


def _save_status(store: Store, manager: Viewer, pattern_id: int, name: str, **given: object) -> int:
    with store.write() as session:
        return patterns.save_status(
            session, viewer=manager, pattern_id=pattern_id, status_id=None,
            details=StatusDetails(name=name, **given), now=NOW,
        ).id  # fmt: skip


def _save_item(store: Store, manager: Viewer, name: str, item_id: int | None = None) -> int:
    with store.write() as session:
        details = ItemDetails(name=name, target=ItemTarget.CUSTOMER, kind=ItemKind.TEXT)
        return patterns.save_item(
            session, viewer=manager, item_id=item_id, details=details, now=NOW
        ).id


def test_R_ST_1_built_in_statuses_stand_in_every_pattern(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        offered = patterns.offered(session, pattern.id)
    assert [status.name for status in offered] == [
        "不通", "FAX", "現アナ", "見込", "再コール", "クレーム",
    ]  # fmt: skip


@pytest.mark.parametrize("which", list(BuiltIn))
def test_R_ST_1_built_in_statuses_are_never_changed_or_deleted(
    store: Store, manager: Viewer, which: BuiltIn
) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        status_id = built_in(session, which).id
    with store.write() as session, pytest.raises(NotFound):
        patterns.save_status(
            session, viewer=manager, pattern_id=pattern.id, status_id=status_id,
            details=StatusDetails(name="別名"), now=NOW,
        )  # fmt: skip
    with store.write() as session, pytest.raises(NotFound):
        patterns.remove_status(
            session, viewer=manager, pattern_id=pattern.id, status_id=status_id, now=NOW
        )


def test_R_ST_4_starter_pattern(store: Store, manager: Viewer) -> None:
    with store.read() as session:
        (_pattern, statuses, _users) = next(
            row for row in patterns.patterns(session) if row[0].name == "標準"
        )
    told = {s.name: (s.connected, s.conversion, s.bans_number) for s in statuses}
    assert told == {
        "担当者不在": (True, False, False),
        "決裁者不在": (True, False, False),
        "アポ": (True, True, False),
        "資料送付": (True, False, False),
        "お断り": (True, False, True),
    }
    assert len({s.key for s in statuses}) == 5


def test_R_ST_4_every_status_gets_a_key_of_its_own(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        pattern_id = make_pattern(session).id
    for n in range(12):
        _save_status(store, manager, pattern_id, f"結果{n}")
    with store.read() as session:
        keys = [status.key for status in patterns.offered(session, pattern_id)]
    assert all(keys)
    assert len(set(keys)) == len(keys) == 18


@pytest.mark.parametrize("name", ["不通", "ＦＡＸ", " 見込 ", "ｸﾚｰﾑ"])
def test_R_ST_3_status_named_as_a_built_in_one(store: Store, manager: Viewer, name: str) -> None:
    with store.write() as session:
        pattern_id = make_pattern(session).id
    with pytest.raises(Refused, match="status_name_taken"):
        _save_status(store, manager, pattern_id, name)


@pytest.mark.parametrize(
    "name",
    ["電話番号", "空白", "放棄", "回線エラー", "コール数", "メモ２", "追加番号3", "履歴ＩＤ"],
)
def test_R_ST_3_reserved_names(store: Store, manager: Viewer, name: str) -> None:
    with store.write() as session:
        pattern_id = make_pattern(session).id
        project = make_project(session)
        columns = names.column_clashes(session, project=project, columns=[name])
    assert [clash.other for clash in columns] == [None]
    with pytest.raises(Refused, match="name_reserved"):
        _save_status(store, manager, pattern_id, name)
    with pytest.raises(Refused, match="name_reserved"):
        _save_item(store, manager, name)


def test_R_ST_3_status_against_column_names_both_sides(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        project = make_project(session, name="春の案件")
        make_list(session, project, name="東京", columns=["会社名", "Ｒａｎｋ"])
    with pytest.raises(Refused, match="name_clash_column") as caught:
        _save_status(store, manager, project.pattern_id or 0, " rank")
    assert caught.value.values == {
        "name": "rank", "other": "Ｒａｎｋ", "project": "春の案件", "list": "東京",
    }  # fmt: skip


def test_R_ST_3_status_against_item_in_every_project_that_uses_the_pattern(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        make_project(session, pattern_id=pattern.id)
        other = make_project(session, name="二つ目", pattern_id=pattern.id)
        make_item(session, other, name="理由")
    with pytest.raises(Refused, match="name_clash_item") as caught:
        _save_status(store, manager, pattern.id, "理由")
    assert caught.value.values["project"] == "二つ目"


def test_R_ST_3_item_against_status_and_column(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        make_status(session, pattern, "アポ")
        project = make_project(session, pattern_id=pattern.id)
        make_list(session, project, columns=["会社名"])
        item = make_item(session, project, name="区分", target=ItemTarget.CUSTOMER)
    with pytest.raises(Refused, match="name_clash_status"):
        _save_item(store, manager, "アポ", item.id)
    with pytest.raises(Refused, match="name_clash_column"):
        _save_item(store, manager, "会社名", item.id)
    _save_item(store, manager, "区分2", item.id)


def test_R_ST_3_column_against_status_and_item(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        project = make_project(session)
        make_item(session, project, name="区分")
        found = names.column_clashes(
            session, project=project, columns=["区分", "ﾌﾂｳ", "不通", "住所"]
        )
    assert [(clash.name, clash.other and clash.other.kind) for clash in found] == [
        ("区分", "item"), ("不通", "status"),
    ]  # fmt: skip


def test_R_ST_3_project_that_brings_two_names_together(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        make_status(session, pattern, "理由")
        item = make_item(session, name="理由")
        number = make_caller_number(session)
    details = ProjectDetails(
        name="新案件", pattern_id=pattern.id, main_number_id=number.id, item_ids=(item.id,)
    )
    with pytest.raises(Refused, match="name_clash_status"), store.write() as session:
        projects.save(session, viewer=manager, project_id=None, details=details, now=NOW)
    with store.read() as session:
        assert session.scalar(select(Project)) is None


def test_R_ST_3_two_lists_may_share_a_column(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        project = make_project(session)
        make_list(session, project, columns=["会社名"])
        make_list(session, project, columns=["会社名"])
        details = ProjectDetails(name="名前", pattern_id=project.pattern_id)
        projects.save(session, viewer=manager, project_id=project.id, details=details, now=NOW)


def test_R_ST_3_used_status_is_retired_unused_deleted(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        used, unused = (
            make_status(session, pattern, "使用"),
            make_status(session, pattern, "未使用"),
        )
        project = make_project(session, pattern_id=pattern.id)
        customer = make_customer(session, make_list(session, project))
        make_record(session, customer, status_id=used.id)
    with store.write() as session:
        for status in (used, unused):
            patterns.remove_status(
                session, viewer=manager, pattern_id=pattern.id, status_id=status.id, now=NOW
            )
    with store.read() as session:
        kept = session.get(ResultStatus, used.id)
        assert kept is not None
        assert kept.retired_at == NOW
        assert session.get(ResultStatus, unused.id) is None
        assert used.id not in [s.id for s in patterns.offered(session, pattern.id)]


def test_R_ST_3_changing_connected_recounts_in_a_job(store: Store, manager: Viewer) -> None:
    told: list[object] = []
    store.publisher = told.extend
    with store.write() as session:
        pattern = make_pattern(session)
        status = make_status(session, pattern, "保留")
    with store.write() as session:
        patterns.save_status(
            session, viewer=manager, pattern_id=pattern.id, status_id=status.id,
            details=StatusDetails(name="保留", connected=False), now=NOW,
        )  # fmt: skip
    assert [notice.ids["name"] for notice in told if notice.topic == "job"] == ["figures.restate"]


def test_R_PJ_1_pattern_change_keeps_old_records(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        old, new = make_pattern(session), make_pattern(session)
        status = make_status(session, old, "旧")
        project = make_project(session, pattern_id=old.id)
        customer = make_customer(session, make_list(session, project))
        record = make_record(session, customer, status_id=status.id)
    with store.write() as session:
        details = ProjectDetails(name=project.name, pattern_id=new.id)
        projects.save(session, viewer=manager, project_id=project.id, details=details, now=NOW)
    with store.read() as session:
        assert session.get(type(record), record.id).status_id == status.id


def test_R_PJ_1_script_is_filled_with_the_customers_columns() -> None:
    filled = projects.fill_script(
        "{会社名}の{ 担当者 }様、{知らない列}と{", ["会社名", "担当者"], ["焼津商店", "{会社名}"]
    )
    assert filled == "焼津商店の{会社名}様、{知らない列}と{"


def test_R_PJ_2_only_running_projects_are_offered(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        make_project(session, name="運営中")
        make_project(session, name="停止中", state=ProjectState.STOPPED)
    with store.read() as session:
        assert [project.name for project in projects.running(session)] == ["運営中"]
        assert len(projects.all_projects(session)) == 2


def test_R_PJ_3_what_is_missing_for_an_import(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        bare = make_project(session, pattern_id=None, main_number_id=None)
        whole = make_project(session)
    assert projects.missing_for_import(bare) == ["pattern", "caller_number"]
    assert projects.missing_for_import(whole) == []


def test_R_PJ_3_first_steps_are_ticked_off(store: Store, manager: Viewer) -> None:
    def done() -> list[str]:
        with store.read() as session:
            return [step.code for step in settings.first_steps(session) if step.done]

    assert done() == ["pattern"]
    with store.write() as session:
        project = make_project(session)
    assert done() == ["caller_number", "pattern", "project"]
    with store.write() as session:
        make_list(session, project, customers=3)
    assert "list" in done()
    assert "grants" not in done()


def test_R_PJ_4_number_is_retired_and_not_while_it_is_main(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        project = make_project(session)
        spare = make_caller_number(session)
    with store.write() as session, pytest.raises(Refused, match="number_is_main"):
        projects.retire_number(
            session, viewer=manager, number_id=project.main_number_id or 0, now=NOW
        )
    with store.write() as session:
        projects.retire_number(session, viewer=manager, number_id=spare.id, now=NOW)
    with store.read() as session:
        assert spare.id not in [number.id for number in projects.caller_numbers(session)]
        assert spare.id in [n.id for n in projects.caller_numbers(session, retired=True)]


def test_R_PJ_5_no_b2c_project_widens_the_sites_bound(store: Store, manager: Viewer) -> None:
    details = ProjectDetails(name="早朝", opens=time(7, 30))
    with store.write() as session, pytest.raises(Refused, match="hours_beyond_bound"):
        projects.save(session, viewer=manager, project_id=None, details=details, now=NOW)


def test_R_PJ_5_defaults_of_a_new_project(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        project = projects.save(
            session, viewer=manager, project_id=None, details=ProjectDetails(name="既定"), now=NOW
        )
    assert (project.opens, project.closes) == (time(9), time(20))
    assert (project.weekdays, project.on_holidays) == ([0, 1, 2, 3, 4], False)
    assert project.prospect_levels == ["A", "B", "C", "なし"]


@pytest.mark.parametrize("seconds", [14, 61])
def test_R_PJ_6_ring_time_is_15_to_60_s(store: Store, manager: Viewer, seconds: int) -> None:
    details = ProjectDetails(name="呼出", ring_time_s=seconds)
    with store.write() as session, pytest.raises(Refused, match="ring_time_range"):
        projects.save(session, viewer=manager, project_id=None, details=details, now=NOW)


def test_R_PJ_6_opening_words_come_first(store: Store, manager: Viewer) -> None:
    project = Project(business_name="焼津商会", caller_person="", purpose="新聞のご案内")
    assert projects.opening_words(project, operator="山田") == [
        ("business_name", "焼津商会"), ("caller_person", "山田"), ("purpose", "新聞のご案内"),
    ]  # fmt: skip
