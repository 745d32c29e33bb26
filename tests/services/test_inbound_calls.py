"""R-IN-1, R-IN-2, R-CL-8: who is rung, who gets the caller, and what follows by time."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    CommandKind,
    InboundAction,
    InboundCall,
    InboundOutcome,
    InboundRefusal,
    Line,
    OperatorState,
    Project,
    ProjectState,
    RecordKind,
    Role,
    Situation,
    SwitchCommand,
    SystemResult,
    User,
)
from calltree.services import gate, inbound_walk
from calltree.services.gate import DialRequest
from calltree.telephony import endings
from tests import factories as make
from tests.factories import NOW
from tests.services.incoming import CALLER, NODE, OURS, Incoming, open_incoming

OPEN, NO_ANSWER, ALL_BUSY = Situation.OPEN, Situation.NO_ANSWER, Situation.ALL_BUSY


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def site(store) -> Incoming:
    return open_incoming(store)


def test_R_IN_1_ring_all_rings_everybody_who_is_ready(site):
    ready = [site.ready(), site.ready()]
    away = site.ready()
    with site.store.write() as session:
        session.get_one(make.Operator, away).state = OperatorState.AWAY
    call = site.arrives()
    assert [site.rings(user) for user in ready] == [[call], [call]]
    assert site.rings(away) == []
    with site.store.read() as session:
        record = session.scalars(select(CallRecord)).one()
        line = session.scalars(select(Line)).one()
    assert (record.kind, record.number, record.project_id) == (
        RecordKind.INBOUND, CALLER, site.project_id,
    )  # fmt: skip
    assert (line.kind, line.caller_number_id) == ("inbound", site.number_id)


def test_R_IN_2_the_first_press_wins_and_the_other_is_told_who(site):
    first, second = site.ready(name="佐藤"), site.ready()
    call = site.arrives()
    site.answer(first, call)
    with pytest.raises(Refused) as refused:
        site.answer(second, call)
    assert (refused.value.code, refused.value.values["name"]) == ("call_taken", "佐藤")
    assert site.attempt(call).user_id == first
    assert (site.state(first), site.state(second)) == ("offered", "ready")
    assert site.rings(second) == []
    with site.store.read() as session:
        command = session.scalars(select(SwitchCommand)).one()
    assert (command.kind, command.user_id) == (CommandKind.ANSWER, first)


def test_R_IN_2_of_many_who_press_in_one_moment_one_gets_the_caller(site):
    users = [site.ready() for _ in range(6)]
    call = site.arrives()

    def press(user: int) -> str:
        try:
            site.answer(user, call)
        except Refused as refused:
            return refused.code
        return "got"

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(press, users))
    assert sorted(said) == ["call_taken"] * 5 + ["got"]
    states = [site.state(user) for user in users]
    assert sorted(states) == ["offered", *["ready"] * 5]


@pytest.mark.one_database
def test_R_IN_2_the_same_press_twice_is_one(site):
    user = site.ready()
    call = site.arrives()
    site.answer(user, call)
    site.answer(user, call)
    with site.store.read() as session:
        assert len(session.scalars(select(SwitchCommand)).all()) == 1


@pytest.mark.one_database
def test_R_US_5_whom_the_restriction_holds_back_is_not_rung_and_cannot_answer(site):
    user, other = site.ready(), site.ready()
    with site.store.write() as session:
        session.get_one(User, user).may_answer_inbound = False
    call = site.arrives()
    assert site.rings(user) == []
    with pytest.raises(NotAllowed):
        site.answer(user, call)
    assert site.rings(other) == [call]


def test_R_IN_1_ring_idle_asks_the_longest_waiting_then_the_next(site):
    site.route((OPEN, InboundAction.RING_IDLE))
    late, early = site.ready(since_s=10), site.ready(since_s=90)
    call = site.arrives()
    assert (site.rings(early), site.rings(late)) == ([call], [])
    assert site.state(early) is OperatorState.OFFERED
    assert site.walk(at(19)) == []
    site.walk(at(20))
    assert (site.rings(early), site.rings(late)) == ([], [call])
    assert site.state(early) is OperatorState.READY
    site.decline(late, call, at(22))
    site.walk(at(22))
    assert site.call(call).action is InboundAction.REFUSE  # nobody is left: as is usual, busy
    assert site.state(late) is OperatorState.READY


@pytest.mark.one_database
def test_R_IN_1_ring_all_ends_for_who_declines_and_at_once_when_all_did(site):
    site.route((NO_ANSWER, InboundAction.VOICEMAIL))
    first, second = site.ready(), site.ready()
    call = site.arrives()
    site.decline(first, call)
    assert (site.rings(first), site.rings(second)) == ([], [call])
    assert site.walk(at(1)) == []
    site.decline(second, call)
    assert site.walk(at(1)) == [call]
    assert site.call(call).action is InboundAction.VOICEMAIL


@pytest.mark.one_database
def test_R_IN_2_a_parked_call_is_seen_by_all_and_rings_again(site):
    first, second = site.ready(name="佐藤"), site.ready()
    with site.store.write() as session:
        session.get_one(make.Operator, second).state = OperatorState.BROWSING
    call = site.arrives()
    assert site.rings(second) == []
    site.park(first, call)
    assert (site.rings(first), site.rings(second)) == ([call], [call])
    assert site.walk(at(1)) == [call]  # the music
    assert site.walk(at(59)) == []
    site.walk(at(60))
    assert site.call(call).parked_at is None
    assert (site.rings(first), site.rings(second)) == ([call], [])
    site.park(first, call, at(61))
    site.answer(second, call, at(62))
    assert site.attempt(call).user_id == second


def test_R_IN_1_the_longest_waiting_caller_gets_the_operator_longest_ready(site):
    site.route((ALL_BUSY, InboundAction.QUEUE), seconds=180)
    calls = [site.arrives(f"09911111{n:02}", now=at(n)) for n in range(2)]
    for call in calls:
        site.is_heard(call)
    assert site.walk(at(3)) == []
    user = site.ready()
    assert site.walk(at(4))[0] == calls[0]
    with site.store.write() as session:
        assert inbound_walk.take_next(session, attempt_id=calls[0], now=at(4)).user_id == user
        assert inbound_walk.take_next(session, attempt_id=calls[1], now=at(4)) is None
    assert site.state(user) is OperatorState.OFFERED


def test_R_CL_8_an_inbound_call_takes_a_line_and_none_is_free_beyond_them(site):
    with site.store.write() as session:
        session.get_one(make.Site, 1).lines = 2
    site.ready()
    with ThreadPoolExecutor(4) as pool:
        calls = list(pool.map(lambda n: site.arrives(f"099222220{n}"), range(4)))
    verdicts = sorted(site.attempt(call).verdict for call in calls)
    assert verdicts == ["allowed", "allowed", "no_lines", "no_lines"]
    with site.store.read() as session:
        assert len(session.scalars(select(Line)).all()) == 2


def test_R_CL_8_two_callers_who_withhold_their_number_are_two_calls(site):
    site.ready()
    calls = [site.arrives("anonymous") for _ in range(2)]
    assert [site.attempt(call).number for call in calls] == ["", ""]
    assert [site.attempt(call).state for call in calls] == [CallState.RINGING] * 2


@pytest.mark.one_database
def test_R_CL_15_whoever_is_on_the_line_with_us_is_not_dialled(site):
    user = site.ready()
    with site.store.write() as session:
        folder = session.get_one(make.CustomerList, site.list_id)
        customer = make.make_customer(session, folder, number=CALLER)
    site.arrives()
    request = DialRequest("call", CALLER, user_id=user, customer_id=customer.id, press_id="p")
    with site.store.write() as session:
        refused = gate.ask(session, request=request, now=NOW)
    assert refused.verdict == "number_in_call"


@pytest.mark.one_database
def test_R_IN_1_a_refused_caller_leaves_a_verdict_and_neither_line_nor_record(site):
    with site.store.write() as session:
        session.add(InboundRefusal(number=CALLER, created_at=NOW))
    call = site.arrives()
    attempt = site.attempt(call)
    assert (attempt.state, attempt.verdict) == (CallState.REFUSED, "caller_refused")
    assert site.call(call).outcome is InboundOutcome.REFUSED
    assert site.attempt(site.arrives(number="0399999999")).verdict == "not_inbound"
    with site.store.read() as session:
        assert not session.scalars(select(Line)).all()
        assert not session.scalars(select(CallRecord)).all()


def _ends(site: Incoming, call: int, now=NOW) -> None:
    with site.store.write() as session:
        attempt = session.get_one(Attempt, call)
        endings.end(session, attempt, at=now, by="customer", now=now)


def test_R_IN_3_a_caller_who_gives_up_is_a_missed_call_and_nobody_is_held(site):
    site.route((OPEN, InboundAction.RING_IDLE))
    user = site.ready()
    call = site.arrives()
    _ends(site, call)
    assert site.call(call).outcome is InboundOutcome.MISSED
    assert site.state(user) is OperatorState.READY
    with site.store.read() as session:
        record = session.scalars(select(CallRecord)).one()
        line = session.scalars(select(Line)).one()
    assert (record.system, record.user_id) == (SystemResult.MISSED, None)
    assert line.released_at == NOW
    assert not record.counts_dial
    with pytest.raises(Refused, match="call_gone"):
        site.answer(user, call)


@pytest.mark.one_database
def test_R_IN_2_an_operator_who_cannot_be_joined_goes_away_and_it_rings_on(site):
    deaf, other = site.ready(), site.ready()
    call = site.arrives()
    site.answer(deaf, call)
    assert site.walk(at(inbound_walk.JOIN_S - 1)) == []
    site.walk(at(5))
    assert site.state(deaf) is OperatorState.AWAY
    assert site.attempt(call).user_id is None
    assert site.rings(other, at(6)) == [call]


def test_a_call_to_a_further_number_belongs_to_the_project_that_shows_it(site):
    with site.store.write() as session:
        number = make.make_caller_number(session, "0312349999")
        project = make.make_project(session, (number,))
    assert site.attempt(site.arrives(number="0312349999")).project_id == project.id
    assert site.attempt(site.arrives(number=OURS)).project_id == site.project_id
    unknown = site.attempt(site.arrives(number="0300000000"))
    assert (unknown.caller_number_id, unknown.project_id) == (None, None)


@pytest.mark.one_database
def test_a_caller_is_written_down_and_shown_with_few_statements(site):
    user = site.ready()
    said: list[str] = []
    event.listen(site.store.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    call = site.arrives()
    written, shown = len(_beside_begin(said)), len(said)
    assert site.rings(user) == [call]
    assert 0 < written <= 7
    assert 0 < len(_beside_begin(said[shown:])) <= 2


def _beside_begin(said: list[str]) -> list[str]:
    return [text for text in said if not text.startswith("BEGIN")]


@pytest.mark.one_database
def test_R_IN_1_a_number_rings_its_group_alone(site):
    inside, outside = site.ready(), site.ready(role=Role.SUPERVISOR)
    with site.store.write() as session:
        group = make.make_group(session, session.get_one(User, inside))
    site.route((OPEN, InboundAction.RING_ALL), group_id=group.id)
    call = site.arrives(number=OURS)
    assert (site.rings(inside), site.rings(outside)) == ([call], [])


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("after_hours", InboundOutcome.GUIDANCE),
        ("holiday", InboundOutcome.GUIDANCE),
        ("open", InboundOutcome.MISSED),
        ("nobody_ready", InboundOutcome.MISSED),
        ("withheld", InboundOutcome.REFUSED),  # nobody could call them back
    ],
)
def test_R_IN_3_a_guidance_is_of_closed_hours_only_when_it_was_closed(
    site: Incoming, reason: str, outcome: InboundOutcome
) -> None:
    attempt_id = site.arrives()
    with site.store.write() as session:
        call = session.get_one(InboundCall, attempt_id)
        call.action, call.step, call.reason = InboundAction.GUIDANCE, 0, reason
        attempt = session.get_one(Attempt, attempt_id)
        inbound_walk.call_ended(session, attempt=attempt, message_ms=0, now=NOW)
    assert site.call(attempt_id).outcome is outcome


def test_R_IN_4_whom_the_switch_serves_already_is_taken_in_as_answered(site: Incoming) -> None:
    """A leader that comes back finds them in the fallback: they ring with a tone of ours."""
    with site.store.write() as session:
        gate.take_turn(session)
        attempt, _call = inbound_walk.arrive(
            session, channel=str(uuid.uuid4()), number=OURS, caller=CALLER, node=NODE, epoch=1,
            answered=True, now=NOW,
        )  # fmt: skip
        attempt_id = attempt.id
    taken = site.attempt(attempt_id)
    assert (taken.state, taken.answered_at) == (CallState.ANSWERED, NOW)
    assert site.call(attempt_id).outcome is InboundOutcome.OPEN


@pytest.mark.one_database
def test_R_PJ_2_a_stopped_projects_number_goes_on_being_answered(site):
    site.route((OPEN, InboundAction.RING_ALL))
    user = site.ready()
    with site.store.write() as session:
        session.get_one(Project, site.project_id).state = ProjectState.STOPPED
    call = site.arrives()
    assert (site.attempt(call).verdict, site.call(call).action) == (
        gate.ALLOWED, InboundAction.RING_ALL,
    )  # fmt: skip
    assert site.rings(user) == [call]
    site.answer(user, call)
    assert (site.attempt(call).user_id, site.state(user)) == (user, OperatorState.OFFERED)
    with site.store.write() as session:
        attempt = session.get_one(Attempt, call)
        attempt.state, attempt.answered_at, attempt.joined_at = CallState.TALKING, NOW, NOW
        inbound_walk.joined(session, attempt=attempt, now=NOW)
    assert site.call(call).outcome is InboundOutcome.JOINED
    with site.store.read() as session:
        record = session.scalars(select(CallRecord)).one()
        line = session.scalars(select(Line)).one()
    assert (record.kind, record.number, record.user_id) == (RecordKind.INBOUND, CALLER, user)
    assert (line.kind, line.caller_number_id) == ("inbound", site.number_id)
