"""R-AR-3: what webhooks are told, written with what happened, sent with patience, kept as a log."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.db import Announcement, Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    BuiltIn,
    CallState,
    Customer,
    DncSource,
    Origin,
    ResultStatus,
    Role,
    Task,
    Webhook,
    WebhookDelivery,
)
from calltree.services import do_not_call, erasing, outbox, results, webhooks
from calltree.services.outbox import BACK_OFF, CLAIMED_FOR, STOPPED_AFTER, Answer
from calltree.services.results import ResultForm
from calltree.services.rights import Viewer
from calltree.services.webhooks import Event, WebhookDetails
from calltree.telephony import endings
from tests import factories as make
from tests.factories import NOW

KEY = "key of the tests"
OK = Answer(200, "", 5)
DEAD = Answer(None, "connection", 5)
REJECTED = Answer(400, "status", 5)
SLOW = Answer(200, "", 9000)
SLOW_REJECTED = Answer(400, "status", 9000)


class Site:
    """A manager, a customer, and one webhook that wants everything."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as session:
            make.make_site(session)
            user = make.make_user(session, Role.MANAGER)
            self.manager = Viewer.of(user)
            folder = make.make_list(session)
            self.customer = make.make_customer(session, folder, number="0312345678").id
            row, self.secret = webhooks.create(
                session, viewer=self.manager, details=DETAILS, key=KEY, now=NOW
            )
            self.webhook = row.id

    def told(self) -> list[dict[str, Any]]:
        with self.store.read() as session:
            rows = session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id))
            return [json.loads(row.body) | {"key": row.event_key} for row in rows]

    def try_all(self, answer: Answer, now: datetime) -> int:
        """Claim what is due and have every try end like this."""
        with self.store.write() as session:
            parcels = outbox.claim(session, now=now, most=100)
        for parcel in parcels:
            with self.store.write() as session:
                outbox.settle(session, parcel=parcel, answer=answer, now=now)
        return len(parcels)

    def row(self) -> Webhook:
        with self.store.read() as session:
            return session.get_one(Webhook, self.webhook)

    def delivery(self) -> WebhookDelivery:
        with self.store.read() as session:
            return session.scalars(select(WebhookDelivery)).one()


DETAILS = WebhookDetails("基幹システム", "https://example.jp/hook", tuple(Event))


@pytest.fixture
def site(store: Store) -> Site:
    return Site(store)


def _entry(site: Site, status: BuiltIn, **more: Any) -> None:
    with site.store.write() as session:
        status_id = session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == status))
        results.add_entry(
            session,
            viewer=site.manager,
            customer_id=site.customer,
            form=ResultForm(status_id=status_id, **more),
            now=NOW,
        )


def _call(session: Session, site: Site) -> Attempt:
    attempt = Attempt(
        uuid="0f0e0d0c-0000-4000-8000-000000000001",
        origin=Origin.CALL,
        user_id=site.manager.user_id,
        customer_id=site.customer,
        list_id=session.get_one(Customer, site.customer).list_id,
        number="0312345678",
        verdict="allowed",
        state=CallState.TALKING,
        created_at=NOW,
        dialled_at=NOW,
        answered_at=NOW,
        joined_at=NOW,
        talk_ms=61_000,
    )
    session.add(attempt)
    session.flush()
    return attempt


# --- what is told


def test_R_AR_3_a_call_that_ended_is_told_once(site: Site) -> None:
    with site.store.write() as session:
        attempt = _call(session, site)
        for _ in range(2):
            endings.end(session, attempt, at=NOW, by="customer", now=NOW)
    (told,) = site.told()
    assert (told["type"], told["practice"]) == ("call.ended", True)
    assert told["data"]["talk_s"] == 61
    assert told["data"]["number"] == "0312345678"
    assert told["data"]["ended_by"] == "customer"


def test_R_AR_3_a_saved_status_is_told_and_its_correction(site: Site) -> None:
    _entry(site, BuiltIn.PROSPECT, memo="社外秘の覚え書き")
    (told,) = site.told()
    assert (told["type"], told["data"]["status"]) == ("status.saved", "見込")
    assert told["data"]["corrected"] is False
    assert "社外秘" not in json.dumps(told, ensure_ascii=False)
    with site.store.write() as session:
        fax = session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == BuiltIn.FAX))
        for _ in range(2):  # the second changes nothing and is not told
            results.correct(
                session,
                viewer=site.manager,
                record_id=told["data"]["record_id"],
                form=ResultForm(status_id=fax),
                now=NOW + timedelta(minutes=1),
            )
    assert [one["data"]["status"] for one in site.told()] == ["見込", "FAX"]
    assert site.told()[1]["data"]["corrected"] is True


def test_R_AR_3_bells_do_not_pile_up_behind_a_slow_receiver(site: Site) -> None:
    rung: list[Announcement] = []
    site.store.publisher = rung.extend
    _entry(site, BuiltIn.FAX)
    (bell,) = (one for one in rung if one.ids.get("func") == webhooks.DELIVER)
    assert bell.ids["ttl"] == webhooks.BELL_S


