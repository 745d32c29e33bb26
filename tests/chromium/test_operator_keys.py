"""The keys of the call screen that choose and fill in, and what is saved of it (R-CL-5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    Customer,
    CustomerList,
    ItemKind,
    ItemTarget,
    PauseEnd,
    Project,
    Recording,
    RecordingPause,
    RecordingState,
    Task,
    Transfer,
    TransferOutcome,
)
from tests import factories as make
from tests.chromium.screen import Place, Seat, numbers
from tests.floor import wait_for

pytestmark = pytest.mark.browser

ASKS = "資料送付後"


@dataclass(frozen=True)
class Choices:
    """What can be chosen beside the one customer: rows by their ids."""

    extra: str
    """Their second number, who answers; the main one is engaged."""
    caller_id: int
    of_customer: int
    of_call: int


def sit_down(place: Place) -> tuple[Seat, Choices]:
    """An operator whose project has two numbers of ours, two attributes, and a result that asks."""
    main, extra = numbers("1", "0")
    with place.store.write() as session:
        pattern = make.make_pattern(session)
        make.make_status(session, pattern, ASKS, key="R", asks_callback_time=True)
    seat = place.seat(main, pattern_id=pattern.id)
    with place.store.write() as session:
        folder = session.get_one(CustomerList, seat.list_id)
        project = session.get_one(Project, folder.project_id)
        make.make_extra_number(session, session.get_one(Customer, seat.customers[0]), extra)
        ours = make.make_caller_number(session)
        make.add_number(session, project, ours)
        trade = make.make_item(
            session, project, name="業種", target=ItemTarget.CUSTOMER, kind=ItemKind.CHOICE,
            choices=["飲食", "小売"],
        )  # fmt: skip
        sent = make.make_item(session, project, name="送付先", target=ItemTarget.RESULT)
        return seat, Choices(extra, ours.id, trade.id, sent.id)


def reads_the_sheet(seat: Seat) -> None:
    """`?` and Esc: the sheet has the page's keys, each with what it does."""
    seat.press("?")
    sheet = seat.at("#key-sheet")
    expect(sheet).to_be_visible()
    keys = sheet.locator("dt").all_inner_texts()
    shown = dict(zip(keys, sheet.locator("dd").all_inner_texts(), strict=True))
    assert {key: shown.get(key) for key in ("c", "Shift+V", "Shift+G", "R", "F2")} == {
        "c": "再コール日時",
        "Shift+V": "見込レベル",
        "Shift+G": "発信先の選択",
        "R": ASKS,
        "F2": "CALL",
    }
    seat.press("c")  # of the page below, which an open sheet keeps from the keys
    expect(seat.at("#callback")).not_to_be_focused()
    seat.press("Escape")
    expect(sheet).to_be_hidden()


def chooses_the_numbers(seat: Seat, choices: Choices) -> None:
    """Shift+G and an arrow: theirs. Ours has no key of its own."""
    seat.press("Shift+G")
    expect(seat.at("#numbers input:checked")).to_be_focused()
    with seat.page.expect_response("**/call/choose"):
        seat.press("ArrowDown")
    expect(seat.at(f'#numbers input[value="{choices.extra}"]')).to_be_checked()
    wait_for(lambda: seat.operator().chosen_number == choices.extra, "the number is kept")
    with seat.page.expect_response("**/call/choose"):
        seat.at('select[name="caller_number"]').select_option(str(choices.caller_id))
    expect(seat.at('select[name="caller_number"]')).to_have_value(str(choices.caller_id))
    wait_for(lambda: seat.operator().chosen_caller_id == choices.caller_id, "ours is kept")
    assert seat.operator().chosen_number == choices.extra


