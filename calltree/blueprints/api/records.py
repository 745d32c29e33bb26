"""Call records (コール履歴)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import Page, RecordItem, RecordsQuery
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.models import CallRecord
from calltree.services import customer_facts, history, keyed_pages, record_names
from calltree.services.api_tokens import Caller, Scope
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Viewer


def _told(session: Session, viewer: Viewer, records: Sequence[CallRecord]) -> list[RecordItem]:
    names = customer_facts.item_names(session, [record.attributes for record in records])
    rows = history.rows_of(session, viewer=viewer, records=records)
    return [
        RecordItem(
            id=record.id,
            kind=record.kind.value,
            started_at=record.started_at,
            talk_s=record.talk_ms // 1000,
            number=record.number,
            customer_id=record.customer_id,
            list_id=record.list_id,
            list=row.list_name,
            project_id=record.project_id,
            project=row.project,
            user_id=record.user_id,
            user=row.user or record_names.nobody_name(row.kind),
            result=row.result,
            attributes=customer_facts.named(record.attributes, names),
            prospect_level=record.prospect_level,
            callback_at=record.callback_at,
            memo=record.memo,
            saved_at=record.saved_at,
        )
        for record, row in zip(records, rows, strict=True)
    ]


@operation(
    "GET",
    "/records",
    tag="records",
    scope=Scope.RECORDS_READ,
    query=RecordsQuery,
    answer=Page[RecordItem],
)
def list_records(caller: Caller, query: RecordsQuery) -> Page[RecordItem]:
    """Return call records, newest first."""
    session = reading()
    criteria = HistoryCriteria(
        span=Span.ALL,
        started_from=query.from_,
        started_to=query.to,
        project_id=query.project_id,
        list_id=query.list_id,
        customer_id=query.customer_id,
    )
    part = keyed_pages.records(
        session,
        viewer=caller.viewer,
        criteria=criteria,
        after=query.cursor or "",
        size=query.limit,
        now=utcnow(),
    )
    items = _told(session, caller.viewer, part.rows)
    return Page[RecordItem](items=items, next_cursor=part.next_key or None)


@operation(
    "GET", "/records/<int:record_id>", tag="records", scope=Scope.RECORDS_READ, answer=RecordItem
)
def one_record(caller: Caller, record_id: int) -> RecordItem:
    """Return one call record."""
    session = reading()
    record = history.get(session, viewer=caller.viewer, record_id=record_id)
    return _told(session, caller.viewer, [record])[0]
