"""What the dialler finds wrong with itself stands where the site's other faults do."""

import pytest
from flask import Flask

from calltree.db import Store, utcnow
from calltree.models import Role
from tests import factories as make
from tests.browser import Browser

pytestmark = pytest.mark.one_database


def test_a_dialler_that_is_silent_and_its_alarms_are_shown_to_managers(
    app: Flask, store: Store
) -> None:
    with store.write() as session:
        campaign = make.make_campaign(session, make.make_list(session), name="秋の架電")
        manager = make.make_user(session, Role.MANAGER)
    browser = Browser(app)
    browser.sign_in_as(manager)
    assert "どのキャンペーンも発信していません" in browser.get("/admin/").html
    alarm = {"code": "alarm_improper", "values": {"name": campaign.name, "count": 2}}
    told = {"why": "pacing_nobody_ready", "values": {}, "alarms": [alarm]}
    with store.write() as session:
        make.make_switch(
            session, dialler={"ticked_at": utcnow().isoformat(), str(campaign.id): told}
        )
    page = browser.get("/admin/").html
    assert "どのキャンペーンも発信していません" not in page
    assert "「秋の架電」：待機中のオペレータがいたのに放棄になった通話が、本日2件あります。" in page
