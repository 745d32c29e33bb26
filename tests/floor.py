"""A floor of operators on a practice switch: the roles run over real sockets, the ledger is real.

`Floor` runs the switch role and the serving of commands in threads of the test's own process, with
short clocks; `tests/faults` runs the same roles as processes, to be killed.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import time as clock_time
from typing import Any

from sqlalchemy import select

from calltree.db import Announcement, Store, utcnow
from calltree.models import (
    Attempt,
    Audience,
    CallRecord,
    CommandKind,
    Customer,
    LegState,
    Line,
    Operator,
    Origin,
    Recording,
    SwitchCommand,
)
from calltree.services import gate, leases, legs, operators, switch_commands
from calltree.services.gate import DialRequest
from calltree.telephony.calls_worker import Warm
from calltree.telephony.esl import EslUrl, LinkDown
from calltree.telephony.nodes import Node
from calltree.telephony.serving import Desk
from calltree.telephony.switch import SwitchRole
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.practice import PracticeSwitch

NODE = "practice"
PATIENCE_S = 60.0
SOONEST_S, LATEST_S = 0.01, 0.03
"""Between two questions of `wait_for`."""

QUICK = Timings(
    lease_s=30.0,
    lease_renew_s=0.2,
    ping_s=0.5,
    ping_lost_s=20.0,
    dial_age_s=60.0,
    queued_age_s=60.0,
    sweep_s=0.1,
    sweep_age_s=0.3,
    bridge_s=0.5,
    leg_remake_s=0.1,
    doubt_s=0.3,
    reconcile_s=1.0,
    reconcile_settle_s=1.0,
    unknown_age_s=1.0,
    reply_s=20.0,
    connect_s=20.0,
    restored_quiet_s=600.0,
    transfer_ring_s=300.0,
    transfer_settle_s=60.0,
    backoff_first_s=0.05,
    backoff_limit_s=0.3,
)
"""Soon to look again, late to give up: a machine may stand still for seconds."""
UNHURRIED = replace(QUICK, bridge_s=5.0, doubt_s=10.0, reconcile_settle_s=30.0, unknown_age_s=60.0)
"""For a real switch: a busy machine's takes its time to make, to join and to end a leg."""
RING_TIME_S = 300
"""Of calls that shall ring until something else happens."""


