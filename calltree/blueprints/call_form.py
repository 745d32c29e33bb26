"""The boxes of the call screen: result, memo, level, callback, attributes (R-CL-5, R-CL-7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.blueprints import call_screen, formats
from calltree.blueprints.call_screen import Desk
from calltree.extensions import settings
from calltree.models import BuiltIn, Customer, ItemTarget, Project, User
from calltree.services import callback_times, drafts, patterns, scope
from calltree.services.callback_times import Suggestion
from calltree.services.sentences import N_
from calltree.text import keys
from calltree.text.days import site_day

SUGGESTIONS = {
    Suggestion.HOUR: N_("In 1 hour"),
    Suggestion.EVENING: N_("Today 17:00"),
    Suggestion.MORNING: N_("Tomorrow 10:00"),
    Suggestion.AFTERNOON: N_("Tomorrow 14:00"),
}


def form(session: Session, at: Desk) -> dict[str, Any]:
    """Give the boxes with what was saved or is being typed. Only with a customer open."""
    customer, project = at.customer, at.project
    assert customer is not None and project is not None  # noqa: S101, PT018 - for the type checker
    draft = drafts.find(session, user_id=at.viewer.user_id, customer_id=customer.id)
    return {
        "results": _results(session, at, project),
        "memo": {
            "draft": draft.memo if draft else "",
            "draft_url": url_for("saving.draft", customer_id=customer.id),
            "saved_at": draft.updated_at if draft else None,
        },
        "levels": [
            (level, level == (customer.prospect_level or "なし"))
            for level in project.prospect_levels
        ],
        "task": _task(session, at, project),
        "attributes": _attributes(session, at, customer, project),
    }


def _results(
    session: Session, at: Desk, project: Project
) -> list[tuple[int, str, str, str, bool, str, bool]]:
    selected = _selected(session, at)
    hint = _("Voicemail or no answer. The recording is not kept.")
    return [
        (
            status.id,
            status.name,
            keys.of_result(status.key),
            status.colour,
            status.id == selected,
            hint if status.built_in is BuiltIn.NO_ANSWER else "",
            status.asks_callback_time,
        )
        for status in patterns.offered(session, project.pattern_id)
    ]


def _selected(session: Session, at: Desk) -> int | None:
    """The saved status, else what the network's answer proposes."""
    if at.record is not None and at.record.status_id:
        return at.record.status_id
    return call_screen.proposed(session, at)


def _task(session: Session, at: Desk, project: Project) -> dict[str, Any]:
    zone = settings().timezone
    saved = at.record.callback_at if at.record else None
    query = select(User).where(User.deleted_at.is_(None), User.id != at.viewer.user_id)
    if at.folder is not None:
        query = query.where(scope.sees_list(at.folder.id))
    offered = session.scalars(query.order_by(User.login_key)).all()
    return {
        "callback": f"{saved.astimezone(zone):%Y-%m-%dT%H:%M}" if saved else "",
        "quick": quick_times(session, project=project, user_id=at.viewer.user_id, now=at.now),
        "user_id": None,
        "users": [(user.id, user.name) for user in offered],
    }


def quick_times(
    session: Session, *, project: Project, user_id: int | None, now: datetime
) -> list[tuple[str, str]]:
    """Offer callback times, each as its words and as the box takes it."""
    zone = settings().timezone
    found = callback_times.offered(session, project=project, user_id=user_id, now=now, zone=zone)
    return [(_said(one, now), f"{one.at.astimezone(zone):%Y-%m-%dT%H:%M}") for one in found]


def _said(one: callback_times.Offered, now: datetime) -> str:
    """A time that was moved is said as it is: in an hour may have become tomorrow."""
    if not one.moved:
        return str(_(SUGGESTIONS[one.suggestion]))
    if site_day(one.at, settings().timezone) == site_day(now, settings().timezone):
        return str(_("Today %(time)s", time=formats.clock(one.at)))
    return formats.moment(one.at)[5:]


def _attributes(
    session: Session, at: Desk, customer: Customer, project: Project
) -> list[dict[str, Any]]:
    of_record = at.record.attributes if at.record else {}
    rows = []
    for item in patterns.items_of(session, project.id):
        values = customer.attributes if item.target is ItemTarget.CUSTOMER else of_record
        rows.append(
            {
                "id": item.id,
                "field": f"item{item.id}",
                "label": item.name,
                "kind": item.kind.value,
                "required": item.required,
                "value": values.get(str(item.id), ""),
                "choices": item.choices,
            }
        )
    return rows
