"""Whoever writes for an operator locks rows in one order, or two presses wait for each other.

Each test stops an act at a row that comes early, and looks which later rows it has locked already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Select, func, select, text
from sqlalchemy.exc import OperationalError

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    Audience,
    BuiltIn,
    CallRecord,
    CustomerHold,
    CustomerList,
    Draft,
    Operator,
    OperatorState,
    Project,
    Role,
    Site,
    User,
)
from calltree.services import desk as desks
from calltree.services import holds, records, remote_dial, turns
from calltree.services.rights import Viewer
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW
from tests.floor import wait_for
from tests.services.desks import Desk

PAGE = {"X-Page-Id": "aaaaaaaa-0000-4000-8000-000000000001"}
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture(autouse=True)
def _on_postgres(store: Store) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")


@contextmanager
def stopped_at(store: Store, row: Select[Any], act: Callable[[], Any]) -> Iterator[Connection]:
    """Hold `row` until the act waits for it; give a connection that may look what it holds."""
    done: list[Any] = []
    actor = threading.Thread(target=lambda: done.append(act()), daemon=True)
    with store.engine.connect() as holder, store.engine.connect() as looker:
        assert holder.execute(row).all(), "there is no such row"
        actor.start()
        look = looker.execution_options(isolation_level="AUTOCOMMIT")
        wait_for(lambda: look.scalar(WAITING) or not actor.is_alive(), "the act waits")
        assert actor.is_alive(), "it never asked for the row"
        yield looker
        holder.rollback()
    actor.join(60)
    assert done, "the act failed"


def is_free(look: Connection, row: Select[Any]) -> bool:
    try:
        return bool(look.execute(row.with_for_update(nowait=True)).all())
    except OperationalError:
        return False


def site() -> Select[Any]:
    return select(Site.id).where(Site.id == 1).with_for_update()


def operator(desk: Desk) -> Select[Any]:
    return select(Operator.user_id).where(Operator.user_id == desk.user_id).with_for_update()


def hold(desk: Desk) -> Select[Any]:
    held = select(CustomerHold.customer_id).where(CustomerHold.customer_id == desk.customer_id)
    return held.with_for_update()


def turn(desk: Desk) -> Select[Any]:
    return select(func.pg_advisory_xact_lock(turns.TURNS, desk.user_id))


def test_R_CL_2_a_programs_dial_waits_for_the_site_before_it_locks_the_operator(
    desk: Desk,
) -> None:
    with desk.store.write() as session:
        session.get_one(Project, desk.project_id).audience = Audience.B2B
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        login_id = session.get_one(User, desk.user_id).login_id
    desk.leave()
    with desk.store.write() as session:
        make.make_hold(
            session,
            session.get_one(make.Customer, desk.customer_id),
            session.get_one(User, desk.user_id),
        )

    def act() -> str:
        wish = remote_dial.Wish(desk.customer_id, operator=login_id, confirmed=True)
        with desk.store.write() as session:
            return remote_dial.dial(session, viewer=manager, wish=wish, now=NOW).verdict

    with stopped_at(desk.store, site(), act) as look:
        assert is_free(look, operator(desk))
        assert is_free(look, hold(desk))


def test_R_CL_2_CALL_waits_for_the_site_before_it_locks_the_operator(
    desk: Desk, app: Flask
) -> None:
    browser = Browser(app)
    browser.sign_in_as(desk.user_id)
    desk.change(Operator, desk.user_id, dial_at=utcnow())  # the wait after 保存して次へ is over

    def act() -> object:
        return browser.press("/operator/call/dial", {"confirmed": "1"}, headers=PAGE)

    with stopped_at(desk.store, site(), act) as look:
        assert is_free(look, operator(desk))
        assert is_free(look, hold(desk))
    assert desk.rows(Attempt)
    assert desk.operator().dial_at is None


def leave(desk: Desk) -> object:
    with desk.store.write() as session:
        return records.leave(session, user_id=desk.user_id, now=NOW) or True


def stand_by(desk: Desk) -> object:
    with desk.store.write() as session:
        desks.stand_by(session, user_id=desk.user_id, now=NOW)
        return True


@pytest.mark.parametrize("act", [leave, stand_by])
def test_R_CL_2_leaving_waits_for_the_hold_before_it_locks_the_operator(
    desk: Desk, act: Callable[[Desk], object]
) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    mine = select(CallRecord.id).where(CallRecord.id == record.id).with_for_update()
    with stopped_at(desk.store, hold(desk), lambda: act(desk)) as look:
        assert is_free(look, operator(desk))
        assert is_free(look, mine)
    assert desk.operator().customer_id is None
    assert (desk.operator().state is OperatorState.READY) is (act is stand_by)


def test_R_CL_2_saving_waits_for_the_hold_before_it_locks_record_and_operator(desk: Desk) -> None:
    record = desk.calls()
    mine = select(CallRecord.id).where(CallRecord.id == record.id).with_for_update()
    with stopped_at(
        desk.store, hold(desk), lambda: desk.save(BuiltIn.PROSPECT, memo="また来週")
    ) as look:
        assert is_free(look, operator(desk))
        assert is_free(look, mine)
    with desk.store.read() as session:
        assert session.scalar(select(func.count()).select_from(CallRecord)) == 1


def open_another(desk: Desk) -> object:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        other = make.make_customer(session, folder)
    with desk.store.write() as session:
        return desks.open_customer(
            session, viewer=desk.viewer_in(session), customer_id=other.id, page_id="p", now=NOW
        )


def save(desk: Desk) -> object:
    return desk.save(BuiltIn.PROSPECT, memo="また来週")


@pytest.mark.parametrize("act", [leave, stand_by, open_another, save])
def test_R_CL_2_an_operators_presses_take_turns_before_they_lock_anything(
    desk: Desk, act: Callable[[Desk], object]
) -> None:
    """Two that open each other's customer, for one, would lock the two holds crosswise."""
    record = desk.calls()
    if act is not save:
        desk.save(BuiltIn.NO_ANSWER)
    mine = select(CallRecord.id).where(CallRecord.id == record.id).with_for_update()
    with stopped_at(desk.store, turn(desk), lambda: act(desk)) as look:
        assert is_free(look, operator(desk))
        assert is_free(look, hold(desk))
        assert is_free(look, mine)


def test_R_CL_2_the_sweep_leaves_an_operator_alone_who_acts_just_now(desk: Desk) -> None:
    late = NOW + timedelta(seconds=holds.KEPT_S + 1)
    with desk.store.engine.connect() as acting, desk.store.write() as session:
        acting.execute(turn(desk))
        assert desks.sweep(session, now=late) == []
    with desk.store.write() as session:
        assert desks.sweep(session, now=late) == [desk.user_id]


def test_R_CL_7_a_draft_waits_for_the_hold_before_it_is_locked(desk: Desk, app: Flask) -> None:
    browser = Browser(app)
    browser.sign_in_as(desk.user_id)
    address = f"/operator/call/draft/{desk.customer_id}"
    browser.press(address, {"memo": "また"}, status=204, headers=PAGE)
    draft = select(Draft.memo).with_for_update()
    given = {"memo": "また来週"}
    with stopped_at(
        desk.store, hold(desk), lambda: browser.press(address, given, status=204, headers=PAGE)
    ) as look:
        assert is_free(look, draft)
    assert [one.memo for one in desk.rows(Draft)] == ["また来週"]
