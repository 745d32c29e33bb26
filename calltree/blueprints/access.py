"""Every route says which right it needs; one that says nothing is closed (R-US-1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Flask, current_app, redirect, request, url_for
from flask_login import UserMixin, current_user, login_user
from werkzeug.wrappers import Response

from calltree.blueprints import halfway
from calltree.errors import NotAllowed
from calltree.extensions import reading
from calltree.htmx import wants_fragment
from calltree.services import accounts
from calltree.services.rights import Right, Viewer

View = TypeVar("View", bound=Callable[..., Any])


class SignedIn(UserMixin):  # type: ignore[misc] # flask_login is published without types
    """The signed-in person: a `Viewer`, not a row, so that it outlives every session."""

    def __init__(self, viewer: Viewer, session_version: int) -> None:
        self.viewer = viewer
        self.session_version = session_version

    @property
    def name(self) -> str:
        """The name that the top bar shows."""
        return self.viewer.name

    def get_id(self) -> str:
        return f"{self.viewer.user_id}:{self.session_version}"


def viewer() -> Viewer:
    """Return who asks. Only inside a route that needs a right."""
    return cast(SignedIn, current_user).viewer


def go_on() -> None:
    """Keep this session when all of one's others have ended."""
    account = accounts.of(reading(), user_id=viewer().user_id)
    login_user(SignedIn(account.viewer, account.session_version))


def requires(right: Right) -> Callable[[View], View]:
    """Mark a view with the right it needs."""

    def mark(view: View) -> View:
        view.right = right  # type: ignore[attr-defined] # our own mark
        return view

    return mark


def public(view: View) -> View:
    """Mark a view that anybody may ask for, signed in or not."""
    view.right = None  # type: ignore[attr-defined] # our own mark
    return view


def right_of(endpoint: str, app: Flask | None = None) -> Right | None:
    """Return the right an endpoint needs; None for a public one.

    Raises AttributeError for a view that says nothing, which the tests refuse.
    """
    view: Any = (app or current_app).view_functions[endpoint]
    return cast("Right | None", view.right)


def init_app(app: Flask) -> None:
    """Ask the rights table before every view."""

    @app.before_request
    def check() -> Response | None:
        if request.endpoint is None:  # nothing matched: the 404 page follows
            return None
        right = right_of(request.endpoint)
        if right is None:
            return None
        if not current_user.is_authenticated:
            return _to_sign_in()
        if not viewer().may(right):
            raise NotAllowed(right)
        return None


def _to_sign_in() -> Response:
    """Send to the sign-in page; a fragment request must move the whole page, not a part."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return Response(status=401)
    wanted = None
    if request.method == "GET" and request.path != "/":
        wanted = request.full_path.rstrip("?")
    address = halfway.address(wanted) if halfway.who() else url_for("auth.sign_in", next=wanted)
    if not wants_fragment():
        return redirect(address, 303)
    response = Response(status=401)
    response.headers["HX-Redirect"] = address
    return response
