"""各種設定: result patterns with their statuses, and attribute items (R-ST-1, 3, 4; R-PJ-1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotFound, Refused
from calltree.models import (
    AttributeItem,
    CallRecord,
    ItemKind,
    ItemTarget,
    Project,
    ProjectItem,
    ResultPattern,
    ResultStatus,
)
from calltree.services import audit, audit_changes, names
from calltree.services.rights import Viewer
from calltree.text import keys
from calltree.text.folding import fold_name


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """What a form says of an own status (R-ST-4)."""

    name: str
    connected: bool = True
    conversion: bool = False
    asks_callback_time: bool = False
    bans_number: bool = False
    colour: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class ItemDetails:
    """What a form says of an attribute item."""

    name: str
    target: ItemTarget
    kind: ItemKind
    choices: tuple[str, ...] = ()
    required: bool = False


def patterns(session: Session) -> list[tuple[ResultPattern, list[ResultStatus], list[Project]]]:
    """Return every pattern with its own statuses and the projects that use it."""
    found = session.scalars(select(ResultPattern).order_by(ResultPattern.name)).all()
    statuses = session.scalars(select(ResultStatus).order_by(ResultStatus.position)).all()
    projects = session.scalars(select(Project).order_by(Project.name)).all()
    return [
        (
            pattern,
            [s for s in statuses if s.pattern_id == pattern.id and s.retired_at is None],
            [p for p in projects if p.pattern_id == pattern.id],
        )
        for pattern in found
    ]


def pattern(session: Session, pattern_id: int) -> ResultPattern:
    """Return one pattern. Raises NotFound."""
    found = session.get(ResultPattern, pattern_id)
    if found is None:
        raise NotFound(f"pattern {pattern_id}")
    return found


def offered(session: Session, pattern_id: int | None) -> list[ResultStatus]:
    """Return the statuses an operator may choose: the built-in ones, then the pattern's own."""
    rows = session.scalars(
        select(ResultStatus)
        .where(
            ResultStatus.retired_at.is_(None),
            or_(ResultStatus.pattern_id.is_(None), ResultStatus.pattern_id == pattern_id),
        )
        .order_by(ResultStatus.position, ResultStatus.id)
    )
    return list(rows)


def save_pattern(
    session: Session, *, viewer: Viewer, pattern_id: int | None, name: str, now: datetime
) -> ResultPattern:
    """Create or rename a pattern."""
    name = name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    twin = session.scalar(select(ResultPattern).where(ResultPattern.name == name))
    if twin is not None and twin.id != pattern_id:
        raise Refused("pattern_name_taken", field="name", name=name)
    found = pattern(session, pattern_id) if pattern_id else ResultPattern(name=name, created_at=now)
    before = audit_changes.state_of(found) if pattern_id else None
    found.name = name
    session.add(found)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="pattern.saved", kind="pattern", object_id=found.id,
        before=before, after=audit_changes.state_of(found), now=now, name=name,
    )  # fmt: skip
    return found


def save_status(
    session: Session,
    *,
    viewer: Viewer,
    pattern_id: int,
    status_id: int | None,
    details: StatusDetails,
    confirmed: bool = False,
    now: datetime,
) -> ResultStatus:
    """Create or change an own status.

    Renaming it renames it in history. A change of `connected` or `conversion` recomputes the
    figures in a job, and of a status that records use it must be `confirmed` first. Raises Refused
    naming both sides of a clash; 'ask_recount' (`count` records, `name`).
    """
    pattern(session, pattern_id)
    name = details.name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    if status_id is None:
        status = ResultStatus(pattern_id=pattern_id, position=_next_position(session, pattern_id))
    else:
        status = own_status(session, pattern_id, status_id)
    _refuse_twin_status(session, pattern_id, name, status_id)
    users = session.scalars(select(Project).where(Project.pattern_id == pattern_id)).all()
    own = names.Place("status", name, "", ref=("status", status_id or 0))
    names.refuse_clash(session, projects=users, name=name, own=own)
    if details.key and details.key != status.key:
        _refuse_key(session, pattern_id, details.key)
    before = audit_changes.state_of(status) if status_id else None
    recount = status_id is not None and (
        (status.connected, status.conversion) != (details.connected, details.conversion)
    )
    if recount and not confirmed and (count := _uses(session, status.id)):
        raise Refused("ask_recount", name=status.name, count=f"{count:,}")
    status.name, status.name_key = name, fold_name(name)
    status.connected, status.conversion = details.connected, details.conversion
    status.asks_callback_time = details.asks_callback_time
    status.bans_number = details.bans_number
    status.colour = details.colour
    status.key = details.key or status.key or _free_key(session, pattern_id)
    session.add(status)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="status.saved", kind="status", object_id=status.id,
        before=before, after=audit_changes.state_of(status), now=now, name=name,
    )  # fmt: skip
    if recount:
        announce(session, "job", lane="bulk", name="figures.restate", args=[status.id])
    return status


def remove_status(
    session: Session, *, viewer: Viewer, pattern_id: int, status_id: int, now: datetime
) -> bool:
    """Delete an own status; one that records use is retired instead. Returns whether deleted."""
    status = own_status(session, pattern_id, status_id)
    used = is_used(session, status_id)
    if used:
        status.retired_at = now
    else:
        session.delete(status)
    audit.note(
        session, viewer=viewer, action="status.retired" if used else "status.deleted",
        kind="status", object_id=status_id, now=now, name=status.name,
    )  # fmt: skip
    return not used


