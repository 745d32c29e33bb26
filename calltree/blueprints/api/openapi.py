"""The OpenAPI 3.1 document, written from the operations' own declarations (R-AR-3)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from calltree.blueprints.api.door import UNKNOWN_PER_MINUTE
from calltree.blueprints.api.operations import OPERATIONS, Operation
from calltree.blueprints.api.shapes import Problem
from calltree.blueprints.given import MOST
from calltree.blueprints.problems import MEDIA_TYPE
from calltree.services.api_tokens import RIGHT_OF

INTRODUCTION = f"""\
Every request carries `Authorization: Bearer ct_…`, a token that a manager made on the page
API tokens. It acts as the user it was made for and may what its scopes name, never more than
that user may on the screens.

Lists come in pages: send `next_cursor` back as `cursor` until it is null. Times are UTC; days are
days of the site. Failures are `{MEDIA_TYPE}`: `code` is for programs, `detail` for people,
in the language of `Accept-Language` (ja, en).

Each answer says how many requests the token has left in this minute (`RateLimit-Remaining`);
too many are answered 429 with `Retry-After` in seconds. Without a valid token it is
{UNKNOWN_PER_MINUTE} a minute and address.
"""
_ID = re.compile(r"<int:(\w+)>")
_REFERENCE = "#/components/schemas/{model}"
_COUNTS = {
    "RateLimit-Limit": "Requests a minute.",
    "RateLimit-Remaining": "Requests left.",
    "RateLimit-Reset": "Seconds until all are there again.",
}
_WHY = {
    401: "No token, or one that does not let in (any more).",
    403: "The token lacks the scope, or its user the right.",
    404: "It does not exist, or this token's user may not see it.",
    405: "The address is none of ours: its number is beyond every id.",
    409: "A rule says no: `code` tells which, `detail` what to do. Nothing was changed.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "It has not the form that this document asks for; `errors` names each place.",
    429: "Too many requests: wait for `Retry-After` seconds.",
}


@cache
def document() -> dict[str, Any]:
    """Write the whole document; it changes with the code only."""
    shapes, definitions = models_json_schema(_models(), ref_template=_REFERENCE)
    references: dict[Any, Any] = {model: schema for (model, _mode), schema in shapes.items()}
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        path = _ID.sub(r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "CALLTREE", "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _models() -> list[tuple[type[BaseModel], Literal["validation", "serialization"]]]:
    found: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = []
    for one in OPERATIONS:
        if one.body is not None:
            found.append((one.body, "validation"))
        found.append((one.answer, "serialization"))
    return [*dict.fromkeys(found), (Problem, "serialization")]


def _operation(one: Operation, shapes: dict[type[BaseModel], Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": "\n\n".join(part for part in (one.description, _needs(one)) if part),
        "parameters": [*_path_parameters(one), *_query_parameters(one)],
        "responses": {
            str(one.status): {
                "description": "Done.",
                "headers": _headers(_COUNTS),
                "content": {"application/json": {"schema": shapes[one.answer]}},
            }
        }
        | {str(status): _problem(status, shapes) for status in _failures(one)},
    }
    if one.body is not None:
        content = {"application/json": {"schema": shapes[one.body]}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _needs(one: Operation) -> str:
    if one.scope is None:
        return "Any token."
    return f"Scope `{one.scope.value}`; its user needs the right `{RIGHT_OF[one.scope].value}`."


def _failures(one: Operation) -> list[int]:
    found = [401, 403, 429]
    if "<" in one.path or (one.query and "list_id" in one.query.model_fields) or one.body:
        found.append(404)
    if "<" in one.path:
        found.append(405)
    if one.refuses:
        found.append(409)
    if one.body is not None:
        found += [413, 415]
    if one.body is not None or one.query is not None:
        found.append(422)
    return sorted(found)


def _problem(status: int, shapes: dict[type[BaseModel], Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": _WHY[status],
        "content": {MEDIA_TYPE: {"schema": shapes[Problem]}},
    }
    if status == 429:
        told["headers"] = _headers(_COUNTS | {"Retry-After": "Seconds to wait."})
    return told


def _headers(names: dict[str, str]) -> dict[str, Any]:
    return {
        name: {"description": says, "schema": {"type": "integer"}} for name, says in names.items()
    }


def _path_parameters(one: Operation) -> list[dict[str, Any]]:
    schema = {"type": "integer", "minimum": 1, "maximum": MOST}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in _ID.findall(one.path)
    ]


def _query_parameters(one: Operation) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    shape = one.query.model_json_schema()
    found = []
    for name, schema in shape["properties"].items():
        told: dict[str, Any] = {"name": name, "in": "query", "required": False}
        if says := schema.pop("description", ""):
            told["description"] = says
        schema.pop("title", None)
        found.append(told | {"schema": _present(schema, shape.get("$defs", {}))})
    return found


def _present(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a parameter that is there looks like: one that is not there is null in the model."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        schema = {k: v for k, v in schema.items() if k not in ("anyOf", "default")} | kinds[0]
    if reference := schema.pop("$ref", ""):
        found = definitions[reference.rpartition("/")[2]]
        schema |= {k: v for k, v in found.items() if k not in ("title", "description")}
    return schema
