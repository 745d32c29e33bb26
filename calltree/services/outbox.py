"""The outbox: what webhooks are told of, written in the transaction in which it happened.

A delivery is sent by the jobs worker after the commit, at least once: whoever dies between sending
and noting sends it again, with the same id. Nothing is written while no webhook asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import (
    Attempt,
    CallRecord,
    Customer,
    CustomerList,
    Site,
    Task,
    User,
    Webhook,
    WebhookDelivery,
)
from calltree.services import do_not_call, scope, webhooks
from calltree.services.webhooks import Event

BACK_OFF = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)
"""From a failed try to the next; after the last one a delivery is given up (two days)."""
STOPPED_AFTER = timedelta(days=3)
"""A webhook without one good answer for so long is switched off."""
UNTRIED = timedelta(hours=30)
"""After so long without a try, longer than any back-off, nothing is known: counting begins anew."""
SLOW_S = 2
REST = 4
"""A receiver that takes longer than SLOW_S has REST times as long until the next try, so that it
keeps no more than a fifth of the lane from whoever waits there.
"""
CLAIMED_FOR = timedelta(minutes=2)
"""A delivery whose worker died is taken up again after this."""
TASKS_AT_ONCE = 200
DUE_WITHIN = timedelta(days=7)
"""A task that was due longer ago, while nobody could tell it, is told no more."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery claimed for sending."""

    delivery_id: int
    webhook_id: int
    event_key: str
    url: str
    secret_sealed: str
    body: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. `failure` is empty for a good one (2xx)."""

    status: int | None
    failure: str
    took_ms: int

    @property
    def is_slow(self) -> bool:
        """Whether the receiver would keep the lane busy."""
        return self.took_ms > SLOW_S * 1000

    @property
    def blames_receiver(self) -> bool:
        """Whether all of the webhook's deliveries would fail now, not only this one."""
        status = self.status
        return bool(self.failure) and (status is None or status >= 500 or status in (408, 429))


