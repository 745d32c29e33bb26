"""R-HS-4: what the files hold: columns, rows, choices."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import NotFound
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    ItemKind,
    ItemTarget,
    Origin,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    SystemResult,
    Task,
)
from calltree.services import exports, names
from calltree.services.criteria import Criteria
from tests.factories import (
    NOW,
    built_in,
    make_caller_number,
    make_customer,
    make_extra_number,
    make_item,
    make_list,
    make_pattern,
    make_project,
    make_status,
    make_user,
)
from tests.services.export_tables import ALL, columns, customers, floor, memo, records, said


def sound(session: Session, record: CallRecord, state: RecordingState, **given: Any) -> None:
    """A recording of the record's call."""
    attempt = Attempt(
        uuid=f"u{record.id}",
        number=record.number,
        origin=Origin.CALL,
        state=CallState.ENDED,
        verdict="allowed",
        created_at=NOW,
        ended_at=NOW,
    )
    session.add(attempt)
    session.flush()
    values = {"attempt_id": attempt.id, "record_id": record.id, "raw_name": "r", "started_at": NOW}
    session.add(Recording(state=state, **(values | given)))
    session.flush()


def test_R_HS_4_per_list_every_column_is_the_ledgers(store: Store) -> None:
    with floor(store) as (session, viewer):
        pattern = make_pattern(session)
        interest = make_status(session, pattern, "資料送付")
        project = make_project(session, pattern_id=pattern.id)
        heat = make_item(session, project, name="温度感", target=ItemTarget.CUSTOMER)
        check = make_item(
            session, project, name="既存客", target=ItemTarget.CUSTOMER, kind=ItemKind.CHECK
        )
        make_item(session, project, name="通話の属性", target=ItemTarget.RESULT)
        folder = make_list(session, project, name="東京", columns=["会社名", "住所"])
        operator = make_user(session, name="山田太郎")
        writer = make_user(session, name="事務恵子", role=Role.BACKYARD)
        busy = make_customer(
            session,
            folder,
            number="0312345678",
            cells=["=SUM(A1)", "東京都\n港区"],
            attributes={str(heat.id): "高い", str(check.id): True},
            prospect_level="A",
            short_note="午後に",
        )
        make_extra_number(session, busy, "09012345678", position=1)
        make_extra_number(session, busy, "0466123456", position=0)
        at = datetime(2026, 11, 22, 5, 30, 5, tzinfo=UTC)
        no_answer = built_in(session, BuiltIn.NO_ANSWER)
        said(session, busy, user_id=operator.id, started_at=at, status_id=no_answer.id)
        second = at + timedelta(hours=1)
        said(session, busy, user_id=operator.id, started_at=second, status_id=interest.id)
        said(
            session,
            busy,
            kind=RecordKind.ENTRY,
            user_id=writer.id,
            started_at=second + timedelta(hours=1),
            status_id=built_in(session, BuiltIn.PROSPECT).id,
        )
        said(
            session,
            busy,
            user_id=operator.id,
            started_at=second + timedelta(hours=2),
            system=SystemResult.LINE_ERROR,
        )
        session.add(
            Task(
                customer_id=busy.id,
                list_id=folder.id,
                due_at=datetime(2026, 11, 25, 1, 0, tzinfo=UTC),
                opened_at=NOW,
            )
        )
        memo(session, busy, "【一】はじめ")
        memo(session, busy, "【二】つぎ")
        fresh = make_customer(session, folder, number="0120123456", cells=["+81-3", "-5 (3)"])
    table = customers(store, viewer, list_id=folder.id)
    assert table[0] == [
        "顧客ID", "リスト番号", "リスト名", "電話番号", "会社名", "住所", "追加番号1", "追加番号2",
        "温度感", "既存客", "見込レベル", "最終結果", "最終架電日時", "最終架電者", "コール数",
        "コネクト数", "再コール日時", "簡易メモ", "メモ",
    ]  # fmt: skip
    assert table[1] == [
        str(busy.id), str(folder.id), "東京", "03-1234-5678", "'=SUM(A1)", "東京都\n港区",
        "0466-12-3456", "090-1234-5678", "高い", "あり", "A", "見込", "2026/11/22 15:30:05",
        "山田太郎", "2", "1", "2026/11/25 10:00:00", "午後に", "【一】はじめ\n【二】つぎ",
    ]  # fmt: skip
    assert table[2] == [
        str(fresh.id), str(folder.id), "東京", "0120-123-456", "+81-3", "-5 (3)",
        *[""] * 8, "0", "0", "", "", "",
    ]  # fmt: skip
    assert len(table) == 3


