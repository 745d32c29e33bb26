"""Trunks: what may be written of them, and which of them a call takes."""

from dataclasses import replace
from typing import Any

import pytest

from calltree.db import Store
from calltree.errors import NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    CommandKind,
    NumberForm,
    Origin,
    Role,
    Trunk,
    TrunkKind,
)
from calltree.services import projects, trunks
from calltree.services.rights import Viewer
from calltree.services.trunks import DEFAULT_ROUTE, TrunkDetails
from tests.factories import NOW, make_caller_number, make_site, make_user, viewer_of

NUMBER = "0312345670"


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make_site(session, practice=False)
        return viewer_of(make_user(session, Role.MANAGER))


def make_trunk(store: Store, manager: Viewer, name: str = "本線", **given: Any) -> int:
    values = {"proxy": "sip.example.jp", "username": "0501112222", "password": "s3cret", **given}
    with store.write() as session:
        details = TrunkDetails(name=name, **values)
        return trunks.save(session, viewer=manager, trunk_id=None, details=details, now=NOW).id


def route(store: Store, number: str = NUMBER, trunk_id: int | None = None) -> trunks.Route | str:
    with store.write() as session:
        return trunks.route(session, number=number, trunk_id=trunk_id)


def make_call(store: Store, trunk_id: int, number: str, **given: Any) -> None:
    with store.write() as session:
        session.add(
            Attempt(
                uuid=number,
                origin=Origin.CALL,
                number=number,
                verdict="allowed",
                state=CallState.TALKING,
                trunk_id=trunk_id,
                created_at=NOW,
                **given,
            )
        )


def test_a_site_without_trunks_has_the_one_gateway(store: Store, manager: Viewer) -> None:
    assert route(store) == DEFAULT_ROUTE


def test_the_first_enabled_trunk_whose_prefixes_fit_is_taken(store: Store, manager: Viewer) -> None:
    make_trunk(store, manager, "止", enabled=False)
    mobile = make_trunk(store, manager, "携帯", prefixes=("090", "080"), position=1)
    rest = make_trunk(store, manager, "他", position=2, number_form=NumberForm.E164)
    assert route(store, "09012345678").gateway == f"trunk{mobile}"
    found = route(store)
    assert (found.gateway, found.number_form) == (f"trunk{rest}", NumberForm.E164)


def test_no_trunk_that_fits_is_said_and_no_other_is_taken(store: Store, manager: Viewer) -> None:
    make_trunk(store, manager, prefixes=("090",))
    assert route(store) == trunks.NO_TRUNK


def test_a_caller_numbers_own_trunk_alone_is_taken(store: Store, manager: Viewer) -> None:
    make_trunk(store, manager)
    own = make_trunk(store, manager, "別", position=5)
    assert route(store, trunk_id=own).trunk_id == own
    with store.write() as session:
        trunks.get(session, own).enabled = False
    assert route(store, trunk_id=own) == trunks.NO_TRUNK


def test_each_trunk_has_its_own_lines(store: Store, manager: Viewer) -> None:
    first = make_trunk(store, manager, lines=1)
    make_call(store, first, "0312345671", ended_at=NOW)
    assert route(store).trunk_id == first
    make_call(store, first, "0312345672")
    assert route(store) == trunks.TRUNK_FULL
    second = make_trunk(store, manager, "副", position=1)
    assert route(store).trunk_id == second


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", " ", "name_missing"),
        ("name", "a\nb", "trunk_name"),
        ("proxy", "", "trunk_proxy"),
        ("proxy", "sip.example.jp;transport=tls", "trunk_proxy"),
        ("proxy", 'a"/><param name="x', "trunk_proxy"),
        ("proxy", "$${local_ip_v4}", "trunk_proxy"),
        ("proxy", "host\n", "trunk_proxy"),
        ("proxy", "host:99999", "trunk_proxy"),
        ("realm", "a b", "trunk_realm"),
        ("username", "", "trunk_user"),
        ("username", "u@h", "trunk_user"),
        ("password", "", "trunk_password_missing"),
        ("password", "a\nb", "trunk_password"),
        ("password", "パスワード", "trunk_password"),
        ("lines", 0, "line_cap_range"),
        ("prefixes", ("03-",), "trunk_prefix"),
        ("prefixes", ("",), "trunk_prefix"),
    ],
)
def test_what_a_configuration_file_must_not_hold_is_refused(
    store: Store, manager: Viewer, field: str, value: Any, code: str
) -> None:
    given = {"name": "本線", field: value}
    with pytest.raises(Refused) as refused:
        make_trunk(store, manager, **given)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_trunk_known_by_its_address_needs_no_user(store: Store, manager: Viewer) -> None:
    make_trunk(
        store, manager, kind=TrunkKind.ADDRESS, username="", password="", proxy="[2001:db8::5]:5060"
    )


