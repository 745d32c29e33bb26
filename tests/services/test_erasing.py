"""R-LS-11: 個人情報の削除, and what the night takes out of the bin."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.jobs import nightly
from calltree.models import (
    Attempt,
    AuditEntry,
    BuiltIn,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    ExtraNumber,
    MemoEntry,
    Origin,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    Task,
)
from calltree.services import erasing, figures, list_bin, search
from calltree.services.criteria import Criteria
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

NUMBER = "0312345678"
SECRET = "山田花子"
LATER = NOW + timedelta(days=31)


@dataclass
class House:
    """A number in two lists, called in one of them, with everything that hangs on it."""

    store: Store
    manager: Viewer
    first: int
    second: int
    other: int
    lists: tuple[int, int]
    record: int

    def erase(self, typed: str, customer_id: int | None = None, viewer: Viewer | None = None):
        with self.store.write() as session:
            return erasing.erase(
                session, viewer=viewer or self.manager, number=NUMBER, customer_id=customer_id,
                typed=typed, now=NOW,
            )  # fmt: skip

    def everything(self) -> str:
        """All that every table holds besides the bans, as text."""
        with self.store.read() as session:
            kinds = (Attempt, AuditEntry, CallRecord, Customer, ExtraNumber, MemoEntry,
                     RecordCorrection, Recording, Task)  # fmt: skip
            rows = [row for kind in kinds for row in session.scalars(select(kind))]
            return " ".join(str(dict(vars(row))) for row in rows)


@pytest.fixture
def house(store: Store) -> House:
    with store.write() as session:
        project = make.make_project(session)
        here, there = make.make_list(session, project), make.make_list(session, project)
        manager = make.make_user(session, Role.MANAGER)
        cells = {"cells": [SECRET, "佐藤"], "folded": f"{SECRET}\x1f佐藤"}
        first = make.make_customer(session, here, number=NUMBER, short_note=SECRET,
                                   attributes={"1": SECRET}, **cells)  # fmt: skip
        second = make.make_customer(session, there, number="0399998888", **cells)
        other = make.make_customer(session, here, number="0311112222")
        make.make_extra_number(session, second, NUMBER)
        attempt = Attempt(
            uuid="a", origin=Origin.CALL, customer_id=first.id, list_id=here.id, number=NUMBER,
            verdict="allowed", state=CallState.ENDED, created_at=NOW, ended_at=NOW,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        record = make.make_record(
            session, first, attempt_id=attempt.id, memo=SECRET, attributes={"2": SECRET},
            status_id=make.built_in(session, BuiltIn.PROSPECT).id, user_id=manager.id,
        )  # fmt: skip
        figures.settle(session, record=record, now=NOW)
        by_hand = make.make_record(
            session, other, number=NUMBER, kind=RecordKind.MANUAL, customer_id=None, list_id=None,
            memo=SECRET,
        )  # fmt: skip
        said = {"status": "見込", "memo": SECRET, "attributes": {"2": SECRET}}
        session.add_all(
            [
                Recording(attempt_id=attempt.id, record_id=record.id, raw_name="", started_at=NOW,
                          stored_name="1.mp3", state=RecordingState.STORED, protected=True,
                          waveform=b"x"),
                MemoEntry(customer_id=first.id, at=NOW, text=SECRET, record_id=record.id),
                RecordCorrection(record_id=record.id, at=NOW, user_id=manager.id, before=said,
                                 after=said),
                Task(customer_id=first.id, list_id=here.id, record_id=record.id, opened_at=NOW),
                DoNotCall(number=NUMBER, source=DncSource.FORM, created_at=NOW),
            ]
        )  # fmt: skip
        assert by_hand.number == NUMBER
        return House(
            store, Viewer.of(manager), first.id, second.id, other.id, (here.id, there.id),
            record.id,
        )  # fmt: skip


def test_R_LS_11_all_of_a_number_is_erased_and_what_counts_stays(house: House) -> None:
    with house.store.read() as session:
        found = erasing.known(session, viewer=house.manager, number=NUMBER, now=NOW)
    assert [row.id for row, _name in found.customers] == [house.first, house.second]
    assert (found.records, found.recordings, found.banned, found.count) == (2, 1, True, 4)
    house.erase("4")
    left = house.everything()
    assert SECRET not in left
    assert NUMBER not in left
    with house.store.write() as session:
        record = session.get_one(CallRecord, house.record)
        assert (record.counts_dial, record.counts_connect) == (True, True)
        assert record.status_id is not None
        sound = session.scalars(select(Recording)).one()
        assert (sound.state, sound.destroy_after) == (RecordingState.HIDDEN, NOW)
        assert session.scalars(select(DoNotCall)).one().number == NUMBER
        assert session.scalars(select(Task)).one().done_at == NOW
        for list_id, count in zip(house.lists, (1, 0), strict=True):
            assert figures.totals(session, list_id=list_id).customers == count
            assert figures.recount(session, list_id=list_id) == {}
        line = session.scalars(select(AuditEntry)).one()
        assert (line.action, line.detail["ending"]) == ("person.erased", "5678")
        with pytest.raises(Refused, match="nothing_known"):
            erasing.erase(session, viewer=house.manager, number=NUMBER, typed="0", now=NOW)


def test_R_LS_11_one_customer_is_erased_and_the_same_number_elsewhere_stays(house: House) -> None:
    house.erase("2", customer_id=house.first)
    with house.store.read() as session:
        asked = {"viewer": house.manager, "now": NOW}
        found = erasing.known(session, number=NUMBER, **asked)
        assert [row.id for row, _name in found.customers] == [house.second]
        assert found.records == 1  # the call by hand
        ids = search.find_ids(
            session, list_id=house.lists[0], criteria=Criteria(text=SECRET), **asked
        )
        assert list(ids) == []


def test_R_LS_11_nobody_is_erased_while_open_or_in_a_call_nor_without_the_count(
    house: House,
) -> None:
    with pytest.raises(Refused, match="count_differs"):
        house.erase("5")
    with house.store.write() as session:
        user = make.make_user(session, name="鈴木")
        make.make_hold(session, session.get_one(Customer, house.second), user)
    with pytest.raises(Refused, match="customer_held") as refused:
        house.erase("4")
    assert refused.value.values == {"name": "鈴木"}
    with house.store.write() as session:
        session.scalars(select(Attempt)).one().ended_at = None
    with pytest.raises(Refused, match="in_a_call"):
        house.erase("4")
    with house.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    with pytest.raises(NotAllowed):
        house.erase("4", viewer=supervisor)
    assert house.everything().count(SECRET) > 5


def test_R_LS_11_the_night_empties_the_bin_after_30_days_and_keeps_the_history(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "BATCH", 5)  # one customer at a time
    with house.store.write() as session:
        rows = [session.get_one(Customer, i) for i in (house.first, house.other)]
        figures.leave(session, customers=rows)
        for row in rows:
            row.deleted_at, row.deleted_by = NOW, house.manager.user_id
    nightly.empty_bin(house.store, now=NOW + timedelta(days=29))
    with house.store.read() as session:
        assert len(session.scalars(select(Customer.id).where(list_bin.is_here())).all()) == 2
    nightly.empty_bin(house.store, now=LATER)
    with house.store.read() as session:
        assert session.get(Customer, house.other) is None  # never called
        left = session.get_one(Customer, house.first)
        assert (left.number, left.cells, left.deleted_by) == ("", [], None)
        record = session.get_one(CallRecord, house.record)
        assert (record.number, record.memo, record.customer_id) == (NUMBER, SECRET, left.id)
        assert session.get_one(Customer, house.second).number == "0399998888"
    assert nightly.check_figures(house.store) == 0


def test_R_LS_11_a_list_leaves_the_bin_with_its_customers_and_its_name_stays(house: House) -> None:
    here, there = house.lists
    with house.store.write() as session:
        list_bin.delete_list(session, viewer=house.manager, list_id=here, typed="2", now=NOW)
        # what an import has not made yet is no rubbish
        coming = session.get_one(CustomerList, there)
        coming.deleted_at = NOW
    nightly.empty_bin(house.store, now=LATER)
    nightly.empty_bin(house.store, now=LATER)
    with house.store.write() as session:
        folder = session.get_one(CustomerList, here)
        assert (folder.purged_at, folder.customers) == (LATER, 0)
        assert list_bin.deleted_lists(session, viewer=house.manager) == []
        assert session.get(Customer, house.other) is None
        assert session.get_one(Customer, house.first).number == ""
        assert session.get_one(Customer, house.second).number == "0399998888"
    assert nightly.check_figures(house.store) == 0
