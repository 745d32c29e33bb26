"""R-CL-2, R-CL-5, R-CL-17 and the buttons of a call."""

from datetime import timedelta

import pytest

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    BuiltIn,
    CallRecord,
    CallState,
    CommandKind,
    Customer,
    CustomerHold,
    CustomerList,
    LegKind,
    LegState,
    Operator,
    OperatorState,
    Role,
    SwitchCommand,
    SystemResult,
)
from calltree.services import desk as desks
from calltree.services import drafts, holds, presses
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague

PAGE = "page"


def later(seconds: int):
    return NOW + timedelta(seconds=seconds)


def open_as(desk: Desk, viewer: Viewer, now=NOW, customer_id: int | None = None) -> Customer:
    with desk.store.write() as session:
        return desks.open_customer(
            session,
            viewer=viewer,
            customer_id=customer_id or desk.customer_id,
            page_id=f"page-{viewer.user_id}",
            now=now,
        )


def renew(desk: Desk, now, page_id: str | None = None) -> holds.Renewal:
    with desk.store.write() as session:
        return holds.renew(
            session,
            customer_id=desk.customer_id,
            user_id=desk.user_id,
            page_id=page_id or f"page-{desk.user_id}",
            now=now,
        )


def sweep(desk: Desk, now) -> list[int]:
    with desk.store.write() as session:
        return desks.sweep(session, now=now)


def held_by(desk: Desk) -> list[int]:
    return [hold.user_id for hold in desk.rows(CustomerHold)]


def test_R_CL_2_the_other_is_told_who_has_the_customer(desk: Desk) -> None:
    other = Viewer.of(colleague(desk))
    with pytest.raises(Refused) as refused:
        open_as(desk, other)
    assert (refused.value.code, refused.value.values) == ("customer_held", {"name": "山田太郎"})
    assert held_by(desk) == [desk.user_id]


def test_R_CL_2_an_unrenewed_hold_is_kept_for_60_seconds(desk: Desk) -> None:
    other = Viewer.of(colleague(desk))
    with pytest.raises(Refused):
        open_as(desk, other, later(60))
    assert sweep(desk, later(60)) == []
    renew(desk, later(60))
    assert sweep(desk, later(120)) == []
    assert sweep(desk, later(121)) == [desk.user_id]
    assert held_by(desk) == []
    open_as(desk, other, later(121))
    assert held_by(desk) == [other.user_id]


def test_R_CL_2_never_released_during_a_live_call(desk: Desk) -> None:
    other = Viewer.of(colleague(desk))
    attempt = desk.press()
    desk.leaves(attempt)
    assert sweep(desk, later(7200)) == []
    with pytest.raises(Refused, match="customer_held"):
        open_as(desk, other, later(7200))
    desk.ends(attempt, later(7200))
    assert sweep(desk, later(7201)) == [desk.user_id]


def test_R_CL_2_anothers_call_keeps_nobody_elses_customer(desk: Desk) -> None:
    other = Viewer.of(colleague(desk))
    with desk.store.write() as session:
        stale = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
        make.make_hold(session, stale, make.make_user(session))
    desk.leaves(desk.press())
    open_as(desk, other, later(61), customer_id=stale.id)
    assert sorted(held_by(desk)) == [desk.user_id, other.user_id]


def test_R_CL_6_closing_the_tab_leaves_a_blank_with_the_draft(desk: Desk) -> None:
    desk.calls()
    with desk.store.write() as session:
        drafts.keep(
            session, user_id=desk.user_id, customer_id=desk.customer_id, memo="途中", now=NOW
        )
    sweep(desk, later(200))
    (record,) = desk.rows(CallRecord)
    assert (record.system, record.memo) == (SystemResult.BLANK, "途中")
    assert record.closed_at == later(200)
    assert (desk.operator().customer_id, desk.operator().state) == (None, OperatorState.AWAY)


def test_R_CL_2_an_untouched_customer_is_released_after_15_minutes_with_a_warning(
    desk: Desk,
) -> None:
    assert renew(desk, later(13 * 60)).released_in_s is None
    assert renew(desk, later(14 * 60)) == holds.Renewal(held=True, released_in_s=60)
    assert renew(desk, later(14 * 60 + 50)).released_in_s == 10
    with desk.store.write() as session:
        holds.touch(
            session, customer_id=desk.customer_id, user_id=desk.user_id, now=later(14 * 60 + 50)
        )
    assert renew(desk, later(15 * 60)).released_in_s is None
    end = 14 * 60 + 50 + 15 * 60 + 1
    assert renew(desk, later(end)).released_in_s == 0
    assert sweep(desk, later(end)) == [desk.user_id]
    assert renew(desk, later(end)) == holds.Renewal(held=False)


