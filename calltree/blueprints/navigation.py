"""What stands in the navigation, drawn from the rights table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from flask import Flask, current_app, g, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from calltree.blueprints.access import right_of, viewer
from calltree.blueprints.assets import version
from calltree.db import utcnow
from calltree.errors import NotAllowed
from calltree.extensions import reading, settings
from calltree.locale import choose_locale
from calltree.models import Role, Site
from calltree.services import (
    missed_calls,
    recording_problems,
    switch_checks,
    switch_nodes,
    tasks,
)
from calltree.services.rights import Right
from calltree.services.sentences import N_


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the navigation, as a page shows it."""

    label: str
    url: str
    active: bool
    badge: int | None = None
    """What waits behind it; None where nothing is counted."""
    key: str = ""


class Section(NamedTuple):
    """Entries under one heading, which folds them away."""

    title: str
    items: list[Item]
    key: str
    is_open: bool


FOLDED = {"settings"}
"""Sections that are folded until somebody opens them: a week goes by without them."""
COOKIE = "menu"
"""What was folded and opened in this browser, written by menu.js: settings:1.lists:0"""

ADMIN: list[tuple[str, list[tuple[str, str]]]] = [
    ("", [("admin.home", N_("Home")), ("watch.index", N_("Operator status"))]),
    (
        N_("Lists"),
        [
            ("lists.index", N_("List overview")),
            ("imports.index", N_("Import from CSV")),
            ("customers.search", N_("Customer search")),
            ("duplicates.index", N_("Find duplicates")),
            ("list_bin.index", N_("Bin")),
            ("erasing.ask", N_("Erase personal data")),
        ],
    ),
    (
        N_("Records"),
        [
            ("history.index", N_("Call history")),
            ("missed.index", N_("Missed calls")),
            ("reports.index", N_("Report history")),
            ("summaries.index", N_("Figures")),
            ("recording_list.index", N_("Recording list")),
            ("recordings.problems", N_("Recording problems")),
        ],
    ),
    (
        N_("Predictive dialling"),
        [
            ("campaigns.index", N_("Campaigns")),
            ("what_if.index", N_("Trial of dialling multiples")),
        ],
    ),
    (
        N_("Settings"),
        [
            ("projects.index", N_("Projects")),
            ("projects.numbers", N_("Caller numbers")),
            ("trunks.index", N_("Trunks")),
            ("switches.index", N_("Check of the telephone")),
            ("patterns.index", N_("Results and attributes")),
            ("bans.index", N_("Do-not-call numbers")),
            ("people.index", N_("Users")),
            ("site.index", N_("Site settings")),
            ("closed_days.index", N_("Closed days")),
            ("sounds.index", N_("Sounds")),
            ("inbound.index", N_("Inbound calls")),
            ("api_tokens.index", N_("API tokens")),
            ("webhooks.index", N_("Webhooks")),
            ("people.audit_log", N_("Audit log")),
        ],
    ),
]
OPERATOR: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "",
        [
            ("operator.home", N_("Call")),
            ("predictive.screen", N_("Predictive dialling")),
            ("manual.screen", N_("Manual dialling")),
            ("tasks.index", N_("Tasks")),
            ("missed.index", N_("Missed calls")),
            ("customers.search", N_("Customer search")),
        ],
    ),
    (
        "",
        [
            ("history.index", N_("Call history")),
            ("reports.index", N_("Report history")),
            ("summaries.index", N_("Figures")),
        ],
    ),
]
"""(section, [(endpoint, label)]); entries whose endpoint the viewer may not use are left out."""

UNDER = {
    "bulk.index": "lists.index",
    "customers.show": "customers.search",
    "exports.bans": "bans.index",
    "exports.customers": "lists.index",
    "exports.records": "history.index",
    "guidances.edit": "inbound.index",
    "guidances.index": "inbound.index",
    **dict.fromkeys(
        (
            f"list_work.{step}{what}"
            for step in ("", "start_")  # a refused start is drawn again at its own address
            for what in ("assign", "move", "reset", "delete")
        ),
        "lists.index",
    ),
    "manual.memo": "manual.screen",
    "projects.number": "projects.numbers",
    "recordings.play": "history.index",
}
"""Pages whose entry is not their blueprint's index."""

BADGES: dict[str, Callable[[], Select[int]]] = {
    "missed.index": lambda: missed_calls.waiting(viewer()),
    "recordings.problems": recording_problems.counting,
    "tasks.index": lambda: tasks.due(viewer(), utcnow()),
}
"""What waits behind an entry, counted on every page: only what an index answers."""


def screen() -> str:
    """Return 'admin' (green) or 'operator' (blue): MGR and SV may switch."""
    if not current_user.is_authenticated:
        return "plain"
    if not viewer().may(Right.ADMIN_SCREEN):
        return "operator"
    # some pages are one screen's alone, whichever was chosen last: a link leads to them directly
    for prefix, whose in (("/operator/", "operator"), ("/admin/", "admin")):
        if request.path.startswith(prefix):
            return whose
    return str(session.get("screen", "admin"))


def admin_only() -> None:
    """Any CSV leaves by 管理画面 only (spec §2). Raises NotAllowed on the other screen."""
    if not viewer().may(Right.ADMIN_SCREEN) or session.get("screen", "admin") != "admin":
        raise NotAllowed


