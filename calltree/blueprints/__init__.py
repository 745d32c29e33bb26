"""Pages: parse → one service → render. `ALL` lists every blueprint."""

from __future__ import annotations

from flask import Flask

from calltree.blueprints import (
    access,
    admin,
    assets,
    auth,
    bans,
    customers,
    exports,
    failures,
    formats,
    headers,
    health,
    history,
    imports,
    lists,
    navigation,
    operator,
    patterns,
    people,
    projects,
    recordings,
    reports,
    site,
)

ALL = (
    auth.bp,
    admin.bp,
    operator.bp,
    lists.bp,
    imports.bp,
    customers.bp,
    history.bp,
    reports.bp,
    exports.bp,
    projects.bp,
    patterns.bp,
    bans.bp,
    people.bp,
    site.bp,
    recordings.bp,
    health.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints and what stands around them."""
    auth.init_app(app)
    access.init_app(app)
    headers.init_app(app)
    failures.init_app(app)
    formats.init_app(app)
    assets.init_app(app)
    navigation.init_app(app)
    for blueprint in ALL:
        app.register_blueprint(blueprint)