def test_R_CL_2_a_manager_frees_a_customer_but_not_from_a_call(desk: Desk) -> None:
    with desk.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))

    def free(viewer: Viewer) -> None:
        with desk.store.write() as session:
            desks.free(session, viewer=viewer, customer_id=desk.customer_id, now=NOW)

    with pytest.raises(NotAllowed):
        free(desk.viewer())
    attempt = desk.press()
    with pytest.raises(Refused, match="in_a_call"):
        free(manager)
    desk.leaves(attempt)
    desk.ends(attempt)
    free(manager)
    assert held_by(desk) == []
    assert desk.rows(CallRecord)[0].system is SystemResult.BLANK
    assert [entry.action for entry in desk.rows(AuditEntry)] == ["hold.freed"]


def test_R_CL_10_a_reload_in_a_call_comes_back_to_the_same_customer(desk: Desk) -> None:
    desk.leaves(desk.press())
    desk.change(CustomerList, desk.list_id, enabled=False)
    assert open_as(desk, desk.viewer()).id == desk.customer_id
    assert desk.operator().state is OperatorState.DIALLING


@pytest.mark.parametrize(
    ("reason", "state"), [("", OperatorState.BROWSING), ("休憩", OperatorState.AWAY)]
)
def test_R_CL_14_coming_back_to_the_same_customer(
    desk: Desk, reason: str, state: OperatorState
) -> None:
    desk.change(Operator, desk.user_id, state=OperatorState.AWAY, reason=reason)
    open_as(desk, desk.viewer())
    assert desk.operator().state is state


def test_R_CL_5_opening_another_leaves_the_one_before(desk: Desk) -> None:
    with desk.store.write() as session:
        second = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
    desk.calls()
    open_as(desk, desk.viewer(), customer_id=second.id)
    assert [hold.customer_id for hold in desk.rows(CustomerHold)] == [second.id]
    assert desk.rows(CallRecord)[0].closed_at == NOW
    operator = desk.operator()
    assert (operator.state, operator.customer_id) == (OperatorState.BROWSING, second.id)


def test_R_CL_5_another_customer_is_not_opened_during_a_call(desk: Desk) -> None:
    with desk.store.write() as session:
        second = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
    desk.press()
    with pytest.raises(Refused, match="in_a_call"):
        open_as(desk, desk.viewer(), customer_id=second.id)
    assert held_by(desk) == [desk.user_id], "and the other one is not held either"


def test_R_US_1_a_foreign_lists_customer_is_not_found(desk: Desk) -> None:
    with desk.store.write() as session:
        foreign = make.make_customer(session, make.make_list(session))
    with pytest.raises(NotFound):
        open_as(desk, desk.viewer(), customer_id=foreign.id)


# --- one page per user (R-CL-17)


def claim(desk: Desk, page_id: str, now=NOW) -> bool:
    with desk.store.write() as session:
        return desks.claim_page(
            session, user_id=desk.user_id, page_id=page_id, machine="here", now=now
        )


def take_over(desk: Desk, page_id: str, *, machine: str) -> None:
    with desk.store.write() as session:
        desks.take_over_page(
            session, user_id=desk.user_id, page_id=page_id, machine=machine, now=NOW
        )


def test_R_CL_17_a_second_page_is_told_until_the_first_is_gone(desk: Desk) -> None:
    assert claim(desk, "a")
    assert claim(desk, "a", later(10))
    assert not claim(desk, "b", later(20))
    assert claim(desk, "b", later(41)), "the first was not heard of for 30 s"
    assert not claim(desk, "a", later(42))


def sits_here(desk: Desk, page_id: str, now=NOW) -> bool:
    page = desks.Page(page_id, "here")
    with desk.store.read() as session:
        return desks.sits_here(session, user_id=desk.user_id, page=page, nodes=[""], now=now)


def test_R_CL_17_a_press_notes_its_page_only_when_a_word_of_it_is_missing(desk: Desk) -> None:
    claim(desk, "a")
    assert sits_here(desk, "a", later(19)), "it tells of itself every 10 s"
    assert not sits_here(desk, "a", later(20))
    assert not sits_here(desk, "b", later(1))
    assert claim(desk, "a", later(20))
    assert sits_here(desk, "a", later(39))
    assert not claim(desk, "b", later(49)), "the first has 30 s from its last word"


