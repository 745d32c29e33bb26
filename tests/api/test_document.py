"""R-AR-3: the OpenAPI document is served, and schemathesis finds no answer that it keeps back."""

import os
import re
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from calltree.blueprints.api.operations import OPERATIONS
from calltree.models import Role
from calltree.services.api_tokens import MOST_PER_MINUTE, RIGHT_OF, Scope
from tests.api.conftest import Program, ProgramOf
from tests.pages.world import World

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "4"))
"""Of each operation and mode; 4 is what every run can afford."""
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
]


def test_R_AR_3_the_document_is_open_and_tells_every_route(app: Flask, world: World) -> None:
    document = Program(app, "").get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    told = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    served = {
        (method, re.sub(r"<int:(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.endpoint != "api.openapi"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert told == served
    assert len(told) == len(OPERATIONS) > 12


def test_R_AR_3_each_scope_and_its_right_stand_in_the_document(app: Flask, world: World) -> None:
    document = Program(app, "").get("/openapi.json")
    text = str([op["description"] for one in document["paths"].values() for op in one.values()])
    for scope in Scope:
        assert f"`{scope.value}`" in text
        assert f"`{RIGHT_OF[scope].value}`" in text


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_R_AR_3_schemathesis_finds_nothing_that_the_document_does_not_tell(
    app: Flask, world: World, program_of: ProgramOf, mode: GenerationMode
) -> None:
    """Ids are drawn from those of both floors, so that requests get beyond 404."""
    program = program_of(Role.MANAGER, per_minute=MOST_PER_MINUTE)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    headers = {"Authorization": f"Bearer {program.token}"}
    known = {
        "list_id": [world.near.list, world.far.list],
        "customer_id": [world.near.customer, world.far.customer],
        "record_id": [world.near.record],
        "entry_id": [world.near.ban],
        "call_id": [world.near.call],
    }
    tried: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        _try(operation, mode, known, headers, tried)
    assert len(tried) == len(OPERATIONS)


def _try(
    operation: Any,
    mode: GenerationMode,
    known: dict[str, list[int]],
    headers: dict[str, str],
    tried: set[str],
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def run(case: Any, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE:
            for name in set(known) & set(case.path_parameters or {}):
                case.path_parameters[name] = data.draw(st.sampled_from(known[name]))
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        tried.add(operation.label)

    run()
