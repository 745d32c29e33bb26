"""A Redis that is killed and comes back: pages say so, ask meanwhile, and are right again."""

from pathlib import Path

import pytest

from calltree import doorbells
from calltree.db import announce
from calltree.live import Hub, Outbox
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


def test_a_page_is_drawn_anew_once_bells_are_heard_after_a_rest(tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path / 'nobody.sock'}"
    hub = Hub(lambda: doorbells.connect(nobody), lambda: "key", most=1)
    outbox = Outbox({"inbound", "operator:user_id=7"})
    try:
        hub.add(outbox)
        hub.publish(doorbells.MISSED, {})
        assert outbox.take(0) == {"inbound", "operator:user_id=7"}
    finally:
        hub.stop()
