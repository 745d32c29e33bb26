"""Credentials of telephones: who gets them, how long they live, and what ends them."""

import hashlib
from datetime import timedelta

import pytest

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    CommandKind,
    LegKind,
    LegState,
    Operator,
    OperatorState,
    Role,
    Softphone,
    SwitchCommand,
    User,
)
from calltree.services import desk, people, softphones
from tests import factories as make
from tests.factories import NOW

PAGE = "11111111-1111-1111-1111-111111111111"
OTHER_PAGE = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def worker(store: Store) -> User:
    """An operator of a real site at their page, with a parked browser leg."""
    with store.write() as session:
        make.make_site(session, practice=False)
        user = make.make_user(session, leg_kind=LegKind.BROWSER)
        make.make_operator(session, user, leg_kind=LegKind.BROWSER, state=OperatorState.AWAY)
        assert desk.claim_page(session, user_id=user.id, page_id=PAGE, now=NOW)
    return user


def issue(store: Store, user: User, page: str = PAGE) -> softphones.Credentials:
    with store.write() as session:
        return softphones.issue(session, user_id=user.id, page_id=page, now=NOW)


def known(store: Store, sip_user: str, after: timedelta = timedelta()) -> softphones.Account | None:
    with store.read() as session:
        return softphones.find(session, sip_user=sip_user, now=NOW + after)


def reports(
    store: Store, user: User, microphone: str = "ok", page: str = PAGE, trouble: str = ""
) -> bool:
    with store.write() as session:
        return softphones.report(
            session, user_id=user.id, page_id=page, microphone=microphone, trouble=trouble, now=NOW
        )


def drops(store: Store) -> int:
    with store.read() as session:
        return session.query(SwitchCommand).filter_by(kind=CommandKind.DROP_LEG).count()


def test_only_the_digest_of_the_token_is_kept(store: Store, worker: User) -> None:
    given = issue(store, worker)
    account = known(store, given.user)
    assert account is not None
    text = f"{given.user}:calltree:{given.token}"
    assert account.a1_hash == hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - SIP's digest
    assert account.user_id == worker.id
    with store.read() as session:
        row = session.get_one(Softphone, worker.id)
        assert given.token not in str(vars(row))


def test_a_second_pages_credentials_end_the_first_ones(store: Store, worker: User) -> None:
    first = known(store, issue(store, worker).user)
    second = known(store, issue(store, worker).user)
    assert first
    assert second
    assert first.a1_hash != second.a1_hash


def test_R_CL_17_only_the_operators_one_page_gets_credentials(store: Store, worker: User) -> None:
    with pytest.raises(Refused) as refusal:
        issue(store, worker, OTHER_PAGE)
    assert refusal.value.code == "page_in_use"


def test_a_desk_phones_owner_gets_none_for_the_page(store: Store, worker: User) -> None:
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_kind = LegKind.DEVICE
    with pytest.raises(Refused) as refusal:
        issue(store, worker)
    assert refusal.value.code == "device_leg"


def test_credentials_live_as_long_as_the_page_reports(store: Store, worker: User) -> None:
    user = issue(store, worker).user
    assert known(store, user, timedelta(minutes=4))
    assert known(store, user, timedelta(minutes=5)) is None
    assert reports(store, worker) is True
    assert known(store, user, timedelta(minutes=4, seconds=59))
    assert reports(store, worker, page=OTHER_PAGE) is False


def test_signing_out_ends_credentials_and_leg(store: Store, worker: User) -> None:
    user = issue(store, worker).user
    with store.write() as session:
        desk.get_up(session, user_id=worker.id, now=NOW)
    assert known(store, user) is None
    assert drops(store) == 1


@pytest.mark.parametrize("how", ["password", "role", "deleted"])
def test_being_forced_out_ends_credentials_and_leg(store: Store, worker: User, how: str) -> None:
    user = issue(store, worker).user
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        if how == "password":
            people.set_password(
                session, viewer=manager, user_id=worker.id, password_hash="x", now=NOW
            )
        elif how == "deleted":
            people.remove(session, viewer=manager, user_id=worker.id, now=NOW)
        else:
            details = people.UserDetails(
                login_id=worker.login_id, name=worker.name, role=Role.BACKYARD, password_hash="",
                note="", restrictions={},
            )  # fmt: skip
            people.change(session, viewer=manager, user_id=worker.id, details=details, now=NOW)
    assert known(store, user) is None
    assert drops(store) == 1


def test_a_call_that_goes_on_keeps_its_leg(store: Store, worker: User) -> None:
    user = issue(store, worker).user
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        session.get_one(Operator, worker.id).attempt_id = None
        attempt = make_attempt(session, worker)
        session.get_one(Operator, worker.id).attempt_id = attempt
        people.set_password(session, viewer=manager, user_id=worker.id, password_hash="x", now=NOW)
    assert known(store, user) is None
    assert drops(store) == 0


