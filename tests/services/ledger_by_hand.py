"""The ledger counted record by record, by the table of spec §1 and not by the flags: the slow way
that 集計 is held against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import CallRecord, GroupMember, RecordKind, ResultStatus, SystemResult
from calltree.services import summaries
from calltree.services.summary_criteria import Axis
from calltree.text.days import TOKYO, site_day

KEYS: dict[Axis, Callable[[CallRecord], Any]] = {
    Axis.DAY: lambda record: site_day(record.started_at),
    Axis.HOUR: lambda record: record.started_at.astimezone(TOKYO).hour,
    Axis.PROJECT: lambda record: record.project_id,
    Axis.LIST: lambda record: record.list_id,
    Axis.USER: lambda record: (
        0 if record.user_id is None and record.kind is RecordKind.INBOUND else record.user_id
    ),
    Axis.STATUS: lambda record: str(record.status_id or record.system.value),
}


def slowly(
    session: Session, keep: Callable[[CallRecord], bool], *axes: Axis
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Read the whole ledger and count what `keep` keeps, in the order of `summaries.COUNTED`."""
    groups: dict[int | None, list[int | None]] = defaultdict(list)
    for member in session.scalars(select(GroupMember)):
        groups[member.user_id].append(member.group_id)
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 8)
    for record in session.scalars(select(CallRecord)):
        if not keep(record):
            continue
        status = session.get(ResultStatus, record.status_id) if record.status_id else None
        dialled = record.kind in (RecordKind.OUTBOUND, RecordKind.PREDICTIVE)
        dial = dialled and record.system is not SystemResult.LINE_ERROR
        values = (
            dial,
            dial and status is not None and status.connected,
            dial and status is not None and status.conversion,
            record.talk_ms if dial else 0,
            record.kind is RecordKind.ENTRY,
            record.kind is RecordKind.INBOUND,
            record.kind is RecordKind.MANUAL,
            dialled and record.system is SystemResult.LINE_ERROR,
        )
        for group in groups[record.user_id] or [None] if Axis.GROUP in axes else [None]:
            key = tuple(group if axis is Axis.GROUP else KEYS[axis](record) for axis in axes)
            found[key] = [one + int(value) for one, value in zip(found[key], values, strict=True)]
    return {key: tuple(values) for key, values in found.items()}


def counted(one: summaries.Figures) -> tuple[int, ...]:
    """The figures of a line in the same order."""
    return tuple(getattr(one, name) for name in summaries.COUNTED)


def lines_of(table: summaries.Summary) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Lines with something in them: one may stand there for its operators' time alone."""
    lines = {line.keys: counted(line.figures) for line in table.lines}
    return {keys: values for keys, values in lines.items() if any(values)}
