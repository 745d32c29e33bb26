"""Every key of the call screen stands in one list, and none clashes with a result's (R-CL-5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bs4 import Tag

from calltree.db import Store, utcnow
from calltree.errors import Refused
from calltree.models import Attempt, Project, ResultStatus, Role, Transfer
from calltree.services import patterns, transfer_moves
from calltree.services.rights import Viewer
from calltree.text import keys
from tests import factories as make
from tests.browser import Answer, Browser
from tests.pages.test_transfers import AT, two

__all__ = ["two"]
pytestmark = pytest.mark.one_database
Two = tuple[Browser, Browser, int]
DOCS = Path(__file__).resolve().parents[2] / "docs/reference/keys.md"


@pytest.fixture
def full(two: Two, store: Store) -> Two:
    """A project in which every key of a result is given out."""
    with store.write() as session:
        attempt = session.query(Attempt).one()
        project = session.get_one(Project, attempt.project_id)
        pattern = make.get_pattern(session, project)
        taken = {status.key for status in patterns.offered(session, pattern.id)}
        for key in keys.OWN:
            if key not in taken:
                make.make_status(session, pattern, f"結果{key}", key=key)
        project.prospect_levels = ["A", "B"]
    return two


def drawn(page: Answer) -> set[str]:
    """Keys as they are drawn, but for a dialog's own; that none is there twice is every page's."""

    def name(tag: Tag) -> str:
        key = str(tag["data-key"])
        return key.upper() if len(key) == 1 else key

    found = page.all("[data-key]")
    return {name(tag) for tag in found if tag.find_parent("dialog") is None}


def test_R_CL_5_no_key_is_in_two_lists() -> None:
    every = [*keys.BUILT_IN, *keys.OWN, *keys.FIELDS, *keys.PAGE]
    assert sorted({key.casefold() for key in every}) == sorted(key.casefold() for key in every)


def test_R_CL_5_every_key_of_the_call_screen_is_listed_in_each_state_of_a_transfer(
    full: Two, store: Store
) -> None:
    first, second, second_id = full
    listed = {*keys.BUILT_IN, *keys.OWN, *keys.FIELDS, *keys.PAGE}
    seen = set()

    def look() -> None:
        for browser in (first, second):
            page = browser.get("/operator/call/", status=200, follow=True)
            seen.update(drawn(page))
            assert drawn(page) <= listed

    def tell(step: Callable[..., None]) -> None:
        with store.write() as session:
            step(session, session.query(Transfer).one(), now=utcnow())

    look()
    choice = drawn(first.get(AT))
    assert {"Shift+C", "Shift+N", "Shift+P", "Shift+Enter", "Ctrl+Shift+Enter"} <= choice <= listed
    seen.update(choice)
    first.post(f"{AT}colleague/{second_id}", {"kind": "attended", "press_id": "one"})
    look()
    second.post(f"{AT}answer", {})
    tell(transfer_moves.consulted)
    look()
    tell(transfer_moves.three_talk)
    look()
    assert {*keys.OWN, *keys.BUILT_IN} <= seen, "every result can be chosen by its key"
    assert {key for key in keys.PAGE if key.startswith("Shift+") and len(key) == 7} <= seen


def test_R_ST_4_a_result_takes_no_key_that_something_else_has(store: Store) -> None:
    with store.write() as session:
        viewer = Viewer.of(make.make_user(session, Role.MANAGER))
        pattern = make.make_pattern(session)
        make.make_status(session, pattern, "アポ", key="9")
        for key, code in (
            ("9", "status_key_taken"),
            ("3", "status_key_of_page"),
            ("N", "status_key_of_page"),
            ("?", "status_key_of_page"),
        ):
            with pytest.raises(Refused, match=code):
                patterns.save_status(
                    session, viewer=viewer, pattern_id=pattern.id, status_id=None,
                    details=patterns.StatusDetails(name=f"結果{key}", key=key), now=utcnow(),
                )  # fmt: skip


def test_R_CL_5_a_result_with_a_key_of_the_page_is_drawn_without_it(
    full: Two, store: Store
) -> None:
    with store.write() as session:  # saved before keys were looked at
        session.query(ResultStatus).filter_by(name="結果B").one().key = "N"
    page = full[0].get("/operator/call/")
    assert [tag.name for tag in page.all("[data-key=n], [data-key=N]")] == ["textarea"]


def test_the_page_of_keys_lists_them_all() -> None:
    rows = {line.split("|")[1].strip() for line in DOCS.read_text().splitlines() if "|" in line}
    assert {*keys.FIELDS, *keys.PAGE} <= rows
