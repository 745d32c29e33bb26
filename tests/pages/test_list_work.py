"""R-LS-10, R-LS-11: bulk work on a list's customers and the bin, as a manager sees them."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    BulkJob,
    BulkState,
    Customer,
    CustomerList,
    Role,
    SavedSearch,
    User,
)
from calltree.services import bulk_run
from calltree.text.folding import fold_cells
from tests import factories as make
from tests.browser import Answer, Browser

pytestmark = pytest.mark.one_database


@dataclass
class Site:
    store: Store
    app: Flask
    users: dict[Role, User]
    here: int
    there: int
    ids: list[int]

    def url(self, tail: str = "") -> str:
        return f"/admin/lists/{self.here}{tail}"

    def work(self) -> BulkJob:
        """Let the worker do the newest job."""
        settings = self.app.extensions["calltree.settings"]
        with self.store.read() as session:
            newest = session.scalars(select(BulkJob.id).order_by(BulkJob.id.desc()).limit(1)).one()
        bulk_run.run(self.store, uploads_dir=settings.uploads_dir, job_id=newest, clock=utcnow)
        with self.store.read() as session:
            return session.get_one(BulkJob, newest)

    def rows(self, **where: Any) -> list[Customer]:
        with self.store.read() as session:
            query = select(Customer).filter_by(**where).order_by(Customer.id)
            return list(session.scalars(query))


@pytest.fixture
def site(store: Store, app: Flask) -> Site:
    with store.write() as session:
        make.make_site(session)
        project = make.make_project(session, name="新規開拓")
        here = make.make_list(session, project, name="港区の会社")
        there = make.make_list(session, project, name="芝の会社", columns=["会社名"])
        ids = []
        for name in ("田中商事", "山田電機", "港運輸"):
            cells = [name, "佐藤"]
            row = make.make_customer(session, here, cells=cells, folded=fold_cells(cells))
            ids.append(row.id)
        users = {role: make.make_user(session, role, name=f"{role}さん") for role in Role}
        make.grant(session, here, users[Role.OPERATOR])
    return Site(store, app, users, here.id, there.id, ids)


@pytest.fixture
def manager(site: Site, browser_of) -> Browser:
    return browser_of(site.users[Role.MANAGER])


def buttons(page: Answer) -> list[str]:
    return [tag["formaction"].rpartition("/")[2] for tag in page.all("button[formaction]")]


def marked(page: Answer) -> list[str]:
    """What the navigation marks as the place where one is."""
    return [one.text.strip() for one in page.soup.find(id="nav").select("[aria-current=page]")]


def test_R_LS_10_ticked_customers_are_assigned_after_their_count_was_typed(
    site: Site, manager: Browser
) -> None:
    page = manager.get(site.url())
    assert buttons(page) == ["assign", "move", "reset", "delete-customers"]
    assert len(page.all("input[name=customer]")) == 3
    first, second, _third = site.ids
    asked = manager.get(site.url(f"/assign?customer={first}&customer={second}&customer=99999"))
    assert "2件の担当を変更します" in asked.text
    manager.submit("main form", status=422, confirmation="2")
    assert "担当にするオペレータを選んでください" in manager.page.text
    assert marked(manager.page) == ["リスト一覧"]
    operator = site.users[Role.OPERATOR].id
    given = {"users": [str(operator)], "confirmation": "2"}
    where = manager.submit("main form", **given).location
    job = site.work()
    assert (job.state, job.counts) == (BulkState.DONE, {"assigned": 2})
    shown = manager.get(where)
    assert marked(shown) == ["リスト一覧"]
    assert "割当済み 2" in shown.text
    assert "港区の会社" in shown.text
    assert [row.assigned_user_id for row in site.rows(list_id=site.here)] == [operator] * 2 + [None]
    found = manager.get(site.url(f"/assign?of=found&assigned={operator}"))
    assert "2件の担当を変更します" in found.text
    manager.submit("main form", do="take", confirmation="２")
    assert site.work().counts == {"unassigned": 2}
    assert "顧客の割当" in manager.get("/admin/bulk/").text


def test_R_LS_10_a_move_says_which_columns_the_other_list_lacks(
    site: Site, manager: Browser
) -> None:
    manager.get(site.url("/move?of=found&q=電機"))
    assert "1件を同じ案件の別のリストに移します" in manager.page.text
    page = manager.get(site.url(f"/move?of=found&q=電機&target={site.there}"))
    assert "「芝の会社」には次の項目がありません：担当者" in page.text
    manager.submit("main form[method=post]", status=422, confirmation="7")
    assert manager.page.one("select[name=target] option[selected]")["value"] == str(site.there)
    manager.submit("main form[method=post]", columns="add", confirmation="1")
    assert site.work().counts == {"moved": 1}
    assert [row.cells for row in site.rows(list_id=site.there)] == [["山田電機", "佐藤"]]
    assert (
        "失われる内容はありません"
        in manager.get(site.url(f"/move?of=found&target={site.there}")).text
    )
    refused = manager.get(site.url(f"/move?of=found&target={site.here}"), status=422)
    assert "このリストには移動できません" in refused.text


def test_R_LS_10_a_reset_says_what_begins_again_and_what_stays(
    site: Site, manager: Browser
) -> None:
    page = manager.get(site.url("/reset?of=found"))
    assert "3件を未架電の状態に戻します" in page.text
    assert "コール履歴・集計・対応タスク・架電禁止は残ります" in page.text
    manager.submit("main form", confirmation="3")
    assert site.work().counts == {"reset": 3}


def test_R_LS_11_deleted_customers_are_seen_in_the_bin_and_come_back(
    site: Site, manager: Browser
) -> None:
    manager.get(site.url("/delete-customers?of=found&q=佐藤"))
    manager.submit("main form", confirmation="3")
    assert site.work().counts == {"deleted": 3}
    assert "このリストにはまだ顧客がいません" in manager.get(site.url()).text
    assert "港区の会社" in manager.get("/admin/bin/").text
    page = manager.get(f"/admin/bin/{site.here}")
    assert "田中商事" in page.text
    assert "MGRさん" in page.text
    one, *_others = site.ids
    manager.post(f"/admin/bin/{site.here}/restore", {"customer": [one]})
    assert site.work().counts == {"restored": 1}
    manager.get(f"/admin/bin/{site.here}?number=9999999")
    assert "条件に合う顧客はごみ箱にありません" in manager.page.text
    refused = manager.post(f"/admin/bin/{site.here}/restore?number=9999999", {"all": 1}, status=422)
    assert "顧客が選ばれていません" in refused.text
    manager.post(f"/admin/bin/{site.here}/restore", {"all": 1})
    assert site.work().counts == {"restored": 2}
    assert "ごみ箱は空です" in manager.get("/admin/bin/").text


def test_R_LS_11_a_list_goes_into_the_bin_and_comes_back_disabled(
    site: Site, manager: Browser
) -> None:
    manager.get(site.url("/settings"))
    delete = f'form[action$="/{site.here}/delete"]'
    manager.submit(delete, status=422, confirmation="30")
    manager.get(site.url("/settings"))
    assert manager.submit(delete, confirmation="3").location == "/admin/lists/"
    assert "港区の会社" not in manager.get("/admin/lists/").one("main tbody").get_text()
    manager.get(site.url(), status=404)
    page = manager.get("/admin/bin/")
    assert "港区の会社" in page.text
    back = manager.submit('main form[action$="/restore"]')
    assert back.location == site.url("/settings")
    with site.store.read() as session:
        folder = session.get_one(CustomerList, site.here)
        assert (folder.enabled, folder.deleted_at, folder.customers) == (False, None, 3)


def test_R_LS_10_a_supervisor_is_offered_assignment_and_nothing_else(
    site: Site, browser_of
) -> None:
    browser = browser_of(site.users[Role.SUPERVISOR])
    assert buttons(browser.get(site.url())) == ["assign"]
    assert not browser.get(site.url("/settings")).all('form[action$="/delete"]')
    browser.get(site.url("/assign?of=found"))
    for path in (site.url("/move"), site.url("/reset"), site.url("/delete-customers")):
        browser.get(path, status=403)
        browser.post(path, {"confirmation": "3"}, status=403)
    assert "ごみ箱" not in browser.get("/admin/").text


def test_R_LS_11_personal_data_is_erased_after_it_was_shown_what_that_is(
    site: Site, manager: Browser, browser_of
) -> None:
    first = site.rows(id=site.ids[0])[0]
    page = manager.get(f"/customers/{first.id}")
    asked = manager.get(str(page.one("a[href*='erase/?customer=']")["href"]))
    assert "田中商事" in asked.text
    assert "この番号は架電禁止に登録されていません" in asked.text
    manager.submit("main form[method=post]", status=422, confirmation="2")
    manager.submit("main form[method=post]", follow=True, confirmation="1")
    assert "顧客1件、コール履歴0件" in manager.page.text
    assert site.rows(id=first.id)[0].cells == []
    assert "この番号の情報はありません" in manager.get(f"/admin/erase/?number={first.number}").text
    manager.get("/admin/erase/?number=12", status=422)
    manager.get(f"/customers/{first.id}", status=404)
    supervisor = browser_of(site.users[Role.SUPERVISOR])
    assert not supervisor.get(f"/customers/{site.ids[1]}").all("a[href*='erase/?customer=']")


def test_R_LS_10_duplicates_are_shown_with_the_row_that_stays(site: Site, manager: Browser) -> None:
    with site.store.write() as session:
        first = session.get_one(Customer, site.ids[0])
        twin = make.make_customer(
            session, session.get_one(CustomerList, site.there), number=first.number
        )
    assert "残す行" in manager.get("/admin/duplicates/").text
    none = manager.get(f"/admin/duplicates/?list={site.here}")
    assert "重複はありません" in none.text
    page = manager.get("/admin/duplicates/?find=1&keep=newest")
    assert "1行をごみ箱に移します" in page.text
    assert [badge.get_text() for badge in page.all("main td .badge")] == ["残す", "ごみ箱へ"]
    manager.submit("main form[method=post]", status=422, confirmation="2")
    where = manager.submit("main form[method=post]", confirmation="1").location
    assert site.work().counts == {"deleted": 1}
    assert "重複の削除" in manager.get(where).text
    assert site.rows(id=twin.id)[0].deleted_at is None
    assert site.rows(id=first.id)[0].deleted_at is not None


def test_R_LS_10_a_columns_head_sorts_by_it_and_once_more_turns_it_round(
    site: Site, manager: Browser
) -> None:
    def names(page: Answer) -> list[str]:
        return [row.find_all("td")[3].get_text() for row in page.all("main tbody tr")]

    def press(label: str) -> Answer:
        heads = [tag for tag in page.all("thead a") if tag.get_text() == label]
        return manager.get(str(heads[0]["href"]))

    page = manager.get(site.url("?q=佐藤"))
    assert names(page) == ["田中商事", "山田電機", "港運輸"]
    page = press("会社名")
    up = names(page)
    assert up == sorted(up)
    assert page.one("th[aria-sort]")["aria-sort"] == "ascending"
    page = press("会社名")
    assert names(page) == up[::-1]
    assert "q=" in str(page.one('main a[href*="/exports/"]')["href"])
    page = press("コール数")
    assert page.one("th[aria-sort]").get_text() == "コール数"


def test_R_LS_10_a_search_is_saved_for_oneself_or_for_all(
    site: Site, manager: Browser, browser_of
) -> None:
    supervisor = browser_of(site.users[Role.SUPERVISOR])
    save = "main form:has(#search-name)"

    def names(browser: Browser, list_id: int = site.here) -> list[str]:
        page = browser.get(f"/admin/lists/{list_id}")
        return [tag.get_text() for tag in page.all("main details .button-group > a")]

    manager.get(site.url("?q=電機&assigned=none"))
    manager.submit(save, follow=True, name="電機の未割当")
    assert "検索条件を保存しました" in manager.page.text
    assert (names(manager), names(manager, site.there), names(supervisor)) == (
        ["電機の未割当"], ["電機の未割当"], [],
    )  # fmt: skip
    manager.get(site.url("?q=田中"))
    manager.submit(save, follow=True, name="電機の未割当", shared="1")  # the name is taken over
    page = supervisor.get(site.url())
    link = page.one("main details .button-group > a")
    found = supervisor.get(str(link["href"]))
    assert len(found.all("main tbody tr")) == 1
    assert found.one("#q")["value"] == "田中"
    remove = 'form[action*="/searches/"]'
    assert not page.all(remove)
    with site.store.read() as session:
        kept = session.scalars(select(SavedSearch)).one()
    supervisor.post(f"/admin/lists/searches/{kept.id}/delete", status=404)
    supervisor.get(site.url("?number=0312"))
    supervisor.submit(save, follow=True, name="SVの条件", shared="1")
    assert names(manager) == ["SVの条件", "電機の未割当"]
    manager.get(site.url())
    manager.post(f"/admin/lists/searches/{kept.id}/delete", {"list": site.here})
    with site.store.read() as session:
        other = session.scalars(select(SavedSearch)).one()
        lines = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    manager.post(f"/admin/lists/searches/{other.id}/delete")
    assert names(manager) == []
    assert lines == ["search.saved"] * 3 + ["search.removed"]


@pytest.mark.parametrize(("query", "name"), [("", "何もない"), ("?q=田中", " ")])
def test_R_LS_10_a_search_without_a_name_or_a_condition_is_not_saved(
    site: Site, manager: Browser, query: str, name: str
) -> None:
    manager.post(site.url(f"/searches{query}"), {"name": name})
    with site.store.read() as session:
        assert session.scalars(select(SavedSearch)).all() == []
