"""R-AR-3: the pages on which a manager lets other programs in and has them told."""

import re

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import ApiToken, AuditEntry, Role, User, Webhook, WebhookDelivery
from tests.browser import Browser
from tests.pages.world import World, build


@pytest.fixture
def world(store: Store, settings: Settings) -> World:
    return build(store, settings)


@pytest.fixture
def manager(world: World, browser_of) -> Browser:
    return browser_of(world.users[Role.MANAGER])


def test_R_AR_3_a_token_is_shown_once_works_and_is_revoked(
    world: World, store: Store, manager: Browser
) -> None:
    manager.get("/admin/api-tokens/new")
    made = manager.submit(
        follow=True, name="CRM", user_id=str(world.users[Role.OPERATOR]), scopes=["customers:read"]
    )
    token = re.search(r"ct_[\w-]+", made.one("main .alert code").text)
    assert token is not None
    bearer = {"Authorization": f"Bearer {token[0]}"}
    program = manager.app.test_client(use_cookies=False)
    assert program.get("/api/v1/customers", headers=bearer).status_code == 200
    listed = manager.get("/admin/api-tokens/")
    assert token[0] not in listed.html
    assert f"…{token[0][-4:]}" in listed.text
    with store.read() as session:
        token_id = session.scalars(select(ApiToken.id).where(ApiToken.name == "CRM")).one()
    answer = manager.post(f"/admin/api-tokens/{token_id}/revoke", follow=True)
    assert "失効済み" in answer.text
    assert program.get("/api/v1/customers", headers=bearer).status_code == 401
    with store.read() as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.object_kind == "token")).all()
        told = [line.action for line in lines]
        assert told == ["token.created", "token.read", "token.revoked"]


def test_R_AR_3_a_page_loaded_anew_makes_no_second_token_or_secret(
    world: World, store: Store, manager: Browser
) -> None:
    manager.get("/admin/api-tokens/new")
    user = str(world.users[Role.OPERATOR])
    token = manager.submit(name="CRM", user_id=user, scopes=["customers:read"]).location
    assert "ct_" in manager.get(token).one("main .alert code").text
    again = manager.get(token)
    assert again.all("main .alert code") == []
    assert "失効させて作り直してください" in again.text
    manager.get("/admin/webhooks/new")
    hook = manager.submit(name="基幹", url="https://example.jp/", events=["call.ended"]).location
    assert "whsec_" in manager.get(hook).one("main .alert code").text
    assert "再発行してください" in manager.get(hook).text
    renewed = manager.post(hook).location
    assert renewed == hook
    assert "whsec_" in manager.get(renewed).one("main .alert code").text
    with store.read() as session:
        sealed = session.scalars(select(Webhook.secret_sealed).where(Webhook.name == "基幹")).one()
    assert manager.get(renewed).all("main .alert code") == []
    with store.read() as session:
        assert len(session.scalars(select(ApiToken).where(ApiToken.name == "CRM")).all()) == 1
        row = session.scalars(select(Webhook).where(Webhook.name == "基幹")).one()
        assert row.secret_sealed == sealed


def test_R_AR_3_a_secret_made_is_shown_on_its_own_page_only(world: World, manager: Browser) -> None:
    hook = manager.post(f"/admin/webhooks/{world.near.webhook}/secret").location
    other = manager.get(f"/admin/webhooks/{world.far.webhook}/secret")
    assert other.all("main .alert code") == []
    assert manager.get(hook).all("main .alert code") == []


def test_R_US_7_the_log_tells_where_a_webhook_leads_and_not_what_lets_in(
    world: World, store: Store, manager: Browser
) -> None:
    for url in ("https://hooks.example.jp/T0/geheim", "https://example.jp/?key=geheim"):
        manager.get("/admin/webhooks/new")
        manager.submit(name="基幹", url=url, events=["call.ended"])
    with store.read() as session:
        lines = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "webhook.created").order_by(AuditEntry.id)
        ).all()
        told = [line.detail["url"] for line in lines]
    assert told[-2:] == ["https://hooks.example.jp/…", "https://example.jp/…"]


