"""A campaign's own guidance and apology: files of the switch, kept while it is in use (R-DL-3)."""

from dataclasses import replace
from pathlib import Path

import pytest

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import Refused
from calltree.models import AuditEntry, Campaign, CommandKind, SwitchCommand
from calltree.services import campaigns, guidances, site_sounds
from calltree.services.campaigns import CampaignDetails
from calltree.telephony.commands import said_file
from calltree.telephony.config import writing
from calltree.telephony.config.wanted import Wanted
from tests import factories as make
from tests.factories import NOW
from tests.services.test_site_sounds import (
    NODES,
    Viewer,
    guidance,
    manager,  # noqa: F401 - a fixture: pytest finds it here by its name
)


@pytest.fixture
def details(store: Store) -> CampaignDetails:
    with store.write() as session:
        make.make_site(session)
        return CampaignDetails(name="秋の架電", project_id=make.make_project(session).id)


def save(store: Store, viewer: Viewer, details: CampaignDetails, campaign_id: int | None) -> int:
    with store.write() as session:
        return campaigns.save(
            session, viewer=viewer, campaign_id=campaign_id, details=details, nodes=NODES, now=NOW
        ).id


def loads(store: Store) -> int:
    with store.read() as session:
        return session.query(SwitchCommand).filter_by(kind=CommandKind.LOAD_TRUNKS).count()


def test_R_DL_3_a_campaign_has_an_apology_of_its_own_and_the_switch_its_file(
    store: Store,
    settings: Settings,
    manager: Viewer,  # noqa: F811 - the fixture imported above
    details: CampaignDetails,
    tmp_path: Path,
) -> None:
    mine = save(store, manager, details, None)
    assert loads(store) == 0  # the site's: nothing to take
    one = guidance(store, manager, "委託元のお詫び", b"RIFF sorry")
    save(store, manager, replace(details, apology_guidance_id=one), mine)
    assert loads(store) == 1
    save(store, manager, replace(details, apology_guidance_id=one, busy_min=30), mine)
    assert loads(store) == 1
    with store.read() as session:
        assert session.get_one(Campaign, mine).apology_guidance_id == one
        line = session.query(AuditEntry).filter_by(action="campaign.saved").all()[1]
        assert line.detail["changed"] == {"apology_guidance_id": [None, one]}
        real = Settings.from_env(
            {
                "DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir),
                "SECRET_KEY": "of the test", "ESL_URL": "esl://:x@127.0.0.1:8021",
            }
        )  # fmt: skip
        writing.write(tmp_path / "conf", Wanted.read(session, real))
    assert (tmp_path / "conf" / "sounds" / said_file(one)).read_bytes() == b"RIFF sorry"


def test_R_DL_3_what_a_campaign_plays_is_not_retired_and_a_retired_one_is_not_chosen(
    store: Store,
    manager: Viewer,  # noqa: F811 - the fixture imported above
    details: CampaignDetails,
) -> None:
    one, other = (guidance(store, manager, name, b"RIFF") for name in ("甲", "乙"))
    mine = save(store, manager, replace(details, waiting_guidance_id=one), None)
    with store.write() as session:
        with pytest.raises(Refused, match="guidance_in_campaign"):
            guidances.retire(session, viewer=manager, guidance_id=one, now=NOW)
        site_sounds.bring(session, viewer=manager, guidance_id=one, nodes=NODES, now=NOW)
        guidances.retire(session, viewer=manager, guidance_id=other, now=NOW)
    assert loads(store) == 2  # an exchanged sound reaches the switch
    with pytest.raises(Refused, match="guidance_gone"):
        save(store, manager, replace(details, apology_guidance_id=other), mine)
