"""`flask --app wsgi switch config` and `switch check`, as an administrator types them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from calltree import create_app
from calltree.config import Settings
from calltree.db import Store
from calltree.extensions import db
from calltree.switch_place import SwitchPlace
from calltree.telephony import trunk_loading
from calltree.telephony.config.writing import MARK, needs_restart
from tests.factories import make_site, make_trunk
from tests.practice import PracticeSwitch

Type = Callable[..., Result]


@pytest.fixture
def typed(settings: Settings, store: Store) -> Callable[..., Result]:
    """`typed("switch", …, esl_urls=…)`: the command with these settings."""
    with store.write() as session:
        make_site(session, practice=False)
        make_trunk(session)

    def run(*words: str, **changed: Any) -> Result:
        app: Flask = create_app(replace(settings, **changed))
        result = app.test_cli_runner().invoke(args=["switch", *words])
        with app.app_context():
            db.engine.dispose()
        return result

    return run


REAL = {"esl_urls": ("esl://:sekret@127.0.0.1:8021",), "switch_recordings": "/srv/rec"}


@pytest.mark.one_database
def test_config_says_what_it_wrote(typed: Type, tmp_path: Path) -> None:
    out = tmp_path / "conf"
    result = typed("config", "--out", str(out), "--test-carrier", **REAL)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "wrote   sip_profiles/external/trunk1.xml" in lines
    assert "wrote   dialplan/testcarrier.xml" in lines
    assert f"{out}: 1 trunks" in result.output
    assert "sekret" not in result.output
    again = typed("config", "--out", str(out), **REAL)
    assert "removed dialplan/testcarrier.xml" in again.output.replace("   ", " ")
    assert "0 files changed" in again.output


@pytest.mark.one_database
def test_config_says_what_is_missing_and_writes_nothing(typed: Type, tmp_path: Path) -> None:
    out = tmp_path / "conf"
    practice = typed("config", "--out", str(out))
    assert (practice.exit_code, "Set ESL_URL first" in practice.output) == (1, True)
    nowhere = typed("config", **REAL)
    assert (nowhere.exit_code, "--out DIR" in nowhere.output) == (2, True)
    known = typed("config", "--out", str(out), esl_urls=("esl://:ClueCon@127.0.0.1",))
    assert (known.exit_code, "known to everybody" in known.output) == (1, True)
    assert not out.exists()
    out.mkdir()
    (out / "freeswitch.xml").write_text("mine")
    others = typed("config", "--out", str(out), **REAL)
    assert (others.exit_code, "not empty" in others.output) == (1, True)
    assert [path.name for path in out.iterdir()] == ["freeswitch.xml"]
    assert not (out / MARK).exists()


@pytest.mark.one_database
def test_a_configuration_of_other_settings_is_found_out(
    typed: Type, settings: Settings, store: Store, tmp_path: Path
) -> None:
    out = tmp_path / "conf"

    def outdated(**place: Any) -> list[str]:
        real = replace(settings, **REAL, switch_place=SwitchPlace(config_dir=str(out), **place))
        with store.read() as session:
            return trunk_loading.outdated(session, real, node=real.node_names[0])

    assert outdated() == []  # never written: not ours to speak of
    assert typed("config", "--out", str(out), **REAL).exit_code == 0
    assert outdated() == []
    changed = outdated(rtp_ports=(30000, 30100))
    assert changed == ["autoload_configs/switch.conf.xml"]
    assert needs_restart(changed[0])
    (out / "sounds/guidance.wav").write_bytes(b"the site's own")
    (out / "dialplan/public.xml").write_text("of another version")
    assert outdated() == ["dialplan/public.xml"]
    assert not needs_restart("dialplan/public.xml")
    assert not needs_restart("sip_profiles/external/trunk1.xml")


@pytest.mark.one_database
def test_load_says_what_is_missing(typed: Type, tmp_path: Path) -> None:
    assert "SWITCH_CONFIG_DIR" in typed("load").output
    place = SwitchPlace(config_dir=str(tmp_path / "conf"))
    away = typed("load", esl_urls=("esl://:x@127.0.0.1:1",), switch_place=place)
    assert (away.exit_code, "127.0.0.1" in away.output) == (1, True)


@pytest.mark.one_database
def test_check_reads_the_practice_switch_and_is_content(
    typed: Type, practice_switch: PracticeSwitch
) -> None:
    good = typed("check", practice_esl_url=practice_switch.url)
    assert good.exit_code == 0, good.output
    assert "練習モードです" in good.output
    told = typed("check", "--json", practice_esl_url=practice_switch.url)
    found = {one["code"]: one["light"] for one in json.loads(told.output)["found"]}
    assert (found["practice"], found["link_up"], found["trunk_up"]) == ("yellow", "green", "green")


@pytest.mark.one_database
def test_check_exits_with_one_when_a_part_is_red(
    typed: Type, practice_switch: PracticeSwitch
) -> None:
    practice_switch.order("gateway carrier down")
    down = typed("check", practice_esl_url=practice_switch.url)
    assert (down.exit_code, "応答がありません" in down.output) == (1, True)
    away = typed("check", esl_urls=("esl://:x@127.0.0.1:1",))
    assert (away.exit_code, "FreeSWITCHに接続できません" in away.output) == (1, True)
    none = typed("check")
    assert (none.exit_code, "make run" in none.output) == (1, True)
