"""オペレータ状況: rows, figures, ヘルプ要請, お知らせ, what a supervisor forces (R-WT-1)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bench._walk import statements
from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    CommandKind,
    LegKind,
    LegState,
    Monitor,
    MonitorMode,
    NoticeReader,
    Operator,
    OperatorState,
    Origin,
    RecordKind,
    Role,
    Site,
    Softphone,
    SwitchCommand,
    SystemResult,
    User,
)
from calltree.services import assistance, help_requests, notices, people, supervising, watching
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads


@pytest.fixture
def chief(store: Store) -> Viewer:
    with store.write() as session:
        make.make_site(session, lines=3)
        return Viewer.of(make.make_user(session, Role.SUPERVISOR, name="主任"))


def operator(store: Store, role: Role = Role.OPERATOR, **given: object) -> int:
    with store.write() as session:
        user = make.make_user(session, role)
        make.make_operator(session, user, **({"state": OperatorState.READY} | given))
        return user.id


def talking(store: Store, **given: object) -> tuple[int, Attempt]:
    """An operator in a call with a customer."""
    user_id = operator(store, state=OperatorState.TALKING, leg_state=LegState.JOINED)
    with store.write() as session:
        customer = make.make_customer(session, make.make_list(session), cells=["", "山田商店"])
        values = {
            "uuid": f"10000000-0000-4000-8000-{user_id:012d}", "origin": Origin.CALL,
            "user_id": user_id, "customer_id": customer.id, "number": customer.number,
            "node": "main", "verdict": "allowed", "state": CallState.TALKING, "created_at": NOW,
            "dialled_at": NOW, "answered_at": NOW, "joined_at": NOW + timedelta(seconds=5),
        } | given  # fmt: skip
        attempt = Attempt(**values)
        session.add(attempt)
        session.flush()
        row = session.get_one(Operator, user_id)
        row.attempt_id, row.customer_id = attempt.id, customer.id
    return user_id, attempt


def rows(store: Store) -> dict[int, watching.Row]:
    with store.read() as session:
        return {row.user_id: row for row in watching.rows(session, now=NOW)}


def test_R_WT_1_a_row_says_state_since_when_customer_and_number(
    store: Store, chief: Viewer
) -> None:
    user_id, attempt = talking(store)
    row = rows(store)[user_id]
    assert (row.state, row.since, row.customer) == (OperatorState.TALKING, NOW, "山田商店")
    assert (row.number, row.call_since) == (attempt.number, NOW + timedelta(seconds=5))
    assert row.joined
    assert not row.held


@pytest.mark.parametrize(
    ("given", "joined", "held"),
    [
        ({"state": CallState.HELD, "held_since": NOW}, True, True),
        ({"state": CallState.RINGING, "joined_at": None}, False, False),
    ],
)
def test_R_WT_1_a_row_says_whether_the_call_can_be_listened_to(
    store: Store, chief: Viewer, given: dict[str, object], joined: bool, held: bool
) -> None:
    user_id, _attempt = talking(store, **given)
    assert (rows(store)[user_id].joined, rows(store)[user_id].held) == (joined, held)


def test_R_WT_1_who_supervises_is_no_operator_until_they_call_themselves(
    store: Store, chief: Viewer
) -> None:
    operators = [operator(store, state=state) for state in OperatorState]
    out = operators[list(OperatorState).index(OperatorState.SIGNED_OUT)]
    idle = operator(store, Role.SUPERVISOR, state=OperatorState.AWAY)
    calling = operator(store, Role.MANAGER, state=OperatorState.BROWSING)
    assert set(rows(store)) == {*operators, calling} - {out, idle}


def test_R_CL_10_a_row_says_what_is_wrong_with_the_telephone(store: Store, chief: Viewer) -> None:
    long_ago = NOW - timedelta(minutes=5)
    device = {"leg_kind": LegKind.DEVICE}
    cases = {
        operator(store, **device): "",
        operator(store, **device, leg_state=LegState.LOST): "no_leg",
        operator(store, **device, leg_state=LegState.CONNECTING): "",
        operator(store, **device, leg_state=LegState.CONNECTING, leg_since=long_ago): "no_leg",
        operator(store, leg_kind=LegKind.BROWSER): "unstable",
    }
    silent, stale = operator(store, leg_kind=LegKind.BROWSER), operator(store)
    with store.write() as session:
        session.get_one(Operator, stale).leg_kind = LegKind.BROWSER
        reports = (
            (list(cases)[-1], "ok", "unstable", NOW),
            (silent, "mic_silent", "", NOW),
            (stale, "ok", "network", long_ago),
        )
        for user_id, microphone, trouble, at in reports:
            session.add(
                Softphone(user_id=user_id, microphone=microphone, trouble=trouble, reported_at=at)
            )
    cases |= {silent: "mic_silent", stale: ""}
    assert {of: row.trouble for of, row in rows(store).items()} == cases


def test_R_WT_1_a_row_names_who_listens(store: Store, chief: Viewer) -> None:
    user_id, attempt = talking(store)
    other, _ = talking(store)
    with store.write() as session:
        make.make_operator(session, session.get_one(User, chief.user_id))
        session.add(
            Monitor(
                user_id=chief.user_id, of_user_id=user_id, attempt_id=attempt.id,
                mode=MonitorMode.WHISPER, began_at=NOW, changed_at=NOW,
            )
        )  # fmt: skip
    assert rows(store)[user_id].listeners == (
        watching.Listener(chief.user_id, "主任", MonitorMode.WHISPER),
    )
    assert rows(store)[other].listeners == ()


def test_R_WT_1_today_adds_up_by_person_with_the_abandoned_share(
    store: Store, chief: Viewer
) -> None:
    mine, other = operator(store), operator(store)
    with store.write() as session:
        customer = make.make_customer(session, make.make_list(session))
        for user_id, given in (
            (mine, {"counts_dial": True, "counts_connect": True, "counts_conversion": True}),
            (mine, {"counts_dial": True, "closed_at": NOW}),
            (mine, {"counts_dial": True}),  # its result can still be saved
            (other, {"counts_dial": True, "kind": RecordKind.PREDICTIVE}),
            (None, {"kind": RecordKind.PREDICTIVE, "system": SystemResult.ABANDONED}),
            (mine, {"counts_dial": True, "started_at": NOW - timedelta(days=1)}),
        ):
            make.make_record(session, customer, user_id=user_id, **given)
    with store.read() as session:
        today = watching.today(session, now=NOW)
    first = today.by_user[mine]
    assert (first.dials, first.connects, first.conversions, first.blanks) == (3, 1, 1, 1)
    assert (today.total.dials, today.total.abandoned, today.total.joined) == (4, 1, 1)
    assert today.total.abandoned_share == 0.5
    assert first.abandoned_share is None


def test_R_WT_1_the_floor_costs_the_same_statements_for_one_and_for_thirty(
    store: Store, chief: Viewer
) -> None:
    def cost() -> int:
        with store.read() as session, statements(store.engine) as asked:
            watching.rows(session, now=NOW)
            watching.today(session, now=NOW)
            watching.lines(session)
        return len(asked)

    talking(store)
    before = cost()
    for _ in range(15):
        talking(store)
        operator(store)
    assert cost() == before <= 5


def test_R_WT_1_lines_in_use_of_how_many(store: Store, chief: Viewer) -> None:
    with store.read() as session:
        found = watching.lines(session)
    assert (found.used, found.total, found.full) == (0, 3, False)
    assert watching.Lines(3, 3).full


# --- ヘルプ要請


def ask(store: Store, user_id: int) -> None:
    with store.write() as session:
        help_requests.ask(session, user_id=user_id, now=NOW)


def test_R_WT_1_help_is_red_until_one_takes_it(store: Store, chief: Viewer) -> None:
    user_id = operator(store)
    assert rows(store)[user_id].help_at is None
    ask(store, user_id)
    ask(store, user_id)
    assert rows(store)[user_id].help_at == NOW
    with store.write() as session:
        assert help_requests.take(session, viewer=chief, user_id=user_id, now=NOW)
        assert not help_requests.take(session, viewer=chief, user_id=user_id, now=NOW)
    row = rows(store)[user_id]
    assert (row.help_at, row.helped_by) == (None, "主任")
    with store.read() as session:
        found = assistance.beside(session, user_id=user_id, now=NOW)
        later = assistance.beside(session, user_id=user_id, now=NOW + timedelta(minutes=6))
        logged = session.scalars(select(AuditEntry.action)).all()
    assert (found.help_since, found.helped_by) == (None, "主任")
    assert later.is_empty, "it is not shown for ever"
    assert logged == ["help.taken"]


def test_R_WT_1_an_operator_sees_who_listens_as_the_site_chooses(
    store: Store, chief: Viewer
) -> None:
    user_id, attempt = talking(store)

    def seen() -> MonitorMode | None:
        with store.read() as session, statements(store.engine) as asked:
            found = assistance.beside(session, user_id=user_id, now=NOW)
        assert len(asked) == 1
        return found.heard_by

    assert seen() is None
    for mode in MonitorMode:
        with store.write() as session:
            session.merge(
                Monitor(
                    user_id=chief.user_id, of_user_id=user_id, attempt_id=attempt.id, mode=mode,
                    began_at=NOW, changed_at=NOW,
                )
            )  # fmt: skip
        assert seen() is mode
    second = operator(store, Role.SUPERVISOR)
    with store.write() as session:
        session.add(
            Monitor(
                user_id=second, of_user_id=user_id, attempt_id=attempt.id, mode=MonitorMode.LISTEN,
                began_at=NOW, changed_at=NOW,
            )
        )  # fmt: skip
    assert seen() is MonitorMode.BARGE, "the most of several"
    with store.write() as session:
        session.get_one(Site, 1).shows_monitoring = False
    assert seen() is None


def test_R_WT_1_help_can_be_asked_for_again_and_taken_back(store: Store, chief: Viewer) -> None:
    user_id = operator(store)
    ask(store, user_id)
    with store.write() as session:
        help_requests.take(session, viewer=chief, user_id=user_id, now=NOW)
    ask(store, user_id)
    assert rows(store)[user_id].help_at == NOW
    with store.write() as session:
        help_requests.withdraw(session, user_id=user_id, now=NOW)
        assert not help_requests.take(session, viewer=chief, user_id=user_id, now=NOW)
    assert rows(store)[user_id].help_at is None


def test_R_WT_1_two_supervisors_press_at_once_and_one_comes(
    store: Store, chief: Viewer, database_url: str
) -> None:
    user_id = operator(store)
    ask(store, user_id)
    presses = [(chief, user_id)] * 4
    assert sorted(by_threads(database_url, take, presses)) == [False, False, False, True]


def take(store: Store, press: tuple[Viewer, int]) -> bool:
    viewer, user_id = press
    with store.write() as session:
        return help_requests.take(session, viewer=viewer, user_id=user_id, now=NOW)


def test_R_WT_1_operators_take_nobodys_request(store: Store, chief: Viewer) -> None:
    user_id = operator(store)
    mine = Viewer(user_id, "", Role.OPERATOR, "ja")
    with store.write() as session:
        for act in (help_requests.take, supervising.send_away, supervising.hang_up):
            with pytest.raises(NotAllowed):
                act(session, viewer=mine, user_id=user_id, now=NOW)
        other = make.make_user(session).id
        with pytest.raises(NotAllowed):
            supervising.sign_out(session, viewer=mine, user_id=other, now=NOW)
        with pytest.raises(NotAllowed):
            notices.send(session, viewer=mine, text="x", now=NOW)


# --- お知らせ


def test_R_WT_1_a_notice_is_for_all_a_group_or_one_with_read_marks(
    store: Store, chief: Viewer
) -> None:
    first, second, third = operator(store), operator(store), operator(store)
    with store.write() as session:
        group = make.make_group(session, *(session.get_one(User, of) for of in (first, second)))
        everybody = notices.send(session, viewer=chief, text=" 12時から\n 朝礼 ", now=NOW)
        notices.send(session, viewer=chief, text="班へ", group_id=group.id, now=NOW)
        notices.send(session, viewer=chief, text="本人へ", user_id=third, now=NOW)
        notices.mark_read(session, user_id=first, notice_id=everybody.id, now=NOW)

    def unread(user_id: int) -> list[str]:
        with store.read() as session:
            return [n.text for n, _by in notices.unread(session, user_id=user_id, now=NOW)]

    assert unread(first) == ["班へ"]
    assert unread(second) == ["12時から 朝礼", "班へ"]
    assert unread(third) == ["12時から 朝礼", "本人へ"]
    assert unread(chief.user_id) == []
    with store.read() as session:
        one, to_group, to_all = notices.sent(session, now=NOW)
    assert (to_all.to, to_all.readers, to_all.read, len(to_all.waits_for)) == ("", 3, 1, 2)
    assert (to_group.to, to_group.readers, to_group.read) == (group.name, 2, 0)
    assert (one.readers, one.author) == (1, "主任")
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        people.remove_group(session, viewer=manager, group_id=group.id, now=NOW)
        session.get_one(User, first).name, session.get_one(User, second).name = "青木", "石井"
    with store.read() as session:
        assert [kept.to for kept in notices.sent(session, now=NOW)][1] == "石井、青木"


def test_R_WT_1_a_notice_taken_back_or_old_is_shown_to_nobody(store: Store, chief: Viewer) -> None:
    user_id = operator(store)
    with store.write() as session:
        first = notices.send(session, viewer=chief, text="a", now=NOW)
        notices.send(session, viewer=chief, text="b", now=NOW)
        notices.withdraw(session, viewer=chief, notice_id=first.id, now=NOW)
    with store.read() as session:
        now_unread = notices.unread(session, user_id=user_id, now=NOW)
        assert [n.text for n, _by in now_unread] == ["b"]
        week_later = NOW + timedelta(days=8)
        assert notices.unread(session, user_id=user_id, now=week_later) == []
        assert notices.sent(session, now=week_later) == []


def test_R_WT_1_nobody_marks_what_was_not_for_them(store: Store, chief: Viewer) -> None:
    mine, other = operator(store), operator(store)
    with store.write() as session:
        sent = notices.send(session, viewer=chief, text="a", user_id=mine, now=NOW)
        with pytest.raises(NotFound):
            notices.mark_read(session, user_id=other, notice_id=sent.id, now=NOW)
    with store.read() as session:
        read = session.scalars(select(NoticeReader.read_at)).all()
    assert read == [None]


@pytest.mark.parametrize(
    ("text", "code"), [(" \n", "notice_empty"), ("x" * 301, "notice_long"), ("x", "notice_nobody")]
)
def test_R_WT_1_a_notice_needs_words_and_readers(
    store: Store, chief: Viewer, text: str, code: str
) -> None:
    with store.write() as session, pytest.raises(Refused, match=code):
        notices.send(session, viewer=chief, text=text, now=NOW)


# --- by force


def test_R_WT_1_a_supervisor_sends_away_who_stands_by(store: Store, chief: Viewer) -> None:
    user_id = operator(store)
    with store.write() as session:
        supervising.send_away(session, viewer=chief, user_id=user_id, now=NOW)
    with store.read() as session:
        assert session.get_one(Operator, user_id).state is OperatorState.AWAY
        assert session.scalars(select(AuditEntry.action)).all() == ["supervisor.sent_away"]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (OperatorState.WRAP_UP, "wrap_up_open"),
        (OperatorState.TALKING, "in_a_call"),
        (OperatorState.SIGNED_OUT, "not_at_work"),
    ],
)
def test_R_CL_14_wrap_up_and_calls_are_not_left_by_force(
    store: Store, chief: Viewer, state: OperatorState, code: str
) -> None:
    user_id = operator(store, state=state)
    with store.write() as session, pytest.raises(Refused, match=code):
        supervising.send_away(session, viewer=chief, user_id=user_id, now=NOW)


def test_R_WT_1_a_supervisor_hangs_up(store: Store, chief: Viewer) -> None:
    user_id, attempt = talking(store)
    with store.write() as session:
        supervising.hang_up(session, viewer=chief, user_id=user_id, now=NOW)
        supervising.hang_up(session, viewer=chief, user_id=user_id, now=NOW)
    with store.read() as session:
        asked = session.scalars(select(SwitchCommand)).all()
        line = session.scalars(select(AuditEntry)).first()
    assert [(one.kind, one.attempt_id) for one in asked] == [(CommandKind.HANG_UP, attempt.id)]
    assert line is not None
    assert (line.action, line.user_id) == ("supervisor.hung_up", chief.user_id)


def test_R_WT_1_a_supervisor_signs_out_somebody_who_left_but_not_in_a_call(
    store: Store, chief: Viewer
) -> None:
    user_id = operator(store)
    with store.write() as session:
        customer = make.make_customer(session, make.make_list(session))
        session.get_one(Operator, user_id).customer_id = customer.id
        before = session.get_one(User, user_id).session_version
        supervising.sign_out(session, viewer=chief, user_id=user_id, now=NOW)
    with store.read() as session:
        row = session.get_one(Operator, user_id)
        assert (row.state, row.customer_id) == (OperatorState.SIGNED_OUT, None)
        assert session.get_one(User, user_id).session_version == before + 1
        assert session.scalars(select(AuditEntry.action)).all() == ["user.signed_out"]
        assert CommandKind.DROP_LEG in session.scalars(select(SwitchCommand.kind)).all()
    busy, _attempt = talking(store)
    with store.write() as session, pytest.raises(Refused, match="in_a_call"):
        supervising.sign_out(session, viewer=chief, user_id=busy, now=NOW)
    manager = operator(store, Role.MANAGER)
    with store.write() as session, pytest.raises(NotAllowed):
        supervising.sign_out(session, viewer=chief, user_id=manager, now=NOW)
