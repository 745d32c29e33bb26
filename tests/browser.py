"""A browser for page tests: keeps cookies, sends the CSRF token, and checks every page it gets."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from calltree.db import utcnow
from calltree.models import User
from tests.page_checks import check_fragment, check_page

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@dataclass(frozen=True)
class Answer:
    """What came back. Pages and fragments have been checked before anyone sees them."""

    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.response.headers)

    @property
    def data(self) -> bytes:
        return self.response.data

    @property
    def json(self) -> Any:
        return self.response.get_json()

    @cached_property
    def html(self) -> str:
        return self.response.get_data(as_text=True)

    @cached_property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.html, "html.parser")

    @cached_property
    def text(self) -> str:
        """What a person reads, white space folded."""
        return " ".join(self.soup.get_text(" ").split())

    def values(self, selector: str) -> dict[str, Any]:
        """What a form would send if nothing were typed."""
        return _values(self.one(selector))

    @property
    def location(self) -> str:
        """Path and query that a redirect (or htmx's HX-Redirect) leads to."""
        where = self.headers.get("Location") or self.headers.get("HX-Redirect", "")
        parts = urlsplit(where)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def one(self, selector: str) -> Tag:
        """The one element of this selector; none or several is a failure."""
        found = self.soup.select(selector)
        assert len(found) == 1, f"{len(found)} of {selector} in {self.text[:300]}"
        return found[0]

    def all(self, selector: str) -> list[Tag]:
        return list(self.soup.select(selector))


class Browser:
    """One person's browser."""

    def __init__(self, app: Flask, *, locale: str = "ja") -> None:
        self.app = app
        self.client = app.test_client()
        self.locale = locale
        self.page: Answer | None = None
        self.user_id: int | None = None
        if locale != "ja":
            self.client.set_cookie("locale", locale)

    def sign_in_as(self, user: Any) -> None:
        """Sign in as a user (row or id) without typing the password, which costs 0.1 s."""
        with self.app.extensions["calltree.store"].read() as session:
            row = session.get(User, user if isinstance(user, int) else user.id)
            assert row is not None
            kept, self.locale, self.user_id = f"{row.id}:{row.session_version}", row.locale, row.id
        with self.client.session_transaction() as session:
            session.clear()
            session["_user_id"] = kept
            session["_fresh"] = True
            session["seen_at"] = utcnow().timestamp()
        self.page = None

    def get(self, path: str, *, status: int = 200, follow: bool = False, **options: Any) -> Answer:
        """Fetch a page (with `follow`, the one it redirects to) and check it."""
        return self._take(self.client.get(path, follow_redirects=follow, **options), status)

    def part(self, path: str, *, status: int = 200, **options: Any) -> Answer:
        """Fetch what htmx would ask for."""
        headers = {**HTMX, **options.pop("headers", {})}
        return self.get(path, status=status, headers=headers, **options)

    def post(
        self,
        path: str,
        data: dict[str, Any] | None = None,
        *,
        status: int | tuple[int, ...] = 303,
        follow: bool = False,
        **options: Any,
    ) -> Answer:
        """Press something: the CSRF token of the session is sent in the form."""
        form = {"csrf_token": self.csrf_token(), **(data or {})}
        answer = self.client.post(path, data=form, follow_redirects=follow, **options)
        return self._take(answer, 200 if follow and status == 303 else status)

    def press(
        self, path: str, data: dict[str, Any] | None = None, *, status: int = 200, **options: Any
    ) -> Answer:
        """Press something as htmx does: token in the header, a fragment in return."""
        headers = {**HTMX, "X-CSRFToken": self.csrf_token(), **options.pop("headers", {})}
        answer = self.client.post(path, data=data or {}, headers=headers, **options)
        return self._take(answer, status)

    def submit(
        self,
        selector: str = "main form",
        *,
        status: int | tuple[int, ...] = 303,
        follow: bool = False,
        button: str | None = None,
        **fields: Any,
    ) -> Answer:
        """Fill in a form of the page last fetched and send it, with all that stands in it.

        `button` is the value of the pressed button, where the form has several. A field that the
        form does not have is a failure of the page.
        """
        assert self.page is not None, "no page yet"
        form = self.page.one(selector)
        data = _values(form)
        names = {str(tag["name"]) for tag in form.find_all(attrs={"name": True})}
        assert set(fields) <= names, f"the form has no {set(fields) - names}, only {names}"
        data |= fields
        if button is not None:
            pressed = form.find("button", {"value": button})
            assert isinstance(pressed, Tag), f"no button {button}"
            data[str(pressed["name"])] = button
        path = str(form.get("action") or self.page.response.request.full_path.rstrip("?"))
        if str(form.get("method", "get")).lower() == "get":
            expected = 200 if status == 303 else status
            answer = self.client.get(path, query_string=data, follow_redirects=follow)
            return self._take(answer, expected)
        answer = self.client.post(path, data=data, follow_redirects=follow)
        return self._take(answer, 200 if follow and status == 303 else status)

    def csrf_token(self) -> str:
        """The token of this session: from the page last fetched, else signed as the form's is."""
        if self.page is None:
            return self._signed_token()
        field = self.page.soup.find("input", {"name": "csrf_token"})
        if isinstance(field, Tag):
            return str(field["value"])
        body = self.page.soup.body
        headers = str(body.get("hx-headers:inherited", "")) if body else ""
        assert '"X-CSRFToken": "' in headers, "no CSRF token anywhere"
        return headers.split('"X-CSRFToken": "')[1].split('"')[0]

    def _signed_token(self) -> str:
        with self.client.session_transaction() as session:
            raw = session.setdefault("csrf_token", "0" * 40)
        return str(URLSafeTimedSerializer(self.app.secret_key, salt="wtf-csrf-token").dumps(raw))

    def _take(self, response: TestResponse, status: int | tuple[int, ...]) -> Answer:
        answer = Answer(response)
        response.get_data()
        response.close()  # as a server does: a file that is sent is closed
        for name, value in response.headers:
            assert value.isascii(), f"no server sends {name}: {value}"
        expected = status if isinstance(status, tuple) else (status,)
        assert answer.status in expected, f"{answer.status}, not {status}: {answer.html[:2000]}"
        if response.mimetype == "text/html" and answer.html.strip() and not answer.location:
            if "<html" in answer.html:
                check_page(answer.html, answer.headers, self.locale, answer.soup)
                self.page = answer
            else:
                check_fragment(answer.html, answer.headers, self.locale, answer.soup)
        return answer


def _values(form: Tag) -> dict[str, Any]:
    """What a browser would send if nothing were typed."""
    data: dict[str, Any] = {}
    for field in form.find_all(["input", "textarea", "select"]):
        name = str(field.get("name", ""))
        kind = field.get("type", "text") if field.name == "input" else field.name
        if not name or field.has_attr("disabled") or kind in {"submit", "button", "file"}:
            continue
        if kind in {"checkbox", "radio"} and not field.has_attr("checked"):
            continue
        if kind == "select":
            chosen = field.find_all("option", selected=True) or field.find_all("option")[:1]
            if not chosen and not field.has_attr("multiple"):
                continue
            values = [str(option.get("value", option.get_text())) for option in chosen]
            data[name] = values if field.has_attr("multiple") else values[0]
            continue
        value = (
            field.get_text()
            if kind == "textarea"
            else str(field.get("value", "on" if kind in {"checkbox", "radio"} else ""))
        )
        if kind in {"checkbox", "hidden"} and name in data:
            before = data[name]
            data[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            data[name] = value
    return data


def signed_in_cookie(app: Flask, user: User | int) -> str:
    """A signed-in session; the sign-in page lets only 10 a minute in from one address."""
    browser = Browser(app)
    browser.sign_in_as(user)
    kept = browser.client.get_cookie("calltree")
    assert kept is not None
    return kept.value
