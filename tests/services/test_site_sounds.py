"""The site's sounds are guidances, in force on the switch, and each change is in the audit log."""

from pathlib import Path

import pytest

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    AuditEntry,
    CommandKind,
    Guidance,
    InboundAction,
    InboundRoute,
    InboundStep,
    Role,
    Situation,
    SwitchCommand,
)
from calltree.services import guidances, site_sounds
from calltree.services.guidance_sound import Normal
from calltree.services.rights import Viewer
from calltree.services.site_sounds import SiteSound
from calltree.telephony.config import writing
from calltree.telephony.config.wanted import Wanted
from tests import factories as make
from tests.factories import NOW

NODES = ("main",)


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make.make_site(session)
        return make.viewer_of(make.make_user(session, Role.MANAGER))


def guidance(store: Store, viewer: Viewer, name: str, wav: bytes) -> int:
    with store.write() as session:
        return guidances.save(
            session, viewer=viewer, guidance_id=None, name=name, sound=Normal(wav, 1000), now=NOW
        ).id


def choose(store: Store, viewer: Viewer, **given: int | None) -> None:
    with store.write() as session:
        site_sounds.choose(
            session, viewer=viewer, given={SiteSound[name]: one for name, one in given.items()},
            nodes=NODES, now=NOW,
        )  # fmt: skip


def loads(store: Store) -> int:
    with store.read() as session:
        return session.query(SwitchCommand).filter_by(kind=CommandKind.LOAD_TRUNKS).count()


def test_R_IN_1_a_chosen_sound_stands_in_the_switchs_files_and_the_tune_comes_back(
    store: Store, settings: Settings, manager: Viewer, tmp_path: Path
) -> None:
    real = Settings.from_env(
        {
            "DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir),
            "SECRET_KEY": "of the test", "ESL_URL": "esl://:x@127.0.0.1:8021",
        }
    )  # fmt: skip
    out = tmp_path / "conf"

    def rendered() -> dict[str, bytes]:
        with store.read() as session:
            writing.write(out, Wanted.read(session, real))
        return {
            name: (out / "sounds" / name).read_bytes()
            for name in ("guidance.wav", "music/tune.wav")
        }

    ours = rendered()
    music = guidance(store, manager, "保留音", b"RIFF music")
    choose(store, manager, HOLD_MUSIC=music, WAITING=None)
    assert rendered() == ours | {"music/tune.wav": b"RIFF music"}
    choose(store, manager, HOLD_MUSIC=None)
    assert rendered() == ours
    assert loads(store) == 2


def test_R_US_7_a_change_is_in_the_log_and_none_leaves_no_line(
    store: Store, manager: Viewer
) -> None:
    one = guidance(store, manager, "お詫び", b"RIFF")
    choose(store, manager, APOLOGY=one)
    choose(store, manager, APOLOGY=one)
    with store.read() as session:
        line = session.query(AuditEntry).filter_by(action="sounds.changed").one()
        assert line.detail["changed"] == {"apology_guidance_id": [None, one]}
    assert loads(store) == 1


def test_R_IN_1_what_the_site_plays_is_not_retired_and_its_exchange_reaches_the_switch(
    store: Store, manager: Viewer
) -> None:
    one, other = (guidance(store, manager, name, b"RIFF") for name in ("甲", "乙"))
    choose(store, manager, WAITING=one)
    with store.write() as session, pytest.raises(Refused, match="guidance_in_sounds"):
        guidances.retire(session, viewer=manager, guidance_id=one, now=NOW)
    with store.write() as session:
        for changed in (one, other):
            site_sounds.bring(session, viewer=manager, guidance_id=changed, nodes=NODES, now=NOW)
        guidances.retire(session, viewer=manager, guidance_id=other, now=NOW)
    assert loads(store) == 2
    with pytest.raises(Refused, match="guidance_gone"):
        choose(store, manager, WAITING=other)
    with store.read() as session:
        assert session.get_one(Guidance, one).retired_at is None
        assert site_sounds.chosen(session) == {SiteSound.WAITING: one}


def test_R_IN_4_the_exchange_of_what_closed_hours_play_reaches_the_switch(
    store: Store, manager: Viewer
) -> None:
    one, other = (guidance(store, manager, name, b"RIFF") for name in ("甲", "乙"))
    with store.write() as session:
        number = make.make_caller_number(session)
        session.add(InboundRoute(caller_number_id=number.id, hours=[""] * 8))
        session.flush()
        for situation, played in ((Situation.CLOSED_DAY, one), (Situation.OPEN, other)):
            session.add(
                InboundStep(
                    caller_number_id=number.id, situation=situation,
                    action=InboundAction.GUIDANCE, guidance_id=played,
                )
            )  # fmt: skip
    with store.write() as session:
        for changed in (one, other):
            site_sounds.bring(session, viewer=manager, guidance_id=changed, nodes=NODES, now=NOW)
    assert loads(store) == 1


def test_R_US_1_a_supervisor_chooses_no_sounds(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        supervisor = make.viewer_of(make.make_user(session, Role.SUPERVISOR))
    with pytest.raises(NotAllowed):
        choose(store, supervisor, WAITING=None)
