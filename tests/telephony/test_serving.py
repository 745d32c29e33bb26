"""Commands that wait together, served over a real socket."""

import contextlib
from dataclasses import replace

import pytest
import redis
from rq import Queue
from sqlalchemy import event, func, select, update

from calltree import doorbells
from calltree.config import Settings
from calltree.db import Announcement, Store
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    CustomerList,
    LegState,
    Operator,
    PauseEnd,
    Recording,
    RecordingPause,
    Site,
    SwitchCommand,
    User,
)
from calltree.services import recording_pauses, switch_commands
from calltree.telephony import calls_worker, endings
from calltree.telephony.esl import EslUrl, Link, LinkDown
from calltree.telephony.nodes import Node
from calltree.telephony.serving import Desk as ServingDesk
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.practice import PracticeSwitch
from tests.services.desks import Desk, colleague, furnish


@pytest.fixture
def waiting(store: Store) -> list[int]:
    """The dials of four operators who pressed in one moment, in the order of the presses."""
    first = furnish(store)
    for desk in [first, *(beside(first) for _ in range(3))]:
        assert desk.press(confirmed=True).verdict == "allowed"
    with store.read() as session:
        return list(session.scalars(select(SwitchCommand.id).order_by(SwitchCommand.id)))


def beside(desk: Desk) -> Desk:
    """A colleague's desk with a customer of its own open."""
    user = colleague(desk)
    with desk.store.write() as session:
        customer = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
        session.get_one(Operator, user.id).customer_id = customer.id
        make.make_hold(session, customer, session.get_one(User, user.id))
    return replace(desk, user_id=user.id, customer_id=customer.id, number=customer.number)


def serving(store: Store) -> ServingDesk:
    return ServingDesk(store, "test", Timings(), lambda: NOW)


def states(store: Store) -> list[CallState]:
    with store.read() as session:
        return list(session.scalars(select(Attempt.state).order_by(Attempt.id)))


def test_dials_that_wait_together_are_written_in_one_transaction(
    store: Store, practice_switch: PracticeSwitch, waiting: list[int]
) -> None:
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        along = serving(store).serve_with_those_behind(waiting[0], link)
        assert len(commits) == 1
        assert along == waiting[1:]
        assert serving(store).serve_with_those_behind(waiting[1], link) == []
        channels = link.api("show channels count").strip()
    assert channels.startswith("4 ")
    assert states(store) == [CallState.DIALLING] * 4


