"""An operator's desk for tests: presses, ends of calls and saves as the pages and the switch do."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    Line,
    Operator,
    Origin,
    ResultStatus,
    User,
)
from calltree.services import gate, operators, outcomes, records, results
from calltree.services.gate import DialRequest
from calltree.services.results import ResultForm, Saved
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW


@dataclass
class Desk:
    """An operator with an open customer, everything ready to dial."""

    store: Store
    user_id: int
    customer_id: int
    list_id: int
    project_id: int
    number: str

    # --- the gate

    def request(self, **changes: object) -> DialRequest:
        plain = DialRequest(
            origin=Origin.CALL,
            number=self.number,
            user_id=self.user_id,
            customer_id=self.customer_id,
            press_id=str(uuid.uuid4()),
        )
        return replace(plain, **changes)

    def press(self, now: datetime = NOW, **changes: object) -> Attempt:
        with self.store.write() as session:
            return gate.ask(session, request=self.request(**changes), now=now)

    def verdict(self, now: datetime = NOW, **changes: object) -> str:
        """The verdict of a press; what CALL's button would say must be the same."""
        request = self.request(**changes)
        with self.store.read() as session:
            drawn = gate.can_dial(session, request=request, now=now)
        with self.store.write() as session:
            attempt = gate.ask(session, request=request, now=now)
        assert drawn.code == attempt.verdict
        return attempt.verdict

    # --- what the switch's ledger writer does

    def leaves(self, attempt: Attempt, now: datetime = NOW) -> CallRecord:
        """The dial leaves for the network."""
        with self.store.write() as session:
            row = session.get_one(Attempt, attempt.id)
            row.state, row.dialled_at = CallState.DIALLING, now
            return records.open_for_attempt(session, attempt=row, now=now)

    def ends(
        self,
        attempt: Attempt,
        now: datetime = NOW,
        outcome: outcomes.Outcome = outcomes.TALKED,
        talk_ms: int = 0,
    ) -> CallRecord:
        """The call ends in this way."""
        with self.store.write() as session:
            row = session.get_one(Attempt, attempt.id)
            row.state, row.ended_at, row.talk_ms = CallState.ENDED, now, talk_ms
            for line in session.scalars(select(Line).where(Line.attempt_id == row.id)):
                line.released_at = now
            record = records.call_ended(session, attempt=row, outcome=outcome, now=now)
            if row.user_id is not None:
                operators.unlock(session, user_id=row.user_id, attempt_id=row.id, now=now)
            return record

    def calls(self, now: datetime = NOW, talk_ms: int = 0, **changes: object) -> CallRecord:
        """Press, dial, talk, hang up."""
        attempt = self.press(now=now, **changes)
        assert attempt.verdict == "allowed", attempt.verdict
        self.leaves(attempt, now)
        return self.ends(attempt, now + timedelta(seconds=20), talk_ms=talk_ms)

    def fails(self, now: datetime = NOW) -> CallRecord:
        """Press, dial; our side fails."""
        attempt = self.press(now=now)
        self.leaves(attempt, now)
        return self.ends(attempt, now, outcomes.GATEWAY_DOWN)

    # --- results

    def viewer(self) -> Viewer:
        with self.store.read() as session:
            return Viewer.of(session.get_one(User, self.user_id))

    def status_id(self, which: BuiltIn | str) -> int:
        wanted = (
            ResultStatus.built_in == which
            if isinstance(which, BuiltIn)
            else ResultStatus.name == which
        )
        with self.store.read() as session:
            return session.scalars(select(ResultStatus.id).where(wanted).limit(1)).one()

    def form(self, which: BuiltIn | str | None, **changes: object) -> ResultForm:
        status_id = None if which is None else self.status_id(which)
        return replace(ResultForm(status_id=status_id), **changes)

    def save(self, which: BuiltIn | str | None, now: datetime = NOW, **changes: object) -> Saved:
        form = self.form(which, **changes)
        with self.store.write() as session:
            return results.save(
                session, viewer=self.viewer_in(session), customer_id=self.customer_id,
                form=form, now=now,
            )  # fmt: skip

    def correct(
        self, record_id: int, which: BuiltIn | str, now: datetime = NOW,
        viewer: Viewer | None = None, withdraw_ban: bool | None = None, **changes: object,
    ) -> Saved:  # fmt: skip
        form = self.form(which, **changes)
        with self.store.write() as session:
            return results.correct(
                session, viewer=viewer or self.viewer_in(session), record_id=record_id, form=form,
                withdraw_ban=withdraw_ban, now=now,
            )  # fmt: skip

    def viewer_in(self, session: object) -> Viewer:
        return Viewer.of(session.get_one(User, self.user_id))

    def leave(self, now: datetime = NOW) -> CallRecord | None:
        with self.store.write() as session:
            return records.leave(session, user_id=self.user_id, now=now)

    # --- looking

    def get(self, model: type, key: object):
        with self.store.read() as session:
            return session.get_one(model, key)

    def rows(self, model: type, *where: object) -> list:
        with self.store.read() as session:
            return list(session.scalars(select(model).where(*where)))

    def customer(self) -> Customer:
        return self.get(Customer, self.customer_id)

    def folder(self) -> CustomerList:
        return self.get(CustomerList, self.list_id)

    def operator(self) -> Operator:
        return self.get(Operator, self.user_id)

    def change(self, model: type, key: object, **values: object) -> None:
        with self.store.write() as session:
            row = session.get_one(model, key)
            for name, value in values.items():
                setattr(row, name, value)


def furnish(store: Store) -> Desk:
    """Make a site, a listening switch, an operator, a granted list and its open customer."""
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session)
        user = make.make_user(session, name="山田太郎")
        folder = make.make_list(session)
        make.grant(session, folder, user)
        customer = make.make_customer(session, folder)
        make.make_operator(session, user, customer_id=customer.id)
        make.make_hold(session, customer, user)
        return Desk(store, user.id, customer.id, folder.id, folder.project_id, customer.number)


def colleague(desk: Desk, name: str = "佐藤花子", **given: object) -> User:
    """Another operator of the same list, nothing open."""
    with desk.store.write() as session:
        user = make.make_user(session, name=name, **given)
        make.make_operator(session, user)
        make.grant(session, session.get_one(CustomerList, desk.list_id), user)
        return user