def make_attempt(session, user: User) -> int:
    from calltree.models import Attempt, CallState, Origin

    attempt = Attempt(
        uuid="33333333-3333-3333-3333-333333333333", origin=Origin.CALL, user_id=user.id,
        number="0312345670", node="main", verdict="allowed", state=CallState.TALKING,
        created_at=NOW,
    )  # fmt: skip
    session.add(attempt)
    session.flush()
    return attempt.id


def test_ones_own_new_password_keeps_the_leg_but_wants_new_credentials(
    store: Store, worker: User
) -> None:
    user = issue(store, worker).user
    with store.write() as session:
        own = make.viewer_of(session.get_one(User, worker.id))
        people.set_password(session, viewer=own, user_id=worker.id, password_hash="x", now=NOW)
    assert known(store, user) is None
    assert drops(store) == 0
    assert known(store, issue(store, worker).user)


@pytest.mark.parametrize(
    "asked",
    ["", "web-", "web-0", "web-99999", "web-1x", "nobody", "a b", "<x>", "web-1\n", "ｗeb-1"],
)
def test_nobody_else_is_known(store: Store, worker: User, asked: str) -> None:
    issue(store, worker)
    assert known(store, asked) is None


def test_a_desk_phone_has_a_secret_of_its_own(store: Store, worker: User) -> None:
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        softphones.set_telephone(
            session, viewer=manager, user_id=worker.id, kind=LegKind.DEVICE, extension="desk.12",
            now=NOW,
        )  # fmt: skip
        secret = softphones.new_device_secret(session, viewer=manager, user_id=worker.id, now=NOW)
    account = known(store, "desk.12")
    assert account is not None
    assert account.a1_hash == softphones.a1_hash("desk.12", secret)
    assert known(store, str(worker.id)) is None, "the extension alone, once there is one"
    with store.write() as session:
        softphones.set_telephone(
            session, viewer=manager, user_id=worker.id, kind=LegKind.BROWSER, extension="desk.12",
            now=NOW,
        )  # fmt: skip
    assert known(store, "desk.12") is None


@pytest.mark.parametrize("extension", ["web-7", "a b", "-a", "a@b", "あ", "x" * 65])
def test_an_extension_is_a_plain_name(store: Store, worker: User, extension: str) -> None:
    with store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        with pytest.raises(Refused) as refusal:
            softphones.set_telephone(
                session, viewer=manager, user_id=worker.id, kind=LegKind.DEVICE,
                extension=extension, now=NOW,
            )  # fmt: skip
    assert refusal.value.code == "extension_unreadable"


def test_an_operator_gives_nobody_a_secret(store: Store, worker: User) -> None:
    with store.write() as session:
        own = make.viewer_of(session.get_one(User, worker.id))
        with pytest.raises(NotAllowed):
            softphones.new_device_secret(session, viewer=own, user_id=worker.id, now=NOW)


# --- 待機 needs a microphone that delivers


@pytest.mark.parametrize(
    ("microphone", "code"),
    [
        ("mic_denied", "mic_denied"),
        ("mic_missing", "mic_missing"),
        ("mic_unplugged", "mic_unplugged"),
        ("mic_silent", "mic_silent"),
        ("", "mic_unknown"),
        ("nonsense", "mic_unknown"),
    ],
)
def test_R_CL_10_no_standing_by_without_a_microphone_that_delivers(
    store: Store, worker: User, microphone: str, code: str
) -> None:
    issue(store, worker)
    reports(store, worker, microphone)
    with store.write() as session, pytest.raises(Refused) as refusal:
        desk.stand_by(session, user_id=worker.id, now=NOW)
    assert refusal.value.code == code
    reports(store, worker)
    with store.write() as session:
        desk.stand_by(session, user_id=worker.id, now=NOW)
    with store.read() as session:
        assert session.get_one(Operator, worker.id).state is OperatorState.READY


def test_R_CL_10_no_standing_by_where_a_firewall_stops_the_sound(
    store: Store, worker: User
) -> None:
    issue(store, worker)
    reports(store, worker, trouble="no_path")
    with store.write() as session, pytest.raises(Refused) as refusal:
        desk.stand_by(session, user_id=worker.id, now=NOW)
    assert refusal.value.code == "no_path"


def test_R_CL_14_what_a_page_said_a_minute_ago_is_not_believed(store: Store, worker: User) -> None:
    issue(store, worker)
    reports(store, worker)
    with store.write() as session, pytest.raises(Refused) as refusal:
        desk.stand_by(session, user_id=worker.id, now=NOW + timedelta(minutes=1))
    assert refusal.value.code == "mic_unknown"


def test_R_CL_14_a_leg_is_asked_for_first(store: Store, worker: User) -> None:
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_state = LegState.LOST
    with store.write() as session, pytest.raises(Refused) as refusal:
        desk.stand_by(session, user_id=worker.id, now=NOW)
    assert refusal.value.code == "no_leg"
