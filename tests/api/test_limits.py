"""R-AR-3: so many requests a minute for each token, also while Redis is away."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from calltree import create_app
from calltree.config import Settings
from calltree.extensions import db, limiter
from calltree.models import Role
from tests.api.conftest import Program, ProgramOf

pytestmark = pytest.mark.one_database


def _exhaust(program: Program, most: int) -> None:
    for left in reversed(range(most)):
        answer = program.ask("GET", "/me")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Limit"] == str(most)
        assert answer.headers["RateLimit-Remaining"] == str(left)
    refused = program.ask("GET", "/me")
    assert refused.status_code == 429
    assert refused.get_json(force=True)["code"] == "http_429"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_R_AR_3_each_token_has_a_limit_of_its_own(app: Flask, program_of: ProgramOf) -> None:
    slow = program_of(Role.MANAGER, per_minute=3)
    other = program_of(Role.MANAGER, per_minute=3)
    _exhaust(slow, 3)
    assert other.ask("GET", "/me").status_code == 200
    assert app.test_client().get("/sign-in").status_code == 200


def test_R_AR_3_without_redis_the_api_goes_on_and_counts_in_the_process(
    settings: Settings, program_of: ProgramOf, tmp_path: Path
) -> None:
    program = program_of(Role.MANAGER, per_minute=3)
    away = create_app(replace(settings, redis_url=f"unix://{tmp_path}/nobody.sock"))
    away.testing = True
    limiter._storage_dead = False
    _exhaust(Program(away, program.token), 3)
    with away.app_context():
        db.session.remove()
        db.engine.dispose()


def test_R_AR_3_strangers_share_the_limit_of_their_address(app: Flask) -> None:
    stranger = Program(app, "ct_wrong")
    codes = [stranger.ask("GET", "/me").status_code for _ in range(61)]
    assert codes == [401] * 60 + [429]
    elsewhere = stranger.ask("GET", "/me", environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert elsewhere.status_code == 401