def test_R_HS_4_per_record_every_column_is_the_ledgers(store: Store) -> None:
    with floor(store) as (session, viewer):
        project = make_project(session, name="秋の案内")
        heat = make_item(session, project, name="温度感")
        folder = make_list(session, project, name="東京")
        caller = make_caller_number(session, "0501234567" + "8")
        operator = make_user(session, name="山田太郎")
        customer = make_customer(session, folder, number="0312345678")
        at = datetime(2026, 11, 22, 5, 30, 5, tzinfo=UTC)
        dialled = said(
            session,
            customer,
            number="09012345678",
            user_id=operator.id,
            caller_number_id=caller.id,
            started_at=at,
            talk_ms=61_900,
            status_id=built_in(session, BuiltIn.CLAIM).id,
            attributes={str(heat.id): "高い"},
            memo="一行目\n二行目",
        )
        sound(session, dialled, RecordingState.STORED)
        later = at + timedelta(days=1)
        kinds = [
            said(session, customer, kind=kind, user_id=user, started_at=later, system=system)
            for kind, user, system in (
                (RecordKind.PREDICTIVE, None, SystemResult.ABANDONED),
                (RecordKind.INBOUND, operator.id, SystemResult.BLANK),
                (RecordKind.OUTBOUND, operator.id, SystemResult.LINE_ERROR),
            )
        ]
        entry = said(
            session,
            customer,
            kind=RecordKind.ENTRY,
            user_id=operator.id,
            started_at=later,
            status_id=built_in(session, BuiltIn.FAX).id,
        )
        said(session, customer, kind=RecordKind.MANUAL, user_id=operator.id, started_at=later)
    table = records(store, viewer)
    assert table[0] == [
        "履歴ID", "種別", "日時", "通話秒", "案件", "リスト名", "顧客ID", "電話番号",
        "架電した番号", "発信番号", "ユーザー", "結果", "温度感", "メモ", "録音",
    ]  # fmt: skip
    place = ["秋の案内", "東京", str(customer.id), "03-1234-5678"]
    day = "2026/11/23 14:30:05"
    assert table[1:] == [
        [str(entry.id), "手入力", day, "0", *place, "", "", "山田太郎", "FAX", "", "", ""],
        [str(kinds[2].id), "発信", day, "0", *place, "03-1234-5678", "", "山田太郎", "回線エラー",
         "", "", ""],
        [str(kinds[1].id), "受電", day, "0", *place, "03-1234-5678", "", "山田太郎", "空白",
         "", "", ""],
        [str(kinds[0].id), "プレディコール", day, "0", *place, "03-1234-5678", "", "自動発信",
         "放棄", "", "", ""],
        [str(dialled.id), "発信", "2026/11/22 14:30:05", "61", *place, "090-1234-5678",
         "050-1234-5678", "山田太郎", "クレーム", "高い", "一行目\n二行目", "あり"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "reason", "cell"),
    [
        (RecordingState.STOPPED, "", "あり"),
        (RecordingState.HIDDEN, "", ""),
        (RecordingState.MISSING, "", ""),
        (RecordingState.DESTROYED, "no_answer", ""),
        (RecordingState.DESTROYED, "capacity", "容量超過により削除 2026/11/24"),
    ],
)
def test_R_HS_4_the_recording_column_says_what_is_there(
    store: Store, state: RecordingState, reason: str, cell: str
) -> None:
    with floor(store) as (session, viewer):
        customer = make_customer(session, make_list(session))
        record = said(session, customer)
        moment = NOW if reason else None
        sound(session, record, state, destroyed_reason=reason, destroyed_at=moment)
    assert columns(records(store, viewer), "録音") == [(cell,)]


