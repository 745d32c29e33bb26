"""A press that stands in line for the database while its operator moves on (decision 15)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import Attempt, CustomerList, Operator, Site, SwitchCommand
from calltree.services.gate import take_turn
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.floor import wait_for
from tests.pages.conftest import PAGE
from tests.services.desks import Desk

PATIENCE_S = 60
WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()"""
"""In this test's database: the server has those of the tests beside it too."""


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True):
        yield


def stands_in_line(store: Store) -> bool:
    """Whether somebody waits for the turn that the test has."""
    if store.engine.dialect.name == "sqlite":
        return store._writer.locked()
    with store.read() as session:
        asked = text(WAITING)
        return bool(session.scalar(asked))


@contextmanager
def while_in_line(store: Store, op: Browser) -> Iterator[tuple[Session, list[Answer]]]:
    """Give the session that has the turn while a press stands in line for it, and its answers."""
    answers: list[Answer] = []

    def press() -> None:
        given = {"press_id": str(uuid.uuid4())}
        answers.append(op.press("/operator/call/dial", given, headers=PAGE, status=(200, 409, 422)))

    op.press("/operator/call/renew", headers=PAGE, status=(200, 204))  # the page is sat down at
    thread = threading.Thread(target=press)
    engine = create_engine(store.engine.url)
    try:
        with Store(engine).write() as session:  # as another process
            take_turn(session)
            thread.start()
            wait_for(lambda: stands_in_line(store), "a press in line")
            yield session, answers
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    finally:
        engine.dispose()


def test_R_CL_6_a_customer_left_while_the_press_stood_in_line_is_not_dialled(
    op: Browser, desk: Desk, store: Store
) -> None:
    with while_in_line(store, op) as (session, answers):
        folder = session.get_one(CustomerList, desk.list_id)
        session.get_one(Operator, desk.user_id).customer_id = make.make_customer(session, folder).id
    assert "別の顧客" in answers[0].text
    assert not desk.rows(Attempt)
    assert not desk.rows(SwitchCommand)


def test_R_CL_17_a_page_taken_over_while_the_press_stood_in_line_dials_nothing(
    op: Browser, desk: Desk, store: Store
) -> None:
    with while_in_line(store, op) as (session, answers):
        session.get_one(Operator, desk.user_id).page_id = str(uuid.uuid4())
    assert "別のウィンドウ" in answers[0].text
    assert not desk.rows(Attempt)


def test_R_CL_6_the_press_that_stood_in_line_is_dialled(
    op: Browser, desk: Desk, store: Store
) -> None:
    with while_in_line(store, op) as (session, answers):
        session.get_one(Site, 1).lines = 7
    assert answers[0].one("#call-status.dialling")
    (attempt,) = desk.rows(Attempt)
    assert attempt.verdict == "allowed"