def test_R_CL_17_a_page_that_closes_makes_room_at_once(desk: Desk) -> None:
    claim(desk, "a")
    with desk.store.write() as session:
        desks.release_page(session, user_id=desk.user_id, page_id="b")
        desks.release_page(session, user_id=desk.user_id, page_id="a")
    assert claim(desk, "b")


def test_R_CL_17_taking_over_ends_the_first_pages_hold_and_leg(desk: Desk) -> None:
    claim(desk, "a")
    desk.change(Operator, desk.user_id, leg_kind=LegKind.BROWSER)
    take_over(desk, "b", machine="there")
    assert held_by(desk) == []
    assert [command.kind for command in desk.rows(SwitchCommand)] == [CommandKind.DROP_LEG]
    assert not claim(desk, "a")
    assert claim(desk, "b")


def test_R_CL_17_a_page_taken_over_brings_its_own_machine(desk: Desk) -> None:
    claim(desk, "a")
    take_over(desk, "b", machine="there")
    desk.press()
    with pytest.raises(Refused, match="call_elsewhere"):
        take_over(desk, "a", machine="here")


def test_R_CL_17_a_call_moves_on_the_same_machine_only(desk: Desk) -> None:
    claim(desk, "a")
    desk.press()
    with pytest.raises(Refused, match="call_elsewhere"):
        take_over(desk, "b", machine="there")
    take_over(desk, "b", machine="here")
    (hold,) = desk.rows(CustomerHold)
    assert hold.page_id == "b"
    assert not renew(desk, NOW, page_id="a").held
    assert claim(desk, "b")


# --- the buttons of a call (R-CL-4)


def talking(desk: Desk, state: CallState = CallState.TALKING) -> Attempt:
    attempt = desk.press()
    desk.leaves(attempt)
    desk.change(Attempt, attempt.id, state=state)
    return attempt


def ask(desk: Desk, press, **given: object) -> SwitchCommand | None:
    with desk.store.write() as session:
        return press(session, user_id=desk.user_id, now=NOW, **given)


def test_R_CL_4_a_press_is_one_command_for_the_calls_node(desk: Desk) -> None:
    attempt = talking(desk)
    first, again = ask(desk, presses.hang_up), ask(desk, presses.hang_up)
    assert first.id == again.id
    assert (first.kind, first.node, first.attempt_id) == (CommandKind.HANG_UP, "main", attempt.id)
    desk.change(SwitchCommand, first.id, done_at=NOW, taken_at=NOW)
    assert ask(desk, presses.hang_up).id != first.id, "the switch may have refused the first"


def test_R_CL_4_hold_and_resume_follow_the_call(desk: Desk) -> None:
    attempt = talking(desk)
    assert ask(desk, presses.resume) is None
    assert ask(desk, presses.hold).kind is CommandKind.HOLD
    desk.change(Attempt, attempt.id, held_since=NOW)
    assert ask(desk, presses.hold) is None
    assert ask(desk, presses.resume).kind is CommandKind.RESUME


def test_R_CL_4_mute_is_asked_once(desk: Desk) -> None:
    talking(desk)
    assert ask(desk, presses.unmute) is None
    assert ask(desk, presses.mute).kind is CommandKind.MUTE
    desk.change(Operator, desk.user_id, muted=True)
    assert ask(desk, presses.mute) is None
    desk.change(Operator, desk.user_id, leg_state=LegState.LOST)
    with pytest.raises(Refused, match="no_leg"):
        ask(desk, presses.unmute)


def test_R_CL_4_tones_are_digits_and_each_press_sends_them(desk: Desk) -> None:
    talking(desk)
    for wrong in ("", "12x", "1\r\n2", "1" * 33, "１"):
        with pytest.raises(Refused, match="dtmf_wrong"):
            ask(desk, presses.dtmf, digits=wrong)
    first, second = ask(desk, presses.dtmf, digits="1#"), ask(desk, presses.dtmf, digits="1#")
    assert first.id != second.id
    assert first.args == {"digits": "1#"}


@pytest.mark.parametrize("press", [presses.hold, presses.resume])
def test_R_CL_4_what_needs_a_talk_is_refused_while_ringing(desk: Desk, press) -> None:
    talking(desk, CallState.RINGING)
    with pytest.raises(Refused, match="not_talking"):
        ask(desk, press)


@pytest.mark.parametrize("press", [presses.hang_up, presses.hold, presses.resume, presses.mute])
def test_R_CL_4_without_a_call_there_is_nothing_to_press(desk: Desk, press) -> None:
    desk.calls()
    desk.save(BuiltIn.FAX)
    with pytest.raises(Refused, match="no_call"):
        ask(desk, press)
