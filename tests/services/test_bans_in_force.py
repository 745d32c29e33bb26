"""R-DN-1, R-DN-4, R-DN-5: bans are found, changed, and hold on the way to the network."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    DoNotCallProject,
    ImportState,
    Operator,
    Project,
    Role,
    SwitchCommand,
    User,
)
from calltree.services import (
    ban_search,
    do_not_call,
    import_run,
    imports,
)
from calltree.services.ban_search import BanCriteria, BanState
from calltree.services.import_check import DEFAULTS, Choices, Duplicate, Treatment
from calltree.services.rights import Viewer
from calltree.telephony.serving import Desk as ServingDesk
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.services.ban_office import Office
from tests.services.desks import Desk
from tests.services.racing import by_threads
from tests.telephony.test_serving import beside


@pytest.fixture
def office(desk: Desk, tmp_path: Path) -> Office:
    with desk.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    return Office(desk, desk.store, tmp_path, manager, supervisor)


def test_R_DN_1_another_scope_releases_and_enters_in_one(office: Office) -> None:
    office.ban("0312340001", note="初回")
    (entry,) = office.desk.rows(DoNotCall)

    def change(viewer: Viewer, **given: Any) -> int:
        wanted = {"project_ids": (), "expires_at": None, "note": "", "reason": "本人の申し出"}
        with office.store.write() as session:
            return do_not_call.change(
                session, viewer=viewer, entry_id=entry.id, now=NOW, **(wanted | given)
            )

    with pytest.raises(NotAllowed):
        change(office.supervisor)
    with pytest.raises(Refused, match="reason_required"):
        change(office.manager, reason=" ")
    with pytest.raises(Refused, match="ban_expiry_past"):
        change(office.manager, expires_at=NOW)
    changed = change(office.manager, project_ids=[office.desk.project_id], note="一部")
    with office.store.read() as session:
        old, new = (session.get_one(DoNotCall, i) for i in (entry.id, changed))
        assert (old.release_reason, old.released_by) == ("本人の申し出", office.manager.user_id)
        assert (new.number, new.all_projects, new.note) == ("0312340001", False, "一部")
        held = session.scalars(select(DoNotCallProject.project_id)).all()
        assert held == [office.desk.project_id]
    with pytest.raises(Refused, match="ban_over"):
        change(office.manager)
    assert office.banned() == ["0312340001"]


def test_R_DN_1_a_search_for_state_number_project_source_user_and_day(office: Office) -> None:
    with office.store.write() as session:
        other = make.make_project(session).id
    office.ban("0312340001", "0455550002")
    office.ban("0312340003", project_ids=[other])
    office.ban("0312340004", expires_at=NOW + timedelta(seconds=1), source=DncSource.API)
    assert office.found(number="1234") == ["0312340004", "0312340003", "0312340001"]
    assert office.found(number="045-555-0002") == ["0455550002"]
    assert office.found(number="+81 45 555 0002") == ["0455550002"]
    assert office.found(number="x") == [], "too little to look for"
    assert "0312340003" not in office.found(project_id=office.desk.project_id)
    assert "0312340003" in office.found(project_id=other)
    assert office.found(source=DncSource.API) == ["0312340004"]
    assert len(office.found(user_id=office.manager.user_id)) == 4
    assert office.found(user_id=office.supervisor.user_id) == []
    day = NOW.date()
    assert len(office.found(entered_from=day, entered_to=day)) == 4
    assert office.found(entered_from=day + timedelta(days=1)) == []
    with office.store.read() as session:
        later = NOW + timedelta(minutes=1)
        expired = ban_search.page(session, criteria=BanCriteria(BanState.EXPIRED), now=later)
        assert [row.number for row in expired] == ["0312340004"]
    office.run(office.release_found(BanCriteria(number="0455550002")))
    assert office.found(state=BanState.RELEASED) == ["0455550002"]


def test_R_DN_1_pages_go_on_by_key(office: Office) -> None:
    numbers = [f"03123{n:05}" for n in range(ban_search.PAGE + 20)]
    office.ban(*numbers)
    with office.store.read() as session:
        first = ban_search.page(session, criteria=BanCriteria(), now=NOW)
        rest = ban_search.page(session, criteria=BanCriteria(), now=NOW, before_id=first[-1].id)
    assert [row.number for row in first + rest] == numbers[::-1]
    asked = BanCriteria(BanState.RELEASED, "0312", 3, DncSource.CSV, 4, 5, NOW.date(), NOW.date())
    assert BanCriteria.parse(asked.pairs()) == asked


# --- R-DN-4 and R-DN-5 on the way to the network


def test_R_DN_4_a_refusal_survives_a_fresh_import_of_the_same_number(office: Office) -> None:
    desk = office.desk
    with office.store.write() as session:
        pattern = make.get_pattern(session, session.get_one(Project, desk.project_id))
        make.make_status(session, pattern, "拒否", bans_number=True)
    desk.calls()
    desk.save("拒否")
    assert desk.number in office.banned()
    with office.store.write() as session:
        session.get_one(Customer, desk.customer_id).deleted_at = NOW
        (office.uploads / "again.csv").write_text(f"電話番号,会社名\r\n{desk.number},甲\r\n")
        given = imports.receive(
            session,
            viewer=office.manager,
            project_id=desk.project_id,
            list_id=None,
            new_list_name="買い直した名簿",
            filename="again.csv",
            stored_name="again.csv",
            size_bytes=1,
            now=NOW,
        )
        kept = Choices(duplicates=DEFAULTS | {Duplicate.BANNED: Treatment.KEEP})
        imports.choose(session, viewer=office.manager, import_id=given.id, choices=kept)
    imports.check(office.store, uploads_dir=office.uploads, import_id=given.id, now=NOW)
    with office.store.write() as session:
        started = imports.start(session, viewer=office.manager, import_id=given.id, now=NOW)
        assert started.findings["counts"]["duplicates"] == {"banned": 1}
    import_run.run(office.store, uploads_dir=office.uploads, import_id=given.id, clock=lambda: NOW)
    with office.store.write() as session:
        done = session.get_one(type(given), given.id)
        assert done.state is ImportState.DONE
        folder = session.get_one(CustomerList, done.list_id)
        folder.enabled = True
        make.grant(session, folder, session.get_one(User, desk.user_id))
        fresh = session.scalars(select(Customer).where(Customer.list_id == folder.id)).one()
        session.get_one(Operator, desk.user_id).customer_id = fresh.id
        make.make_hold(session, fresh, session.get_one(User, desk.user_id))
    again = replace(desk, customer_id=fresh.id, list_id=folder.id)
    assert again.verdict(confirmed=True) == "number_banned"
    assert desk.number in office.banned()


def bans_or_presses(store: Store, argument: tuple[str, Any, Any]) -> list[tuple[float, str]]:
    """Press again and again, or ban all numbers in the middle of it: (when begun, verdict)."""
    act, what, met = argument
    if act == "ban":
        met["pressing"].wait(30)
        with store.write() as session:
            do_not_call.add(session, viewer=what, numbers=met["numbers"], now=NOW)
        met["banned_at"] = time.monotonic()
        met["banned"].set()
        return []
    said = []
    desk = replace(what, store=store)
    after = 0
    while after < 3:
        after += met["banned"].is_set()
        begun = time.monotonic()
        attempt = desk.press(confirmed=True)
        said.append((begun, attempt.verdict))
        if attempt.verdict == "allowed":
            desk.ends(attempt)
        met["pressing"].set()
    return said


def test_R_DN_5_no_racing_press_gets_through_once_a_ban_is_in_force(
    office: Office, database_url: str
) -> None:
    desks = [office.desk, *(beside(office.desk) for _ in range(3))]
    met: dict[str, Any] = {
        "numbers": [desk.number for desk in desks],
        "pressing": threading.Event(),
        "banned": threading.Event(),
    }
    arguments = [("press", desk, met) for desk in desks] + [("ban", office.manager, met)]
    said = [one for many in by_threads(database_url, bans_or_presses, arguments) for one in many]
    verdicts = {verdict for _begun, verdict in said}
    assert verdicts == {"allowed", "number_banned"}
    later = [verdict for begun, verdict in said if begun > met["banned_at"]]
    assert set(later) == {"number_banned"}, "not within a second: at once"


def test_R_DN_5_a_dial_that_waited_is_asked_again_before_it_leaves(office: Office) -> None:
    desk = office.desk
    attempt = desk.press()
    assert attempt.verdict == "allowed"
    with office.store.read() as session:
        command_id = session.scalars(select(SwitchCommand.id)).one()
    office.ban(desk.number)
    later = NOW + timedelta(seconds=0.9)
    served = ServingDesk(office.store, "test", Timings(), lambda: later)
    served.serve(command_id, link=None)
    with office.store.read() as session:
        ended = session.get_one(Attempt, attempt.id)
        assert (ended.dialled_at, ended.hangup_cause) == (None, "NUMBER_BANNED")
        assert session.get_one(SwitchCommand, command_id).failure == "NUMBER_BANNED"


def test_R_DN_5_the_gate_asks_about_do_not_call_in_one_statement(office: Office) -> None:
    office.ban(office.desk.number)
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "do_not_call" in statement:
            said.append(statement)

    event.listen(office.store.engine, "before_cursor_execute", note)
    assert office.desk.press().verdict == "number_banned"
    event.remove(office.store.engine, "before_cursor_execute", note)
    assert len(said) == 1


def test_R_DN_1_a_form_of_many_numbers_costs_a_few_statements(office: Office) -> None:
    statements = []
    engine = office.store.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    office.ban(*(f"03123{n:05}" for n in range(500)))
    assert len(statements) <= 6
    with office.store.read() as session:
        assert session.scalar(select(func.count(DoNotCall.id))) == 500
