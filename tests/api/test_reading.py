"""R-AR-3: what a program may read, page by page, and never more than its user."""

from calltree.db import Store
from calltree.models import CustomerList, Project, Role
from calltree.services.api_tokens import Scope
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
