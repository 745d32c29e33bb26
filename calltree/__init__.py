"""CALLTREE: the outbound call centre that a small Japanese call centre hosts itself."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from calltree.config import Settings

if TYPE_CHECKING:
    from flask import Flask


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application. Opens no connection; the first request does."""
    # Here and not above: the workers import this package, and start without a web framework.
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from calltree import blueprints, cli, doorbells, extensions, locale, logs
    from calltree.db import Store
    from calltree.telephony.withdrawing import withdraw_dials
    from calltree.templating import Environment

    settings = settings or Settings.from_env(os.environ)
    logs.configure()
    app = Flask(__name__, static_folder=None)
    app.jinja_environment = Environment
    app.config.from_mapping(settings.flask_config())
    app.extensions["calltree.settings"] = settings
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Werkzeug's own way
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )

    extensions.db.init_app(app)
    with app.app_context():
        store = Store(extensions.db.engine, clock_rate=settings.clock_rate)
    store.publisher = doorbells.for_store(settings, store, partial(withdraw_dials, store))
    app.extensions["calltree.store"] = store
    extensions.migrate.init_app(app, extensions.db, render_as_batch=True)
    extensions.csrf.init_app(app)
    extensions.limiter.init_app(app)
    extensions.sock.init_app(app)
    locale.init_app(app)
    blueprints.init_app(app)
    cli.init_app(app)
    return app
