"""Users by several managers at once (R-US-2, R-US-4)."""

import pytest

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import Role
from calltree.services import people
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads

AT_ONCE = 6


def creates(store: Store, asked: tuple[Viewer, str]) -> str:
    viewer, login_id = asked
    details = people.UserDetails(login_id, "新人", Role.OPERATOR, "hash")
    try:
        with store.write() as session:
            people.create(session, viewer=viewer, details=details, now=NOW)
    except Refused as refusal:
        return refusal.code
    return ""


@pytest.mark.parametrize(
    ("login_ids", "seats", "told"),
    [
        ([f"new{n}" for n in range(AT_ONCE)], 2, "no_seat"),
        (["new"] * AT_ONCE, None, "login_id_taken"),
    ],
)
def test_R_US_4_who_asks_at_once_for_one_seat_or_one_login_id_does_not_get_it_twice(
    store: Store, database_url: str, login_ids: list[str], seats: int | None, told: str
) -> None:
    with store.write() as session:
        make.make_site(session, seats=seats)
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
    answers = by_threads(database_url, creates, [(manager, login_id) for login_id in login_ids])
    assert sorted(answers) == ["", *[told] * (AT_ONCE - 1)]
