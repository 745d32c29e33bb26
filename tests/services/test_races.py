"""Racing presses, from threads and from processes, on whichever database the run is for.

Each limit is one that select-then-insert would pass: the tests failed so against a gate without
its lock.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, func, select

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    LegKind,
    Line,
    Operator,
    Origin,
    ResultStatus,
    SwitchCommand,
    User,
)
from calltree.services import desk as desks
from calltree.services import do_not_call, figures, gate, records, results, search, softphones
from calltree.services.criteria import Criteria
from calltree.services.gate import DialRequest
from calltree.services.results import ResultForm
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import Processes, by_threads

OPERATORS = 16
Race = Callable[..., list]


@dataclass(frozen=True)
class Floor:
    """A floor of operators: each has one customer open, all in one list."""

    url: str
    list_id: int
    operators: tuple[tuple[int, int, str], ...]
    """(user id, customer id, number)."""


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.close()


@pytest.fixture(params=["threads", "processes"])
def race(request: pytest.FixtureRequest) -> Race:
    """How the contestants run."""
    if request.param == "threads":
        return by_threads
    return request.getfixturevalue("processes").race


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = create_engine(database_url)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def floor(store: Store, database_url: str) -> Floor:
    with store.write() as session:
        make.make_site(session, lines=100)
        make.make_switch(session)
        folder = make.make_list(session)
        seats = []
        for _ in range(OPERATORS):
            user = make.make_user(session)
            make.grant(session, folder, user)
            customer = make.make_customer(session, folder)
            make.make_operator(session, user, customer_id=customer.id)
            seats.append((user.id, customer.id, customer.number))
        return Floor(database_url, folder.id, tuple(seats))


def press(store: Store, argument: tuple) -> str:
    user_id, customer_id, number, press_id = argument
    request = DialRequest(
        origin=Origin.CALL,
        number=number,
        user_id=user_id,
        customer_id=customer_id,
        press_id=press_id,
    )
    with store.write() as session:
        return gate.ask(session, request=request, now=NOW).verdict


def count(store: Store, model: type) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_R_CL_8_the_line_limit_holds_under_racing_presses(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.write() as session:
        make.make_site(session, lines=5)
    verdicts = race(floor.url, press, [(*seat, None) for seat in floor.operators])
    assert Counter(verdicts) == {"allowed": 5, "no_lines": OPERATORS - 5}
    assert [count(store, model) for model in (Attempt, Line, SwitchCommand)] == [OPERATORS, 5, 5]


def test_R_CL_8_the_cap_of_a_caller_number_holds_too(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.write() as session:
        session.scalars(select(make.CallerNumber)).one().line_cap = 3
    verdicts = race(floor.url, press, [(*seat, None) for seat in floor.operators])
    assert Counter(verdicts) == {"allowed": 3, "no_lines_number": OPERATORS - 3}


def test_one_live_call_a_number(store: Store, floor: Floor, race: Race) -> None:
    with store.write() as session:
        for customer in session.scalars(select(Customer)):
            customer.number = "0312345678"
    arguments = [(user, customer, "0312345678", None) for user, customer, _ in floor.operators]
    verdicts = race(floor.url, press, arguments)
    assert Counter(verdicts) == {"allowed": 1, "number_in_call": OPERATORS - 1}


def test_one_live_call_an_operator(store: Store, floor: Floor, race: Race) -> None:
    user_id = floor.operators[0][0]
    arguments = [(user_id, customer, number, None) for _, customer, number in floor.operators]
    verdicts = race(floor.url, press, arguments)
    assert Counter(verdicts) == {"allowed": 1, "in_a_call": OPERATORS - 1}
    with store.read() as session:
        locked = session.get_one(Operator, user_id).attempt_id
        live = session.scalars(select(Attempt.id).where(Attempt.ended_at.is_(None))).one()
    assert locked == live


def test_R_CL_6_a_press_sent_many_times_at_once_is_one(
    store: Store, floor: Floor, race: Race
) -> None:
    verdicts = race(floor.url, press, [(*floor.operators[0], "one press")] * 8)
    assert verdicts == ["allowed"] * 8
    assert [count(store, model) for model in (Attempt, Line, SwitchCommand)] == [1, 1, 1]


def open_customer(store: Store, argument: tuple[int, int]) -> int | str:
    user_id, customer_id = argument
    try:
        with store.write() as session:
            viewer = Viewer.of(session.get_one(User, user_id))
            desks.open_customer(
                session, viewer=viewer, customer_id=customer_id, page_id=str(user_id), now=NOW
            )
    except Refused as refused:
        return refused.code
    return user_id


def come_in(store: Store, user_id: int) -> bool:
    with store.write() as session:
        viewer = Viewer.of(session.get_one(make.User, user_id))
        desks.enter(session, viewer=viewer, nodes=("practice",), now=NOW)
        return desks.claim_page(session, user_id=user_id, page_id="a", now=NOW)


def test_R_CL_17_the_first_requests_of_a_new_operator_may_come_at_once(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.write() as session:
        user_id = make.make_user(session).id
    assert race(floor.url, come_in, [user_id] * 8) == [True] * 8


def take_credentials(store: Store, user_id: int) -> str:
    with store.write() as session:
        return softphones.issue(session, user_id=user_id, page_id="a", now=NOW).user


def test_R_CL_10_the_first_credentials_of_a_page_may_be_asked_for_twice_at_once(
    store: Store, floor: Floor, race: Race
) -> None:
    user_id = floor.operators[0][0]
    with store.write() as session:
        operator = session.get_one(Operator, user_id)
        operator.leg_kind, operator.page_id = LegKind.BROWSER, "a"
    assert race(floor.url, take_credentials, [user_id] * 8) == [f"web-{user_id}"] * 8


def test_R_CL_2_one_customer_one_operator(store: Store, floor: Floor, race: Race) -> None:
    wanted = floor.operators[0][1]
    answers = race(floor.url, open_customer, [(seat[0], wanted) for seat in floor.operators])
    assert Counter(answers)["customer_held"] == OPERATORS - 1
    (holder,) = [answer for answer in answers if answer != "customer_held"]
    with store.read() as session:
        assert session.get_one(CustomerHold, wanted).user_id == holder


def dial_or_open(store: Store, argument: tuple) -> int | str:
    """Half of them press CALL without having the customer open, half open them."""
    user_id, customer_id, number, presses = argument
    if not presses:
        return open_customer(store, (user_id, customer_id))
    verdict = press(store, (user_id, customer_id, number, None))
    return user_id if verdict == "allowed" else verdict


def test_R_CL_2_a_dial_and_an_opening_never_both_have_the_customer(
    store: Store, floor: Floor, race: Race
) -> None:
    _, customer_id, number = floor.operators[0]
    arguments = [
        (seat[0], customer_id, number, n % 2 == 0) for n, seat in enumerate(floor.operators)
    ]
    answers = race(floor.url, dial_or_open, arguments)
    assert len([answer for answer in answers if isinstance(answer, int)]) == 1


def take_next(store: Store, user_id: int) -> list[int]:
    taken = []
    for _ in range(3):
        with store.write() as session:
            viewer = Viewer.of(session.get_one(User, user_id))
            step = desks.next_customer(session, viewer=viewer, page_id=str(user_id), now=NOW)
            # Kept, as if each were in a call: whoever takes next must not meet it again.
            make.make_record(session, session.get_one(Customer, step.customer_id), user_id=user_id)
            taken.append(step.customer_id)
    return taken


def test_R_CL_1_no_customer_is_given_to_two_operators(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.write() as session:
        folder = session.get_one(CustomerList, floor.list_id)
        ids = [make.make_customer(session, folder).id for _ in range(3 * OPERATORS)]
        for user_id, *_ in floor.operators:
            search.store_queue(
                session, user_id=user_id, list_id=floor.list_id, criteria=Criteria(),
                ids=array("q", ids), now=NOW,
            )  # fmt: skip
    hands = race(floor.url, take_next, [seat[0] for seat in floor.operators])
    taken = [customer_id for hand in hands for customer_id in hand]
    assert sorted(taken) == ids


def press_or_ban(store: Store, argument: tuple) -> tuple[str, int]:
    """Press, or with (manager's id, numbers) ban: what came of it, and the moment that counts.

    That is when a press began and when a ban was committed, by the clock that all processes share.
    """
    if len(argument) == 2:
        manager_id, numbers = argument
        with store.write() as session:
            manager = Viewer.of(session.get_one(User, manager_id))
            do_not_call.add(session, viewer=manager, numbers=numbers, now=NOW)
        return "banned", time.monotonic_ns()
    began = time.monotonic_ns()
    return press(store, argument), began


def test_R_CL_9_R_DN_5_no_press_after_a_ban_is_committed_passes(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.write() as session:
        manager_id = make.make_user(session, make.Role.MANAGER).id
    ban = (manager_id, [seat[2] for seat in floor.operators])
    presses = [(*seat, None) for seat in floor.operators]
    answers = race(floor.url, press_or_ban, [*presses[:8], ban, *presses[8:]])
    committed = next(at for said, at in answers if said == "banned")
    assert {said for said, began in answers if began > committed} <= {"number_banned"}
    later = race(floor.url, press_or_ban, presses)
    assert {said for said, _ in later} == {"number_banned"}


def work(store: Store, argument: tuple) -> None:
    user_id, customer_id, number, status_id = argument
    assert press(store, (user_id, customer_id, number, None)) == "allowed"
    with store.write() as session:
        attempt = session.scalars(
            select(Attempt).where(Attempt.user_id == user_id, Attempt.ended_at.is_(None))
        ).one()
        records.open_for_attempt(session, attempt=attempt, now=NOW)
    with store.write() as session:
        attempt = session.scalars(
            select(Attempt).where(Attempt.user_id == user_id, Attempt.ended_at.is_(None))
        ).one()
        attempt.ended_at = NOW + timedelta(seconds=9)
    with store.write() as session:
        results.save(
            session,
            viewer=Viewer.of(session.get_one(User, user_id)),
            customer_id=customer_id,
            form=ResultForm(status_id=status_id, memo="済"),
            now=NOW,
        )


def test_R_LS_1_figures_are_exact_after_everybody_worked_at_once(
    store: Store, floor: Floor, race: Race
) -> None:
    with store.read() as session:
        prospect = session.scalars(
            select(ResultStatus.id).where(ResultStatus.built_in == BuiltIn.PROSPECT)
        ).one()
    race(floor.url, work, [(*seat, prospect) for seat in floor.operators])
    with store.write() as session:
        folder = session.get_one(CustomerList, floor.list_id)
        assert (folder.worked, folder.dials, folder.connects) == (OPERATORS,) * 3
        assert figures.recount(session, list_id=floor.list_id) == {}
    assert count(store, CallRecord) == OPERATORS


def save_again(store: Store, argument: tuple[int, int, int]) -> bool:
    user_id, customer_id, status_id = argument
    with store.write() as session:
        return results.save(
            session,
            viewer=Viewer.of(session.get_one(User, user_id)),
            customer_id=customer_id,
            form=ResultForm(status_id=status_id, memo="一度だけ"),
            now=NOW,
        ).changed


def test_R_CL_7_a_save_resent_many_times_at_once_appends_once(
    store: Store, floor: Floor, race: Race
) -> None:
    user_id, customer_id, number = floor.operators[0]
    with store.read() as session:
        fax = session.scalars(
            select(ResultStatus.id).where(ResultStatus.built_in == BuiltIn.FAX)
        ).one()
    work(store, (user_id, customer_id, number, fax))
    changed = race(floor.url, save_again, [(user_id, customer_id, fax)] * 8)
    assert sorted(changed) == [False] * 7 + [True]
    with store.read() as session:
        assert len(records.memo_of(session, customer_id=customer_id)) == 2
