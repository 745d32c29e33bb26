"""The practice site (R-AR-5): made once, in an empty database, with every kind of answer."""

from datetime import UTC, datetime

from sqlalchemy import func, select

from calltree.models import Customer, CustomerList, Role, User
from calltree.services import accounts, practice_site

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def test_R_AR_5_an_empty_database_is_filled_once(store):
    with store.write() as session:
        assert practice_site.fill(session, password_hash="!", now=NOW)
    with store.write() as session:
        assert not practice_site.fill(session, password_hash="!", now=NOW)
    with store.read() as session:
        folder = session.scalars(select(CustomerList)).one()
        assert folder.customers == session.scalar(select(func.count(Customer.id))) == 60
        assert folder.enabled
        assert {user.role for user in session.scalars(select(User))} == set(Role)
        numbers = list(session.scalars(select(Customer.number)))
    assert len(set(numbers)) == len(numbers)
    assert {number[-1] for number in numbers} == set("0123456789")


def test_the_given_practice_password_reaches_accounts_that_exist(app):
    run = app.test_cli_runner().invoke
    store = app.extensions["calltree.store"]
    assert run(args=["switch", "practice", "--password", "first"]).exit_code == 0
    assert run(args=["switch", "practice", "--password", "later"]).exit_code == 0
    with store.read() as session:
        assert accounts.verify(session, login_id="op1", password="first")
    assert run(args=["switch", "practice", "--password", "x", "--set-password"]).exit_code == 0
    with store.read() as session:
        assert accounts.verify(session, login_id="op1", password="x")
