"""Callers at two operators' pages in a real Chromium, on the practice switch (R-IN-2, R-IN-3)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from calltree.db import utcnow
from calltree.models import (
    CallerNumber,
    CustomerList,
    GroupMember,
    HolidayHours,
    InboundAction,
    InboundRoute,
    InboundStep,
    OperatorState,
    RecordKind,
    Role,
    Situation,
    User,
)
from calltree.services import operators
from tests import factories as make
from tests.chromium.screen import Place, Seat, numbers
from tests.floor import wait_for

pytestmark = pytest.mark.browser

OURS = "0350001234"
RING_S = 600
"""Nobody is in a hurry: a slow machine answers too."""


def team(place: Place, *seats: Seat) -> None:
    """A number of ours that rings these operators alone, at every hour."""
    with place.store.write() as session:
        group = make.make_group(session)
        session.add_all(GroupMember(group_id=group.id, user_id=seat.user_id) for seat in seats)
        ours = CallerNumber(number=OURS, label="代表")
        session.add(ours)
        session.flush()
        session.add(
            InboundRoute(
                caller_number_id=ours.id,
                hours=["00:00-24:00"] * 8,
                holidays=HolidayHours.WEEKDAY,  # whichever day it is
                group_id=group.id,
            )
        )
        session.flush()
        step = InboundStep(caller_number_id=ours.id, situation=Situation.OPEN)
        step.action, step.seconds = InboundAction.RING_ALL, RING_S
        session.add(step)


def stands_by(seat: Seat) -> None:
    """待機 on the page of lists, with a telephone that hears."""

    def hears() -> bool:
        with seat.place.store.read() as session:
            return operators.has_live_leg(session, user_id=seat.user_id)

    wait_for(hears, "the telephone", patience_s=120)
    with seat.place.store.write() as session:
        operators.become_ready(session, user_id=seat.user_id, now=utcnow())


def boss(place: Place) -> Page:
    """A manager in 管理画面, at the list of missed calls."""
    with place.store.write() as session:
        user_id = make.make_user(session, Role.MANAGER).id
    window = place.window()
    window.add_cookies([{"name": "calltree", "value": place.cookie(user_id), "url": place.origin}])
    page = window.new_page()
    page.goto(f"{place.origin}/missed/")
    return page


def call_in(place: Place, caller: str) -> str:
    """Somebody calls us; the channel."""
    return place.site.switch.order(f"inbound {caller} {OURS}").removeprefix("+OK ").strip()


def hangs_up_and_saves(seat: Seat, button: str) -> None:
    seat.press("F9")
    expect(seat.at("#call-status")).to_have_class(re.compile(r"\bended\b"))
    expect(seat.at(f"#call-actions button[value='{button}']")).to_be_enabled()
    seat.picks("2", "FAX")


@pytest.mark.one_database
@pytest.mark.provokes("AudioContext encountered")  # a machine without a sound device
def test_R_IN_2_both_ring_one_answers_and_who_was_missed_is_called_back(place: Place) -> None:
    (number,) = numbers("0")
    seat, other = place.seat(number), place.seat()
    with place.store.write() as session:  # the other one may see who calls, too
        folder = session.get_one(CustomerList, seat.list_id)
        make.grant(session, folder, session.get_one(User, other.user_id))
    team(place, seat, other)
    manager = boss(place)
    for one in (seat, other):
        stands_by(one)

    call_in(place, number)
    for one in (seat, other):
        expect(one.at("#ringing[data-rings] .match")).to_be_visible()
    seat.press("F1")  # 応答
    expect(other.at("#ringing")).to_be_hidden()
    expect(seat.at("#call-form input[name='customer']")).to_have_value(str(seat.customers[0]))
    seat.sees("talking")
    hangs_up_and_saves(seat, "save_ready")
    seat.press("Control+Enter")
    expect(seat.at("#call-form")).to_have_count(0)
    assert seat.results() == ["FAX"]
    assert {record.kind for record in seat.records()} == {RecordKind.INBOUND}
    assert seat.operator().state is OperatorState.READY

    channel = call_in(place, number)
    expect(seat.at("#ringing")).to_be_visible()
    place.site.switch.order(f"leave {channel}")
    expect(seat.at("#ringing")).to_be_hidden()
    for page in (seat.page, other.page, manager):
        expect(page.locator("#badge-missed-index")).to_have_text("1")
    seat.page.goto(f"{place.origin}/missed/")
    seat.at("form[action$='/call-back'] button").click()
    seat.sees("talking")
    expect(manager.locator("#badge-missed-index")).to_be_hidden()
    hangs_up_and_saves(seat, "save")
    seat.save()
    assert seat.results() == ["FAX", "FAX"]
