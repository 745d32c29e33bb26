"""No page asks the database more than a dozen questions, however much it shows (issue 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from bench._walk import statements
from bench._year import Year
from calltree.blueprints.access import right_of
from calltree.config import Settings
from calltree.db import Store
from calltree.models import CallRecord, Import, Recording, RecordingState, Role
from calltree.text.days import site_day
from tests.browser import HTMX
from tests.chromium.at_work import begin
from tests.factories import NOW
from tests.pages.world import build

MOST = 12
AT = NOW + timedelta(hours=6)
"""A Tuesday afternoon, with calls of this day behind it."""


@pytest.mark.one_database
def test_no_page_runs_more_than_twelve_queries(
    app: Flask, store: Store, settings: Settings, browser_of
) -> None:
    with time_machine.travel(AT):
        world = build(store, settings)
        year = Year.begin(store, seed=5, now=AT)
        year.fill(rows=600, first=site_day(AT) - timedelta(days=3), until=AT)
        with store.read() as session:
            record, recording = session.execute(
                select(CallRecord, Recording)
                .join(Recording, Recording.record_id == CallRecord.id)
                .where(Recording.state == RecordingState.STORED, CallRecord.memo != "")
                .order_by(CallRecord.id.desc())
                .limit(1)
            ).one()
            done = session.scalar(select(func.max(Import.id)))
        list_id, project_id = year.people.lists[0]
        paths = [
            *world.paths(app, "GET", world.near),
            *world.paths(
                app, "GET", world.near,
                project_id=project_id, list_id=list_id, customer_id=record.customer_id,
                record_id=record.id, recording_id=recording.id, user_id=year.people.operators[0],
                group_id=year.people.group, pattern_id=year.people.pattern,
            ),
            *(("", path) for path in SEARCHES),
            ("", f"/admin/lists/{list_id}?q=建設"),
            ("", f"/admin/imports/{done}"),
            ("", f"/operator/lists/{list_id}?shortcut=first"),
        ]  # fmt: skip
        dear, pages, parts = {}, set(), set()
        for role in (Role.MANAGER, Role.OPERATOR):
            if role is Role.OPERATOR:  # has a customer open, and a call comes in
                work = begin(store, world)
                paths += [("", path) for path in (*work.paths(world), f"/wall/{work.wall}/now")]
            browser = browser_of(world.users[role])
            for endpoint, path in dict.fromkeys(paths):
                if endpoint and right_of(endpoint, app) is None:
                    continue  # open to all, or for machines
                for headers, found in (({}, pages), (HTMX, parts)):
                    with statements(store.engine) as asked:
                        answer = browser.client.get(path, headers=headers)
                        answer.get_data()
                        answer.close()
                    if answer.status_code == 200 and answer.mimetype == "text/html":
                        found.add((role, path))
                        at_work = MOST_AT_WORK.get(path, MOST + BARS)
                        if len(asked) > (MOST if role is Role.MANAGER else at_work):
                            dear[f"{role} {path}"] = asked
                        break  # what is a page has no part that asks for more
    assert len(pages) > 150
    assert (Role.MANAGER, f"/customers/{world.near.customer}/popup") in parts
    assert {f"/wall/{work.wall}/now", *MOST_AT_WORK} <= {path for _role, path in pages}
    told = [f"{path}: {len(asked)}\n  " + "\n  ".join(asked) for path, asked in dear.items()]
    assert not told, "\n".join(told)


BARS = 3
"""What stands on every page of オペレータ画面 while somebody rings, asks for help or hands on."""
MOST_AT_WORK = {"/operator/call/": 33, "/operator/": 17}
"""The screen of one call, and the list of lists: no pages of 管理画面, and so dear with a customer
open."""
SEARCHES = (
    "/history/?span=all",
    "/history/?span=all&status=blank",
    "/admin/recordings/?span=all",
    "/reports/?span=all",
    "/customers/?q=建設",
    "/figures/table?period=month&by=user&then=day",
    "/figures/table?period=month&by=group&then=status",
    "/figures/table?period=month&by=project",
    "/figures/table?period=month&by=list",
    "/operator/tasks/?tab=future",
    "/admin/do-not-call/?number=03",
    "/admin/users/audit?action=import.started",
)