def call_ended(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """Tell that a call has ended, or that a dial that left came to nothing."""
    wanted = _wanting(session, Event.CALL_ENDED)
    if not wanted:
        return
    record_id = session.scalar(select(CallRecord.id).where(CallRecord.attempt_id == attempt.id))
    data = {
        "call_id": attempt.id,
        "record_id": record_id,
        "state": attempt.state.value,
        "origin": attempt.origin.value,
        "number": attempt.number,
        "customer_id": attempt.customer_id,
        "list_id": attempt.list_id,
        "project_id": attempt.project_id,
        "user": _login_id(session, attempt.user_id),
        "dialled_at": _moment(attempt.dialled_at),
        "answered_at": _moment(attempt.answered_at),
        "ended_at": _moment(attempt.ended_at or now),
        "ended_by": attempt.ended_by,
        "talk_s": (attempt.talk_ms or 0) // 1000,
    }
    _write(session, wanted, Event.CALL_ENDED, f"call-{attempt.id}", attempt.customer_id, data, now)


def status_saved(
    session: Session, *, record: CallRecord, status: str, corrected: bool, now: datetime
) -> None:
    """Tell that a record was given a result, or another one."""
    wanted = _wanting(session, Event.STATUS_SAVED)
    if not wanted:
        return
    data = {
        "record_id": record.id,
        "kind": record.kind.value,
        "status": status,
        "status_id": record.status_id,
        "corrected": corrected,
        "number": record.number,
        "customer_id": record.customer_id,
        "list_id": record.list_id,
        "project_id": record.project_id,
        "user": _login_id(session, record.user_id),
        "started_at": _moment(record.started_at),
        "prospect_level": record.prospect_level,
        "callback_at": _moment(record.callback_at),
    }
    micros = int(now.timestamp() * 1_000_000)
    key = f"status-{record.id}-{record.status_id}-{micros}"
    _write(session, wanted, Event.STATUS_SAVED, key, record.customer_id, data, now)


def tell_due_tasks(session: Session, *, now: datetime) -> int:
    """Tell of the tasks that have become due; each due time once. Returns how many were written.

    A banned, deleted or hidden customer's task is none (R-DN-5).
    """
    wanted = _wanting(session, Event.TASK_DUE)
    if not wanted:
        return 0
    written = 0
    for task, customer in session.execute(_due_tasks(wanted, now).limit(TASKS_AT_ONCE)).all():
        due_at = task.told_due_at = task.due_at or now
        mine = [row for row in wanted if due_at >= row.enabled_at]
        data = {
            "task_id": task.id,
            "due_at": _moment(due_at),
            "number": customer.number,
            "customer_id": customer.id,
            "list_id": customer.list_id,
            "record_id": task.record_id,
            "user": _login_id(session, task.user_id),
        }
        key = f"task-{task.id}-{int(due_at.timestamp())}"
        written += _write(session, mine, Event.TASK_DUE, key, customer.id, data, now)
    return written


def any_due_task(session: Session, *, now: datetime) -> bool:
    """Whether `tell_due_tasks` has something to write; asked in a read session."""
    wanted = _wanting(session, Event.TASK_DUE)
    return bool(wanted) and session.execute(_due_tasks(wanted, now).limit(1)).first() is not None


def _due_tasks(wanted: Sequence[Webhook], now: datetime) -> Select[Task, Customer]:
    since = max(min(row.enabled_at for row in wanted), now - DUE_WITHIN)
    return (
        select(Task, Customer)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(
            Task.done_at.is_(None),
            Task.due_at >= since,
            Task.due_at <= now,
            or_(Task.told_due_at.is_(None), Task.told_due_at != Task.due_at),
            scope.is_present(),
            CustomerList.deleted_at.is_(None),
            ~do_not_call.banned(Customer.number, CustomerList.project_id, now),
        )
        .order_by(Task.due_at, Task.id)
    )


def body_of(event: str, key: str, data: dict[str, Any], *, practice: bool, now: datetime) -> str:
    """Write what is sent: compact JSON, the same bytes each time."""
    told = {"id": key, "type": event, "timestamp": _moment(now), "practice": practice, "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _wanting(session: Session, event: Event) -> Sequence[Webhook]:
    rows = session.scalars(select(Webhook).where(Webhook.enabled, Webhook.removed_at.is_(None)))
    return [row for row in rows if event in row.events]


def _write(
    session: Session,
    wanted: Sequence[Webhook],
    event: Event,
    key: str,
    customer_id: int | None,
    data: dict[str, Any],
    now: datetime,
) -> int:
    site = session.get(Site, 1)
    body = body_of(event, key, data, practice=bool(site and site.practice), now=now)
    rows = [
        {
            "webhook_id": row.id,
            "event": event.value,
            "event_key": key,
            "customer_id": customer_id,
            "body": body,
            "created_at": now,
            "due_at": now,
            "tries": 0,
            "took_ms": 0,
            "failure": "",
        }
        for row in wanted
    ]
    if not rows:
        return 0
    insert = postgres_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    statement = insert(WebhookDelivery).on_conflict_do_nothing()
    fresh = session.scalars(statement.returning(WebhookDelivery.id), rows).all()
    if fresh:
        webhooks.ring(session)
    return len(fresh)


def anything_due(session: Session, *, now: datetime) -> bool:
    """Whether there is something to send."""
    return session.scalar(_due(now).limit(1)) is not None


def _due(now: datetime) -> Select[int]:
    return (
        select(WebhookDelivery.id)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(
            WebhookDelivery.due_at <= now,
            Webhook.removed_at.is_(None),
            or_(Webhook.enabled, WebhookDelivery.event == "ping"),
            or_(Webhook.paused_until.is_(None), Webhook.paused_until <= now),
        )
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
    )


def claim(session: Session, *, now: datetime, most: int) -> list[Parcel]:
    """Take deliveries to send; nobody else gets them until CLAIMED_FOR is over."""
    due = _due(now).limit(most)
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True, of=WebhookDelivery)
    ids = session.scalars(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(due.scalar_subquery()), WebhookDelivery.due_at <= now)
        .values(due_at=now + CLAIMED_FOR)
        .returning(WebhookDelivery.id)
        .execution_options(synchronize_session=False)
    ).all()
    rows = session.execute(
        select(WebhookDelivery, Webhook)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.id.in_(ids))
        .order_by(WebhookDelivery.id)
    )
    return [
        Parcel(one.id, hook.id, one.event_key, hook.url, hook.secret_sealed, one.body)
        for one, hook in rows
    ]