def wait_for(what: Callable[[], Any], why: str = "", patience_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and give it; fail when patience ends.

    An answer costs what whoever is waited for could use: the longer it takes, the more seldom.
    """
    began = time.monotonic()
    while not (answer := what()):
        waited = time.monotonic() - began
        assert waited < patience_s, f"waited in vain: {why or what}"
        time.sleep(min(max(waited / 10, SOONEST_S), LATEST_S))
    return answer


@dataclass
class Floor:
    """Operators, customers and a switch; every question is asked of the ledger."""

    store: Store
    switch: PracticeSwitch
    list_id: int
    others: dict[str, PracticeSwitch] = field(default_factory=dict)
    """Further switches by the names of their nodes."""
    told: list[Announcement] = field(default_factory=list)

    # --- people

    def operator(self, *, leg: bool = True) -> int:
        """Someone signed in, with a parked device leg; gives the user's id."""
        with self.store.write() as session:
            user = make.make_user(session)
            folder = session.get_one(make.CustomerList, self.list_id)
            make.grant(session, folder, user)
            operators.sign_in(session, user_id=user.id, now=utcnow())
            if leg:
                legs.connect(session, user_id=user.id, node=NODE, now=utcnow())
        if leg:
            self.wait_leg(user.id)
        return user.id

    def wait_leg(self, user_id: int, state: LegState = LegState.PARKED) -> Operator:
        return wait_for(
            lambda: (op := self.operator_row(user_id)).leg_state is state and op, f"leg {state}"
        )

    def operator_row(self, user_id: int) -> Operator:
        with self.store.read() as session:
            return session.get_one(Operator, user_id)

    # --- presses

    def customer(self, number: str) -> Customer:
        """Another customer of the list."""
        with self.store.write() as session:
            folder = session.get_one(make.CustomerList, self.list_id)
            return make.make_customer(session, folder, number=number)

    def press(self, user_id: int, number: str, **given: Any) -> Attempt:
        """CALL on a new customer with this number; what the gate wrote."""
        customer = self.customer(number)
        request = DialRequest(
            origin=Origin.CALL,
            number=number,
            user_id=user_id,
            customer_id=customer.id,
            press_id=str(uuid.uuid4()),
            confirmed=True,
            **given,
        )
        with self.store.write() as session:
            return gate.ask(session, request=request, now=utcnow())

    def call(self, user_id: int, number: str) -> Attempt:
        """A press that the gate allows, once the link to the switch is up."""
        wait_for(self.link_up, "no link to the switch")
        attempt = self.press(user_id, number)
        assert attempt.verdict == gate.ALLOWED, (attempt.verdict, attempt.verdict_detail)
        return attempt

    def ask(self, kind: CommandKind, attempt: Attempt, **args: Any) -> int:
        with self.store.write() as session:
            command = switch_commands.ask(
                session,
                kind=kind,
                node=NODE,
                attempt_id=attempt.id,
                user_id=attempt.user_id,
                args=args,
                now=utcnow(),
            )
        return command.id

    # --- questions

    def attempt(self, attempt: Attempt) -> Attempt:
        with self.store.read() as session:
            return session.get_one(Attempt, attempt.id)

    def wait_state(self, attempt: Attempt, *states: str) -> Attempt:
        return wait_for(
            lambda: (row := self.attempt(attempt)).state in states and row, f"state {states}"
        )

    def record(self, attempt: Attempt) -> CallRecord | None:
        with self.store.read() as session:
            return session.scalar(select(CallRecord).where(CallRecord.attempt_id == attempt.id))

    def records(self) -> int:
        with self.store.read() as session:
            return len(session.scalars(select(CallRecord.id)).all())

    def recording(self, attempt: Attempt) -> Recording | None:
        with self.store.read() as session:
            return session.scalar(select(Recording).where(Recording.attempt_id == attempt.id))

    def command(self, command_id: int) -> SwitchCommand:
        with self.store.read() as session:
            return session.get_one(SwitchCommand, command_id)

    def lines_open(self) -> int:
        with self.store.read() as session:
            return len(session.scalars(select(Line.id).where(Line.released_at.is_(None))).all())

    def link_up(self, node: str = NODE) -> bool:
        with self.store.read() as session:
            return leases.link_is_up(session, node=node)

    def passes(self, count: int) -> None:
        """Wait for this many further passes of reconcile."""

        def at() -> str | None:
            with self.store.read() as session:
                node = leases.note(session).get("nodes", {}).get(NODE, {})
            return node.get("reconciled_at")

        for _ in range(count):
            before = at()
            wait_for(lambda seen=before: at() not in (seen, None), "a pass of reconcile")

    def channels(self) -> set[str]:
        """The uuids that the switch has."""
        import json

        told = json.loads(self.switch.api("show channels as json") or "{}")
        return {row["uuid"] for row in told.get("rows") or []}


def found_floor(
    store: Store, switch: PracticeSwitch, others: dict[str, PracticeSwitch] | None = None
) -> Floor:
    """A site whose one list may be called at any hour."""
    with store.write() as session:
        make.make_site(session, lines=50)
        project = make.make_project(
            session,
            audience=Audience.B2B,
            weekdays=[0, 1, 2, 3, 4, 5, 6],
            on_holidays=True,
            opens=clock_time(0, 0),
            closes=clock_time(23, 59),
            ring_time_s=RING_TIME_S,
        )
        folder = make.make_list(session, project)
    return Floor(store, switch, folder.id, others or {})


@contextmanager
def in_thread(work: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Run `work(stop)` beside the test; stopped and joined at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a role does not stop"


def role(
    store: Store,
    switch: PracticeSwitch,
    timings: Timings = QUICK,
    others: dict[str, PracticeSwitch] | None = None,
) -> SwitchRole:
    """The switch role, as `worker.py switch` makes it."""
    switches = {NODE: switch, **(others or {})}
    return SwitchRole(
        store=store,
        nodes=tuple(Node(name, EslUrl.parse(one.url)) for name, one in switches.items()),
        recordings_root=str(switch.recordings),
        holder=f"test/{uuid.uuid4()}",
        timings=timings,
        recordings_dir=switch.recordings,
    )


@contextmanager
def serving(floor: Floor, timings: Timings = QUICK) -> Iterator[None]:
    """Serve commands as soon as they are committed, as a living Redis would have it."""
    root = str(floor.switch.recordings)
    desk = Desk(floor.store, "test/calls", timings, utcnow, recordings_root=root)
    warm = {
        name: Warm(Node(name, EslUrl.parse(switch.url)), desk, timings)
        for name, switch in {NODE: floor.switch, **floor.others}.items()
    }
    bells: list[tuple[str, int]] = []
    rung = threading.Condition()

    def publish(told: list[Announcement]) -> None:
        with rung:
            floor.told += told
            bells.extend((n.ids["node"], n.ids["command_id"]) for n in told if n.topic == "command")
            rung.notify()

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            with rung:
                rung.wait_for(lambda: bells, timeout=0.1)
                served, bells[:] = list(bells), []
            for node, command_id in served:
                with suppress(LinkDown):  # the row is left to the leader
                    warm[node].serve(command_id)
        for one in warm.values():
            one.close()

    floor.store.publisher = publish
    try:
        with in_thread(work):
            yield
    finally:
        floor.store.publisher = None


@contextmanager
def open_floor(
    store: Store, switch: PracticeSwitch, timings: Timings = QUICK, **others: PracticeSwitch
) -> Iterator[Floor]:
    """Everything runs: the switch role leads, its links are up, commands are served."""
    floor = found_floor(store, switch, others)
    with serving(floor, timings), in_thread(role(store, switch, timings, others).run):
        for node in (NODE, *others):
            wait_for(lambda node=node: floor.link_up(node), f"link to {node} up")
        yield floor