def test_R_AR_3_what_is_rolled_back_is_not_told(site: Site) -> None:
    with site.store.write() as session:
        attempt = _call(session, site)
        endings.end(session, attempt, at=NOW, by="customer", now=NOW)
        session.rollback()
    assert site.told() == []


def test_R_AR_3_a_due_task_is_told_once_for_each_due_time(site: Site) -> None:
    due_at = NOW + timedelta(hours=1)
    _entry(site, BuiltIn.CALLBACK, callback_at=due_at)

    def told_by(now: datetime) -> int:
        with site.store.read() as session:
            due = outbox.any_due_task(session, now=now)
        with site.store.write() as session:
            written = outbox.tell_due_tasks(session, now=now)
        assert due is bool(written)
        return written

    assert told_by(NOW) == 0
    assert told_by(due_at) == 1
    assert told_by(due_at + timedelta(minutes=5)) == 0
    with site.store.write() as session:
        session.scalars(select(Task)).one().due_at = due_at + timedelta(hours=2)
    assert told_by(due_at + timedelta(hours=1)) == 0
    assert told_by(due_at + timedelta(hours=2)) == 1


def test_R_DN_5_a_banned_customers_task_is_not_told(site: Site) -> None:
    _entry(site, BuiltIn.CALLBACK, callback_at=NOW + timedelta(hours=1))
    with site.store.write() as session:
        do_not_call.add(
            session,
            viewer=site.manager,
            numbers=["0312345678"],
            source=DncSource.API,
            now=NOW,
        )
        assert outbox.tell_due_tasks(session, now=NOW + timedelta(hours=2)) == 0


def test_R_AR_3_only_webhooks_that_are_on_and_ask_for_it_are_told(site: Site) -> None:
    with site.store.write() as session:
        row = session.get_one(Webhook, site.webhook)
        row.events = [Event.TASK_DUE.value]
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        row = session.get_one(Webhook, site.webhook)
        row.events, row.enabled = [event.value for event in Event], False
    _entry(site, BuiltIn.FAX)
    assert site.told() == []


def test_R_AR_3_a_webhook_begins_with_what_happens_after_it(site: Site) -> None:
    _entry(site, BuiltIn.CALLBACK, callback_at=NOW + timedelta(hours=1))
    with site.store.write() as session:
        session.get_one(Webhook, site.webhook).enabled_at = NOW + timedelta(hours=2)
        assert outbox.tell_due_tasks(session, now=NOW + timedelta(hours=3)) == 0


