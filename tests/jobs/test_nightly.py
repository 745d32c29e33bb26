"""The night's work and the recount after a status changed: right, repeatable, in short pieces."""

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from calltree.db import Store
from calltree.jobs import figures as figures_job
from calltree.jobs import nightly
from calltree.models import (
    AttemptEvent,
    CallRecord,
    CallState,
    CustomerList,
    Origin,
    ResultStatus,
)
from calltree.models.calls import Attempt
from calltree.services import figures
from tests.factories import (
    NOW,
    make_customer,
    make_list,
    make_pattern,
    make_project,
    make_record,
    make_status,
    make_user,
)


def test_R_ST_3_restating_a_status_recounts_records_lists_and_customers(store: Store) -> None:
    with store.write() as session:
        pattern = make_pattern(session)
        status = make_status(session, pattern, "商談中")
        folder = make_list(session, make_project(session, pattern_id=pattern.id))
        user = make_user(session)
        for _turn in range(3):
            customer = make_customer(session, folder)
            record = make_record(session, customer, status_id=status.id, user_id=user.id)
            figures.settle(session, record=record, now=NOW)
        folder_id, status_id = folder.id, status.id
    with store.write() as session:
        session.get_one(ResultStatus, status_id).connected = False
    assert figures_job.restate_in(store, status_id) == 3
    assert figures_job.restate_in(store, status_id) == 3
    with store.read() as session:
        folder = session.get_one(CustomerList, folder_id)
        connects = session.scalar(select(func.count()).where(CallRecord.counts_connect))
    assert (folder.dials, folder.connects, connects) == (3, 0, 0)


def test_nightly_check_repairs_figures_that_differ_and_leaves_the_others(store: Store) -> None:
    with store.write() as session:
        right, wrong = make_list(session), make_list(session, customers=7)
        make_customer(session, right)
        make_customer(session, wrong)
        ids = right.id, wrong.id
    assert nightly.check_figures(store) == 1
    assert nightly.check_figures(store) == 0
    with store.read() as session:
        assert [session.get_one(CustomerList, i).customers for i in ids] == [1, 1]


def test_old_event_ids_are_swept_and_young_ones_stay(store: Store) -> None:
    with store.write() as session:
        attempt = Attempt(
            uuid="0" * 36, origin=Origin.CALL, number="0312345678", verdict="allowed",
            state=CallState.ENDED, created_at=NOW, ended_at=NOW,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        for name, age in (("old", 31), ("young", 29)):
            at = NOW - timedelta(days=age)
            session.add(AttemptEvent(event_id=name, attempt_id=attempt.id, name="x", at=at))
    nightly.sweep_rows(store, before=NOW - timedelta(days=nightly.KEPT_DAYS))
    with store.read() as session:
        assert session.scalars(select(AttemptEvent.event_id)).all() == ["young"]


def test_exports_that_nobody_took_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old.csv", 30), ("young.csv", 2)):
        file = tmp_path / name
        file.write_text("x")
        at = (NOW - timedelta(hours=age)).timestamp()
        os.utime(file, (at, at))
    assert nightly.sweep_files(tmp_path, before=NOW - timedelta(days=1)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["young.csv"]


def test_the_nights_work_is_done_once_a_day(store: Store) -> None:
    assert nightly._claim(store, NOW)
    assert not nightly._claim(store, NOW + timedelta(hours=1))
    assert nightly._claim(store, NOW + timedelta(days=1))