def pauses_the_recording(seat: Seat) -> None:
    """Shift+R, twice."""
    (attempt,) = seat.attempts()
    of_call = select(Recording.state).where(Recording.attempt_id == attempt.id)
    pauses = select(RecordingPause).where(RecordingPause.user_id == seat.user_id)

    def records() -> bool:
        with seat.place.store.read() as session:
            return session.scalar(of_call) is RecordingState.RECORDING

    wait_for(records, "the recording")
    seat.press("Shift+R")
    seat.sees_text(".call-recording.paused", "録音停止中")
    with seat.place.store.read() as session:
        paused = session.scalars(pauses).one()
        assert (paused.ended_at, paused.ended_by) == (None, PauseEnd.OPEN)
    seat.press("Shift+R")
    expect(seat.at(".call-recording:not(.paused) button")).to_contain_text("録音を一時停止")
    with seat.place.store.read() as session:
        ended = session.scalars(pauses).one()
        assert ended.ended_at is not None
        assert ended.ended_by is PauseEnd.OPERATOR


def holds_for_the_others_and_takes_back(seat: Seat) -> None:
    """Shift+X, Shift+P; nobody takes the customer, and Shift+B has them back."""
    seat.press("Shift+X")
    expect(seat.at('#transfer-pane [data-key="Shift+P"]')).to_be_enabled()
    seat.press("Shift+P")
    seat.sees_text("#call-transfer", "空いている方の応答を待っています")
    expect(seat.at("#side > *")).to_have_count(0)
    seat.press("Shift+B")
    expect(seat.at("#call-transfer")).to_have_count(0)
    seat.sees("talking")
    with seat.place.store.read() as session:
        mine = select(Transfer.outcome).where(Transfer.from_user_id == seat.user_id)
        assert session.scalars(mine).all() == [TransferOutcome.WITHDRAWN]


def fills_the_boxes_in(seat: Seat, moment: datetime) -> None:
    """A result that asks for the time, C, Shift+V with an arrow, and the attributes."""
    asks = seat.at("#task-form .asks-time")
    expect(asks).to_be_hidden()
    seat.picks("r", ASKS)
    expect(asks).to_be_visible()
    seat.press("c")
    expect(seat.at("#callback")).to_be_focused()
    seat.at("#callback").fill(f"{moment:%Y-%m-%dT%H:%M}")
    seat.press("Escape", "Shift+V")
    expect(seat.at('.levels input[value="なし"]')).to_be_focused()
    seat.press("ArrowUp")
    expect(seat.at('.levels input[value="C"]')).to_be_checked()
    seat.at("#attributes summary").click()
    seat.at("#attributes").get_by_label("業種").select_option("小売")
    seat.at("#attributes").get_by_label("送付先").fill("本社総務")
    seat.press("Escape")


@pytest.mark.one_database
def test_R_CL_5_what_keys_choose_and_boxes_hold_is_dialled_and_saved(place: Place) -> None:
    seat, choices = sit_down(place)
    seat.begin()
    reads_the_sheet(seat)
    chooses_the_numbers(seat, choices)
    seat.call()
    pauses_the_recording(seat)
    holds_for_the_others_and_takes_back(seat)
    seat.hang_up()
    zone = place.site.settings.timezone
    tomorrow = utcnow().astimezone(zone).replace(second=0, microsecond=0) + timedelta(days=1)
    fills_the_boxes_in(seat, tomorrow)
    seat.save()

    assert seat.results() == [ASKS]
    (record,) = seat.records()
    assert (record.number, record.caller_number_id) == (choices.extra, choices.caller_id)
    assert (record.callback_at, record.prospect_level) == (tomorrow, "C")
    assert record.attributes == {str(choices.of_call): "本社総務"}
    customer = seat.customer()
    assert customer.prospect_level == "C"
    assert customer.attributes == {str(choices.of_customer): "小売"}
    with place.store.read() as session:
        task = session.scalars(select(Task).where(Task.customer_id == customer.id)).one()
    assert (task.due_at, task.user_id) == (tomorrow, seat.user_id)
    # and the screen as it is drawn anew has it all
    expect(seat.at("#callback")).to_have_value(f"{tomorrow:%Y-%m-%dT%H:%M}")
    expect(seat.at('.levels input[value="C"]')).to_be_checked()
    expect(seat.at(f"#box-item{choices.of_customer}")).to_have_value("小売")
    expect(seat.at(f"#box-item{choices.of_call}")).to_have_value("本社総務")
