"""A Redis that is killed and comes back: pages say so, ask meanwhile, and are right again."""

import pytest

from calltree import doorbells
from calltree.db import Announcement, announce
from calltree.models import Operator, OperatorState
from tests.live.conftest import OwnRedis, Site

pytestmark = pytest.mark.one_database


def set_state(site: Site, state: OperatorState) -> None:
    with site.store.write() as session:
        session.get_one(Operator, site.desk.user_id).state = state
        announce(session, "operator", user_id=site.desk.user_id)


def test_pushes_resume_when_redis_comes_back_and_bring_what_was_missed(
    fragile_site: Site, fragile_redis: OwnRedis
) -> None:
    line = fragile_site.open(fragile_site.desk.user_id)
    line.until("operator-state")
    fragile_redis.kill()
    line.until('"deaf"')
    set_state(fragile_site, OperatorState.TALKING)  # announced to nobody
    fragile_redis.start()
    line.until('"hearing"')
    line.until("operator-state", "通話中")
    set_state(fragile_site, OperatorState.WRAP_UP)
    line.until("operator-state", "後処理")


def test_a_page_that_connects_while_redis_is_away_is_told_so(
    fragile_site: Site, fragile_redis: OwnRedis
) -> None:
    first = fragile_site.open(fragile_site.desk.user_id)
    first.until("operator-state")
    fragile_redis.kill()
    first.until('"deaf"')
    line = fragile_site.open(fragile_site.desk.user_id)
    line.until('"deaf"')
    line.until("operator-state")


def test_a_page_is_drawn_anew_once_bells_are_heard_after_a_rest(fragile_site: Site) -> None:
    line = fragile_site.open(fragile_site.desk.user_id)
    line.until("operator-state")
    with fragile_site.store.write() as session:  # announced to nobody
        session.get_one(Operator, fragile_site.desk.user_id).state = OperatorState.TALKING
    assert fragile_site.store.publisher is not None
    fragile_site.store.publisher([Announcement(doorbells.MISSED, {})])
    line.until("operator-state", "通話中")
