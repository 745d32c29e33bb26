"""What every test would work out anew and comes out the same: kept for the whole run.

A test has an application and a database of its own, and with them every address and every SQL
statement would be compiled again: a third of what a test of a page costs.
"""

import os
from functools import partial
from types import CodeType, MethodType
from typing import Any

import werkzeug.test
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Mapper
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

TEMPLATES = "CALLTREE_TEST_TEMPLATES"
"""The variable that names the run's folder of compiled templates."""
STATEMENTS = 5000
WORKED_OUT = ("_parts", "_trace", "_converters", "arguments", "_build", "_build_unknown")
"""What werkzeug makes of an address and its defaults; an application's routes only read it."""


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


class Templates(FileSystemBytecodeCache):
    """Compiled templates of a run, for all its processes; in each of them loaded once."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.codes: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        key = f"{bucket.key}:{bucket.checksum}"
        if key not in self.codes:
            super().load_bytecode(bucket)
            if bucket.code is None:
                return
            self.codes[key] = bucket.code
        bucket.code = self.codes[key]


def keep() -> None:
    """Keep all of it from now on, in this process."""
    keep_templates()
    _keep_addresses()
    _keep_statements()
    # a boundary of its own makes the server compile four expressions for each form that is sent
    werkzeug.test.stream_encode_multipart = partial(
        werkzeug.test.stream_encode_multipart, boundary="-----------calltree-form"
    )


def keep_templates() -> None:
    """Keep compiled templates in the run's folder; where none is named, nowhere."""
    if folder := os.environ.get(TEMPLATES):
        Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Templates(folder)}


def _keep_addresses() -> None:
    compile_rule = Rule.compile
    kept: dict[Any, dict[str, Any]] = {}

    def compiled(rule: Rule) -> None:
        defaults = sorted((rule.defaults or {}).items())
        key = (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, *defaults)
        if key not in kept:
            compile_rule(rule)
            kept[key] = {name: getattr(rule, name) for name in WORKED_OUT}
        for name, value in kept[key].items():
            setattr(
                rule, name, value.__func__.__get__(rule) if isinstance(value, MethodType) else value
            )

    Rule.compile = compiled


def _keep_statements() -> None:
    kept = Statements(STATEMENTS)
    Engine._compiled_cache = property(lambda _engine: kept, lambda _engine, _its_own: None)
    # what a session writes is kept with the mapper, and found again by one engine only
    Mapper._compiled_cache = property(lambda _mapper: kept)
