"""R-AR-3, R-CL-9: a program dials through the one gate, and no way leads around it."""

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    Audience,
    CallState,
    Operator,
    OperatorState,
    Origin,
    Project,
    Role,
    SwitchCommand,
    User,
)
from calltree.services import api_tokens, do_not_call
from calltree.services.api_tokens import Scope, TokenDetails
from calltree.services.rights import Viewer
from tests import factories as make
from tests.api.conftest import Program
from tests.services.desks import Desk, furnish


class Office:
    """An operator ready to dial, and programs of theirs, a manager's and a colleague's."""

    def __init__(self, app: Flask, store: Store) -> None:
        self.app = app
        self.desk: Desk = furnish(store)
        self.store = store
        with store.write() as session:
            self.manager = make.make_user(session, Role.MANAGER).id
            self.login_id = session.get_one(User, self.desk.user_id).login_id
            # whatever the time of day is: only the project's own hours ask, and are confirmed
            session.get_one(Project, self.desk.project_id).audience = Audience.B2B

    def program(self, user_id: int) -> Program:
        with self.store.write() as session:
            manager = Viewer.of(session.get_one(User, self.manager))
            details = TokenDetails("電話帳", user_id, (Scope.CALLS_DIAL,))
            _row, token = api_tokens.create(session, viewer=manager, details=details, now=utcnow())
        return Program(self.app, token)

    def wish(self, **more: object) -> dict[str, object]:
        return {
            "customer_id": self.desk.customer_id,
            "operator": self.login_id,
            "confirmed": True,
        } | more

    def attempts(self) -> list[Attempt]:
        with self.store.read() as session:
            return list(session.scalars(select(Attempt).order_by(Attempt.id)))


@pytest.fixture
def office(app: Flask, store: Store) -> Office:
    return Office(app, store)


def _close(office: Office) -> None:
    """The operator has nothing open."""
    office.desk.leave()


def test_R_AR_3_an_operator_calls_and_their_screen_opens(office: Office) -> None:
    _close(office)
    program = office.program(office.manager)
    told = program.send("POST", "/calls", office.wish(), status=201)
    assert (told["state"], told["verdict"]) == ("queued", "allowed")
    (attempt,) = office.attempts()
    assert (attempt.origin, attempt.user_id) == (Origin.API, office.desk.user_id)
    operator = office.desk.operator()
    assert (operator.customer_id, operator.state) == (
        office.desk.customer_id,
        OperatorState.DIALLING,
    )
    with office.store.read() as session:
        assert session.scalars(select(SwitchCommand)).one().attempt_id == attempt.id
    assert program.get(f"/calls/{told['id']}") == told


def test_R_AR_3_a_page_that_does_not_show_the_call_says_that_there_is_one(
    office: Office, browser_of
) -> None:
    browser = browser_of(office.desk.user_id)
    assert "通話を開始しました" not in browser.press("/operator/call/renew", status=(200, 204)).html
    office.program(office.manager).send("POST", "/calls", office.wish(), status=201)
    assert "通話を開始しました" in browser.press("/operator/call/renew").text
    shown = {"shows": str(office.desk.customer_id)}
    assert browser.press("/operator/call/renew", shown, status=204).html == ""
    assert browser.get("/operator/", status=303).location == "/operator/call/"


def test_R_AR_3_the_same_request_dials_once(office: Office) -> None:
    program, other = office.program(office.manager), office.program(office.manager)
    wish = office.wish(request_id="crm-1")
    first = program.send("POST", "/calls", wish, status=201)
    assert program.send("POST", "/calls", wish, status=201)["id"] == first["id"]
    assert len(office.attempts()) == 1
    # another program that numbers its requests alike does not meet this call
    assert other.send("POST", "/calls", wish, status=409)["code"] == "in_a_call"


