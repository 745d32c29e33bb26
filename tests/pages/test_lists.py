"""リスト管理 and 顧客検索 as people see them."""

import csv
import io

import pytest
from sqlalchemy import select

from bench._walk import statements
from calltree.db import utcnow
from calltree.models import (
    BuiltIn,
    CallRecord,
    Customer,
    CustomerList,
    ExtraNumber,
    ItemKind,
    ItemTarget,
    RecordKind,
    ResultStatus,
    Role,
)
from calltree.text.folding import fold_cells
from tests.factories import (
    grant,
    make_customer,
    make_group,
    make_hold,
    make_item,
    make_list,
    make_project,
    make_site,
    make_user,
)


class Site:
    """One project with a list of three customers, a manager, and an operator of the list."""

    def __init__(self, store, browser_of):
        with store.write() as session:
            make_site(session)
            self.project = make_project(session, name="新規開拓", prospect_levels=["A", "B"])
            self.folder = make_list(session, self.project, name="港区の会社")
            for name in ("田中商事", "山田電機", "港運輸"):
                cells = [name, "佐藤"]
                make_customer(session, self.folder, cells=cells, folded=fold_cells(cells))
            self.users = {role: make_user(session, role, name=f"{role}さん") for role in Role}
            grant(session, self.folder, self.users[Role.OPERATOR])
            self.customer_id = session.scalar(select(Customer.id).order_by(Customer.id))
        self.store = store
        self.browser_of = browser_of

    def browser(self, role):
        return self.browser_of(self.users[role])

    def url(self, tail=""):
        return f"/admin/lists/{self.folder.id}{tail}"

    def read(self, kind, **where):
        with self.store.read() as session:
            return session.scalars(select(kind).filter_by(**where)).all()


@pytest.fixture
def site(store, browser_of):
    return Site(store, browser_of)


@pytest.fixture
def manager(site):
    return site.browser(Role.MANAGER)


def cells(answer):
    return [
        [" ".join(cell.get_text(" ").split()) for cell in row.find_all("td")]
        for row in answer.all("main tbody tr")
    ]


def test_R_LS_1_the_overview_shows_figures_and_is_filtered(site, manager):
    with site.store.write() as session:
        folder = session.get(CustomerList, site.folder.id)
        folder.worked, folder.dials, folder.connects = 2, 4, 1
        other = make_project(session, name="別案件")
        make_list(session, other, name="大阪の会社")
    page = manager.get("/admin/lists/")
    rows = {row[1]: row for row in cells(page)}
    assert rows["港区の会社"][2:9] == ["新規開拓", "3", "2", "66.7%", "4", "1", "25.0%"]
    assert rows["大阪の会社"][5] == "–"
    assert [row[1] for row in cells(manager.get(f"/admin/lists/?project={other.id}"))] == [
        "大阪の会社"
    ]
    assert [row[1] for row in cells(manager.get("/admin/lists/?q=オオサカ"))] == []
    assert [row[1] for row in cells(manager.get("/admin/lists/?q=大阪"))] == ["大阪の会社"]
    by_number = manager.get(f"/admin/lists/?q={site.folder.id}")
    assert [row[1] for row in cells(by_number)] == ["港区の会社"]


@pytest.mark.one_database
def test_R_LS_1_what_is_shown_can_be_taken_as_csv(site, manager):
    answer = manager.get("/admin/lists/overview.csv?q=港区")
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert rows[0][:4] == ["リスト番号", "リスト名", "案件", "登録数"]
    assert rows[1][1:4] == ["港区の会社", "新規開拓", "3"]
    assert len(rows) == 2


@pytest.mark.one_database
def test_R_LS_2_a_list_nobody_sees_says_why_until_enabled_and_granted(site, manager):
    manager.get("/admin/lists/new")
    manager.submit(name="空のリスト", columns="会社名\n住所")
    folder = site.read(CustomerList, name="空のリスト")[0]
    url = f"/admin/lists/{folder.id}/settings"
    page = manager.get(url)
    assert "未公開（無効、権限なし）" in page.text
    manager.submit(f'form[action$="/{folder.id}/enabled"]', follow=True)
    operator = str(site.users[Role.OPERATOR].id)
    manager.get(url)
    assert "未公開（権限なし）" in manager.page.text
    manager.submit(f'form[action$="/{folder.id}/grants"]', follow=True, users=[operator])
    assert "未公開" not in manager.page.text
    manager.submit(f'form[action$="/{folder.id}/enabled"]', follow=True)
    assert "未公開（無効）" in manager.page.text
    assert manager.page.all(f'input[name="users"][value="{operator}"][checked]')


def test_R_LS_2_a_group_makes_a_list_public_too(site, manager, store):
    with store.write() as session:
        folder = make_list(session, site.project)
        group = make_group(session, site.users[Role.OPERATOR])
    manager.get(f"/admin/lists/{folder.id}/settings")
    manager.submit('form[action$="/grants"]', follow=True, groups=[str(group.id)])
    assert "未公開" not in manager.page.text


