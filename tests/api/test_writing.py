"""R-AR-3: what a program may change, by the same rules as a person, and audited as its own."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import AuditEntry, Customer, CustomerList, DncSource, DoNotCall, Role
from calltree.services.api_tokens import Scope
from tests.api.conftest import NAME, ProgramOf
from tests.pages.world import World

NUMBER = "03-1234-9999"


def test_R_AR_3_a_customer_is_added_by_the_rules_of_the_form(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER, Scope.CUSTOMERS_WRITE)
    path = f"/lists/{world.near.list}/customers"
    body = {"number": NUMBER, "columns": {"会社名": "山田工業"}, "prospect_level": "A"}
    told = program.send("POST", path, body, status=201)
    assert (told["number"], told["number_given"]) == ("0312349999", NUMBER)
    assert told["columns"] == {"会社名": "山田工業", "近くの列": ""}
    with store.read() as session:
        assert session.get_one(CustomerList, world.near.list).customers == 2
        line = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "customer.added")
        ).one()
        assert line.detail["token"] == NAME
    assert program.send("POST", path, body, status=409)["code"] == "number_in_list"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "110"}, "number_not_allowed"),
        ({"number": "12345678"}, "number_no_area_code"),
        ({"columns": {"住所": "x"}}, "column_unknown"),
        ({"attributes": {"年齢": "x"}}, "attribute_unknown"),
        ({"prospect_level": "Z"}, "level_unknown"),
    ],
)
def test_R_AR_3_what_the_form_refuses_the_api_refuses(
    world: World, store: Store, program_of: ProgramOf, change: dict, code: str
) -> None:
    program = program_of(Role.MANAGER, Scope.CUSTOMERS_WRITE)
    path = f"/lists/{world.near.list}/customers"
    assert program.send("POST", path, {"number": NUMBER} | change, status=409)["code"] == code
    with store.read() as session:
        assert session.scalar(select(Customer.id).where(Customer.number == "0312349999")) is None


def test_R_AR_3_a_change_leaves_the_rest_as_it_is(world: World, program_of: ProgramOf) -> None:
    program = program_of(Role.OPERATOR)
    path = f"/customers/{world.near.customer}"
    before = program.get(path)
    told = program.send("PATCH", path, {"columns": {"会社名": "新社名"}})
    assert told["columns"] == {**before["columns"], "会社名": "新社名"}
    assert told["short_note"] == before["short_note"]
    for body in ({"number": "0312341111"}, {"columns": {"会社名": 1}}, {"columns": None}, []):
        assert program.send("PATCH", path, body, status=422)["code"] == "api_invalid"


def test_R_AR_3_an_operators_token_adds_no_customers(world: World, program_of: ProgramOf) -> None:
    program = program_of(Role.OPERATOR, Scope.CUSTOMERS_WRITE)
    path = f"/lists/{world.near.list}/customers"
    assert program.send("POST", path, {"number": NUMBER}, status=403)["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"number": ', "application/json", 422),
        (b'{"number": "\xff"}', "application/json", 422),
        (b'{"number": "\\u0000"}', "application/json", 422),
        (b'{"number": "\\ud800"}', "application/json", 422),
        (b'{"number": "03-1234-9999"}', "text/plain", 415),
        (b"number=0312349999", "application/x-www-form-urlencoded", 415),
        (b'{"number": "' + b"9" * 2_000_000 + b'"}', "application/json", 413),
    ],
    ids=range(7),
)
def test_R_AR_3_a_broken_body_is_said(
    world: World, program_of: ProgramOf, body: bytes, kind: str, status: int
) -> None:
    program = program_of(Role.MANAGER, Scope.CUSTOMERS_WRITE)
    path = f"/lists/{world.near.list}/customers"
    answer = program.ask("POST", path, data=body, content_type=kind)
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"


def test_R_AR_3_a_body_of_untold_length_is_not_read_without_end(
    world: World, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER, Scope.CUSTOMERS_WRITE)
    body = io.BytesIO(b'{"number": "' + b"9" * 2_000_000 + b'"}')
    answer = program.ask(
        "POST",
        f"/lists/{world.near.list}/customers",
        input_stream=body,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413, answer.get_data(as_text=True)
    assert answer.get_json(force=True)["code"] == "api_large"
    assert body.tell() < 1_500_000


@pytest.mark.parametrize(
    "spelling", ["03-1234-9999", "81312349999", "0081-3-1234-9999", "TEL:0312349999", "1234-9999"]
)
def test_R_DN_5_a_banned_number_is_found_by_any_spelling(
    world: World, program_of: ProgramOf, spelling: str
) -> None:
    program = program_of(Role.MANAGER)
    program.send("POST", "/do-not-call", {"numbers": [NUMBER]})
    found = program.get("/do-not-call", number=spelling)["items"]
    assert [one["number"] for one in found] == ["0312349999"]


@pytest.mark.parametrize("unread", ["abc", "+1 650 253 0000", "03-1234-9999/03-1234-8888"])
def test_R_DN_5_what_is_no_number_is_not_told_to_be_free(
    world: World, program_of: ProgramOf, unread: str
) -> None:
    program = program_of(Role.MANAGER, Scope.BANS_READ)
    refused = program.get("/do-not-call", number=unread, status=409)
    assert refused["code"] == "number_unreadable"


def test_R_AR_3_R_DN_1_numbers_are_entered_looked_up_and_released(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER)
    body = {"numbers": [NUMBER, "０９０－１２３４－５６７８", "abc"], "note": "CRMで拒否"}
    told = program.send("POST", "/do-not-call", body)
    assert told == {"added": 2, "existing": 0, "invalid": ["abc"]}
    assert program.send("POST", "/do-not-call", body)["existing"] == 2
    (entry,) = program.get("/do-not-call", number="0312349999")["items"]
    assert (entry["source"], entry["all_projects"]) == ("api", True)
    release = f"/do-not-call/{entry['id']}/release"
    assert program.send("POST", release, {"reason": " "}, status=422)["code"] == "api_invalid"
    assert program.send("POST", release, {"reason": "本人の希望"})["released_at"]
    assert program.send("POST", release, {"reason": "もう一度"}, status=409)["code"] == "ban_over"
    assert program.get("/do-not-call", number="0312349999")["items"] == []
    with store.read() as session:
        kept = session.scalars(select(DoNotCall).where(DoNotCall.number == "09012345678")).one()
        assert kept.source is DncSource.API
        lines = session.scalars(
            select(AuditEntry).where(AuditEntry.action.startswith("do_not_call."))
        ).all()
        assert [line.detail["token"] for line in lines] == [NAME, NAME]


def test_R_DN_4_a_supervisors_token_enters_and_does_not_release(
    world: World, program_of: ProgramOf
) -> None:
    program = program_of(Role.SUPERVISOR)
    narrow = {"numbers": [NUMBER], "project_ids": [world.near.project]}
    narrow["expires_at"] = (utcnow() + timedelta(days=1)).isoformat()
    assert program.send("POST", "/do-not-call", narrow)["added"] == 1
    (entry,) = program.get("/do-not-call", number=NUMBER)["items"]
    assert entry["project_ids"] == [world.near.project]
    program.send("POST", f"/do-not-call/{entry['id']}/release", {"reason": "x"}, status=403)
    unknown = {"numbers": [NUMBER], "project_ids": [999]}
    assert program.send("POST", "/do-not-call", unknown, 409)["code"] == "project_unknown"
    past = {"numbers": ["0312348888"], "expires_at": "2020-01-01T00:00:00Z"}
    assert program.send("POST", "/do-not-call", past, 409)["code"] == "ban_expiry_past"
