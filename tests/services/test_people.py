"""Users by several managers at once (R-US-2, R-US-4)."""

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import CallRecord, Draft, RecordKind, Role, SystemResult
from calltree.services import drafts, people, records
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


def test_R_US_4_what_a_deleted_user_was_typing_becomes_blank_records(store: Store) -> None:
    """Also about customers whom they never dialled; a box that was only ticked leaves nothing."""
    with store.write() as session:
        make.make_site(session)
        boss = Viewer.of(make.make_user(session, Role.MANAGER))
        leaver = make.make_user(session, name="山田太郎")
        folder = make.make_list(session)
        typed, ticked = make.make_customer(session, folder), make.make_customer(session, folder)
        for customer, memo in ((typed, "来月に再度"), (ticked, "")):
            drafts.keep(
                session, user_id=leaver.id, customer_id=customer.id, memo=memo,
                fields={"level": "A"}, now=NOW,
            )  # fmt: skip
    with store.write() as session:
        people.remove(session, viewer=boss, user_id=leaver.id, now=NOW)
    with store.read() as session:
        (record,) = session.scalars(select(CallRecord)).all()
        assert (record.customer_id, record.user_id, record.memo) == (
            typed.id, leaver.id, "来月に再度",
        )  # fmt: skip
        assert (record.kind, record.system) == (RecordKind.ENTRY, SystemResult.BLANK)
        assert record.status_id is None
        assert records.needs_result(record)
        assert record.closed_at == NOW
        assert record.counts_dial is False
        (memo,) = records.memo_of(session, customer_id=typed.id)
        assert memo.text.endswith(" 山田太郎 空白】来月に再度")
        assert session.scalars(select(Draft)).all() == []
