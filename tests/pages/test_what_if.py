"""発信倍率の試算: the form, the work in the worker, and what is said of it (R-DL-6)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    BulkJob,
    BulkState,
    CallState,
    OperatorInterval,
    OperatorState,
    Origin,
    Role,
)
from calltree.pacing import what_if as simulated
from calltree.pacing.what_if import Figures, Team
from calltree.services import bulk_run, what_if
from calltree.text.days import site_day
from tests import factories as make
from tests.browser import Browser

AT = "/admin/what-if/"


@pytest.fixture
def manager(store: Store, browser_of: Any) -> Browser:
    with store.write() as session:
        make.make_site(session)
        user = make.make_user(session, Role.MANAGER)
    browser: Browser = browser_of(user)
    return browser


def _calls(store: Store, *, dials: int, answers: int, talk_s: int, wrap_up_s: int) -> None:
    """Dials of today, and an operator who wrote after each answer."""
    now = utcnow()
    with store.write() as session:
        user = make.make_user(session)
        for place in range(dials):
            answered = place < answers
            begun = now - timedelta(minutes=dials - place)
            session.add(
                Attempt(
                    uuid=f"0f0e0d0c-0000-4000-8000-{place:012d}", origin=Origin.CALL,
                    user_id=user.id, number="0312345678", verdict="allowed",
                    state=CallState.ENDED, created_at=begun, dialled_at=begun, ended_at=begun,
                    answered_at=begun if answered else None,
                    talk_ms=talk_s * 1000 if answered else 0,
                )
            )  # fmt: skip
        for state, length in ((OperatorState.TALKING, 60), (OperatorState.WRAP_UP, wrap_up_s)):
            started = now - timedelta(seconds=200 + length + (state is OperatorState.TALKING))
            session.add(
                OperatorInterval(
                    user_id=user.id, site_day=site_day(now), state=state, started_at=started,
                    ended_at=started + timedelta(seconds=length),
                )
            )  # fmt: skip


def test_R_DL_6_without_calls_the_form_begins_with_usual_figures(manager: Browser) -> None:
    page = manager.get(AT)
    assert "実績がまだ少ない" in page.text
    assert page.values("main form")["operators"] == "5"
    assert page.values("main form")["lines"] == "10"


def test_R_DL_6_the_form_begins_with_our_own_figures(store: Store, manager: Browser) -> None:
    _calls(store, dials=100, answers=40, talk_s=75, wrap_up_s=45)
    page = manager.get(AT)
    typed = page.values("main form")
    assert "直近100件の発信の実績" in page.text
    assert (typed["answer_rate"], typed["talk_s"], typed["wrap_up_s"]) == ("40.0", "75", "45")
    assert typed["operators"] == "1"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("name", "typed"), [("operators", "31"), ("answer_rate", "2"), ("talk_s", "5"), ("lines", "")]
)
def test_R_DL_6_what_cannot_be_tried_out_is_said_at_its_field(
    manager: Browser, name: str, typed: str
) -> None:
    manager.get(AT)
    page = manager.submit("main form", status=422, **{name: typed})
    assert page.one(f"#{name}")["aria-invalid"] == "true"


def test_R_DL_6_a_trial_is_worked_out_and_told(
    store: Store, manager: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def quickly(team: Team, method: str, seed: int = 1) -> Figures:
        """The shortest day there is: what is simulated is tested where it is written."""
        tried.append(method)
        return simulated.try_out(team, method, seed)

    monkeypatch.setattr(what_if, "try_out", quickly)
    monkeypatch.setattr(simulated, "DIALS", 1)
    monkeypatch.setattr(simulated, "SHORTEST_DAY_H", 0.3)
    manager.get(AT)
    at = manager.submit("main form", operators="3", answer_rate="30").location
    waiting = manager.get(at)
    assert waiting.one("#bulk-status progress")["value"] == "0"

    with store.read() as session:
        job_id = session.query(BulkJob).one().id
    assert manager.get(f"/admin/bulk/{job_id}", status=303).location == at
    bulk_run.run(store, uploads_dir=tmp_path, job_id=job_id, clock=utcnow)
    assert tried == list(simulated.METHODS)

    page = manager.get(at)
    assert "この体制では「" in page.text
    assert len(page.all("tbody tr")) == len(simulated.METHODS)
    assert page.values("main form")["operators"] == "3"
    told = [one.get_text() for one in page.all(".told li")]
    assert len(told) == 4
    assert all("上限の3.0%" in one for one in told)


def test_R_DL_6_a_stopped_trial_says_so(store: Store, manager: Browser) -> None:
    manager.get(AT)
    at = manager.submit("main form").location
    with store.read() as session:
        job = session.query(BulkJob).one()
    manager.post(f"/admin/bulk/{job.id}/cancel")
    assert "試算を中止しました" in manager.get(at).text
    with store.read() as session:
        assert session.get_one(BulkJob, job.id).state is BulkState.CANCELLED
