"""R-IN-2: who calls is known before the call is answered, as far as the operator may see."""

import pytest

from calltree.models import BuiltIn, Customer, CustomerList, DoNotCall, MemoEntry, Role
from calltree.services import inbound_matches
from calltree.services.inbound_matches import Caller
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk


def found(desk: Desk, number: str, viewer: Viewer | None = None) -> Caller:
    with desk.store.read() as session:
        return inbound_matches.find(session, viewer=viewer or desk.viewer(), number=number, now=NOW)


def test_R_IN_2_a_caller_is_found_with_the_last_records_and_memos(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT, memo="折り返し希望")
    caller = found(desk, desk.number)
    (match,) = caller.matches
    assert match.customer.id == desk.customer_id
    assert [row.result for row in match.records] == ["見込"]
    assert "折り返し希望" in match.memos[0]
    assert (caller.hidden, caller.banned) == (0, False)


@pytest.mark.one_database
def test_who_calls_is_asked_in_few_statements(desk: Desk) -> None:
    viewer, said = desk.viewer(), []
    with desk.store.glance() as look:
        look.link.set_trace_callback(said.append)
        asked = {"viewer": viewer, "number": desk.number, "now": NOW}
        assert len(inbound_matches.look_up(look, **asked).matches) == 1
    assert len(said) == 4


def test_R_IN_2_each_match_has_its_own_last_records_and_memos(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        second = make.make_customer(session, folder, number=desk.number)
        session.add_all(
            MemoEntry(customer_id=customer_id, at=NOW, text=f"{customer_id}の{place}")
            for place in range(inbound_matches.LAST + 2)
            for customer_id in (desk.customer_id, second.id)
        )
    by_id = {match.customer.id: match for match in found(desk, desk.number).matches}
    assert [row.result for row in by_id[desk.customer_id].records] == ["見込"]
    assert by_id[second.id].records == []
    for customer_id, match in by_id.items():
        assert match.memos == [f"{customer_id}の{place}" for place in (4, 3, 2)]


def test_R_IN_2_extra_numbers_and_several_lists_match_and_others_are_counted_only(
    desk: Desk,
) -> None:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        second = make.make_customer(session, folder)
        make.make_extra_number(session, second, desk.number)
        foreign = make.make_list(session)
        make.make_customer(session, foreign, number=desk.number)
        gone = make.make_customer(session, folder, number=desk.number)
        gone.deleted_at = NOW
        boss = Viewer.of(make.make_user(session, Role.SUPERVISOR))
        second_id = second.id
    mine = found(desk, desk.number)
    assert {match.customer.id for match in mine.matches} == {desk.customer_id, second_id}
    assert mine.hidden == 1
    everything = found(desk, desk.number, boss)
    assert (len(everything.matches), everything.hidden) == (3, 0)


def test_R_IN_2_what_is_hidden_is_said_beside_a_full_choice_too(desk: Desk) -> None:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        for _ in range(inbound_matches.MOST + 1):
            make.make_customer(session, folder, number=desk.number)
        make.make_customer(session, make.make_list(session), number=desk.number)
    caller = found(desk, desk.number)
    assert (len(caller.matches), caller.hidden) == (inbound_matches.MOST, 1)


def test_R_IN_2_nobody_is_found_for_an_unknown_or_withheld_number(desk: Desk) -> None:
    assert found(desk, "0699999999").matches == []
    assert found(desk, "") == Caller("", [], 0, banned=False)


def test_R_DN_5_a_banned_caller_is_marked(desk: Desk) -> None:
    with desk.store.write() as session:
        session.add(DoNotCall(number=desk.number, source="form", created_at=NOW))
        session.add(
            MemoEntry(customer_id=session.get_one(Customer, desk.customer_id).id, at=NOW, text="x")
        )
    caller = found(desk, desk.number)
    assert caller.banned
    assert caller.matches[0].memos == ["x"]
