"""R-CL-8: every kind of call at once, and the lines that are counted together."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, select

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    CallState,
    HolidayHours,
    InboundAction,
    InboundRoute,
    InboundStep,
    Line,
    Origin,
    Situation,
)
from calltree.services import gate, inbound_walk, outside_legs
from calltree.services.gate import DialRequest
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import Processes, by_threads

LINES, RESERVED = 6, 2
OF_EACH = 4
Race = Callable[..., list]


@pytest.fixture(params=["threads", "processes"])
def race(request: pytest.FixtureRequest) -> Iterator[Race]:
    if request.param == "threads":
        yield by_threads
        return
    processes = Processes()
    yield processes.race
    processes.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = create_engine(database_url)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def contestants(store: Store) -> list[tuple]:
    """Of each kind as many: presses, a campaign's dials, transfers outside, callers."""
    with store.write() as session:
        make.make_site(session, lines=LINES, lines_reserved_inbound=RESERVED)
        make.make_switch(session)
        folder = make.make_list(session)
        ours = make.make_caller_number(session)
        session.add(
            InboundRoute(
                caller_number_id=ours.id, hours=["00:00-24:00"] * 8, holidays=HolidayHours.WEEKDAY
            )
        )
        session.add(
            InboundStep(
                caller_number_id=ours.id, situation=Situation.OPEN,
                action=InboundAction.QUEUE, seconds=60,
            )
        )  # fmt: skip
        dealt = []
        for place in range(OF_EACH):
            user = make.make_user(session)
            make.grant(session, folder, user)
            pressed, chosen = (make.make_customer(session, folder) for _ in range(2))
            make.make_operator(session, user, customer_id=pressed.id)
            dealt += [
                ("press", user.id, pressed.id, pressed.number),
                ("campaign", None, chosen.id, chosen.number),
                ("transfer", talking(session, folder.project_id, place).id, f"03999900{place:02}"),
                ("caller", ours.number, f"09011110{place:03}"),
            ]
    # Callers come last: whoever may take what is kept for them has taken it by then.
    return sorted(dealt, key=lambda one: one[0] == "caller")


def talking(session, project_id: int, place: int) -> Attempt:
    """A call that is to be handed on; whose line it has does not matter here."""
    attempt = Attempt(
        uuid=str(uuid.uuid4()), origin=Origin.CALL, number=f"03123400{place:02}", node="main",
        verdict="allowed", state=CallState.TALKING, project_id=project_id, created_at=NOW,
    )  # fmt: skip
    session.add(attempt)
    session.flush()
    return attempt


def take_a_line(store: Store, contestant: tuple) -> str:
    kind, *rest = contestant
    with store.write() as session:
        if kind == "caller":
            number, caller = rest
            gate.take_turn(session)
            written = inbound_walk.arrive(
                session, channel=str(uuid.uuid4()), number=number, caller=caller, node="main",
                epoch=1, now=NOW,
            )  # fmt: skip
            return f"{kind}: {written[0].verdict}"
        if kind == "transfer":
            attempt_id, number = rest
            attempt = session.get_one(Attempt, attempt_id)
            try:
                outside_legs.take(
                    session, attempt=attempt, number=number, leg_uuid=str(uuid.uuid4()), now=NOW
                )
            except Refused as refused:
                return f"{kind}: {refused.code}"
            return f"{kind}: allowed"
        user_id, customer_id, number = rest
        origin = Origin.CALL if kind == "press" else Origin.PREDICTIVE
        request = DialRequest(
            origin=origin, number=number, user_id=user_id, customer_id=customer_id,
            node="" if kind == "press" else "main",
        )  # fmt: skip
        return f"{kind}: {gate.ask(session, request=request, now=NOW).verdict}"


def test_R_CL_8_all_kinds_together_keep_to_the_lines_and_leave_callers_theirs(
    store: Store, database_url: str, contestants: list[tuple], race: Race
) -> None:
    said = Counter(race(database_url, take_a_line, contestants))
    with store.read() as session:
        taken = Counter(session.scalars(select(Line.kind).where(Line.released_at.is_(None))))
    callers, others = taken["inbound"], taken.total() - taken["inbound"]
    assert taken.total() == LINES, f"as many as there are, and never one more: {said}"
    assert RESERVED <= callers <= OF_EACH
    assert others <= LINES - RESERVED
    assert said["caller: allowed"] == callers
    assert sum(said[f"{kind}: allowed"] for kind in ("press", "campaign", "transfer")) == others
    assert set(said) <= {
        f"{kind}: {answer}"
        for kind in ("press", "campaign", "transfer", "caller")
        for answer in ("allowed", "no_lines")
    }, said
