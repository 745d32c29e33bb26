"""お知らせ: a line to all operators, to a group or to one, and who has read it (R-WT-1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import Group, GroupMember, Notice, NoticeReader, Role, User
from calltree.services import audit
from calltree.services.rights import ROLES_OF, Right, Viewer

MOST_CHARS = 300
SHOWN = timedelta(days=7)
"""An older one is shown to nobody any more."""
MOST_SHOWN = 20
_READERS = ROLES_OF[Right.DIAL]


@dataclass(frozen=True, slots=True)
class Sent:
    """A notice as those who write them see it."""

    notice: Notice
    author: str
    to: str
    """The group's or the person's name; empty: all operators."""
    readers: int
    read: int
    waits_for: tuple[str, ...]
    """Who has not read it yet."""


def send(
    session: Session,
    *,
    viewer: Viewer,
    text: str,
    group_id: int | None = None,
    user_id: int | None = None,
    now: datetime,
) -> Notice:
    """Send a line to a group, to one person, or, with neither, to all operators.

    Raises NotAllowed; Refused 'notice_empty', 'notice_long' (`most`), 'notice_nobody'.
    """
    if not viewer.may(Right.WATCH):
        raise NotAllowed(Right.WATCH)
    text = " ".join(text.split())
    if not text:
        raise Refused("notice_empty", field="text")
    if len(text) > MOST_CHARS:
        raise Refused("notice_long", field="text", most=MOST_CHARS)
    to_all = group_id is None and user_id is None
    readers = _readers(session, viewer, group_id, user_id)
    if not readers:
        raise Refused("notice_nobody", field="to")
    notice = Notice(
        text=text, user_id=viewer.user_id, group_id=group_id, to_all=to_all, created_at=now
    )
    session.add(notice)
    session.flush()
    session.execute(
        insert(NoticeReader),
        [{"notice_id": notice.id, "user_id": reader, "read_at": None} for reader in readers],
    )
    audit.note(
        session, viewer=viewer, action="notice.sent", kind="notice", object_id=notice.id, now=now,
        readers=len(readers),
    )  # fmt: skip
    _tell(session, readers)
    return notice


def _readers(
    session: Session, viewer: Viewer, group_id: int | None, user_id: int | None
) -> list[int]:
    query = select(User.id).where(
        User.deleted_at.is_(None), User.role.in_(_READERS), User.id != viewer.user_id
    )
    if user_id is not None:
        query = query.where(User.id == user_id)
    elif group_id is not None:
        query = query.join(GroupMember, GroupMember.user_id == User.id).where(
            GroupMember.group_id == group_id
        )
    else:
        query = query.where(User.role == Role.OPERATOR)
    return list(session.scalars(query.order_by(User.id)))


def unread(session: Session, *, user_id: int, now: datetime) -> list[tuple[Notice, str]]:
    """Return what the user has not read, oldest first, each with its author's name."""
    return [
        (notice, author)
        for notice, author in session.execute(
            select(Notice, User.name)
            .join(NoticeReader, NoticeReader.notice_id == Notice.id)
            .join(User, User.id == Notice.user_id)
            .where(
                NoticeReader.user_id == user_id,
                NoticeReader.read_at.is_(None),
                Notice.withdrawn_at.is_(None),
                Notice.created_at >= now - SHOWN,
            )
            .order_by(Notice.id)
            .limit(MOST_SHOWN)
        )
    ]


def mark_read(session: Session, *, user_id: int, notice_id: int, now: datetime) -> None:
    """Note that the user has read it. Raises NotFound for one that was not for them."""
    reader = session.get(NoticeReader, (notice_id, user_id))
    if reader is None:
        raise NotFound(f"notice {notice_id}")
    reader.read_at = reader.read_at or now
    _tell(session, [user_id])


def withdraw(session: Session, *, viewer: Viewer, notice_id: int, now: datetime) -> None:
    """Take a line back: nobody is shown it any more. Raises NotAllowed, NotFound."""
    if not viewer.may(Right.WATCH):
        raise NotAllowed(Right.WATCH)
    notice = session.get(Notice, notice_id)
    if notice is None:
        raise NotFound(f"notice {notice_id}")
    if notice.withdrawn_at is not None:
        return
    notice.withdrawn_at = now
    audit.note(
        session, viewer=viewer, action="notice.withdrawn", kind="notice", object_id=notice_id,
        now=now,
    )  # fmt: skip
    readers = select(NoticeReader.user_id).where(NoticeReader.notice_id == notice_id)
    _tell(session, session.scalars(readers).all())


def sent(session: Session, *, now: datetime) -> list[Sent]:
    """Return the last lines, newest first, with who has read them: two statements."""
    author = select(User.name).where(User.id == Notice.user_id).scalar_subquery()
    group = select(Group.name).where(Group.id == Notice.group_id).scalar_subquery()
    rows = session.execute(
        select(Notice, author, group)
        .where(Notice.withdrawn_at.is_(None), Notice.created_at >= now - SHOWN)
        .order_by(Notice.id.desc())
        .limit(MOST_SHOWN)
    ).all()
    readers = session.execute(
        select(NoticeReader.notice_id, NoticeReader.read_at, User.name)
        .join(User, User.id == NoticeReader.user_id)
        .where(NoticeReader.notice_id.in_([row[0].id for row in rows]))
        .order_by(User.name, User.id)
    ).all()
    found = []
    for notice, by, to_group in rows:
        mine = [(at, name) for of, at, name in readers if of == notice.id]
        # a person, or the readers that a group had which was deleted since
        to = to_group or ("" if notice.to_all else "、".join(name for _at, name in mine))
        waits_for = tuple(name for at, name in mine if at is None)
        found.append(Sent(notice, by or "", to, len(mine), len(mine) - len(waits_for), waits_for))
    return found


def _tell(session: Session, readers: Iterable[int]) -> None:
    for user_id in readers:
        announce(session, "supervision", user_id=user_id)
