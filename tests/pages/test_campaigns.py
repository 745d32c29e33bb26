"""キャンペーン: settings, lists in order, start and stop, and what the live panel says (R-DL-6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask_login import login_user
from sqlalchemy import select

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.blueprints.campaigns import CampaignForm
from calltree.db import Store
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    Operator,
    OperatorState,
    Origin,
    Preset,
    Role,
)
from calltree.services import campaigns
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW

AT = "/admin/campaigns/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def lists(store: Store) -> list[int]:
    """Two lists of one project, at a site whose telephone listens."""
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session)
        pattern = make.make_pattern(session)
        make.make_status(session, pattern, "担当者不在")
        project = make.make_project(session, name="秋の案件", pattern_id=pattern.id)
        return [make.make_list(session, project, name=name).id for name in ("東", "西")]


@pytest.fixture
def manager(store: Store, lists: list[int], browser_of: Any) -> Browser:
    with store.write() as session:
        user = make.make_user(session, Role.MANAGER)
    browser: Browser = browser_of(user)
    return browser


@pytest.fixture
def supervisor(store: Store, lists: list[int], browser_of: Any) -> Browser:
    with store.write() as session:
        user = make.make_user(session, Role.SUPERVISOR)
    browser: Browser = browser_of(user)
    return browser


def rows(store: Store, model: Any, *where: Any) -> list[Any]:
    with store.read() as session:
        return list(session.scalars(select(model).where(*where)))


def running(store: Store, lists: list[int], **given: Any) -> int:
    with store.write() as session:
        folders = [session.get_one(make.CustomerList, one) for one in lists]
        return make.make_campaign(session, *folders, **({"name": "秋の架電"} | given)).id


def test_R_DL_6_no_campaign_yet_says_what_one_is(manager: Browser) -> None:
    page = manager.get(AT)
    assert "キャンペーンがありません" in page.text
    assert page.one("a[href='/admin/campaigns/new']")


def test_R_DL_6_a_campaign_has_twenty_settings_at_most(app: Flask) -> None:
    with app.test_request_context():
        fields = [field for field in CampaignForm() if field.type != "CSRFTokenField"]
    assert 10 < len(fields) <= 20


def test_R_DL_6_a_manager_makes_a_campaign_and_orders_its_lists(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    manager.get(f"{AT}new")
    to_lists = manager.submit("main form", name="秋の架電", preset="bold", limit="2.5").location
    [made] = rows(store, Campaign)
    assert (made.mode, made.multiplier_tenths) == (CampaignMode.ADAPTIVE, 30)
    assert (made.limit_thousandths, made.state) == (25, CampaignState.STOPPED)

    page = manager.get(to_lists)
    assert "東" in page.text
    east, west = lists
    manager.submit(
        "main form", list=[str(east), str(west)], **{f"place{east}": "2", f"place{west}": "1"}
    )
    kept = sorted(rows(store, CampaignList), key=lambda row: row.position)
    assert [row.list_id for row in kept] == [west, east]
    shown = manager.get(f"{AT}{made.id}").all("main tbody tr")
    assert [row.get_text(" ", strip=True).split()[1] for row in shown] == ["西", "東"]
    assert "攻め" in manager.get(AT).text


def test_R_DL_6_what_cannot_be_set_is_said_at_its_field(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    running(store, lists)
    manager.get(f"{AT}new")
    twin = manager.submit("main form", status=422, name="秋の架電")
    assert twin.one("#name")["aria-invalid"] == "true"
    short = manager.submit("main form", status=422, name="別", minimum_ring_s="10")
    assert short.one("#minimum_ring_s")["aria-invalid"] == "true"
    fixed = manager.submit(
        "main form", status=422, name="別", minimum_ring_s="15", preset="custom", mode="fixed",
        multiplier="",
    )  # fmt: skip
    assert "倍率を入力してください" in fixed.text
    assert len(rows(store, Campaign)) == 1


def test_R_US_7_a_changed_setting_is_in_the_log_with_before_and_after(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists, multiplier_tenths=20)
    page = manager.get(f"{AT}{campaign}/settings")
    assert "担当者不在" in page.one("#again_status_ids").get_text()
    manager.submit("main form.form", max_tries="5", limit="4")
    [line] = rows(store, AuditEntry, AuditEntry.action == "campaign.saved")
    assert line.detail["changed"] == {"limit_thousandths": [30, 40], "max_tries": [3, 5]}
    told = manager.get("/admin/users/audit").text
    assert "キャンペーンの保存" in told


def test_R_DL_6_it_is_started_paused_and_stopped(
    store: Store, supervisor: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists, state=CampaignState.STOPPED)
    for wish, state, said in (
        ("start", CampaignState.RUNNING, "自動発信の動作を確認できない"),
        ("pause", CampaignState.PAUSED, "一時停止中です"),
        ("stop", CampaignState.STOPPED, "停止中です"),
    ):
        supervisor.get(f"{AT}{campaign}")
        supervisor.submit(f"main form[action$='{wish}']")
        assert rows(store, Campaign)[0].state is state
        assert said in supervisor.get(f"{AT}{campaign}").one("#campaign-live").get_text()
    supervisor.post(f"{AT}{campaign}/press/paint", status=404)


def test_R_DL_6_the_multiplier_is_changed_while_it_runs(
    store: Store, supervisor: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists)
    supervisor.get(f"{AT}{campaign}")
    supervisor.submit("main form[action$='multiplier']", multiplier="15")
    assert rows(store, Campaign)[0].multiplier_tenths == 15
    assert supervisor.get(f"{AT}{campaign}").values("main form[action$='multiplier']")[
        "multiplier"
    ] == ("15")
    supervisor.submit("main form[action$='multiplier']", multiplier="none")
    assert rows(store, Campaign)[0].multiplier_tenths is None
    told = supervisor.post(f"{AT}{campaign}/multiplier", {"multiplier": "x"}, follow=True)
    assert "倍率を入力してください" in told.text


def test_R_DL_6_a_supervisor_reads_the_settings_and_changes_none(
    store: Store, supervisor: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists)
    page = supervisor.get(f"{AT}{campaign}/settings")
    assert page.all("main form button[type='submit']") == []
    supervisor.post(f"{AT}{campaign}/settings", {"name": "別"}, status=403)
    assert "main" in supervisor.get(f"{AT}{campaign}/lists").html
    supervisor.post(f"{AT}{campaign}/lists", {"list": []}, status=403)
    supervisor.post(f"{AT}{campaign}/retire", status=403)


def test_R_DL_6_a_campaign_in_use_is_not_retired_and_a_retired_one_is_gone(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists)
    refused = manager.post(f"{AT}{campaign}/retire", follow=True)
    assert "先にキャンペーンを停止してください" in refused.text
    manager.post(f"{AT}{campaign}/press/stop")
    assert "廃止しました" in manager.post(f"{AT}{campaign}/retire", follow=True).text
    manager.get(f"{AT}{campaign}", status=404)
    manager.get(f"{AT}{campaign}/settings", status=404)


def called(session: Any, campaign: int, place: int, **given: Any) -> None:
    """A call of this campaign, half an hour ago."""
    at = NOW - timedelta(minutes=20)
    session.add(
        Attempt(
            uuid=f"0f0e0d0c-0000-4000-8000-{place:012d}", origin=Origin.PREDICTIVE,
            campaign_id=campaign, number=f"03123456{place:02d}", verdict="allowed",
            created_at=at, dialled_at=at, **given,
        )
    )  # fmt: skip


def test_R_DL_4_the_share_is_shown_with_both_its_parts_and_smoothed(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    campaign = running(store, lists)
    with store.write() as session:
        for place in range(20):
            called(session, campaign, place, state=CallState.ENDED, ended_at=NOW)
        for place in range(20, 29):
            called(
                session, campaign, place, state=CallState.ENDED, ended_at=NOW,
                answered_at=NOW, joined_at=NOW,
            )  # fmt: skip
        for place in range(29, 32):
            called(
                session, campaign, place, state=CallState.ABANDONED, ended_at=NOW, answered_at=NOW
            )
        called(session, campaign, 32, state=CallState.RINGING)
        user = make.make_user(session)
        make.make_operator(session, user, state=OperatorState.READY, campaign_id=campaign)
        assert session.get_one(Operator, user.id).campaign_id == campaign
    panel = manager.get(f"{AT}{campaign}").one("#campaign-live")
    told = " ".join(panel.get_text(" ").split())
    assert "25.0% 放棄3÷（放棄＋接続）12" in told
    assert "6.3% 上限3.0%" in told  # (3 + 50 × 0.018) ÷ (12 + 50)
    assert "36.4% 応答12÷発信33" in told
    assert "使用中の回線 1" in told
    assert "待機中のオペレータ 1" in told
    assert len(panel.select(".tile.bad")) == 2
    assert manager.part(f"{AT}{campaign}/live").one("#campaign-live")["data-poll"]
    assert "25.0%" in manager.get(AT).text


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"why": "pacing_nobody_ready"}, "待機中のオペレータがいないため"),
        ({"why": "campaign_lines_full", "values": {"lines": 10}}, "10回線がすべて使用中です"),
        (
            {"why": "campaign_outside_hours", "values": {"opens_at": "2026-11-25T00:00:00+00:00"}},
            "2026/11/25(水) 09:00 に発信を再開します",
        ),
        (
            {"why": "campaign_numbers_later", "values": {"due_at": "2026-11-24T05:30:00+00:00"}},
            "次は 14:30 に発信します",
        ),
    ],
)
@pytest.mark.one_database
def test_R_DL_6_one_plain_sentence_says_why_it_does_not_dial(
    store: Store, manager: Browser, lists: list[int], told: dict[str, Any], said: str
) -> None:
    campaign = running(store, lists)
    alarm = {"code": "alarm_improper", "values": {"name": "秋の架電", "count": 2}}
    with store.write() as session:
        lease = session.scalars(select(make.Lease)).one()
        mine = told | {"alarms": [alarm], "tries_left": [[1, 1000], [3, 234]]}
        note = {"ticked_at": NOW.isoformat(), str(campaign): mine}
        lease.note = lease.note | {"dialler": note}
    page = manager.get(f"{AT}{campaign}")
    live = page.one("#campaign-live").get_text()
    assert said in live
    assert "本日2件あります" in live
    assert "残り1,234人" in live
    assert "本日2件あります" in manager.get(AT).text


@pytest.mark.one_database
def test_R_DL_6_the_buttons_of_an_open_page_follow_who_else_presses(
    app: Flask, store: Store, lists: list[int]
) -> None:
    campaign = running(store, lists)
    with store.write() as session:
        viewer = make.viewer_of(make.make_user(session, Role.MANAGER))
    heard = {f"campaign:campaign_id={campaign}"}
    with app.test_request_context(f"/live?page=campaign:{campaign}"):
        login_user(SignedIn(viewer, 0))
        page = panels.find(f"campaign:{campaign}", viewer)

        def drawn() -> str:
            with store.read() as session:
                return "".join(page.draw(session, heard, False))

        assert "/press/pause" in drawn()
        assert "/press/" not in drawn()  # as long as nothing changes, the button keeps its focus
        with store.write() as session:
            campaigns.pause(session, viewer=viewer, campaign_id=campaign, now=NOW)
        shown = drawn()
        assert "/press/start" in shown
        assert "/press/pause" not in shown


def test_R_DL_6_a_preset_and_an_own_setting_are_said_in_words(
    store: Store, manager: Browser, lists: list[int]
) -> None:
    for name, preset, mode, tenths, said in (
        ("a", Preset.SAFE, CampaignMode.PROGRESSIVE, None, "安全 1:1"),
        ("b", Preset.CUSTOM, CampaignMode.FIXED, 25, "2.5倍固定"),
        ("c", Preset.CUSTOM, CampaignMode.ADAPTIVE, None, "自動調整（倍率の上限なし）"),
        ("d", Preset.CUSTOM, CampaignMode.ADAPTIVE, 15, "自動調整（1.5倍まで）"),
    ):
        running(store, lists, name=name, preset=preset, mode=mode, multiplier_tenths=tenths)
        assert said in manager.get(AT).text