def test_R_LS_10_after_a_reset_the_last_result_and_the_counts_start_again(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session)
        customer = make_customer(session, folder)
        said(session, customer, status_id=built_in(session, BuiltIn.PROSPECT).id)
        folder.cycle += 1
    table = customers(store, viewer, list_id=folder.id)
    wanted = ("最終結果", "最終架電日時", "コール数", "コネクト数")
    assert columns(table, *wanted) == [("", "2026/11/24 10:00:00", "0", "0")]


def test_R_HS_4_deleted_customers_and_deleted_lists_are_left_out(store: Store) -> None:
    with floor(store) as (session, viewer):
        project = make_project(session)
        folder, gone = make_list(session, project), make_list(session, project)
        kept = make_customer(session, folder)
        make_customer(session, folder, deleted_at=NOW)
        make_customer(session, gone)
        gone.deleted_at = NOW
    assert columns(customers(store, viewer, project_id=project.id), "顧客ID") == [(str(kept.id),)]
    with pytest.raises(NotFound):
        customers(store, viewer, list_id=gone.id)


def test_R_HS_4_by_condition_over_the_lists_of_one_project(store: Store) -> None:
    with floor(store) as (session, viewer):
        project = make_project(session)
        first = make_list(session, project, columns=["会社名", "住所"])
        second = make_list(session, project, columns=["担当者", "会社名"])
        other = make_list(session, columns=["会社名"])
        a = make_customer(session, first, cells=["甲", "港区"])
        b = make_customer(session, second, cells=["佐藤", "乙"])
        make_customer(session, second, cells=["鈴木", "丙"], number="0355550000")
        make_customer(session, other, cells=["丁"])
        no_answer = built_in(session, BuiltIn.NO_ANSWER)
        for customer in (a, b):
            said(session, customer, status_id=no_answer.id)
    asked = Criteria(statuses=(str(no_answer.id),))
    table = customers(store, viewer, project_id=project.id, criteria=asked)
    assert columns(table, "会社名", "住所", "担当者") == [("甲", "港区", ""), ("乙", "", "佐藤")]


def test_R_HS_4_a_short_row_fills_its_columns(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session, columns=["一", "二", "三"])
        make_customer(session, folder, cells=["1"])
    assert columns(customers(store, viewer, list_id=folder.id), "一", "二", "三") == [("1", "", "")]


def test_R_HS_4_columns_are_chosen_in_their_own_order(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session, columns=["会社名"])
        customer = make_customer(session, folder, cells=["甲"], number="0312345678")
        make_extra_number(session, customer, "09012345678")
    chosen = ["メモ", "追加番号", "会社名", "ない列"]
    table = customers(store, viewer, list_id=folder.id, chosen=chosen)
    assert table == [["会社名", "追加番号1", "メモ"], ["甲", "090-1234-5678", ""]]
    assert customers(store, viewer, list_id=folder.id, chosen=["会社名"]) == [["会社名"], ["甲"]]


def test_R_HS_4_the_names_to_choose_from_are_the_columns_of_the_header(store: Store) -> None:
    with floor(store) as (session, viewer):
        project = make_project(session)
        make_item(session, project, name="温度感", target=ItemTarget.CUSTOMER)
        make_item(session, project, name="結果の属性")
        folder = make_list(session, project)
        said(session, make_customer(session, folder))
    with store.read() as session:
        per_list = exports.customer_columns(session, folders=[folder])
        per_record = exports.record_columns(session, criteria=ALL)
    header = customers(store, viewer, list_id=folder.id, chosen=per_list)[0]
    assert header == [name for name in per_list if name != names.EXTRA_NUMBER_PREFIX]
    assert records(store, viewer, chosen=per_record)[0] == per_record
