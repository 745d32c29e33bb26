"""The live line over a real server: what arrives, for whom, and what ends it."""

import json
import socket
import time
from contextlib import suppress

import pytest
from sqlalchemy.orm import Session
from websockets.exceptions import ConnectionClosed, InvalidStatus

from calltree.db import announce
from calltree.models import Import, ImportState, Operator, OperatorState, Role, User
from tests import factories as make
from tests.floor import wait_for
from tests.live.conftest import MOST, Line, Site
from tests.services.desks import colleague

PANELS = ("operator-state", "call-status", "call-actions", "today", "softphone", "call-lines")


def ring(site: Site, user_id: int | None = None) -> None:
    """The operator's telephone rings somebody: written and announced as the switch role does."""
    user_id = user_id or site.desk.user_id
    with site.store.write() as session:
        operator = session.get_one(Operator, user_id)
        operator.state = OperatorState.TALKING
        announce(session, "operator", user_id=user_id)


def test_a_page_is_told_its_whole_state_on_connecting(site: Site) -> None:
    line = site.open(site.desk.user_id)
    assert "version" in json.loads(line.next())
    state = line.until("operator-state")
    for panel in PANELS:
        assert f'<hx-partial hx-target="#{panel}"' in state


def test_what_is_committed_arrives_as_the_pages_own_fragment(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("operator-state")
    ring(site)
    pushed = line.until('id="operator-state"', "通話中")
    browser = site.app.test_client()
    browser.set_cookie("calltree", site.cookie(site.desk.user_id))
    part = browser.get("/operator/call/part/operator").get_data(as_text=True)
    assert part.strip() in pushed


@pytest.mark.one_database
def test_R_CL_12_the_reminder_arrives_with_whose_it_is(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until('id="task-reminder"', f'data-user="{site.desk.user_id}"')


@pytest.mark.one_database
def test_R_WT_1_a_supervisors_page_is_told_of_the_row_that_changed(site: Site) -> None:
    other = colleague(site.desk)
    with site.store.write() as session:
        chief = make.make_user(session, Role.SUPERVISOR)
    line = site.open(chief, "watch")
    line.until("watch-table", f'"watch-row-{other.id}"')
    ring(site)
    pushed = line.until(f'id="watch-row-{site.desk.user_id}"', "通話中")
    assert f'"watch-row-{other.id}"' not in pushed


@pytest.mark.one_database
def test_a_page_that_was_away_is_right_without_history(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("operator-state")
    line.socket.close()
    ring(site)
    again = site.open(site.desk.user_id)
    assert "通話中" in again.until("operator-state")


@pytest.mark.one_database
def test_each_page_is_drawn_in_its_readers_language(site: Site) -> None:
    english = colleague(site.desk, locale="en")
    line = site.open(english)
    assert "Lines 0 / " in line.until("call-lines")


@pytest.mark.one_database
def test_R_US_1_nobody_hears_of_another_operator(site: Site) -> None:
    other = colleague(site.desk)
    line = site.open(other)
    line.until("operator-state")
    mine = site.open(site.desk.user_id)
    mine.until("operator-state")
    heard = len(line.heard)
    ring(site)
    mine.until("通話中")
    ring(site, other.id)
    line.until("operator-state", "通話中")
    # the call box, then the rest; what the clock changes in the navigation comes when it likes
    told = [one for one in line.heard[heard:] if any(f'id="{panel}"' in one for panel in PANELS)]
    assert len(told) == 2


@pytest.mark.one_database
def test_R_US_1_a_page_without_the_right_hears_nothing_of_it(site: Site) -> None:
    with site.store.write() as session:
        backyard, manager = (make.make_user(session, r) for r in (Role.BACKYARD, Role.MANAGER))
        given = running_import(session, site, manager)
    kept_out = [site.open(backyard, channel) for channel in (f"imports:{given.id}", "call")]
    hearing = site.open(manager, f"imports:{given.id}")
    calling = site.open(site.desk.user_id)
    for line in (*kept_out, hearing, calling):
        line.next()
    with site.store.write() as session:
        session.get_one(make.Site, 1).lines = 7
        session.get_one(Import, given.id).rows_done = 500
        announce(session, "lines")
        announce(session, "imports", import_id=given.id)
    hearing.until("import-status", 'value="500"')  # those with the right do hear of it
    calling.until("回線 0 / 7")
    for line in kept_out:
        while not line.hears_nothing(1.0):
            pass
        told = "".join(line.heard)
        assert [part for part in ("import-status", "call-lines") if part in told] == []


def test_lines_in_use_reach_every_page_at_most_twice_a_second(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("call-lines")
    before, began = len(line.heard), time.monotonic()
    for _ in range(40):
        with site.store.write() as session:
            announce(session, "lines")
    with site.store.write() as session:
        session.get_one(make.Site, 1).lines = 7
        announce(session, "lines")
    line.until("回線 0 / 7")
    # forty at once are two, and one that was on its way; a slow disk spreads them over more seconds
    assert len(line.heard) - before <= 3 + 2 * (time.monotonic() - began)


@pytest.mark.one_database
def test_a_full_house_takes_CALL_away_and_gives_it_back(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("call-status")
    with site.store.write() as session:
        session.get_one(make.Site, 1).lines = 0
        announce(session, "lines")
    line.until("call-lines", "call-status", "回線 0 / 0")
    with site.store.write() as session:
        session.get_one(make.Site, 1).lines = 5
        announce(session, "lines")
    line.until("call-lines", "call-status", "回線 0 / 5")


@pytest.mark.one_database
def test_R_US_1_pages_of_other_sites_and_strangers_are_refused(site: Site) -> None:
    for origin in ("https://evil.example", None, "http://127.0.0.1.evil.example"):
        with pytest.raises(InvalidStatus) as refused:
            site.open(site.desk.user_id, origin=origin)
        assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        site.open(None)
    assert refused.value.response.status_code == 401


def test_R_US_6_an_ended_session_loses_its_line(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("operator-state")
    with site.store.write() as session:
        session.get_one(User, site.desk.user_id).session_version += 1
    assert line.closed_with() == 1008


@pytest.mark.one_database
def test_R_US_5_changed_rights_make_the_page_connect_anew(site: Site) -> None:
    line = site.open(site.desk.user_id)
    line.until("operator-state")
    with site.store.write() as session:
        session.get_one(User, site.desk.user_id).may_edit_customers = False
    assert line.closed_with() == 1012


@pytest.mark.one_database
def test_a_page_too_many_is_told_to_come_later_and_pages_still_answer(site: Site) -> None:
    cookie = site.cookie(site.desk.user_id)

    def let_in() -> Line | None:
        line = site.open(None, "plain", cookie=cookie)
        with suppress(ConnectionClosed):  # 1013, as long as no place is free
            assert "version" in line.next()
            return line
        return None

    # the server may not have let go of an earlier test's pages yet
    lines = [wait_for(let_in, "a place") for _ in range(MOST)]
    assert site.open(None, cookie=cookie).closed_with() == 1013
    assert site.web.answers()
    lines[0].socket.close()
    wait_for(let_in, "a place that became free")


@pytest.mark.one_database
def test_stopping_the_server_closes_its_lines_at_once_with_1012(own_site: Site) -> None:
    line = own_site.open(own_site.desk.user_id)
    line.until("operator-state")
    own_site.web.ask_to_stop()
    assert line.closed_with() == 1012


@pytest.mark.one_database
def test_a_reader_who_does_not_read_is_closed_with_1013(site: Site) -> None:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", site.web.port))
    line = site.open(site.desk.user_id, sock=plain)
    line.next()
    # nothing is read now; each push is some kilobytes, and the server's buffer is 128
    wait_for(lambda: _stuck(site), "the server to give up on the reader")
    # 1006: it was cut, because we began to read too late to be told
    assert line.closed_with() in {1013, 1006}


def _stuck(site: Site) -> bool:
    with site.store.write() as session:
        announce(session, "operator", user_id=site.desk.user_id)
    return "slow reader" in site.web.log.read_text()


def running_import(session: Session, site: Site, manager: User) -> Import:
    given = Import(
        project_id=site.desk.project_id,
        user_id=manager.id,
        filename="名簿.csv",
        stored_name="x.upload",
        size_bytes=1,
        state=ImportState.RUNNING,
        rows_total=1000,
        rows_done=0,
        created_at=make.NOW,
    )
    session.add(given)
    session.flush()
    return given


@pytest.mark.one_database
def test_an_imports_progress_arrives_and_its_end_leads_on(site: Site) -> None:
    with site.store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
        given = running_import(session, site, manager)
    line = site.open(manager, f"imports:{given.id}")
    assert 'hx-trigger="every 10s"' in line.until("import-status")
    with site.store.write() as session:
        session.get_one(Import, given.id).rows_done = 500
        announce(session, "imports", import_id=given.id)
    line.until("import-status", 'value="500"')
    with site.store.write() as session:
        session.get_one(Import, given.id).state = ImportState.DONE
        announce(session, "imports", import_id=given.id)
    assert 'hx-trigger="load"' in line.until("import-status")