def test_R_AR_3_a_token_beyond_its_user_is_refused_beside_the_box(
    world: World, store: Store, manager: Browser
) -> None:
    manager.get("/admin/api-tokens/new")
    refused = manager.submit(
        status=422,
        name="CRM",
        user_id=str(world.users[Role.BUSINESS]),
        scopes=["do_not_call:release"],
    )
    assert "do_not_call:release の権限がない" in refused.one("#scopes .error").text
    manager.submit(status=422, name="CRM", scopes=["lists:read"], expires_on="2020-01-01")
    manager.submit(status=422, name="CRM", scopes=[])
    with store.read() as session:
        assert session.scalar(select(ApiToken.id).where(ApiToken.name == "CRM")) is None


def test_R_AR_3_a_webhook_is_added_tried_changed_and_removed(
    world: World, store: Store, manager: Browser
) -> None:
    manager.get("/admin/webhooks/new")
    manager.submit(status=422, name="基幹", url="ftp://x", events=["call.ended"])
    made = manager.submit(
        follow=True, name="基幹", url="https://example.jp/hook", events=["call.ended", "task.due"]
    )
    secret = made.one("main .alert code").text.strip()
    assert secret.startswith("whsec_")
    with store.read() as session:
        row = session.scalars(select(Webhook).where(Webhook.name == "基幹")).one()
    address = f"/admin/webhooks/{row.id}"
    shown = manager.post(f"{address}/test", follow=True)
    assert "送信待ち" in shown.text
    assert secret not in shown.html
    again = manager.post(f"{address}/secret", follow=True)
    assert again.one("main .alert code").text.strip() != secret
    manager.get(f"{address}/edit")
    manager.submit("main form.form", name="基幹2", events=["status.saved"])
    with store.read() as session:
        row = session.get_one(Webhook, row.id)
        assert (row.name, row.events, row.enabled) == ("基幹2", ["status.saved"], True)
    manager.post(f"{address}/remove")
    manager.get(address, status=404)
    assert "基幹2" not in manager.get("/admin/webhooks/").text


def test_R_AR_3_a_failed_delivery_is_sent_again_by_one_press(
    world: World, store: Store, manager: Browser
) -> None:
    with store.write() as session:
        one = session.get_one(WebhookDelivery, world.near.delivery)
        one.status, one.failure, one.tries, one.tried_at = 500, "status", 9, utcnow()
    address = f"/admin/webhooks/{world.near.webhook}"
    shown = manager.get(address)
    assert "送信中止" in shown.text
    assert "500" in shown.text
    manager.submit(f"form[action$='{world.near.delivery}/send']")
    with store.read() as session:
        one = session.get_one(WebhookDelivery, world.near.delivery)
        assert one.due_at is not None
        assert one.tries == 0
    foreign = f"/admin/webhooks/{world.far.webhook}/deliveries/{world.near.delivery}/send"
    manager.post(foreign, status=404)


def test_R_AR_3_a_webhook_that_was_switched_off_is_said_at_home(
    world: World, store: Store, manager: Browser
) -> None:
    assert "3日間送信に失敗" not in manager.get("/admin/").text
    with store.write() as session:
        row = session.get_one(Webhook, world.near.webhook)
        row.enabled, row.stopped_at = False, utcnow()
    assert "3日間送信に失敗" in manager.get("/admin/").text
    assert "停止しました" in manager.get(f"/admin/webhooks/{world.near.webhook}").text


def test_R_AR_3_a_supervisor_reads_and_changes_nothing(world: World, browser_of) -> None:
    supervisor = browser_of(world.users[Role.SUPERVISOR])
    for path in ("/admin/api-tokens/", "/admin/webhooks/", f"/admin/webhooks/{world.near.webhook}"):
        page = supervisor.get(path)
        assert page.all("main form") == []
    for path in ("/admin/api-tokens/new", "/admin/webhooks/new"):
        supervisor.get(path, status=403)


@pytest.mark.one_database
def test_R_AR_2_the_pages_are_complete_in_english(world: World, store: Store, browser_of) -> None:
    with store.write() as session:
        session.get_one(User, world.users[Role.MANAGER]).locale = "en"
    browser = browser_of(world.users[Role.MANAGER])
    for path in (
        "/admin/api-tokens/",
        "/admin/api-tokens/new",
        "/admin/webhooks/",
        "/admin/webhooks/new",
        f"/admin/webhooks/{world.near.webhook}",
    ):
        browser.get(path)
