"""What the dialler finds wrong with itself stands where the site's other faults do."""

from datetime import timedelta

import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.db import Store, utcnow
from calltree.models import Campaign, CampaignMode, Guidance, Lease, Role, Site, User
from calltree.services.rights import Viewer
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


def tell(session: Session, campaign: Campaign, count: int) -> None:
    alarm = {"code": "alarm_improper", "values": {"name": campaign.name, "count": count}}
    told = {"why": "pacing_nobody_ready", "values": {}, "alarms": [alarm] if count else []}
    make.make_switch(session, dialler={"ticked_at": utcnow().isoformat(), str(campaign.id): told})


@pytest.mark.parametrize("name", ["watch", "landing"])
def test_an_open_page_is_told_of_an_alarm_and_of_its_end(
    app: Flask, store: Store, name: str
) -> None:
    with store.write() as session:
        campaign = make.make_campaign(session, make.make_list(session), name="秋の架電")
        chief = make.make_user(session, Role.MANAGER).id
        tell(session, campaign, 0)

    def drawn(fresh: bool = False) -> str:
        with store.read() as session:
            return "".join(page.draw(session, set(page.soon), fresh))

    def count(n: int) -> None:
        with store.write() as session:
            tell(session, session.get_one(Campaign, campaign.id), n)

    with store.read() as session:
        viewer = Viewer.of(session.get_one(User, chief))
    with app.test_request_context("/admin/"):
        login_user(SignedIn(viewer, session_version=1))
        page = panels.find(name, viewer)
        assert page.soon <= page.heard
        assert 'id="campaign-alarms"' in drawn(fresh=True)
        assert "campaign-alarms" not in drawn(), "nothing is another"
        count(2)
        assert "本日2件" in drawn()
        count(0)
        assert "本日2件" not in drawn()
        silent = utcnow() - timedelta(seconds=30)
        with store.write() as session:
            note = session.scalars(select(Lease)).one()
            note.note = note.note | {"dialler": {"ticked_at": silent.isoformat()}}
        assert "どのキャンペーンも発信していません" in drawn()


def test_オペレータ状況_shows_the_alarms_of_campaigns(app: Flask, store: Store) -> None:
    with store.write() as session:
        tell(session, make.make_campaign(session, make.make_list(session)), 2)
        chief = make.make_user(session, Role.SUPERVISOR)
    browser = Browser(app)
    browser.sign_in_as(chief)
    assert "本日2件" in browser.get("/watch/").html
    assert "本日2件" in browser.get("/admin/campaigns/alarms").html


WORDLESS = "言葉のないチャイムだけが流れます"


@pytest.mark.parametrize(
    ("practice", "mode", "own", "red"),
    [
        (False, CampaignMode.ADAPTIVE, False, True),
        (False, CampaignMode.FIXED, False, True),
        (False, CampaignMode.FIXED, True, False),
        (False, CampaignMode.PROGRESSIVE, False, False),
        (True, CampaignMode.ADAPTIVE, False, False),
    ],
)
def test_R_DL_3_a_campaign_whose_apology_names_nobody_says_so_in_red(
    app: Flask, store: Store, practice: bool, mode: CampaignMode, own: bool, red: bool
) -> None:
    with store.write() as session:
        make.make_site(session)
        session.get_one(Site, 1).practice = practice
        campaign = make.make_campaign(
            session, make.make_list(session), mode=mode, multiplier_tenths=20
        )
        if own:
            guidance = Guidance(
                name="お詫び", sound=b"", length_ms=1, size_bytes=0, created_at=utcnow()
            )
            session.add(guidance)
            session.flush()
            campaign.apology_guidance_id = guidance.id
        chief = make.make_user(session, Role.SUPERVISOR)
    browser = Browser(app)
    browser.sign_in_as(chief)
    assert (WORDLESS in browser.get(f"/admin/campaigns/{campaign.id}").html) is red