@pytest.mark.one_database
def test_R_LS_8_an_empty_list_has_columns_only_and_no_clash(site, manager):
    manager.get("/admin/lists/new")
    page = manager.submit(status=422, name="新しいリスト", columns="会社名\n会社名")
    assert "列「会社名」が重複しています" in page.text
    page = manager.submit(status=422, name="港区の会社", columns="")
    assert "すでにあります" in page.text
    manager.submit(status=422, name="新しいリスト", columns="見込")
    assert not site.read(CustomerList, name="新しいリスト")
    manager.submit(name="新しいリスト", columns=" 会社名 \n\n住所")
    assert site.read(CustomerList, name="新しいリスト")[0].columns == ["会社名", "住所"]


@pytest.mark.one_database
def test_R_LS_8_by_hand_only_the_number_is_required(site, manager):
    manager.get(site.url("/customers/new"))
    manager.submit(number="０３（６６６６）７７７７", **{"cell.会社名": "手入力株式会社"})
    added = site.read(Customer, number="0366667777")[0]
    assert (added.number_given, added.cells) == (
        "０３（６６６６）７７７７",
        ["手入力株式会社", ""],
    )
    assert site.read(CustomerList, id=site.folder.id)[0].customers == 4
    manager.get(site.url("/customers/new"))
    for wrong, says in (("0366667777", "すでに"), ("110", ""), ("", "入力してください")):
        page = manager.submit(status=422, number=wrong)
        assert says in page.text
    found = manager.get(site.url("?q=手入力"))
    assert len(cells(found)) == 1


def test_R_LS_10_conditions_live_in_the_address_and_pages_follow_by_key(site, manager, store):
    with store.write() as session:
        folder = session.get(CustomerList, site.folder.id)
        for n in range(60):
            row = [f"支店{n}", "鈴木"]
            make_customer(session, folder, cells=row, folded=fold_cells(row))
    manager.get(site.url())
    page = manager.submit('form[role="search"]', **{"c.担当者": "スズキ"})
    assert page.one('[role="search"] input[name="c.担当者"]')["value"] == "スズキ"
    assert len(cells(page)) == 0  # 鈴木 is written in kanji
    page = manager.submit('form[role="search"]', **{"c.担当者": "鈴木"})
    first = [row[3] for row in cells(page)]
    assert len(first) == 50
    assert "全60件" in page.text
    rest = manager.get(page.one('a[rel="next"]')["href"])
    second = [row[3] for row in cells(rest)]
    assert first + second == [f"支店{n}" for n in range(60)]
    assert rest.one('[role="search"] input[name="c.担当者"]')["value"] == "鈴木"


def test_R_LS_10_a_result_of_one_page_is_not_counted_by_another_look(site, manager, store):
    with statements(store.engine) as asked:
        page = manager.get(site.url("?status=none"))
    assert "全3件" in page.text
    assert not [one for one in asked if "count(*)" in one and "FROM customers" in one]


def test_R_LS_9_columns_are_edited_and_found_anew_but_never_the_number(site, manager):
    url = f"/customers/{site.customer_id}"
    before = site.read(Customer, id=site.customer_id)[0]
    page = manager.get(url)
    assert not page.all(f'form[action="{url}"] input[name="number"]')
    manager.submit(
        f'form[action="{url}"]',
        **{"cell.会社名": "渡辺商店", "short_note": "午前希望", "prospect_level": "A"},
    )
    manager.post(url, {"number": "0311112222", "cell.担当者": "加藤"})
    after = site.read(Customer, id=site.customer_id)[0]
    assert after.cells == ["渡辺商店", "加藤"]
    assert (after.short_note, after.prospect_level) == ("午前希望", "A")
    assert after.number == before.number
    assert len(cells(manager.get(site.url("?q=わたなべ")))) == 0
    assert len(cells(manager.get(site.url("?q=渡辺")))) == 1
    assert len(cells(manager.get(site.url("?q=田中")))) == 0


@pytest.mark.one_database
def test_R_LS_9_extra_numbers_are_checked_like_the_main_one(site, manager):
    url = f"/customers/{site.customer_id}"
    manager.get(url)
    form = 'form[action$="/numbers"]'
    manager.submit(form, number="090-1111-2222", label="携帯")
    extra = site.read(ExtraNumber, customer_id=site.customer_id)[0]
    assert (extra.number, extra.label) == ("09011112222", "携帯")
    for wrong in ("110", "09011112222", "0570-000-000", "abc"):
        manager.get(url)
        manager.submit(form, status=422, number=wrong)
    assert len(site.read(ExtraNumber, customer_id=site.customer_id)) == 1
    manager.get(url)
    manager.submit('form[action$="/remove"]')
    assert not site.read(ExtraNumber, customer_id=site.customer_id)


