"""Addresses of every route of the application, for whoever opens them all."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

PART = re.compile(r"<(?:\w+:)?(\w+)>")


def addresses(
    app: Flask, method: str, ids: Mapping[str, object]
) -> tuple[list[tuple[str, str]], set[str]]:
    """(endpoint, path) of every route with this method, its parts filled in by their names; and
    the names of parts that `ids` does not know, whose routes are left out."""
    found, unknown = [], set()
    for rule in app.url_map.iter_rules():
        if rule.websocket or method not in (rule.methods or ()):
            continue
        if missing := set(PART.findall(rule.rule)) - set(ids):
            unknown |= missing
            continue
        found.append((rule.endpoint, PART.sub(lambda part: str(ids[part[1]]), rule.rule)))
    return found, unknown


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect what is asked of the database meanwhile; beginning and ending are no questions."""
    asked: list[str] = []

    def note(_link: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
            asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)
