"""Keep what the present release has in its tables, under the name of its newest migration."""

import json
import tempfile
from pathlib import Path

from alembic.script import ScriptDirectory
from flask_migrate import upgrade

from calltree import create_app
from calltree.config import Settings
from calltree.db import Store
from tests.pages import world
from tests.releases import FOLDER, read, tables

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def main() -> None:
    revision = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env({"DATA_DIR": folder, "SECRET_KEY": "of the tests"})
        app = create_app(settings)
        with app.app_context():
            upgrade(directory=str(MIGRATIONS))
        store: Store = app.extensions["calltree.store"]
        world.build(store, settings)
        with store.engine.connect() as connection:
            found = {name: read(connection, table) for name, table in tables(connection).items()}
    lines = [
        f"{json.dumps(name)}: [\n"
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        + "\n]"
        for name, rows in found.items()
        if rows
    ]
    (FOLDER / f"{revision}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
