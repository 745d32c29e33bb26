"""R-AR-2: Japanese first, English complete; the choice is the user's."""

import pytest
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from calltree.models import Role, User
from tests.factories import make_caller_number, make_customer, make_list, make_site, make_user

pytestmark = pytest.mark.one_database


def test_R_AR_2_a_stranger_reads_the_sign_in_page_in_the_language_chosen(app, client):
    with app.extensions["calltree.store"].write() as session:
        make_site(session)
    assert "ログイン" in client.get("/sign-in").text
    client.post("/language", {"locale": "en"}, status=303)
    client.locale = "en"
    assert "Sign in" in client.get("/sign-in").text
    client.post("/language", {"locale": "xx"}, status=400)


def test_R_AR_2_a_user_keeps_the_language_whatever_the_cookie_says(app, browser_of):
    store = app.extensions["calltree.store"]
    with store.write() as session:
        make_site(session)
        user = make_user(session, Role.MANAGER)
        other = make_user(session, Role.MANAGER)
    browser = browser_of(user)
    assert "ホーム" in browser.get("/admin/").text
    browser.post("/language", {"locale": "en"}, status=303)
    browser.locale = "en"
    assert "Home" in browser.get("/admin/").text
    assert "ホーム" in browser_of(other).get("/admin/").text
    with store.read() as session:
        chosen = {row.id: row.locale for row in session.scalars(select(User))}
    assert chosen == {user.id: "en", other.id: "ja"}


def test_R_US_1_a_managers_link_into_the_other_screen_shows_that_screen(app, browser_of):
    with app.extensions["calltree.store"].write() as session:
        make_site(session)
        user = make_user(session, Role.MANAGER)
    browser = browser_of(user)
    nav = browser.get("/operator/").soup.find(id="nav")
    assert "案件管理" not in nav.text
    assert "案件管理" in browser.get("/admin/").soup.find(id="nav").text


def test_R_US_1_a_page_without_an_entry_marks_the_one_it_belongs_to(app, browser_of):
    with app.extensions["calltree.store"].write() as session:
        make_site(session)
        user = make_user(session, Role.MANAGER)
        number = make_caller_number(session)
        customer = make_customer(session, make_list(session))
    browser = browser_of(user)
    for path, entry in (
        ("/admin/projects/", "案件管理"),
        ("/admin/projects/new", "案件管理"),
        ("/admin/projects/numbers", "発信番号"),
        ("/admin/projects/numbers/new", "発信番号"),
        (f"/admin/projects/numbers/{number.id}", "発信番号"),
        (f"/customers/{customer.id}", "顧客検索・履歴作成"),
        ("/admin/exports/do-not-call", "架電禁止管理"),
        ("/admin/exports/records", "コール履歴"),
        ("/admin/users/audit", "操作ログ"),
        ("/admin/bulk/", "リスト一覧"),
        ("/admin/users/new", "ユーザー管理"),
    ):
        marked = browser.get(path).soup.find(id="nav").select("[aria-current=page]")
        assert [one.text.strip() for one in marked] == [entry], path


def test_R_AR_2_what_is_chosen_before_signing_in_becomes_the_users_language(app, client):
    with app.extensions["calltree.store"].write() as session:
        make_site(session)
        chooser = make_user(session, Role.MANAGER, password_hash=generate_password_hash("12345678"))
        other = make_user(session, Role.MANAGER, password_hash=generate_password_hash("12345678"))
    client.get("/sign-in")
    client.post("/language", {"locale": "en"}, status=303)
    client.locale = "en"
    client.get("/sign-in")
    client.submit(login_id=chooser.login_id, password="12345678")
    assert "Home" in client.get("/admin/").text
    client.post("/sign-out", {}, status=303)
    assert "Sign in" in client.get("/sign-in").text  # the office's computer stays as it was left
    client.submit(login_id=other.login_id, password="12345678")
    client.locale = "ja"
    assert "ホーム" in client.get("/admin/").text  # this user chose nothing
