"""The export of do-not-call entries: what a search of 架電禁止管理 finds, newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from calltree.errors import NotAllowed
from calltree.models import DncSource, DoNotCall, Project, User
from calltree.services import ban_search, do_not_call
from calltree.services.ban_search import BanCriteria
from calltree.services.export_sheets import Reader, Row, Sheet, layout_of, names_of
from calltree.services.names import PHONE_COLUMN
from calltree.services.rights import Right, Viewer
from calltree.text.phones import format_national

PAGE = 1000
COLUMNS = (
    PHONE_COLUMN, "対象案件", "登録元", "登録者", "登録日時", "期限", "備考", "解除日時",
    "解除者", "解除理由",
)  # fmt: skip
ALL_PROJECTS = "全案件"
SOURCES = {
    DncSource.STATUS: "結果ステータス",
    DncSource.FORM: "フォーム",
    DncSource.CSV: "CSV",
    DncSource.API: "API",
}
"""Data like the names of results: a file says the same in every language."""


def bans(
    read: Reader,
    *,
    viewer: Viewer,
    criteria: BanCriteria,
    chosen: Collection[str] = (),
    zone: ZoneInfo,
    now: datetime,
) -> Sheet:
    """Begin the export. Raises NotAllowed."""
    if not viewer.may(Right.EXPORT) or not viewer.may(Right.SEE_BANS):
        raise NotAllowed
    with read() as session:
        users, projects = names_of(session, User), names_of(session, Project)
        expected, newest = ban_search.count(session, criteria=criteria, now=now)
    layout = layout_of([(name, [name]) for name in COLUMNS], chosen)

    def local(moment: datetime | None) -> str:
        return f"{moment.astimezone(zone):%Y/%m/%d %H:%M:%S}" if moment else ""

    def cells(entry: DoNotCall, scope: Sequence[int]) -> Row:
        return [
            format_national(entry.number),
            ALL_PROJECTS if entry.all_projects else "、".join(projects[i] for i in scope),
            SOURCES[entry.source],
            users.get(entry.user_id or 0, ""),
            local(entry.created_at),
            local(entry.expires_at),
            entry.note,
            local(entry.released_at),
            users.get(entry.released_by or 0, ""),
            _reason(entry),
        ]

    def rows() -> Iterator[Row]:
        before = newest + 1
        while True:
            with read() as session:
                page = ban_search.page(
                    session, criteria=criteria, now=now, before_id=before, size=PAGE
                )
                scopes = _scopes(session, page)
            yield from (cells(entry, scopes.get(entry.id, ())) for entry in page)
            if len(page) < PAGE:
                return
            before = page[-1].id

    return Sheet("", layout.names, layout.pick(rows()), expected)


def _scopes(session: Session, page: Sequence[DoNotCall]) -> dict[int, list[int]]:
    narrow = [entry.id for entry in page if not entry.all_projects]
    return do_not_call.projects_of(session, narrow) if narrow else {}


def _reason(entry: DoNotCall) -> str:
    return "結果の変更" if entry.release_reason == "status_changed" else entry.release_reason
