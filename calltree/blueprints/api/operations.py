"""An operation is a function with the shapes of what it takes and gives; its route and its part of
the OpenAPI document are made from the same declaration, so neither can say more than the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError

from calltree.blueprints.access import public
from calltree.blueprints.api.door import Denied, Invalid, bp, require
from calltree.services.api_tokens import Scope

Function = TypeVar("Function", bound=Callable[..., BaseModel])

MOST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Operation:
    """What is declared of one operation."""

    method: str
    path: str
    """As Flask writes it, without /api/v1."""
    name: str
    summary: str
    description: str
    tag: str
    scope: Scope | None
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    answer: type[BaseModel]
    status: int
    refuses: bool
    """Whether a rule may say no (409)."""


OPERATIONS: list[Operation] = []


def operation(
    method: str,
    path: str,
    *,
    tag: str,
    scope: Scope | None,
    answer: type[BaseModel],
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    status: int = 200,
    refuses: bool = False,
) -> Callable[[Function], Function]:
    """Make a function an operation. It is given `caller`, the path's ids, `query` and `body`."""

    def declare(function: Function) -> Function:
        summary, _, description = (function.__doc__ or "").strip().partition("\n")
        declared = Operation(
            method, path, function.__name__, summary.rstrip("."), _flowing(description), tag,
            scope, query, body, answer, status, refuses,
        )  # fmt: skip
        OPERATIONS.append(declared)
        view = public(_view(declared, function))  # no cookie opens it: `require` asks for a token
        bp.add_url_rule(path, function.__name__, view, methods=[method])
        return function

    return declare


def _view(declared: Operation, function: Callable[..., BaseModel]) -> Callable[..., Response]:
    def view(**given: Any) -> Response:
        given["caller"] = require(declared.scope)
        if declared.query is not None:
            given["query"] = _read_query(declared.query)
        if declared.body is not None:
            given["body"] = _read_body(declared.body)
        said = function(**given)
        return Response(
            said.model_dump_json(), status=declared.status, content_type="application/json"
        )

    view.scope = declared.scope  # type: ignore[attr-defined] # our own mark
    return view


def _read_query(shape: type[BaseModel]) -> BaseModel:
    repeated = sorted(name for name in request.args if len(request.args.getlist(name)) > 1)
    if repeated:
        raise Invalid([{"where": f"query.{name}", "why": "given twice"} for name in repeated])
    try:
        return shape.model_validate_strings(request.args.to_dict())
    except ValidationError as error:
        raise Invalid(_places(error, "query")) from None


def _read_body(shape: type[BaseModel]) -> BaseModel:
    if request.mimetype != "application/json":
        raise Denied(415, "api_media_type")
    request.max_content_length = MOST_BODY
    body = request.get_data()
    if len(body) >= MOST_BODY:  # one that does not say how long it is ends there, cut off
        raise Denied(413, "api_large")
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise Invalid(_places(error, "body")) from None


def _places(error: ValidationError, where: str) -> list[dict[str, str]]:
    return [
        {"where": ".".join([where, *map(str, one["loc"])]), "why": one["msg"]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _flowing(text: str) -> str:
    """Undo the docstring's indentation and line breaks; an empty line parts paragraphs."""
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(part for part in parts if part)