def test_R_LS_11_erased_data_are_not_told_and_not_kept(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        erasing.erase(session, viewer=site.manager, number="0312345678", typed="2", now=NOW)
    assert site.told() == []


# --- how it is sent


def test_R_AR_3_a_delivery_is_claimed_by_one_and_taken_up_when_that_one_died(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        assert len(outbox.claim(session, now=NOW, most=10)) == 1
        assert outbox.claim(session, now=NOW, most=10) == []
    with site.store.write() as session:
        assert len(outbox.claim(session, now=NOW + CLAIMED_FOR, most=10)) == 1


def test_R_AR_3_a_rejected_delivery_is_tried_with_back_off_and_given_up(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    now = NOW
    for wait in BACK_OFF:
        assert site.try_all(REJECTED, now) == 1
        assert site.try_all(REJECTED, now + wait - timedelta(seconds=1)) == 0
        now += wait
    assert site.try_all(REJECTED, now) == 1
    one = site.delivery()
    assert (one.due_at, one.tries, one.status) == (None, len(BACK_OFF) + 1, 400)
    assert one.delivered_at is None


def test_R_AR_3_a_receiver_that_is_away_is_left_alone_for_a_while(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    assert site.try_all(DEAD, NOW) == 1
    _entry(site, BuiltIn.NO_ANSWER)
    assert site.try_all(DEAD, NOW + timedelta(seconds=5)) == 0
    assert site.row().failing_since == NOW
    assert site.try_all(OK, NOW + BACK_OFF[0]) == 2
    row = site.row()
    assert (row.failures, row.failing_since, row.paused_until) == (0, None, None)


def test_R_AR_3_a_webhook_that_fails_for_days_is_switched_off_and_said(site: Site) -> None:
    now = NOW
    while now - NOW < STOPPED_AFTER:
        _entry(site, BuiltIn.FAX)
        site.try_all(DEAD, now)
        now += timedelta(hours=25)
    assert site.row().enabled
    _entry(site, BuiltIn.FAX)
    site.try_all(DEAD, now)
    row = site.row()
    assert (row.enabled, row.stopped_at) == (False, now)
    with site.store.read() as session:
        assert [one.id for one in webhooks.stopped(session)] == [site.webhook]
        left = select(func.count()).where(WebhookDelivery.due_at.is_not(None))
        assert session.scalar(left) == 0
    with site.store.write() as session:
        webhooks.change(
            session, viewer=site.manager, webhook_id=site.webhook, details=DETAILS, now=now
        )
    assert (site.row().enabled, site.row().stopped_at) == (True, None)


def test_R_AR_3_failures_days_apart_switch_nothing_off(site: Site) -> None:
    for day in (0, 4, 8):
        now = NOW + timedelta(days=day)
        with site.store.write() as session:
            webhooks.ping(
                session, viewer=site.manager, webhook_id=site.webhook, event_key=f"ping-{day}",
                body="{}", now=now,
            )  # fmt: skip
        assert site.try_all(DEAD, now) == 1
        row = site.row()
        assert (row.enabled, row.failures, row.failing_since) == (True, 1, now)


@pytest.mark.parametrize("answer", [SLOW, SLOW_REJECTED])
def test_R_AR_3_a_slow_receiver_rests_so_that_others_get_the_lane(
    site: Site, answer: Answer
) -> None:
    _entry(site, BuiltIn.FAX)
    assert site.try_all(answer, NOW) == 1
    _entry(site, BuiltIn.NO_ANSWER)
    rest = timedelta(seconds=4 * 9)
    assert site.try_all(OK, NOW + rest - timedelta(seconds=1)) == 0
    assert site.try_all(OK, NOW + rest) >= 1


def test_R_AR_3_one_press_sends_again_what_was_given_up(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        one = session.scalars(select(WebhookDelivery)).one()
        one.due_at, one.failure = None, "status"
        delivery_id = one.id
    with site.store.write() as session:
        webhooks.send_again(
            session,
            viewer=site.manager,
            webhook_id=site.webhook,
            delivery_id=delivery_id,
            now=NOW,
        )
    assert site.try_all(OK, NOW) == 1
    assert site.delivery().delivered_at == NOW


def test_R_AR_3_nothing_is_sent_again_by_a_webhook_that_is_off(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    site.try_all(OK, NOW)
    off = WebhookDetails(DETAILS.name, DETAILS.url, DETAILS.events, enabled=False)
    with site.store.write() as session:
        webhooks.change(session, viewer=site.manager, webhook_id=site.webhook, details=off, now=NOW)
    delivery_id = site.delivery().id
    with pytest.raises(Refused, match="webhook_off"), site.store.write() as session:
        webhooks.send_again(
            session,
            viewer=site.manager,
            webhook_id=site.webhook,
            delivery_id=delivery_id,
            now=NOW,
        )
    assert site.delivery().due_at is None


def test_R_AR_3_a_webhook_removed_during_a_try_gets_no_other(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        (parcel,) = outbox.claim(session, now=NOW, most=100)
    with site.store.write() as session:
        webhooks.remove(session, viewer=site.manager, webhook_id=site.webhook, now=NOW)
    with site.store.write() as session:
        outbox.settle(session, parcel=parcel, answer=DEAD, now=NOW)
    assert (site.delivery().due_at, site.delivery().failure) == (None, "removed")


def test_R_LS_11_what_a_webhook_that_is_off_has_left_is_not_kept(site: Site) -> None:
    _entry(site, BuiltIn.FAX)
    with site.store.write() as session:
        session.execute(outbox.outdated(NOW, 100))
    assert site.delivery().due_at is not None
    with site.store.write() as session:
        session.execute(outbox.outdated(NOW + timedelta(days=1), 100))
    assert site.told() == []


# --- how it is set up


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.jp/",
        "https://",
        "https:///hook",
        "https://user:word@example.jp/",
        "https://example.jp/#part",
        "https://example.jp:99999/",
        "https://example.jp/a b",
        "https://example.jp/\r\nHost: x",
        "https://例え.jp/",
        "javascript:alert(1)",
        "//example.jp",
        "https://example.jp/" + "a" * 600,
    ],
)
def test_R_AR_3_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        webhooks.check_url(url)
    assert refused.value.code == "webhook_url"


def test_R_AR_3_the_secret_is_sealed_and_renewed(site: Site) -> None:
    first = site.row().secret_sealed
    assert site.secret.removeprefix("whsec_") not in first
    opened = webhooks.secret_of(first, key=KEY)
    assert len(opened) == 32
    assert webhooks.secret_of(first, key="another") == b""
    with site.store.write() as session:
        _row, again = webhooks.renew_secret(
            session, viewer=site.manager, webhook_id=site.webhook, key=KEY, now=NOW
        )
    assert again != site.secret
    assert webhooks.secret_of(site.row().secret_sealed, key=KEY) != opened


def test_R_AR_3_only_managers_set_webhooks_up(site: Site) -> None:
    with site.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
        with pytest.raises(NotAllowed):
            webhooks.create(session, viewer=supervisor, details=DETAILS, key=KEY, now=NOW)
        with pytest.raises(NotAllowed):
            webhooks.remove(session, viewer=supervisor, webhook_id=site.webhook, now=NOW)