def navigation() -> list[Section]:
    """Return the sections of the present screen that the viewer may use."""
    if not current_user.is_authenticated:
        return []
    sections = ADMIN if screen() == "admin" else OPERATOR
    told = dict(one.partition(":")[::2] for one in request.cookies.get(COOKIE, "").split("."))
    here, badges = _entry(), _badges()
    shown = [
        (
            title,
            [
                _item(endpoint, label, active=endpoint == here, badge=badges.get(endpoint))
                for endpoint, label in _allowed(entries)
            ],
        )
        for title, entries in sections
    ]
    return _folded([(title, items) for title, items in shown if items], told)


def _folded(sections: list[tuple[str, list[Item]]], told: Mapping[str, str]) -> list[Section]:
    """Open is where one is, and what was not folded away; beside a long one of FOLDED nothing
    else, for the menu shall not scroll."""
    keys = [title.lower().replace(" ", "-") for title, _items in sections]
    here = {
        key
        for key, (_title, items) in zip(keys, sections, strict=True)
        if any(item.active for item in items)
    }
    opened = here | {key for key in FOLDED if told.get(key, "0") != "0"}
    crowded = bool(opened & FOLDED)
    return [
        Section(
            _(title) if title else "", items, key,
            key in opened or not (crowded or key in FOLDED or told.get(key) == "0"),
        )
        for key, (title, items) in zip(keys, sections, strict=True)
    ]  # fmt: skip


def _allowed(entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(endpoint, label) for endpoint, label in entries if _may_open(endpoint)]


def _may_open(endpoint: str) -> bool:
    if endpoint not in current_app.view_functions:
        return False
    right = right_of(endpoint)
    return right is None or viewer().may(right)


def _item(endpoint: str, label: str, *, active: bool, badge: int | None) -> Item:
    return Item(_(label), url_for(endpoint), active, badge=badge, key=_key(endpoint))


def _badges() -> dict[str, int]:
    """Count what waits behind all entries of the present screen, in one statement a request."""
    if "badges" not in g:
        shown = [endpoint for endpoint in BADGES if is_shown(endpoint)]
        counted = [BADGES[endpoint]().scalar_subquery() for endpoint in shown]
        calls = missed_calls.on_their_way().scalar_subquery()
        looks = [switch_checks.kept(node).scalar_subquery() for node in _looked_after()]
        desk = switch_nodes.at_work(reading(), viewer().user_id)
        row = reading().execute(select(calls, *desk, *counted, *looks)).one()
        g.somebody_calls = bool(row[0])
        g.switch_lost = switch_nodes.lost_of(row[1], row[2], row[3], settings().node_names)
        counts, looked = row[4 : 4 + len(shown)], row[4 + len(shown) :]
        g.badges = {endpoint: count or 0 for endpoint, count in zip(shown, counts, strict=True)}
        g.switches_read = [kept for kept in looked if kept]
    return dict(g.badges)


def _looked_after() -> tuple[str, ...]:
    return settings().node_names if screen() == "admin" and may("see_settings") else ()


def switches_read() -> list[dict[str, Any]]:
    """What was last read of each switch, asked together with the badges of a page."""
    _badges()
    return list(g.switches_read)


def switch_lost() -> switch_nodes.Lost | None:
    """What the bar about the viewer's switch says, asked together with the badges of a page."""
    _badges()
    return cast("switch_nodes.Lost | None", g.switch_lost)


def somebody_calls() -> bool:
    """Whether a caller waits anywhere, asked together with the badges of a page."""
    _badges()
    return bool(g.somebody_calls)


def stand_under(endpoint: str) -> None:
    """Mark this entry for the present request: what it shows is of that room."""
    g.entry = endpoint


def _entry() -> str:
    """Return the entry of the present page: its own, the one it stands under, its blueprint's."""
    if told := g.get("entry"):
        return str(told)
    endpoint = request.endpoint or ""
    if is_shown(endpoint):
        return endpoint
    return UNDER.get(endpoint, f"{request.blueprint}.index")


def _key(endpoint: str) -> str:
    return endpoint.replace(".", "-")


def is_shown(endpoint: str) -> bool:
    """Whether the navigation of the present screen has this entry."""
    sections = ADMIN if screen() == "admin" else OPERATOR
    return _may_open(endpoint) and any(
        endpoint == listed for _title, entries in sections for listed, _label in entries
    )


def badge_of(session: Session, endpoint: str) -> Item:
    """Return an entry as its badge needs it: for pushing the number alone."""
    return Item(
        "", "", active=False, badge=session.scalar(BADGES[endpoint]()) or 0, key=_key(endpoint)
    )


def site() -> dict[str, object]:
    """Return what every page says of the site."""
    row = reading().get(Site, 1)
    return {
        "name": row.name if row else "",
        "practice": row.practice if row else settings().practice,
        "locale": choose_locale(),
        "version": version(),
        "timezone": str(settings().timezone),
        "now": utcnow(),
        "can_switch": may(Right.SWITCH_SCREEN),
    }


def role_name(role: Role) -> str:
    """Name a role in the reader's language."""
    return str(_(ROLE_NAMES[role]))


ROLE_NAMES = {
    Role.MANAGER: N_("Manager"),
    Role.SUPERVISOR: N_("Supervisor"),
    Role.OPERATOR: N_("Operator"),
    Role.BUSINESS: N_("Business"),
    Role.BACKYARD: N_("Backyard"),
}


def init_app(app: Flask) -> None:
    """Give the templates their surroundings."""
    app.add_template_global(navigation)
    app.add_template_global(switch_lost)

    @app.context_processor
    def surroundings() -> dict[str, object]:
        return {"site": site(), "screen": screen()}

    app.add_template_global(role_name)
    app.add_template_global(may)


def may(right: str) -> bool:
    """Whether the viewer has a right, for templates: {% if may('export') %}."""
    return bool(current_user.is_authenticated) and viewer().may(Right(right))
