"""An import's columns are remembered in its project (R-LS-10: column mapping remembered)."""

from __future__ import annotations

import pytest

from calltree.config import Settings
from calltree.db import Store
from calltree.models import Import
from calltree.services.import_check import Choices, Target
from tests import factories as make
from tests.services.import_desk import Desk

FIRST = "顧客名,TEL,携帯,備考\r\n田中商店,03-1234-5678,090-1111-2222,あ\r\n"
SECOND = "備考,携帯,顧客名,TEL\r\nい,090-3333-4444,佐藤商店,03-1234-9999\r\n"
CHOSEN = {0: Target.COLUMN, 1: Target.PHONE, 2: Target.EXTRA, 3: Target.IGNORE}


@pytest.fixture
def desk(store: Store, settings: Settings) -> Desk:
    return Desk(store, settings.uploads_dir)


def taken_in(desk: Desk, content: str = FIRST, **given: object) -> Import:
    """A file whose columns somebody has chosen, taken in."""
    import_id = desk.upload(content, targets=dict(CHOSEN), names={0: "会社名"}, **given)
    desk.start(import_id)
    return desk.run(import_id)


def recalled(desk: Desk, import_id: int) -> Choices:
    return Choices.read(desk.row(import_id).choices)


def test_R_LS_10_columns_go_where_they_went_last_time(desk: Desk) -> None:
    first = taken_in(desk)
    again = desk.upload(FIRST.replace("5678", "5679"))
    kept = recalled(desk, again)
    assert (kept.targets, kept.names, kept.recalled) == (CHOSEN, {0: "会社名"}, first.id)
    desk.start(again)
    folder = desk.folder(desk.run(again).list_id)
    assert folder.columns == ["会社名"]
    assert [one.number for one in desk.customers(folder.id)] == ["0312345679"]


def test_R_LS_10_headers_may_stand_in_another_order(desk: Desk) -> None:
    taken_in(desk)
    kept = recalled(desk, desk.upload(SECOND))
    assert kept.targets == {
        0: Target.IGNORE, 1: Target.EXTRA, 2: Target.COLUMN, 3: Target.PHONE,
    }  # fmt: skip
    assert kept.names == {2: "会社名"}


def test_R_LS_10_the_last_import_is_remembered(desk: Desk) -> None:
    taken_in(desk)
    later = desk.upload(FIRST, targets=CHOSEN | {3: Target.COLUMN}, names={})
    desk.start(later)
    desk.run(later)
    assert recalled(desk, desk.upload(FIRST)).targets[3] is Target.COLUMN


def test_R_LS_10_what_is_chosen_now_stays_chosen(desk: Desk) -> None:
    taken_in(desk)
    again = desk.upload(FIRST)
    desk.choose(again, targets=CHOSEN | {2: Target.IGNORE}, recalled=0)
    assert recalled(desk, again).targets[2] is Target.IGNORE
    desk.choose(again, targets={}, names={}, recalled=0)
    assert desk.row(again).findings["verdict"] == "columns_wrong"  # no 電話番号: guessed anew


@pytest.mark.parametrize(
    "other", ["顧客名,TEL,携帯\r\nあ,0312345678,\r\n", "電話番号\r\n0312345678\r\n"]
)
def test_R_LS_10_other_headers_remember_nothing(desk: Desk, other: str) -> None:
    taken_in(desk)
    assert recalled(desk, desk.upload(other)) == Choices()


def test_R_LS_10_another_project_and_a_file_never_taken_in_remember_nothing(desk: Desk) -> None:
    desk.upload(FIRST, targets=dict(CHOSEN))
    assert recalled(desk, desk.upload(FIRST)) == Choices()
    taken_in(desk)
    with desk.store.write() as session:
        desk.project_id = make.make_project(session).id
    assert recalled(desk, desk.upload(FIRST)) == Choices()


def test_R_LS_4_numbered_headers_are_remembered_in_their_order_only(desk: Desk) -> None:
    alike = "電話番号,住所,住所\r\n03-1234-5678,東京,港区\r\n"
    import_id = desk.upload(alike, number_headers=True)
    desk.start(import_id)
    desk.run(import_id)
    assert recalled(desk, desk.upload(alike)).number_headers
    turned = "住所,電話番号,住所\r\n東京,03-1234-5670,港区\r\n"
    assert recalled(desk, desk.upload(turned)) == Choices()
