"""What the leader does by the clock for the desks."""

from datetime import timedelta

from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import CustomerHold
from tests import factories as make
from tests.floor import open_floor, wait_for
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
