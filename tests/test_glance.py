"""Quick reads give what SQLAlchemy gives, and fail as it fails."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, column, select, table
from sqlalchemy.exc import DBAPIError

from calltree.db import Store
from calltree.glance import Glance, Kept
from calltree.models import CallerNumber, Customer, Operator, OperatorState, User
from tests import factories as make
from tests.factories import NOW

_OPERATORS = Kept(
    select(User.id, User.created_at, User.role, Operator.state)
    .join(Operator, Operator.user_id == User.id)
    .where(
        Operator.state.in_((OperatorState.READY, OperatorState.AWAY)), User.id == bindparam("who")
    )
)
_CELLS = Kept(select(Customer.cells, Customer.deleted_at))


def test_values_come_as_the_models_have_them(store: Store) -> None:
    with store.write() as session:
        user = make.make_user(session, created_at=NOW)
        make.make_operator(session, user, state=OperatorState.READY)
        make.make_customer(session, make.make_list(session), cells=["髙橋", ""])
        user_id = user.id
    with store.glance() as look:
        ((found,), (customer,)) = look.several((_OPERATORS, {"who": user_id}), (_CELLS, {}))
        assert look.first(_OPERATORS, who=user_id + 1) is None
    assert (found.id, found.created_at, found.state) == (user_id, NOW, OperatorState.READY)
    assert isinstance(found.state, OperatorState)
    assert (customer.cells, customer.deleted_at) == (["髙橋", ""], None)


def test_each_statement_sees_what_is_committed_by_then(store: Store) -> None:
    numbers = Kept(select(CallerNumber.number))
    with store.glance() as look:
        assert look.all(numbers) == []
        with store.write() as session:
            make.make_caller_number(session, "0312340000")
            session.flush()
            assert look.all(numbers) == []
            assert [row.number for row in Glance.over(session).all(numbers)] == ["0312340000"]
        assert [row.number for row in look.all(numbers)] == ["0312340000"]


def test_what_the_driver_refuses_is_raised_as_sqlalchemy_raises_it(store: Store) -> None:
    wrong = Kept(
        select(column("nothing")).select_from(table("nowhere")).where(column("x") == bindparam("x"))
    )
    with pytest.raises(DBAPIError) as raised, store.glance() as look:
        look.all(wrong, x="0312345678")
    assert "0312345678" not in str(raised.value)


def test_a_connection_that_has_died_is_told_of_once(store: Store) -> None:
    numbers = Kept(select(CallerNumber.number))
    with store.glance() as look:
        look.link.dbapi_connection.close()
        with pytest.raises(DBAPIError):
            look.all(numbers)
    with store.glance() as look:
        assert look.all(numbers) == []


def test_its_connections_are_closed_with_the_engines(store: Store) -> None:
    with store.glance() as look:
        before = look.link.dbapi_connection
    store.engine.dispose()
    with store.glance() as look:
        assert look.link.dbapi_connection is not before
        assert look.all(Kept(select(CallerNumber.number))) == []
