"""R-AR-4: figures that Prometheus understands, for those who may see them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from calltree.db import Store, utcnow
from calltree.models import OperatorState, SystemResult
from calltree.services import backups
from tests import factories as make


@pytest.fixture
def site(app: Flask, store: Store) -> Flask:
    with store.write() as session:
        make.make_site(session, lines=7)
        make.make_switch(session, nodes={"practice": {"link_up": True}})
        make.make_operator(session, make.make_user(session), state=OperatorState.READY)
        customer = make.make_customer(session, make.make_list(session))
        make.make_record(
            session, customer, started_at=utcnow(), talk_ms=90_000, system=SystemResult.LINE_ERROR
        )
        backups.note_good(session, file="x", size_bytes=1, now=utcnow() - timedelta(hours=2))
    return app


def figures(text: str) -> dict[tuple[str, str], float]:
    """(name, label's value) → value, read by Prometheus' own parser."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_R_AR_4_the_figures_are_what_the_rows_say(site: Flask) -> None:
    told = figures(site.test_client().get("/metrics").text)
    assert told["calltree_lines", ""] == 7
    assert told["calltree_operators", "ready"] == 1
    assert told["calltree_records_today", "line_error"] == 1
    assert told["calltree_talk_today_seconds", ""] == 90
    assert told["calltree_switch_heard", "practice"] == 1
    assert told["calltree_redis_up", ""] == 1
    assert told["calltree_jobs_waiting", "soon"] == 0
    assert 7200 <= told["calltree_backup_age_seconds", ""] < 7300
    assert told["calltree_disk_free_bytes", "data"] > 0


@pytest.mark.one_database
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_R_AR_4_without_a_token_this_machine_alone_may_read(site: Flask, address: str) -> None:
    client = site.test_client()
    for where, headers, status in (
        (address, {}, 200),
        (address, {"X-Forwarded-For": "203.0.113.9"}, 403),
        (address, {"Forwarded": "for=203.0.113.9"}, 403),
        ("203.0.113.9", {}, 403),
        ("203.0.113.9", {"X-Forwarded-For": "127.0.0.1"}, 403),
    ):
        answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": where})
        assert answer.status_code == status, (where, headers)


@pytest.mark.one_database
def test_R_AR_4_a_token_opens_from_anywhere_and_nothing_else_does(site: Flask) -> None:
    key = "calltree.settings"
    site.extensions[key] = replace(site.extensions[key], metrics_token="a long word")
    client = site.test_client()
    for given, status in (("Bearer a long word", 200), ("Bearer a long wörd", 403), ("", 403)):
        headers = {"Authorization": given} if given else {}
        assert client.get("/metrics", headers=headers).status_code == status