def test_R_LS_10_attribute_items_are_edited_and_searched(site, manager, store):
    with store.write() as session:
        text = make_item(session, site.project, target=ItemTarget.CUSTOMER)
        check = make_item(session, site.project, target=ItemTarget.CUSTOMER, kind=ItemKind.CHECK)
    url = f"/customers/{site.customer_id}"
    manager.get(url)
    manager.submit(
        f'form[action="{url}"]', **{f"item.{text.id}": "タイヤ", f"item.{check.id}": "1"}
    )
    kept = site.read(Customer, id=site.customer_id)[0].attributes
    assert kept == {str(text.id): "タイヤ", str(check.id): True}
    assert len(cells(manager.get(site.url(f"?i.{text.id}=たいや")))) == 1
    assert len(cells(manager.get(site.url(f"?ie.{check.id}=filled")))) == 1
    assert len(cells(manager.get(site.url(f"?ie.{check.id}=empty")))) == 2


def test_R_LS_12_both_screens_find_by_number_or_name(site, manager):
    for role in (Role.MANAGER, Role.OPERATOR):
        browser = site.browser(role)
        page = browser.get("/customers/?q=田中")
        assert len(cells(page)) == 1
        browser.get(page.one("main tbody a")["href"])
    assert len(cells(site.browser(Role.BACKYARD).get("/customers/?q=田中"))) == 0
    assert len(cells(site.browser(Role.BUSINESS).get("/customers/?q=田中"))) == 0


@pytest.mark.one_database
def test_R_LS_12_a_new_entry_is_a_record_and_no_call(site):
    operator = site.browser(Role.OPERATOR)
    operator.get(f"/customers/{site.customer_id}")
    status = site.read(ResultStatus, built_in=BuiltIn.FAX)[0]
    form = operator.page.one('form[action$="/entries"]')
    operator.post(form["action"], {"status": str(status.id), "memo": "電話を受けた"})
    record = site.read(CallRecord, customer_id=site.customer_id)[0]
    assert (record.kind, record.counts_dial) == (RecordKind.ENTRY, False)
    page = operator.get(f"/customers/{site.customer_id}")
    assert page.all("tr.manual")
    assert "電話を受けた" in page.text


@pytest.mark.one_database
def test_R_US_1_foreign_customers_are_not_there(site):
    for role in (Role.BACKYARD, Role.BUSINESS):
        browser = site.browser(role)
        browser.get(f"/customers/{site.customer_id}", status=404)
    operator = site.browser(Role.OPERATOR)
    operator.get(site.url(), status=403)
    operator.post(site.url("/enabled"), {"enabled": "0"}, status=403)
    supervisor = site.browser(Role.SUPERVISOR)
    supervisor.get(site.url("/settings"))
    supervisor.post(site.url("/name"), {"name": "x"}, status=403)


@pytest.mark.one_database
def test_R_US_5_editing_can_be_taken_from_an_operator(site, store):
    with store.write() as session:
        user = make_user(session, may_edit_customers=False)
        grant(session, session.get(CustomerList, site.folder.id), user)
    browser = site.browser_of(user)
    page = browser.get(f"/customers/{site.customer_id}")
    assert not page.all('[name^="cell."]')
    browser.post(f"/customers/{site.customer_id}", {"cell.会社名": "x"}, status=403)


@pytest.mark.one_database
def test_R_CL_3_shown_columns_have_order_size_and_can_be_hidden(site, manager):
    manager.get(site.url("/settings"))
    manager.submit('form[action$="/shown"]', place=["2", "1"], hidden=["会社名"])
    kept = site.read(CustomerList, id=site.folder.id)[0].shown
    assert kept == [
        {"column": "担当者", "hidden": False, "large": False},
        {"column": "会社名", "hidden": True, "large": False},
    ]


@pytest.mark.one_database
def test_R_AR_2_the_pages_speak_english_too(site, store):
    with store.write() as session:
        user = make_user(session, Role.MANAGER, locale="en", name="Smith")
    browser = site.browser_of(user)
    for path in (
        "/admin/lists/",
        "/admin/lists/new",
        site.url(),
        site.url("/settings"),
        site.url("/customers/new"),
        f"/customers/{site.customer_id}",
        "/customers/?q=x",
    ):
        browser.get(path)


def test_R_CL_2_a_manager_frees_a_customer_that_somebody_has_open(store, browser_of) -> None:
    with store.write() as session:
        folder = make_list(session)
        customer = make_customer(session, folder)
        holder = make_user(session, name="保持 太郎")
        hold = make_hold(session, customer, holder)
        hold.renewed_at = hold.touched_at = utcnow()
        manager = make_user(session, Role.MANAGER)
    browser = browser_of(manager)
    page = browser.get(f"/customers/{customer.id}")
    assert "保持 太郎" in page.text
    assert (
        "保持 太郎"
        not in browser.post(f"/customers/{customer.id}/free", follow=True).one("main").text
    )
