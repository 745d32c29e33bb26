"""What a reading of a switch means: each part green, yellow or red, and never without words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calltree.upkeep.findings import Light
from calltree.upkeep.switch_sentences import PARTS, SAYS, say
from calltree.upkeep.switch_state import GatewayState, Reading, judge

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def ends_in(days: int) -> str:
    return (NOW + timedelta(days=days, hours=1)).isoformat()


GOOD = Reading(
    node="main",
    at=NOW.isoformat(),
    version="1.10.12",
    gateways=(GatewayState("trunk1", "本線", "REGED", "UP"),),
    profiles=("internal", "external"),
    browsers="127.0.0.1:5066",
    certificate=ends_in(80),
    disk_free=500 * 1024**3,
    we_write=True,
    switch_writes="yes",
)


def test_all_is_green_when_all_is_well() -> None:
    found = judge(GOOD, now=NOW)
    assert {one.light for one in found} == {Light.GREEN}
    assert {one.part for one in found} == set(PARTS) - {"practice"}


def trunk(state: str, status: str) -> tuple[GatewayState, ...]:
    return (GatewayState("trunk1", "本線", state, status),)


@pytest.mark.parametrize(
    ("change", "part", "light", "code"),
    [
        ({"down": "auth"}, "link", Light.RED, "link_refused"),
        ({"down": "down"}, "link", Light.RED, "link_down"),
        ({"down": "down", "practice": True}, "link", Light.RED, "practice_down"),
        ({"version": "1.8.7"}, "version", Light.RED, "version_old"),
        ({"version": ""}, "version", Light.RED, "version_old"),
        ({"clock_s": -2.6}, "clock", Light.RED, "clock_off"),
        ({"missing_modules": ("mod_x",)}, "modules", Light.RED, "modules_missing"),
        ({"profiles": ("external",)}, "sip", Light.RED, "sip_missing"),
        ({"browsers": ""}, "sip", Light.RED, "sip_no_browsers"),
        ({"gateways": ()}, "trunk", Light.RED, "trunk_none"),
        ({"gateways": trunk("", "")}, "trunk", Light.RED, "trunk_unknown"),
        ({"gateways": trunk("NOREG", "DOWN")}, "trunk", Light.RED, "trunk_down"),
        ({"gateways": trunk("TRYING", "UP")}, "trunk", Light.RED, "trunk_not_registered"),
        ({"certificate": ends_in(-5)}, "certificate", Light.RED, "certificate_ends"),
        ({"certificate": ends_in(2)}, "certificate", Light.RED, "certificate_ends"),
        ({"certificate": ends_in(10)}, "certificate", Light.YELLOW, "certificate_ends"),
        ({"certificate": "unknown"}, "certificate", Light.YELLOW, "certificate_unknown"),
        ({"certificate": "expired"}, "certificate", Light.RED, "certificate_expired"),
        (
            {"certificate": "refused", "certificate_why": "self-signed"},
            "certificate", Light.RED, "certificate_refused",
        ),
        ({"disk_free": 1024**3}, "disk", Light.RED, "disk_full"),
        ({"disk_free": 5 * 1024**3}, "disk", Light.YELLOW, "disk_low"),
        ({"we_write": False}, "recordings", Light.RED, "we_do_not_write"),
        ({"switch_writes": "no"}, "recordings", Light.RED, "switch_does_not_write"),
        ({"switch_writes": "elsewhere"}, "recordings", Light.RED, "switch_writes_elsewhere"),
        ({"switch_writes": "unknown"}, "recordings", Light.YELLOW, "switch_not_tried"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_else(change, part, light, code) -> None:
    found = [one for one in judge(replace(GOOD, **change), now=NOW) if one.light is not Light.GREEN]
    assert [(one.part, one.light, one.code) for one in found] == [(part, light, code)]
    says, todo = say(found[0], str)
    assert "%(" not in says
    assert todo


def test_a_second_of_difference_is_none() -> None:
    found = judge(replace(GOOD, clock_s=1.4), now=NOW)
    assert {one.light for one in found} == {Light.GREEN}


def test_the_practice_switch_says_that_it_is_one() -> None:
    found = judge(replace(GOOD, practice=True, gateways=trunk("NOREG", "UP")), now=NOW)
    assert (found[0].part, found[0].light) == ("practice", Light.YELLOW)
    assert [one.light for one in found[1:]] == [Light.GREEN] * (len(found) - 1)


def test_a_reading_is_kept_whole_and_an_older_one_is_read() -> None:
    assert Reading.from_json(GOOD.as_json()) == GOOD
    old = {"node": "main", "at": NOW.isoformat(), "of_another_version": 1}
    assert Reading.from_json(old).version == ""


def test_green_needs_nothing_done_and_all_else_does() -> None:
    green = {"link_up", "version", "clock", "modules", "sip", "trunk_up", "certificate", "disk"}
    green |= {"we_write", "switch_writes"}
    assert {code for code, says in SAYS.items() if not says.todo} == green
