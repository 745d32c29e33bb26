"""R-AR-2: Japanese first, English complete; the choice is the user's."""

from sqlalchemy import select

from calltree.models import Role, User
from tests.factories import make_site, make_user


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
