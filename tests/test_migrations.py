"""Migrations: they make what the models say, and lose no row on the way."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, func, inspect, select, text

from calltree import create_app
from calltree.config import Settings
from calltree.db import Base, Store
from calltree.extensions import db
from tests.factories import make_customer, make_group, make_list, make_operator, make_user

MIGRATIONS = Path(__file__).parent.parent / "migrations"
FIRST = "0001"


@pytest.fixture
def bare_app(empty_database_url: str, tmp_path: Path) -> Iterator[Flask]:
    settings = Settings.from_env({"DATA_DIR": str(tmp_path / "var"), "SECRET_KEY": "of the tests"})
    app = create_app(replace(settings, database_url=empty_database_url))
    yield app
    with app.app_context():
        db.engine.dispose()


def _upgrade(app: Flask, revision: str = "head") -> None:
    with app.app_context():
        upgrade(directory=str(MIGRATIONS), revision=revision)


def _extras(engine: Engine) -> set[str]:
    """Triggers, functions, virtual tables and indexes: what a comparison of models leaves out."""
    query = (
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master "
        "WHERE type IN ('trigger', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
        if engine.dialect.name == "sqlite"
        else "SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal "
        "UNION SELECT 'function ' || proname || prosrc FROM pg_proc "
        "JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public' "
        "UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    with engine.connect() as connection:
        found = {" ".join(str(row[0]).split()) for row in connection.execute(text(query))}
    return {line for line in found if "alembic" not in line}


def test_migrations_make_what_the_models_say(bare_app: Flask, database_url: str) -> None:
    _upgrade(bare_app)
    with bare_app.app_context():
        migrated = db.engine
        with migrated.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = [
                change
                for change in compare_metadata(context, Base.metadata)
                if "customer_search" not in str(change)
            ]
        assert differences == []
        model = create_engine(database_url)
        try:
            assert _extras(migrated) == _extras(model)
        finally:
            model.dispose()


def test_migrating_a_filled_database_loses_no_row(bare_app: Flask) -> None:
    _upgrade(bare_app, FIRST)
    store: Store = bare_app.extensions["calltree.store"]
    with store.write() as session:
        user = make_user(session)
        make_operator(session, user)
        folder = make_list(session)
        make_group(session, user, lists=(folder,))
        for _turn in range(20):
            make_customer(session, folder)
    before = _counts(store)
    assert before["customers"] == 20
    _upgrade(bare_app)
    after = _counts(store)
    assert {table: after[table] for table in before} == before


def _counts(store: Store) -> dict[str, int]:
    there = set(inspect(store.engine).get_table_names())
    with store.read() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
            if name in there
        }
