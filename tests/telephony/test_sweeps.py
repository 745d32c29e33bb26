"""What the leader does by the clock for the desks."""

from dataclasses import replace
from datetime import timedelta
from pkgutil import resolve_name

import pytest
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.jobs import bulk, imports
from calltree.models import CustomerHold
from tests import factories as make
from tests.floor import QUICK, open_floor, wait_for
from tests.practice import PracticeSwitch


def test_R_CL_2_the_leader_gives_back_what_a_closed_tab_left_open(store: Store, tmp_path) -> None:
    with store.write() as session:
        make.make_site(session)
        customer = make.make_customer(session, make.make_list(session))
        kept = make.make_customer(session, make.make_list(session))
        user = make.make_user(session)
        now, gone = utcnow(), utcnow() - timedelta(seconds=61)
        make.make_hold(session, customer, user, taken_at=gone, renewed_at=gone, touched_at=gone)
        make.make_hold(session, kept, user, taken_at=now, renewed_at=now, touched_at=now)

    def held() -> list[int]:
        with store.read() as session:
            return list(session.scalars(select(CustomerHold.customer_id)))

    with PracticeSwitch(tmp_path, rate=5.0) as switch, open_floor(store, switch):
        wait_for(lambda: held() == [kept.id])


@pytest.mark.one_database
def test_R_LS_7_the_leader_rings_for_imports_and_bulk_work_left_behind(
    store: Store, tmp_path
) -> None:
    quick = replace(QUICK, chores_s=0.1)
    with PracticeSwitch(tmp_path, rate=5.0) as switch, open_floor(store, switch, quick) as floor:
        for sweep in (imports.sweep, bulk.sweep):
            name = f"{sweep.__module__}.sweep"
            rung = wait_for(
                lambda name=name: [n.ids for n in floor.told if n.ids.get("func") == name], name
            )
            assert resolve_name(name) is sweep
            assert rung[0]["ttl"] <= 15, "a busy lane does not gather them"
