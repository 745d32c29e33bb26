"""An operator's minute of プレディコール in a real Chromium, on the practice switch."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from calltree.models import CampaignMode, CustomerList, OperatorState, Preset, RecordKind
from calltree.services import operators
from tests import factories as make
from tests.chromium.screen import Place, Seat, numbers
from tests.floor import wait_for

pytestmark = pytest.mark.browser


def campaign(place: Place, seat: Seat) -> int:
    """A running 1:1 campaign over the seat's list."""
    with place.store.write() as session:
        folder = session.get_one(CustomerList, seat.list_id)
        mode = {"mode": CampaignMode.PROGRESSIVE, "preset": Preset.SAFE}
        return make.make_campaign(session, folder, **mode).id


def hears(seat: Seat) -> bool:
    """Whether the practice telephone is connected."""
    with seat.place.store.read() as session:
        return operators.has_live_leg(session, user_id=seat.user_id)


def talks_with(seat: Seat, customer_id: int) -> None:
    """Wait until this customer's page is there and their call goes on."""
    expect(seat.at("#call-form input[name='customer']")).to_have_value(str(customer_id))
    seat.sees("talking")


def ends_and_saves(seat: Seat) -> None:
    seat.press("F9")
    expect(seat.at("#call-status")).to_have_class(re.compile(r"\bended\b"))
    expect(seat.at("#call-actions button[value='save_ready']")).to_be_enabled()
    seat.picks("2", "FAX")
    seat.press("Control+Enter")


@pytest.mark.one_database
def test_R_DL_7_a_minute_of_predictive_dialling_by_keys(place: Place) -> None:
    seat = place.seat(*numbers("0", "0"))
    mine = campaign(place, seat)
    wait_for(lambda: hears(seat), "the telephone", patience_s=60)
    seat.page.goto(f"{place.origin}/operator/predictive/")
    seat.press("F2")  # 開始

    talks_with(seat, seat.customers[0])
    expect(seat.page).to_have_url(f"{place.origin}/operator/call/")
    expect(seat.at("#call-now")).to_have_count(0)
    expect(seat.at("#call-actions button[value='next']")).to_have_count(0)
    ends_and_saves(seat)

    talks_with(seat, seat.customers[1])
    seat.press("F6")  # この通話で終了
    expect(seat.at("#call-actions button[value='save_ready']")).to_contain_text("保存して終了")
    ends_and_saves(seat)
    expect(seat.at(f"form[action$='/join/{mine}']")).to_be_visible()
    assert seat.results() == ["FAX", "FAX"]
    assert {record.kind for record in seat.records()} == {RecordKind.PREDICTIVE}
    assert seat.operator().state is OperatorState.AWAY
