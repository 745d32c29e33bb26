"""The second factor's codes: good once, near their time, and stored so that nobody reads them."""

from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import AuditEntry, RecoveryCode, Role, User
from calltree.services import second_factor
from tests.factories import NOW, make_site, make_user, viewer_of

KEY = "of the tests"
SECRET = second_factor.new_secret()
STEP = timedelta(seconds=30)
LATER = NOW + 4 * STEP


def code(at=LATER, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(at)


@pytest.fixture
def user(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(session, Role.MANAGER)


@pytest.fixture
def recovery(store: Store, user: User) -> list[str]:
    with store.write() as session:
        return second_factor.set_up(
            session, user_id=user.id, secret=SECRET, given=code(NOW), key=KEY, now=NOW
        )


def prove(session: Session, user: User, given: str, *, now=LATER, key: str = KEY) -> int | None:
    return second_factor.prove(session, user_id=user.id, given=given, key=key, now=now)


def refused(store: Store, user: User, given: str, **options) -> str:
    with pytest.raises(Refused) as caught, store.write() as session:
        prove(session, user, given, **options)
    return caught.value.code


def test_R_US_6_a_code_is_that_of_rfc_6238(store: Store, user: User) -> None:
    with store.write() as session:
        second_factor.set_up(
            session,
            user_id=user.id,
            secret="GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            given="050471",  # its appendix B says 14050471 of eight digits at 1111111111 s
            key=KEY,
            now=NOW.fromtimestamp(1111111111, NOW.tzinfo),
        )


def test_R_US_6_a_code_is_good_once(store: Store, user: User, recovery: list[str]) -> None:
    with store.write() as session:
        assert prove(session, user, code()) is None
    assert refused(store, user, code()) == "factor_used"
    assert refused(store, user, code(LATER - STEP)) == "factor_used"
    with store.write() as session:
        prove(session, user, code(LATER + STEP), now=LATER + STEP)


def test_R_US_6_the_code_that_set_it_up_is_used(
    store: Store, user: User, recovery: list[str]
) -> None:
    assert refused(store, user, code(NOW), now=NOW) == "factor_used"


@pytest.mark.parametrize("steps", [-2, 2])
def test_R_US_6_a_code_of_another_time_is_wrong(
    store: Store, user: User, recovery: list[str], steps: int
) -> None:
    assert refused(store, user, code(LATER + steps * STEP)) == "factor_wrong"


@pytest.mark.parametrize("given", ["", "12345", "1234567", "abcdef", "' or 1=1", "aaaa-bbbb"])
def test_R_US_6_anything_else_is_wrong(
    store: Store, user: User, recovery: list[str], given: str
) -> None:
    assert refused(store, user, given) == "factor_wrong"


def test_R_US_6_full_width_digits_and_blanks_are_read(
    store: Store, user: User, recovery: list[str]
) -> None:
    wide = code().translate({ord("0") + n: ord("０") + n for n in range(10)})
    with store.write() as session:
        prove(session, user, f" {wide[:3]} {wide[3:]} ")


def test_R_US_6_ten_recovery_codes_each_good_once(
    store: Store, user: User, recovery: list[str]
) -> None:
    assert len(set(recovery)) == 10
    with store.write() as session:
        assert prove(session, user, recovery[3].upper().replace("-", "")) == 9
    assert refused(store, user, recovery[3]) == "factor_wrong"
    with store.read() as session:
        line = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "user.recovery_code_used")
        ).one()
        assert line.detail == {"codes_left": 9}


def test_R_US_6_the_database_holds_neither_secret_nor_codes(
    store: Store, user: User, recovery: list[str]
) -> None:
    with store.read() as session:
        held = session.get_one(User, user.id).totp_sealed
        hashes = session.scalars(select(RecoveryCode.code_hash)).all()
    assert SECRET not in held
    assert not {code.replace("-", "") for code in recovery} & {*hashes}
    assert refused(store, user, code(), key="another key") == "factor_wrong"


def test_R_US_6_one_persons_recovery_code_is_not_anothers(
    store: Store, user: User, recovery: list[str]
) -> None:
    with store.write() as session:
        other = make_user(session)
    assert refused(store, other, recovery[0]) == "factor_wrong"
    assert refused(store, other, code()) == "factor_wrong"


def test_R_US_6_a_reset_forgets_all_and_ends_sessions(
    store: Store, user: User, recovery: list[str]
) -> None:
    with store.write() as session:
        second_factor.reset(session, viewer=viewer_of(user), user_id=user.id, now=LATER)
    assert refused(store, user, code()) == "factor_wrong"
    assert refused(store, user, recovery[0]) == "factor_wrong"
    with store.read() as session:
        assert session.get_one(User, user.id).session_version == user.session_version + 1
        assert not second_factor.is_set_up(session, user_id=user.id)
