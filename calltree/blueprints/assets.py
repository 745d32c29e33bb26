"""Static files under addresses that carry their content's hash (R-AR-6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, abort, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import public

bp = Blueprint("assets", __name__, url_prefix="/assets")
PACKAGE = Path(__file__).parent.parent
STATIC = PACKAGE / "static"
CODE = (".py", ".html", ".po")


@cache
def version() -> str:
    """Return a short hash over every file of this version; addresses change when any of them does.

    One hash for all keeps relative addresses inside a stylesheet or sprite right. Code, templates
    and words are in it too: an upgrade of these alone is told to open pages as well.
    """
    digest = hashlib.sha256()
    for root, path in _files():
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files() -> Iterator[tuple[Path, Path]]:
    yield from ((STATIC, path) for path in sorted(STATIC.rglob("*")) if path.is_file())
    for ending in CODE:
        yield from ((PACKAGE, path) for path in sorted(PACKAGE.rglob(f"*{ending}")))


@bp.get("/<asked>/<path:name>")
@public
def serve(asked: str, name: str) -> ResponseReturnValue:
    """Serve one file; an address of another version is answered too, but never cached."""
    if not (STATIC / name).is_file():
        abort(404)
    response = send_from_directory(STATIC, name)
    current = asked == version()
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if current else "no-store"
    )
    return response


def asset_url(name: str) -> str:
    """Return the versioned address of a file under `static/`."""
    return kept_url("assets.serve", asked=version(), name=name)


def kept_url(endpoint: str, **values: str) -> str:
    """Return `url_for` of what is asked for again and again: worked out once a process."""
    return _kept_url(request.script_root, endpoint, tuple(values.items()))


@lru_cache(maxsize=500)
def _kept_url(_root: str, endpoint: str, values: tuple[tuple[str, str], ...]) -> str:
    given: dict[str, Any] = dict(values)
    return url_for(endpoint, **given)


def init_app(app: Flask) -> None:
    """Register the route and the template functions."""
    app.register_blueprint(bp)
    app.add_template_global(asset_url)
    app.add_template_global(version, "asset_version")
