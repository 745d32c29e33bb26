"""R-AR-3: what a program may read, page by page, and never more than its user."""

from datetime import timedelta
from typing import Any

from sqlalchemy import event, text

from calltree.db import Store
from calltree.models import Customer, CustomerList, Project, Role, User
from calltree.services import keyed_pages
from calltree.services.api_tokens import Scope
from calltree.services.rights import Viewer
from tests import factories as make
from tests.api.conftest import Program, ProgramOf
from tests.pages.world import World


def all_pages(program: Program, path: str, **query: object) -> list[dict]:
    """Follow the cursor to the end, two items a page."""
    items: list[dict] = []
    cursor: dict[str, object] = {}
    while True:
        page = program.get(path, **query, **cursor, limit=2)
        assert len(page["items"]) <= 2
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


def test_R_AR_3_lists_come_page_by_page(world: World, store: Store, program_of: ProgramOf) -> None:
    with store.write() as session:
        project = session.get_one(Project, world.near.project)
        for _ in range(4):
            make.make_list(session, project)
    manager = program_of(Role.MANAGER, Scope.LISTS_READ)
    found = [item["id"] for item in all_pages(manager, "/lists")]
    with store.read() as session:
        every = sorted((row.id for row in session.query(CustomerList)), reverse=True)
    assert found == every
    only = [item["id"] for item in all_pages(manager, "/lists", project_id=world.far.project)]
    assert only == [world.far.list]


def test_R_AR_3_a_list_says_its_columns_and_figures(world: World, program_of: ProgramOf) -> None:
    told = program_of(Role.MANAGER).get(f"/lists/{world.near.list}")
    assert told["columns"] == ["会社名", "近くの列"]
    assert (told["customers"], told["worked"], told["calls"]) == (1, 1, 1)


def test_R_AR_3_an_operators_token_sees_granted_lists_only(
    world: World, program_of: ProgramOf
) -> None:
    operator = program_of(Role.OPERATOR, Scope.LISTS_READ)
    assert [item["id"] for item in all_pages(operator, "/lists")] == [world.near.list]
    assert operator.get(f"/lists/{world.far.list}", status=404)["code"] == "api_not_found"


