"""オペレータ状況 as a supervisor presses on it, and what operators see of it (R-WT-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import select

from bench._walk import statements
from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    HelpRequest,
    LegState,
    Line,
    Monitor,
    MonitorMode,
    NoticeReader,
    Operator,
    OperatorState,
    Origin,
    Role,
    Site,
    User,
)
from calltree.services.rights import Viewer
from tests import factories as make
from tests.browser import Browser

LEGS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(9)]
MOST = 12


@dataclass
class Floor:
    """A supervisor, an operator who talks, and one who stands by."""

    store: Store
    chief: int
    talker: int
    idle: int
    call: int

    def state(self, user_id: int) -> OperatorState:
        with self.store.read() as session:
            return session.get_one(Operator, user_id).state

    def listens(self) -> MonitorMode | None:
        with self.store.read() as session:
            return session.scalar(select(Monitor.mode))

    def logged(self) -> list[str]:
        with self.store.read() as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.fixture
def floor(store: Store) -> Floor:
    now = utcnow()
    with store.write() as session:
        make.make_site(session, lines=2)
        chief = make.make_user(session, Role.SUPERVISOR, name="主任")
        make.make_operator(session, chief, state=OperatorState.AWAY, leg_uuid=LEGS[0], since=now)
        talker = make.make_user(session, name="話中の人")
        customer = make.make_customer(
            session, make.make_list(session), number="0312345678", cells=["山田商店"]
        )
        call = Attempt(
            uuid=LEGS[8], origin=Origin.CALL, user_id=talker.id, customer_id=customer.id,
            number=customer.number, node="main", verdict="allowed", state=CallState.TALKING,
            created_at=now, dialled_at=now, answered_at=now, joined_at=now,
        )  # fmt: skip
        session.add(call)
        session.flush()
        session.add(Line(attempt_id=call.id, uuid=call.uuid, taken_at=now))
        make.make_operator(
            session, talker, state=OperatorState.TALKING, attempt_id=call.id, leg_uuid=LEGS[1],
            leg_state=LegState.JOINED, customer_id=customer.id, since=now,
        )  # fmt: skip
        idle = make.make_user(session, name="待機の人")
        make.make_operator(session, idle, state=OperatorState.READY, leg_uuid=LEGS[2], since=now)
    return Floor(store, chief.id, talker.id, idle.id, call.id)


@pytest.fixture
def chief(floor: Floor, browser_of: Callable[[int], Browser]) -> Browser:
    return browser_of(floor.chief)


@pytest.mark.one_database
def test_R_WT_1_the_page_shows_everybody_with_customer_number_and_lines(
    floor: Floor, chief: Browser
) -> None:
    page = chief.get("/watch/")
    row = page.one(f"#watch-row-{floor.talker}").get_text()
    for shown in ("話中の人", "通話中", "山田商店", "03-1234-5678"):
        assert shown in row
    assert "待機" in page.one(f"#watch-row-{floor.idle}").get_text()
    assert page.all(f"#watch-row-{floor.chief}") == []
    assert "1 / 2" in page.one("#watch-totals").get_text()
    assert page.all("[data-alarm]") == []


@pytest.mark.one_database
def test_R_WT_1_all_lines_in_use_is_a_red_alert(floor: Floor, chief: Browser) -> None:
    with floor.store.write() as session:
        session.get_one(Site, 1).lines = 1
    page = chief.get("/watch/")
    assert page.one('[data-alarm="lines"]').get("role") == "alert"


@pytest.mark.one_database
def test_R_WT_1_wrap_up_says_when_it_turns_red(floor: Floor, chief: Browser) -> None:
    with floor.store.write() as session:
        session.get_one(Operator, floor.idle).state = OperatorState.WRAP_UP
    clock = chief.get("/watch/").one(f"#watch-row-{floor.idle} td time")
    assert clock.get("data-limit") == "180"


@pytest.mark.one_database
def test_R_WT_1_the_page_costs_the_same_for_two_and_for_forty(floor: Floor, chief: Browser) -> None:
    def cost() -> int:
        with statements(floor.store.engine) as asked:
            assert chief.client.get("/watch/").status_code == 200
        return len(asked)

    cost()
    few = cost()
    with floor.store.write() as session:
        for _ in range(38):
            make.make_operator(session, make.make_user(session))
    assert cost() == few <= MOST


@pytest.mark.parametrize("mode", list(MonitorMode))
def test_R_WT_1_a_supervisor_presses_listen_whisper_barge_and_end(
    floor: Floor, chief: Browser, mode: MonitorMode
) -> None:
    chief.post(f"/watch/{floor.talker}/monitor/{mode}")
    assert floor.listens() is mode
    assert chief.get("/watch/").one("#watch-own")["class"] == ["watch-own", mode.value]
    chief.post("/watch/monitor/end")
    assert floor.logged() == [f"monitor.{mode}"]


@pytest.mark.one_database
def test_R_WT_1_a_refusal_is_said_beside_the_page(floor: Floor, chief: Browser) -> None:
    answer = chief.press(f"/watch/{floor.idle}/monitor/listen", status=409)
    assert "通話は終わっています" in answer.text
    chief.press(f"/watch/{floor.talker}/monitor/shout", status=404)


@pytest.mark.one_database
def test_R_US_5_an_operator_who_may_listen_sees_no_customers_and_presses_nothing_else(
    floor: Floor, browser_of: Callable[[int], Browser]
) -> None:
    own = browser_of(floor.idle)
    assert own.client.get("/watch/").status_code == 403
    with floor.store.write() as session:
        session.get_one(User, floor.idle).may_monitor = True
    text = own.client.get("/watch/").get_data(as_text=True)
    assert f"/watch/{floor.talker}/monitor/listen" in text
    for hidden in ("山田商店", "03-1234-5678", "monitor/whisper", "/ask/"):
        assert hidden not in text
    own.press(f"/watch/{floor.talker}/monitor/barge", status=403)
    own.press(f"/watch/{floor.talker}/force/hang_up", status=403)


@pytest.mark.parametrize(
    ("who", "wish", "logged"),
    [
        ("idle", "away", "supervisor.sent_away"),
        ("talker", "hang_up", "supervisor.hung_up"),
        ("idle", "sign_out", "user.signed_out"),
    ],
)
def test_R_WT_1_force_asks_first_and_is_audited(
    floor: Floor, chief: Browser, who: str, wish: str, logged: str
) -> None:
    user_id = getattr(floor, who)
    asked = chief.get(f"/watch/{user_id}/ask/{wish}")
    form = asked.one("main form[method=post]")
    assert form.get("action") == f"/watch/{user_id}/force/{wish}"
    assert floor.logged() == []
    dialog = chief.part(f"/watch/{user_id}/ask/{wish}").one("dialog form")
    assert dialog["hx-target"] == "#watch-dialog", "which the answer empties"
    answer = chief.press(f"/watch/{user_id}/force/{wish}")
    assert answer.one("#toasts")["hx-swap-oob"] == "beforeend"
    assert answer.all("dialog") == []
    assert answer.all("p[hidden]"), "of other places alone htmx would leave the dialog"
    assert floor.logged() == [logged]


@pytest.mark.one_database
def test_R_CL_14_force_is_refused_where_a_call_goes_on(floor: Floor, chief: Browser) -> None:
    for wish in ("away", "sign_out"):
        chief.press(f"/watch/{floor.talker}/force/{wish}", status=409)
    assert floor.state(floor.talker) is OperatorState.TALKING


def test_R_WT_1_help_from_the_operators_key_to_who_comes(
    floor: Floor, chief: Browser, browser_of: Callable[[int], Browser]
) -> None:
    own = browser_of(floor.talker)
    key = own.get("/operator/call/").one(".ask-help button")
    assert key.get("data-key") == "Shift+F6"
    own.post("/operator/help")
    page = chief.get("/watch/")
    assert "alarm" in page.one(f"#watch-row-{floor.talker}")["class"]
    assert "話中の人" in page.one('[data-alarm="help"]').get_text()
    chief.post(f"/watch/{floor.talker}/help")
    assert chief.get("/watch/").all("[data-alarm]") == []
    assert "主任さんが対応します" in own.get("/operator/call/").one("#assistance").get_text()
    own.post("/operator/help/withdraw")
    assert own.get("/operator/call/").one("#assistance").get("hidden") is not None
    with floor.store.read() as session:
        assert session.scalars(select(HelpRequest.over_at)).one() is not None


def test_R_WT_1_a_notice_stands_on_the_operators_page_until_it_is_read(
    floor: Floor, chief: Browser, browser_of: Callable[[int], Browser]
) -> None:
    chief.post("/watch/notices/", {"text": "12時から朝礼", "to": f"user:{floor.idle}"})
    own, other = browser_of(floor.idle), browser_of(floor.talker)
    assert "12時から朝礼" in own.get("/operator/").one("#assistance").get_text()
    assert "12時から朝礼" not in other.get("/operator/call/").one("#assistance").get_text()
    with floor.store.read() as session:
        notice_id = session.scalars(select(NoticeReader.notice_id)).one()
    assert "0 / 1" in chief.get("/watch/notices/").one("table").get_text()
    own.post(f"/operator/notices/{notice_id}/read")
    assert "12時から朝礼" not in own.get("/operator/").one("#assistance").get_text()
    assert "1 / 1" in chief.get("/watch/notices/").one("table").get_text()
    chief.post(f"/watch/notices/{notice_id}/withdraw")
    assert chief.get("/watch/notices/").all("table") == []


@pytest.mark.one_database
def test_R_WT_1_a_notice_without_words_is_refused_with_a_sentence(chief: Browser) -> None:
    answer = chief.post("/watch/notices/", {"text": " ", "to": "group:x"}, status=422)
    assert "お知らせの本文" in answer.one("#error-summary").get_text()


@pytest.mark.one_database
@pytest.mark.parametrize("shows", [True, False])
def test_R_WT_1_the_operator_sees_who_listens_as_the_site_chooses(
    floor: Floor, chief: Browser, browser_of: Callable[[int], Browser], shows: bool
) -> None:
    with floor.store.write() as session:
        session.get_one(Site, 1).shows_monitoring = shows
    chief.post(f"/watch/{floor.talker}/monitor/whisper")
    bar = browser_of(floor.talker).get("/operator/call/").one("#assistance")
    assert ("管理者があなただけに" in bar.get_text()) is shows
    row = chief.get("/watch/").one(f"#watch-row-{floor.talker}").get_text()
    assert "ささやき中" in row
    assert "主任" in row


# --- the screen on the wall


def test_R_WT_1_the_screen_on_the_wall_needs_no_sign_in_and_shows_no_customer(
    floor: Floor, chief: Browser, client: Browser
) -> None:
    chief.post("/watch/wall")
    address = chief.get("/watch/wall").one("main a[target=_blank]").get("href", "")
    path = address.removeprefix("http://localhost")
    for place in (path, f"{path}/now"):
        answer = client.client.get(place)
        assert answer.status_code == 200
        text = answer.get_data(as_text=True)
        assert "話中の人" in text
        for hidden in ("山田商店", "1234-5678", "0312345678"):
            assert hidden not in text
    chief.post("/watch/wall")
    assert client.client.get(path).status_code == 404, "another address was made"
    chief.post("/watch/wall/remove")
    assert chief.get("/watch/wall").all("main a[target=_blank]") == []
    assert floor.logged() == ["wallboard.made", "wallboard.made", "wallboard.ended"]


@pytest.mark.one_database
def test_R_WT_1_the_screen_on_the_wall_obeys_the_allowed_networks(
    floor: Floor, chief: Browser, client: Browser
) -> None:
    chief.post("/watch/wall")
    href = chief.get("/watch/wall").one("main a[target=_blank]").get("href", "")
    path = href.removeprefix("http://localhost")
    with floor.store.write() as session:
        session.get_one(Site, 1).allowed_networks = ["203.0.113.0/24"]
    for address, status in (("198.51.100.7", 404), ("203.0.113.9", 200)):
        answer = client.client.get(path, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status, address


@pytest.mark.one_database
def test_R_WT_1_no_address_is_guessed(floor: Floor, client: Browser) -> None:
    for asked in ("x", "", "é", "None"):
        assert client.client.get(f"/wall/{asked}").status_code == 404


# --- live


@pytest.mark.one_database
def test_R_WT_1_only_the_rows_that_changed_are_pushed(app: Flask, floor: Floor) -> None:
    with app.test_request_context("/live"), floor.store.read() as session:
        user = session.get_one(User, floor.chief)
        login_user(SignedIn(Viewer.of(user), user.session_version))
        page = panels.find("watch", Viewer.of(user))
        first = "".join(page.draw(session, page.heard, True))
    assert "watch-table" in first
    assert "watch-own" in first
    with floor.store.write() as session:
        session.get_one(Operator, floor.idle).state = OperatorState.WRAP_UP
    with app.test_request_context("/live"), floor.store.read() as session:
        login_user(SignedIn(Viewer.of(user), user.session_version))
        app.extensions["calltree.live"]._times_told["operator"] += 1
        later = "".join(page.draw(session, {"operator"}, False))
    assert f"watch-row-{floor.idle}" in later
    assert f'"watch-row-{floor.talker}' not in later
    assert 'id="watch-table"' not in later