def test_the_bells_of_what_was_taken_along_ring_no_more(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    redis_server: str,
    waiting: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = doorbells.for_store(settings, store)
    node = Node("practice", EslUrl.parse(practice_switch.url))
    ring([Announcement("command", {"command_id": c, "node": node.name}) for c in waiting])
    warm = calls_worker.Warm(node, serving(store), Timings())
    monkeypatch.setattr(calls_worker, "_warm", warm)
    with redis.from_url(redis_server) as connection, contextlib.closing(warm):
        lane = doorbells.lane_name(doorbells.site_key(store), doorbells.calls_lane(node.name))
        queue = Queue(lane, connection=connection, serializer="json")
        worker = calls_worker.CallsWorker([queue], connection=connection, serializer="json")
        worker.site_key = doorbells.site_key(store)
        job, _queue = worker.dequeue_job_and_maintain_ttl(None)
        worker.execute_job(job, queue)
        assert queue.job_ids == []
        assert list(connection.scan_iter("rq:job:*")) == []
    assert states(store) == [CallState.DIALLING] * 4


def test_one_that_cannot_be_made_keeps_nobody_else_waiting(
    store: Store, practice_switch: PracticeSwitch, waiting: list[int]
) -> None:
    with store.write() as session:
        session.get_one(SwitchCommand, waiting[1]).args = {"uuid": "x\n"}
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        for command_id in waiting:
            serving(store).serve_with_those_behind(command_id, link)
    bad = states(store).pop(1)
    assert bad is CallState.FAILED
    assert states(store).count(CallState.DIALLING) == 3


def test_a_dial_that_leaves_in_the_moment_of_hanging_up_is_not_called_unsent(
    store: Store, waiting: list[int]
) -> None:
    with store.write() as session:
        command = session.get_one(SwitchCommand, waiting[0])
        attempt = session.get_one(Attempt, command.attempt_id)
        # another process dials it between our reading and our writing
        session.execute(
            update(Attempt)
            .where(Attempt.id == attempt.id)
            .values(state=CallState.DIALLING)
            .execution_options(synchronize_session=False)
        )
        assert attempt.state is CallState.QUEUED
        assert not endings.not_sent(session, attempt, reason="CANCELLED", now=NOW)
    assert states(store)[0] is CallState.DIALLING


def test_what_was_taken_and_not_sent_is_closed(
    store: Store, practice_switch: PracticeSwitch, waiting: list[int]
) -> None:
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        desk = serving(store)
        link.close()
        with contextlib.suppress(LinkDown):
            desk.serve_with_those_behind(waiting[0], link)
    with store.read() as session:
        rows = session.scalars(select(SwitchCommand)).all()
    assert {(row.kind, row.failure) for row in rows} == {(CommandKind.DIAL, "link_down")}


def test_R_RC_3_a_pause_on_a_broken_link_is_asked_again(
    store: Store, practice_switch: PracticeSwitch
) -> None:
    desk = furnish(store)
    assert desk.press(confirmed=True).verdict == "allowed"
    with store.write() as session:
        attempt = session.scalars(select(Attempt)).one()
        attempt.state, attempt.joined_at = CallState.TALKING, NOW
        session.add(Recording(attempt_id=attempt.id, raw_name="2026/11/24/a.wav", started_at=NOW))
    with store.write() as session:
        recording_pauses.begin(session, user_id=desk.user_id, now=NOW)
        asked = session.scalars(select(func.max(SwitchCommand.id))).one()
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        link.close()
        with contextlib.suppress(LinkDown):
            replace(serving(store), recordings_root="/srv/rec").serve(asked, link)
    with store.read() as session:
        again = session.scalars(select(SwitchCommand).where(SwitchCommand.id > asked)).one()
        pause = session.scalars(select(RecordingPause)).one()
    assert (again.kind, again.taken_at) == (CommandKind.RECORD_PAUSE, None)
    assert pause.ended_by is PauseEnd.REQUESTED


def test_R_IN_1_an_ordered_caller_reaches_the_practice_switch_and_no_other(
    store: Store, practice_switch: PracticeSwitch
) -> None:
    furnish(store)
    failures = []
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        for practice in (False, True):
            with store.write() as session:
                session.get_one(Site, 1).practice = practice
                command = switch_commands.ask(
                    session, kind=CommandKind.CALL_IN, node="practice",
                    args={"caller": "0998765432", "number": "0312340000"}, now=NOW,
                )  # fmt: skip
            serving(store).serve(command.id, link)
            with store.read() as session:
                failures.append(session.get_one(SwitchCommand, command.id).failure)
        channels = link.api("show channels as json")
    assert failures == ["practice_only", ""]
    assert channels.count('"dest":"0312340000"') == 1


def test_a_mute_that_came_too_late_for_its_leg_is_the_next_ones(
    store: Store, practice_switch: PracticeSwitch
) -> None:
    """A reload ends the leg in the moment of 消音: whoever asked for silence is not heard."""
    desk = furnish(store)
    with store.write() as session:
        operator = session.get_one(Operator, desk.user_id)
        operator.leg_state = LegState.JOINED
        operator.leg_uuid = "00000000-0000-4000-8000-00000000dead"  # the switch knows it no more
        command = switch_commands.ask(
            session, kind=CommandKind.MUTE, node="practice", user_id=desk.user_id, now=NOW
        )
    with Link.connect(EslUrl.parse(practice_switch.url)) as link:
        serving(store).serve(command.id, link)
    with store.read() as session:
        assert "No such channel" in session.get_one(SwitchCommand, command.id).failure
        assert session.get_one(Operator, desk.user_id).muted
