"""Names that meet in one project: statuses, attribute items, list columns (R-ST-3).

They become columns of one export and labels of one screen, so they never collide inside a project.
Compared after NFKC, trim and case-folding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    AttributeItem,
    CustomerList,
    Project,
    ProjectItem,
    ResultStatus,
)
from calltree.text.folding import fold_name

PHONE_COLUMN = "電話番号"
CUSTOMER_HEAD = ("顧客ID", "リスト番号", "リスト名")
CUSTOMER_TAIL = (
    "見込レベル", "最終結果", "最終架電日時", "最終架電者", "コール数", "コネクト数",
    "再コール日時", "簡易メモ",
)  # fmt: skip
RECORD_HEAD = ("履歴ID", "種別", "日時", "通話秒", "案件", "リスト名", "顧客ID")
RECORD_MIDDLE = ("架電した番号", "発信番号", "ユーザー", "結果")
RECORDING_COLUMN = "録音"
MEMO_COLUMN = "メモ"
LIST_EXPORT_COLUMNS = (*CUSTOMER_HEAD, *CUSTOMER_TAIL, MEMO_COLUMN)
"""Of the export per list; 電話番号, list columns, 追加番号1… and 顧客属性 stand in the middle."""
RECORD_EXPORT_COLUMNS = (
    *RECORD_HEAD, *RECORD_MIDDLE, "結果属性", MEMO_COLUMN, RECORDING_COLUMN
)  # fmt: skip
"""Of the export per record; 結果属性 stands for a column of each item."""
EXTRA_NUMBER_PREFIX = "追加番号"
RESERVED = {
    fold_name(name)
    for name in (
        PHONE_COLUMN,
        *SYSTEM_RESULT_NAMES.values(),
        *LIST_EXPORT_COLUMNS,
        *RECORD_EXPORT_COLUMNS,
    )
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name stands: 'status', 'item' or 'column', in which project and list."""

    kind: str
    name: str
    project: str
    list_name: str = ""
    ref: tuple[str, int] = ("", 0)
    """('status' | 'item' | 'list', id): lets a rename leave itself out of the comparison."""


@dataclass(frozen=True, slots=True)
class Clash:
    """One name that cannot be used, and the other side of the clash (None: reserved)."""

    name: str
    other: Place | None


def is_reserved(name: str) -> bool:
    """Whether the exports or the system use this name themselves."""
    key = fold_name(name)
    if key in RESERVED or key.startswith(fold_name(EXTRA_NUMBER_PREFIX)):
        return True
    # メモ2, メモ3: where a long memo goes on (R-HS-4)
    return key.startswith(MEMO_COLUMN) and key[len(MEMO_COLUMN) :].isdigit()


def places(session: Session, project: Project) -> list[Place]:
    """Return every name in use inside a project, retired ones too: history shows them still."""
    return [
        *_statuses(session, project),
        *_items(session, project),
        *_columns(session, project),
    ]


def _statuses(session: Session, project: Project) -> list[Place]:
    rows = session.scalars(
        select(ResultStatus).where(
            or_(ResultStatus.pattern_id.is_(None), ResultStatus.pattern_id == project.pattern_id)
        )
    )
    return [Place("status", s.name, project.name, ref=("status", s.id)) for s in rows]


def _items(session: Session, project: Project) -> list[Place]:
    rows = session.scalars(
        select(AttributeItem)
        .join(ProjectItem, ProjectItem.item_id == AttributeItem.id)
        .where(ProjectItem.project_id == project.id)
    )
    return [Place("item", i.name, project.name, ref=("item", i.id)) for i in rows]


def _columns(session: Session, project: Project) -> list[Place]:
    rows = session.scalars(
        select(CustomerList).where(
            CustomerList.project_id == project.id, CustomerList.deleted_at.is_(None)
        )
    )
    return [
        Place("column", column, project.name, found.name, ref=("list", found.id))
        for found in rows
        for column in found.columns
    ]


def clashes(wanted: Iterable[str], standing: Iterable[Place]) -> list[Clash]:
    """Return each wanted name that is reserved or stands somewhere already."""
    taken: dict[str, Place] = {}
    for place in standing:
        taken.setdefault(fold_name(place.name), place)
    found = []
    for name in wanted:
        if is_reserved(name):
            found.append(Clash(name, None))
        elif fold_name(name) in taken:
            found.append(Clash(name, taken[fold_name(name)]))
    return found


def column_clashes(session: Session, *, project: Project, columns: Iterable[str]) -> list[Clash]:
    """Return the clashes of a list's columns with the statuses and items of its project."""
    standing = [*_statuses(session, project), *_items(session, project)]
    return clashes(columns, standing)


def refuse_clash(session: Session, *, projects: Iterable[Project], name: str, own: Place) -> None:
    """Raise Refused naming both sides if `name` stands in any of these projects already.

    `own` says what is being named, and by its `ref` what to leave out of the comparison.
    """
    refuse_first(clashes([name], []))
    for project in projects:
        standing = [
            place
            for place in places(session, project)
            if place.ref != own.ref and (place.kind != "column" or own.kind != "column")
        ]
        refuse_first(clashes([name], standing))


def refuse_first(found: list[Clash]) -> None:
    """Raise Refused for the first clash; the code says what the two sides are."""
    if not found:
        return
    clash = found[0]
    if clash.other is None:
        raise Refused("name_reserved", field="name", name=clash.name)
    other = clash.other
    raise Refused(
        f"name_clash_{other.kind}",
        field="name",
        name=clash.name,
        other=other.name,
        project=other.project,
        list=other.list_name,
    )
