"""What every test would work out anew and comes out the same: kept for the whole run.

A test has an application and a database of its own, and with them every address and every SQL
statement would be compiled again: a third of what a test of a page costs.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

STATEMENTS = 5000


class Statements(LRUCache[Any, Any]):
    """SQLAlchemy's cache of compiled statements, for all engines of one dialect together."""

    @staticmethod
    def _common(key: Any) -> Any:
        dialect, *rest = key
        return (dialect.name, *rest)

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(self._common(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._common(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(self._common(key), value)


def keep() -> None:
    """Keep both from now on, in this process."""
    _keep_addresses()
    _keep_statements()


def _keep_addresses() -> None:
    compile_builder: Callable[..., Any] = Rule._compile_builder
    kept: dict[Any, Any] = {}

    def builder(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, append_unknown, *sorted((rule.defaults or {}).items()))
        if key not in kept:
            kept[key] = compile_builder(rule, append_unknown)
        return kept[key]

    Rule._compile_builder = builder  # type: ignore[method-assign]


def _keep_statements() -> None:
    kept = Statements(STATEMENTS)
    Engine._compiled_cache = property(  # type: ignore[assignment]
        lambda _engine: kept, lambda _engine, _its_own: None
    )
