"""The audit log searched and taken away (R-US-7)."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from calltree.db import Store
from calltree.models import Role, User
from calltree.services import audit
from calltree.services.rights import Viewer
from tests.browser import Answer
from tests.factories import make_list, make_site, make_user


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(session, Role.MANAGER)


@pytest.fixture
def operator(store: Store, manager: User) -> User:
    with store.write() as session:
        return make_user(session)


def _noted(store: Store, user: User, *actions: tuple[str, str, object, datetime]) -> None:
    with store.write() as session:
        for action, kind, number, at in actions:
            audit.note(
                session,
                viewer=Viewer.of(user),
                action=action,
                kind=kind,
                object_id=number,
                address="192.0.2.7",
                now=at,
            )


def _actions(page: Answer) -> list[str]:
    return [row.find_all("td")[2].get_text(strip=True) for row in page.all("main tbody tr")]


def test_R_US_7_the_audit_log_is_searched(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    noon = datetime(2026, 11, 24, 3, tzinfo=UTC)
    midnight = datetime(2026, 11, 23, 15, tzinfo=UTC)
    _noted(
        store,
        manager,
        ("user.created", "user", 7, noon),
        ("user.deleted", "user", 7, noon + timedelta(hours=1)),
        ("list.created", "list", 7, midnight),
        ("list.renamed", "list", 8, midnight - timedelta(seconds=1)),
    )
    _noted(store, operator, ("recording.played", "recording", 9, noon))
    browser = browser_of(manager)
    for query, expected in (
        ("", 5),
        ("action=user.", 2),
        ("action=user.deleted", 1),
        ("thing=list", 2),
        ("thing=list&number=8", 1),
        (f"user={operator.id}", 1),
        ("from=2026-11-24&to=2026-11-24", 4),
        ("to=2026-11-23", 1),
        ("from=x&user=x", 5),
    ):
        assert len(_actions(browser.get(f"/admin/users/audit?{query}"))) == expected, query
    assert "条件に合う操作ログはありません" in browser.get("/admin/users/audit?number=99").text


def test_R_US_7_a_search_of_the_log_goes_on_page_by_page(
    store: Store, browser_of, manager: User
) -> None:
    now = datetime(2026, 11, 24, 3, tzinfo=UTC)
    lines = [("user.created", "user", n, now) for n in range(audit.PAGE + 1)]
    _noted(store, manager, *lines, *[("list.created", "list", 1, now)] * 3)
    browser = browser_of(manager)
    page = browser.get("/admin/users/audit?action=user.created")
    assert len(_actions(page)) == audit.PAGE
    again = browser.get(str(page.one("a[rel=next]")["href"]))
    assert len(_actions(again)) == 1


def test_R_US_7_the_log_leaves_as_csv_and_says_that_it_did(
    store: Store, browser_of, manager: User
) -> None:
    now = datetime(2026, 11, 24, 3, tzinfo=UTC)
    _noted(store, manager, ("user.created", "user", 7, now), ("list.created", "list", 1, now))
    browser = browser_of(manager)
    page = browser.get("/admin/users/audit?thing=user")
    sheet = browser.get(str(page.one(".page-actions a")["href"]))
    rows = list(csv.reader(io.StringIO(sheet.data.decode("utf-8-sig"))))
    assert rows[0][0] == "日時"
    assert [row[:1] + row[-2:] for row in rows[1:]] == [
        ["2026/11/24 12:00:00", "192.0.2.7", "user.created"]
    ]
    assert rows[1][1] == manager.name
    newest = browser.get("/admin/users/audit")
    assert "操作ログを出力" in _actions(newest)[0]
    assert "操作対象：ユーザー" in newest.text
    browser.post("/switch-screen")
    browser.get("/admin/users/audit.csv", status=403)


def test_R_US_7_a_line_names_what_it_points_to_and_says_before_and_after(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    with store.write() as session:
        folder = make_list(session, name="焼津リスト")
        viewer = Viewer.of(manager)
        audit.note(
            session, viewer=viewer, action="list.granted", kind="list", object_id=folder.id,
            now=datetime(2026, 11, 24, 3, tzinfo=UTC),
            changed={"users": [[], [operator.id]], "state": ["running", "stopped"],
                     "seats": [None, 12], "password": ["…", "…"]},
            search=f"list={folder.id}&from=2026-11-01", list_id=999,
        )  # fmt: skip
    row = browser_of(manager).get("/admin/users/audit").one("main tbody tr")
    said = " ".join(row.get_text(" ").split())
    assert f"リスト {folder.id} 焼津リスト" in said
    for part in (
        f"（空欄） → {operator.name}", "運営 → 停止", "席数：（空欄） → 12", "パスワード：変更あり",
        "リスト：焼津リスト", "リスト：999",
    ):  # fmt: skip
        assert part in said, said