def test_R_AR_3_a_request_id_of_another_call_is_refused(office: Office) -> None:
    program = office.program(office.manager)
    program.send("POST", "/calls", office.wish(request_id="crm-1"), status=201)
    with office.store.write() as session:
        folder = session.get_one(make.CustomerList, office.desk.list_id)
        other = make.make_customer(session, folder)
    wish = office.wish(customer_id=other.id, request_id="crm-1")
    assert program.send("POST", "/calls", wish, status=409)["code"] == "request_id_used"
    assert len(office.attempts()) == 1


def test_R_CL_9_the_gates_no_is_the_apis(office: Office) -> None:
    _close(office)
    with office.store.write() as session:
        manager = Viewer.of(session.get_one(User, office.manager))
        do_not_call.add(session, viewer=manager, numbers=[office.desk.number], now=utcnow())
    refused = office.program(office.manager).send("POST", "/calls", office.wish(), status=409)
    assert refused["code"] == "number_banned"
    (attempt,) = office.attempts()
    assert (attempt.id, attempt.state) == (refused["call_id"], CallState.REFUSED)
    assert office.desk.operator().customer_id is None
    with office.store.read() as session:
        assert session.scalars(select(SwitchCommand)).all() == []


def test_R_AR_3_the_operators_own_rights_hold(office: Office) -> None:
    _close(office)
    with office.store.write() as session:
        session.execute(make.ListGrant.__table__.delete())
    refused = office.program(office.manager).send("POST", "/calls", office.wish(), status=409)
    assert refused["code"] == "list_unavailable"
    own = office.program(office.desk.user_id)
    own.send("POST", "/calls", office.wish(), status=404)


def test_R_AR_3_nothing_is_pushed_upon_a_busy_or_absent_operator(office: Office) -> None:
    program = office.program(office.manager)
    with office.store.write() as session:
        folder = session.get_one(make.CustomerList, office.desk.list_id)
        other = make.make_customer(session, folder)
    busy = program.send("POST", "/calls", office.wish(customer_id=other.id), status=409)
    assert busy["code"] == "operator_busy"
    _close(office)
    office.desk.change(Operator, office.desk.user_id, state=OperatorState.AWAY, reason="休憩")
    assert program.send("POST", "/calls", office.wish(), 409)["code"] == "operator_away"
    office.desk.change(Operator, office.desk.user_id, state=OperatorState.SIGNED_OUT, reason="")
    assert program.send("POST", "/calls", office.wish(), 409)["code"] == "operator_signed_out"
    unknown = program.send("POST", "/calls", office.wish(operator="nobody"), 409)
    assert unknown["code"] == "operator_unknown"
    assert office.attempts() == []


def test_R_AR_3_only_a_managers_token_uses_anothers_telephone(office: Office) -> None:
    with office.store.write() as session:
        colleague = make.make_user(session, name="佐藤花子")
        make.grant(session, session.get_one(make.CustomerList, office.desk.list_id), colleague)
    program = office.program(colleague.id)
    assert program.send("POST", "/calls", office.wish(), status=403)["code"] == "not_allowed"
    own = office.program(office.desk.user_id)
    told = own.send("POST", "/calls", office.wish(operator=None), status=201)
    program.get(f"/calls/{told['id']}", status=404)
    assert own.get(f"/calls/{told['id']}")["user_id"] == office.desk.user_id


def test_R_AR_3_only_the_customers_own_numbers_are_dialled(office: Office) -> None:
    program = office.program(office.manager)
    program.send("POST", "/calls", office.wish(number="03-9999-0000"), status=404)
    assert program.send("POST", "/calls", office.wish(number="110"), 409)["code"] == (
        "number_not_allowed"
    )
    with office.store.write() as session:
        customer = session.get_one(make.Customer, office.desk.customer_id)
        make.make_extra_number(session, customer, "09012345678")
    told = program.send("POST", "/calls", office.wish(number="090-1234-5678"), status=201)
    assert told["number"] == "09012345678"
