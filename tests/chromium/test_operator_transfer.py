"""A call is handed on between two operators in a real Chromium, on the practice switch (R-CL-4)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from calltree.models import CustomerList, OperatorState, Transfer, TransferOutcome, User
from tests import factories as make
from tests.chromium.screen import Place, Seat, numbers
from tests.chromium.test_operator_inbound import stands_by
from tests.floor import wait_for

pytestmark = pytest.mark.browser


def asks(seat: Seat, other: Seat, kind: str) -> None:
    """転送 or 相談転送 to the colleague, from the side pane."""
    seat.press("Shift+X")
    form = seat.at(f"#transfer-colleagues form[action$='/colleague/{other.user_id}']")
    form.locator(f"button[value='{kind}']").click()
    expect(seat.at("#side > *")).to_have_count(0)
    expect(other.at("#transfer-offer")).to_be_visible()


def chain(seat: Seat) -> list[Transfer]:
    (attempt,) = {record.attempt_id for record in seat.records()}
    with seat.place.store.read() as session:
        mine = select(Transfer).where(Transfer.attempt_id == attempt).order_by(Transfer.id)
        return list(session.scalars(mine))


@pytest.mark.provokes("409 .*/operator/call/renew$")  # a renewal in the moment of handing over
@pytest.mark.one_database
def test_R_CL_4_a_colleague_declines_then_talks_first_then_three_talk_and_has_the_customer(
    place: Place,
) -> None:
    seat, other = place.seat(*numbers("0")), place.seat()
    with place.store.write() as session:
        folder = session.get_one(CustomerList, seat.list_id)
        make.grant(session, folder, session.get_one(User, other.user_id))
    stands_by(other)
    seat.begin()
    seat.call()
    seat.press("n")
    seat.page.keyboard.type("折り返し希望")
    seat.press("Escape")

    asks(seat, other, "blind")
    other.press("Shift+F3")  # 断る
    seat.sees_text(".call-says", "断られました")
    seat.sees("talking")
    expect(other.at("#transfer-offer")).to_be_hidden()

    asks(seat, other, "attended")
    other.press("F1")  # 受ける
    expect(other.at("#call-form input[name='customer']")).to_have_value(str(seat.customers[0]))
    other.sees_text("#call-transfer", "相談中")
    seat.sees_text("#call-transfer", "相談中")
    seat.press("Shift+W")
    seat.sees_text("#call-transfer", "三者通話")
    other.sees_text("#call-transfer", "三者通話")
    seat.press("Shift+Y")
    expect(seat.at("#call-form")).to_have_count(0)
    expect(other.at("#call-transfer")).to_have_count(0)
    other.sees("talking")
    wait_for(lambda: seat.operator().attempt_id is None, "the first one is free")
    assert seat.operator().state is OperatorState.BROWSING

    other.press("F9")
    other.sees("ended")
    other.picks("2", "FAX")
    other.save()
    assert (seat.records(), other.results()) == ([], ["FAX"])
    assert seat.memo()[0].endswith("折り返し希望")
    legs = chain(other)
    assert [leg.outcome for leg in legs] == [TransferOutcome.REFUSED, TransferOutcome.TRANSFERRED]
    assert {(leg.from_user_id, leg.to_user_id) for leg in legs} == {(seat.user_id, other.user_id)}
    assert all(leg.ended_at for leg in legs)
    assert legs[1].three_way_at
