"""Migrations: they make what the models say, and what a site has on the way is still there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, select, text

from calltree import create_app
from calltree.config import Settings
from calltree.db import Base, Store
from calltree.extensions import db
from calltree.models import CustomerList, Role, User
from tests import releases
from tests.browser import Browser
from tests.factories import make_customer

MIGRATIONS = Path(__file__).parent.parent / "migrations"


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


@pytest.mark.parametrize("revision", releases.revisions())
def test_a_site_of_an_earlier_release_comes_up_to_date_by_one_command(
    bare_app: Flask, revision: str
) -> None:
    _upgrade(bare_app, revision)
    store: Store = bare_app.extensions["calltree.store"]
    with store.engine.begin() as connection:
        before = releases.load(connection, revision)
    done = bare_app.test_cli_runner().invoke(args=["upgrade"])
    assert done.exit_code == 0, done.output
    assert list((bare_app.extensions["calltree.settings"].data_dir / "backups").iterdir())
    with store.engine.connect() as connection:
        there = releases.tables(connection)
        for name, rows in before.items():
            after = releases.read(connection, there[name])
            assert len(after) == len(rows), name
            assert [{k: row[k] for k in old} for old, row in zip(rows, after, strict=True)] == rows
    with store.write() as session:
        manager = session.scalars(select(User).where(User.role == Role.MANAGER)).one()
        folder = session.scalars(select(CustomerList).order_by(CustomerList.id)).first()
        assert folder is not None
        make_customer(session, folder, number="0312349999")
    browser = Browser(bare_app)
    browser.sign_in_as(manager)
    for page in ("/admin/lists/", f"/admin/lists/{folder.id}", "/history/", "/operator/"):
        browser.get(page)


def test_the_way_of_the_tables_has_no_fork() -> None:
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1
