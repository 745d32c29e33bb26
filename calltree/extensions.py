"""Flask's extensions, and how a request reaches the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import current_app
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sock import Sock
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import Session

from calltree.config import Settings
from calltree.db import Base, Store

# The metadata, not the class: a copied base with a type_annotation_map is refused at import.
db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})
migrate = Migrate()
login = LoginManager()
csrf = CSRFProtect()
babel = Babel()
# A window that moves: with fixed minutes twice as many tries fit in round the change of one.
limiter = Limiter(get_remote_address, strategy="moving-window")
sock = Sock()


def settings() -> Settings:
    """Return the settings of the running application."""
    return cast(Settings, current_app.extensions["calltree.settings"])


def store() -> Store:
    """Return the store of the running application."""
    return cast(Store, current_app.extensions["calltree.store"])


def reading() -> Session:
    """Return the request's read session; it is closed with the request."""
    return cast(Session, db.session())


@contextmanager
def writing(*, synced: bool = True) -> Iterator[Session]:
    """Give one write transaction; afterwards the request's read session starts afresh.

    Without that, a page drawn after the write would still see the moment before it.
    """
    db.session.remove()
    with store().write(synced=synced) as session:
        yield session