def test_an_empty_password_keeps_the_old_one_and_the_log_never_holds_it(
    store: Store, manager: Viewer
) -> None:
    trunk_id = make_trunk(store, manager, password="tr0ub4dor")
    with store.write() as session:
        details = TrunkDetails(name="新", proxy="sip.example.jp", username="u")
        trunks.save(session, viewer=manager, trunk_id=trunk_id, details=details, now=NOW)
    with store.read() as session:
        assert trunks.get(session, trunk_id).password == "tr0ub4dor"
    with store.write() as session:
        details = replace(details, password="c0rrecth0rse")
        trunks.save(session, viewer=manager, trunk_id=trunk_id, details=details, now=NOW)
    with store.read() as session:
        lines = session.query(AuditEntry).where(AuditEntry.object_kind == "trunk").all()
    _made, kept, changed = (line.detail.get("changed", {}) for line in lines)
    assert "password" not in kept
    assert list(changed) == ["password"]
    told = str([line.detail for line in lines])
    assert "tr0ub4dor" not in told
    assert "c0rrecth0rse" not in told


def test_two_trunks_of_one_name_are_refused(store: Store, manager: Viewer) -> None:
    make_trunk(store, manager)
    with pytest.raises(Refused, match="trunk_name_taken"):
        make_trunk(store, manager)


def test_a_trunk_that_a_number_uses_is_not_retired(store: Store, manager: Viewer) -> None:
    trunk_id = make_trunk(store, manager)
    with store.write() as session:
        number = make_caller_number(session)
        details = projects.NumberDetails(number="", trunk_id=trunk_id)
        projects.save_number(session, viewer=manager, number_id=number.id, details=details, now=NOW)
    with store.write() as session, pytest.raises(Refused, match="trunk_in_use"):
        trunks.retire(session, viewer=manager, trunk_id=trunk_id, now=NOW)
    with store.write() as session:
        details = projects.NumberDetails(number="", trunk_id=None)
        projects.save_number(session, viewer=manager, number_id=number.id, details=details, now=NOW)
        trunks.retire(session, viewer=manager, trunk_id=trunk_id, now=NOW)
    with store.write() as session:
        assert session.get_one(Trunk, trunk_id).password == ""
        assert trunks.all_trunks(session) == []
        with pytest.raises(NotFound):
            trunks.get(session, trunk_id)
        with pytest.raises(Refused, match="trunk_gone"):
            projects.save_number(
                session,
                viewer=manager,
                number_id=number.id,
                details=projects.NumberDetails(number="", trunk_id=trunk_id),
                now=NOW,
            )
    assert route(store) == DEFAULT_ROUTE


def test_every_switch_is_asked_to_take_the_trunks(store: Store, manager: Viewer) -> None:
    for _ in range(2):
        with store.write() as session:
            trunks.load(session, viewer=manager, nodes=("a", "b"), now=NOW)
    with store.read() as session:
        last = trunks.last_loads(session, nodes=("a", "b", "c"))
    assert [(row.node, row.kind) for row in last] == [
        ("a", CommandKind.LOAD_TRUNKS),
        ("b", CommandKind.LOAD_TRUNKS),
    ]
    assert min(row.id for row in last) == 3