def is_used(session: Session, status_id: int) -> bool:
    """Whether any record carries the status."""
    query = select(CallRecord.id).where(CallRecord.status_id == status_id).limit(1)
    return session.scalar(query) is not None


def _uses(session: Session, status_id: int) -> int:
    query = select(func.count(CallRecord.id)).where(CallRecord.status_id == status_id)
    return session.scalar(query) or 0


def own_status(session: Session, pattern_id: int, status_id: int) -> ResultStatus:
    """Return an own status of a pattern; a built-in one is nobody's (R-ST-1). Raises NotFound."""
    status = session.get(ResultStatus, status_id)
    if status is None or status.pattern_id != pattern_id or status.retired_at is not None:
        raise NotFound(f"status {status_id}")
    return status


def _refuse_twin_status(
    session: Session, pattern_id: int, name: str, status_id: int | None
) -> None:
    twin = session.scalar(
        select(ResultStatus).where(
            ResultStatus.name_key == fold_name(name),
            or_(ResultStatus.pattern_id.is_(None), ResultStatus.pattern_id == pattern_id),
            ResultStatus.retired_at.is_(None),
        )
    )
    if twin is not None and twin.id != status_id:
        raise Refused("status_name_taken", field="name", name=twin.name)


def _refuse_key(session: Session, pattern_id: int, key: str) -> None:
    """Refuse a key that something else on the call screen has."""
    twin = next((one for one in offered(session, pattern_id) if one.key == key), None)
    if twin is not None:
        raise Refused("status_key_taken", field="key", key=key, name=twin.name)
    if key not in keys.OWN:
        raise Refused("status_key_of_page", field="key", key=key)


def _next_position(session: Session, pattern_id: int) -> int:
    last = session.scalar(
        select(func.max(ResultStatus.position)).where(ResultStatus.pattern_id == pattern_id)
    )
    return (last or 9) + 1


def _free_key(session: Session, pattern_id: int) -> str:
    taken = {status.key for status in offered(session, pattern_id)}
    return next((key for key in keys.OWN if key not in taken), "")


def items(session: Session) -> list[AttributeItem]:
    """Return the attribute items that are not retired, by target and name."""
    return list(
        session.scalars(
            select(AttributeItem)
            .where(AttributeItem.retired_at.is_(None))
            .order_by(AttributeItem.target, AttributeItem.name)
        )
    )


def items_of(
    session: Session, project_id: int, target: ItemTarget | None = None
) -> list[AttributeItem]:
    """Return the items a project uses, in its order."""
    query = (
        select(AttributeItem)
        .join(ProjectItem, ProjectItem.item_id == AttributeItem.id)
        .where(ProjectItem.project_id == project_id, AttributeItem.retired_at.is_(None))
        .order_by(ProjectItem.position, AttributeItem.id)
    )
    if target is not None:
        query = query.where(AttributeItem.target == target)
    return list(session.scalars(query))


def items_of_any(
    session: Session, project_ids: Collection[int], target: ItemTarget
) -> list[AttributeItem]:
    """Return the items that any of these projects uses, each once, the oldest first."""
    used = select(ProjectItem.item_id).where(ProjectItem.project_id.in_(project_ids))
    return list(
        session.scalars(
            select(AttributeItem)
            .where(
                AttributeItem.id.in_(used),
                AttributeItem.retired_at.is_(None),
                AttributeItem.target == target,
            )
            .order_by(AttributeItem.id)
        )
    )


def item(session: Session, item_id: int) -> AttributeItem:
    """Return one item that is not retired. Raises NotFound."""
    found = session.get(AttributeItem, item_id)
    if found is None or found.retired_at is not None:
        raise NotFound(f"item {item_id}")
    return found


def save_item(
    session: Session, *, viewer: Viewer, item_id: int | None, details: ItemDetails, now: datetime
) -> AttributeItem:
    """Create or change an attribute item; a rename renames it in history."""
    name = details.name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    choices = [choice.strip() for choice in details.choices if choice.strip()]
    if details.kind is ItemKind.CHOICE and not choices:
        raise Refused("choices_missing", field="choices")
    twin = session.scalar(
        select(AttributeItem).where(
            AttributeItem.name_key == fold_name(name), AttributeItem.retired_at.is_(None)
        )
    )
    if twin is not None and twin.id != item_id:
        raise Refused("item_name_taken", field="name", name=twin.name)
    users = session.scalars(
        select(Project)
        .join(ProjectItem, ProjectItem.project_id == Project.id)
        .where(ProjectItem.item_id == (item_id or 0))
    ).all()
    own = names.Place("item", name, "", ref=("item", item_id or 0))
    names.refuse_clash(session, projects=users, name=name, own=own)
    found = item(session, item_id) if item_id else AttributeItem(target=details.target)
    before = audit_changes.state_of(found) if item_id else None
    found.name, found.name_key = name, fold_name(name)
    found.kind, found.required, found.choices = details.kind, details.required, choices
    session.add(found)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="item.saved", kind="item", object_id=found.id,
        before=before, after=audit_changes.state_of(found), now=now, name=name,
    )  # fmt: skip
    return found


def retire_item(session: Session, *, viewer: Viewer, item_id: int, now: datetime) -> None:
    """Take an item from the screens; what was written in it stays in history and exports."""
    found = item(session, item_id)
    found.retired_at = now
    audit.note(
        session, viewer=viewer, action="item.retired", kind="item", object_id=item_id, now=now
    )