def settle(session: Session, *, parcel: Parcel, answer: Answer, now: datetime) -> None:
    """Note what came of a try: done, another try later, or given up."""
    # the webhook first, as all do who lock both
    hook = session.get(Webhook, parcel.webhook_id, with_for_update=True)
    one = session.get(WebhookDelivery, parcel.delivery_id, with_for_update=True)
    if one is None or hook is None:  # erased meanwhile
        return
    one.tries += 1
    one.tried_at, one.took_ms = now, answer.took_ms
    one.status, one.failure = answer.status, answer.failure
    if not answer.failure:
        one.delivered_at, one.due_at = now, None
        webhooks.begin_anew(hook)
        if answer.is_slow:
            hook.paused_until = _rested(answer, now)
        return
    wait = BACK_OFF[one.tries - 1] if one.tries <= len(BACK_OFF) else None
    one.due_at = now + wait if wait and one.event != "ping" else None
    if hook.failed_at is not None and now - hook.failed_at > UNTRIED:
        webhooks.begin_anew(hook)
    hook.failures += 1
    hook.failing_since, hook.failed_at = hook.failing_since or now, now
    if answer.blames_receiver and one.event != "ping":
        hook.paused_until = now + BACK_OFF[min(hook.failures, len(BACK_OFF)) - 1]
    elif answer.is_slow:
        hook.paused_until = _rested(answer, now)
    if now - hook.failing_since >= STOPPED_AFTER and hook.enabled:
        hook.enabled, hook.stopped_at = False, now
        announce(session, "site")
    if hook.removed_at is not None:
        one.due_at, one.failure = None, "removed"
    if hook.stopped_at is not None:  # also what others of this batch wait for
        session.flush()
        _give_up(session, hook)


def _rested(answer: Answer, now: datetime) -> datetime:
    return now + timedelta(milliseconds=REST * answer.took_ms)


def put_back(session: Session, *, parcel: Parcel, now: datetime) -> None:
    """Give a claimed delivery back untried; its webhook's pause says when it is taken again."""
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == parcel.delivery_id, WebhookDelivery.due_at.is_not(None))
        .values(due_at=now)
    )


def _give_up(session: Session, hook: Webhook) -> None:
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == hook.id, WebhookDelivery.due_at.is_not(None))
        .values(due_at=None, failure="stopped")
    )


def forget_number(session: Session, *, number: str) -> None:
    """Remove what was or is to be told of calls with a number that no customer has."""
    session.execute(
        delete(WebhookDelivery).where(
            WebhookDelivery.customer_id.is_(None),
            WebhookDelivery.body.contains(f'"number":"{number}"', autoescape=True),
        )
    )


def outdated(before: datetime, most: int) -> Any:
    """Give the statement that removes some log lines from before a moment.

    One that still waits is of a webhook that was switched off: every other is given up by then.
    """
    old = select(WebhookDelivery.id).where(WebhookDelivery.created_at < before).limit(most)
    return delete(WebhookDelivery).where(WebhookDelivery.id.in_(old))


def _login_id(session: Session, user_id: int | None) -> str | None:
    user = session.get(User, user_id) if user_id is not None else None
    return user.login_id if user else None


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None