def test_R_AR_3_customers_come_page_by_page_with_their_columns_by_name(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    with store.write() as session:
        folder = session.get_one(CustomerList, world.near.list)
        for _ in range(4):
            make.make_customer(session, folder)
    program = program_of(Role.OPERATOR, Scope.CUSTOMERS_READ)
    items = all_pages(program, "/customers", list_id=world.near.list)
    assert len(items) == 5
    first = items[0]
    assert first["columns"]["会社名"] == "近くの商店"
    assert first["attributes"] == {"近くの項目": "近くの"}
    assert first["extra_numbers"] == [{"number": "09011112222", "label": "近くの"}]
    assert [item["id"] for item in items] == [i["id"] for i in all_pages(program, "/customers")]


def test_R_AR_3_customers_are_found_by_any_spelling_of_their_numbers(
    world: World, program_of: ProgramOf
) -> None:
    program = program_of(Role.MANAGER, Scope.CUSTOMERS_READ)
    for spelling in (
        "03-1234-0001", "+81312340001", "０３１２３４０００１", "12340001",
        "81312340001", "312340001", "03(1234)0001 (代)",
    ):  # fmt: skip
        found = program.get("/customers", number=spelling)["items"]
        assert [item["id"] for item in found] == [world.near.customer]
    extra = program.get("/customers", number="090-1111-2222")["items"]
    assert [item["id"] for item in extra] == [world.near.customer, world.far.customer]
    assert program.get("/customers", number="abc")["items"] == []


def test_R_AR_3_a_whole_number_is_looked_up_by_its_indexes(world: World, store: Store) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_link: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        asked.append((statement, given))

    with store.read() as session:
        viewer = Viewer.of(session.get_one(User, world.users[Role.MANAGER]))
        event.listen(store.engine, "before_cursor_execute", note)
        found = keyed_pages.customers(session, viewer=viewer, number="0312340001", size=50)
        event.remove(store.engine, "before_cursor_execute", note)
        assert [one.id for one in found.rows] == [world.near.customer]
        explain = "EXPLAIN"
        if session.get_bind().dialect.name == "sqlite":
            explain = "EXPLAIN QUERY PLAN"
        else:
            session.execute(text("SET enable_seqscan = off"))  # two rows are read faster whole
        ((statement, given),) = asked
        rows = session.connection().exec_driver_sql(f"{explain} {statement}", given)
        plan = "\n".join(str(row) for row in rows)
    assert "ix_customers_number" in plan, plan
    assert "ix_extra_numbers_number" in plan, plan


def test_R_AR_3_records_come_newest_first_and_by_their_conditions(
    world: World, store: Store, program_of: ProgramOf
) -> None:
    before = make.NOW - timedelta(days=1)
    with store.write() as session:
        customer = session.get_one(Customer, world.near.customer)
        for hours in range(4):  # on a day that is never today, when the world's own were made
            make.make_record(session, customer, started_at=before - timedelta(hours=hours))
    program = program_of(Role.MANAGER, Scope.RECORDS_READ)
    found = all_pages(program, "/records", customer_id=world.near.customer)
    started = [item["started_at"] for item in found]
    assert started == sorted(started, reverse=True)
    assert len(found) == 5
    day = before.date().isoformat()
    assert len(all_pages(program, "/records", **{"from": day, "to": day})) == 4
    told = program.get(f"/records/{world.near.record}")
    assert (told["result"], told["memo"]) == ("近くの結果", "近くの")
    assert told["attributes"] == {"近くの項目": "近くの"}


def test_R_AR_3_an_operators_token_reads_nothing_of_a_foreign_list(
    world: World, program_of: ProgramOf
) -> None:
    operator = program_of(Role.OPERATOR)
    far = world.far
    for path in (f"/lists/{far.list}", f"/customers/{far.customer}", f"/records/{far.record}"):
        assert operator.get(path, status=404)["code"] == "api_not_found"
    operator.get("/customers", status=404, list_id=far.list)
    operator.send("PATCH", f"/customers/{far.customer}", {"short_note": "x"}, status=404)
    operator.get(f"/calls/{far.call}", status=404)
    for query in ({"number": far.phone}, {}):
        assert far.customer not in [i["id"] for i in all_pages(operator, "/customers", **query)]
    assert far.record not in [item["id"] for item in all_pages(operator, "/records")]
    assert far.task not in [item["id"] for item in all_pages(operator, "/tasks")]


def test_R_AR_3_tasks_are_told_by_when_they_are_due(world: World, program_of: ProgramOf) -> None:
    program = program_of(Role.MANAGER, Scope.TASKS_READ)
    every = all_pages(program, "/tasks")
    assert [item["id"] for item in every] == [world.near.task, world.far.task]
    assert all_pages(program, "/tasks", due="past") == every
    assert all_pages(program, "/tasks", due="future") == []
    assert program.get("/tasks", status=422, due="soon")["errors"][0]["where"] == "query.due"


def test_R_AR_3_a_wrong_question_names_its_place(world: World, program_of: ProgramOf) -> None:
    program = program_of(Role.MANAGER)
    for query, where in (
        ({"limit": 0}, "query.limit"),
        ({"limit": 201}, "query.limit"),
        ({"cursor": "x"}, "query.cursor"),
        ({"colour": "red"}, "query.colour"),
    ):
        wrong = program.get("/lists", status=422, **query)
        assert [one["where"] for one in wrong["errors"]] == [where]
    twice = program.ask("GET", "/lists?limit=1&limit=2")
    assert twice.get_json(force=True)["errors"] == [{"where": "query.limit", "why": "given twice"}]
    assert program.get("/nothing", status=404)["code"] == "api_not_found"
    other = program.ask("DELETE", "/lists")
    assert (other.status_code, "GET" in other.headers["Allow"]) == (405, True)


def test_R_AR_3_a_cursor_beyond_every_id_ends_the_list(world: World, program_of: ProgramOf) -> None:
    program = program_of(Role.MANAGER)
    for path in ("/lists", "/customers", "/records", "/do-not-call", "/tasks"):
        for cursor in ("9" * 17, "9" * 17 + "-" + "9" * 17, "0", "0-0"):
            program.get(path, cursor=cursor)
    program.get("/customers", cursor="9" * 17, list_id=world.near.list)
