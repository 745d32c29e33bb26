"""The site's settings that a manager changes on the screens, and the first steps (R-PJ-3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotFound, Refused
from calltree.models import (
    CallerNumber,
    CallRecord,
    CustomerList,
    ListGrant,
    ListGroupGrant,
    Project,
    ResultStatus,
    Site,
)
from calltree.services import audit_changes
from calltree.services.rights import Viewer
from calltree.text import networks, phones


@dataclass(frozen=True, slots=True)
class SiteDetails:
    """What the settings page says of the site."""

    name: str
    lines: int
    lines_reserved_inbound: int
    lines_max_predictive: int | None
    seats: int | None
    b2c_opens: time
    b2c_closes: time
    min_gap_min: int
    wrap_up_limit_s: int
    extra_prefixes: tuple[str, ...]
    away_reasons: tuple[str, ...]
    recordings_capacity_gb: int
    allowed_networks: tuple[str, ...] = ()
    second_factor_roles: tuple[str, ...] = ()
    shows_monitoring: bool = True


def get(session: Session) -> Site:
    """Return the site. Raises NotFound before the first start."""
    site = session.get(Site, 1)
    if site is None:
        raise NotFound("site")
    return site


def save(
    session: Session, *, viewer: Viewer, details: SiteDetails, now: datetime, address: str = ""
) -> Site:
    """Change the settings; in force at the next question the gate asks.

    `address` is where the viewer asks from. Raises Refused: 'lines_range', 'reserved_range',
    'hours_reversed', 'bound_too_wide', 'prefix_emergency' or 'prefix_unreadable' with the prefix,
    'network_unreadable' with the network, 'network_without_you'.
    """
    details = replace(details, allowed_networks=_networks(details, address))
    _check(details)
    site = get(session)
    before = audit_changes.state_of(site)
    for name in details.__slots__:
        value = getattr(details, name)
        setattr(site, name, list(value) if isinstance(value, tuple) else value)
    line = audit_changes.note(
        session, viewer=viewer, action="settings.changed", before=before,
        after=audit_changes.state_of(site), now=now,
    )  # fmt: skip
    if line is not None:
        announce(session, "site")
        announce(session, "lines")
    return site


def _networks(details: SiteDetails, address: str) -> tuple[str, ...]:
    read = []
    for given in details.allowed_networks:
        try:
            read.append(networks.read(given))
        except ValueError:
            raise Refused("network_unreadable", field="allowed_networks", network=given) from None
    if address and not networks.allows(read, address):
        raise Refused("network_without_you", field="allowed_networks", address=address)
    return tuple(dict.fromkeys(read))


def _check(details: SiteDetails) -> None:
    if details.lines < 1:
        raise Refused("lines_range", field="lines")
    if not 0 <= details.lines_reserved_inbound < details.lines:
        raise Refused("reserved_range", field="lines_reserved_inbound")
    if details.b2c_opens >= details.b2c_closes:
        raise Refused("hours_reversed", field="b2c_closes")
    if details.b2c_opens < time(8) or details.b2c_closes > time(21):
        raise Refused("bound_too_wide", field="b2c_opens")
    for prefix in details.extra_prefixes:
        verdict = phones.may_add_prefix(prefix)
        if verdict is phones.PrefixVerdict.EMERGENCY:
            raise Refused("prefix_emergency", field="extra_prefixes", prefix=prefix)
        if verdict is not phones.PrefixVerdict.ALLOWED:
            raise Refused("prefix_unreadable", field="extra_prefixes", prefix=prefix)


@dataclass(frozen=True, slots=True)
class Step:
    """One of はじめての設定: its code, and whether it is done."""

    code: str
    done: bool


def first_steps(session: Session) -> list[Step]:
    """Return 発信番号 → 結果パターン → 案件 → リスト → 権限 → テスト発信, each ticked or not."""
    asked = steps_asked()
    answers = session.execute(select(*asked.values())).one()
    return [Step(code, bool(done)) for code, done in zip(asked, answers, strict=True)]


def steps_asked() -> dict[str, ColumnElement[bool]]:
    """Give for each step, in their order, what tells that it is done."""
    ready = or_(Project.pattern_id.is_(None), Project.main_number_id.is_(None))
    granted = or_(
        exists().where(ListGrant.list_id == CustomerList.id),
        exists().where(ListGroupGrant.list_id == CustomerList.id),
    )
    asked: list[tuple[str, Select[int]]] = [
        ("caller_number", select(CallerNumber.id).where(CallerNumber.retired_at.is_(None))),
        ("pattern", select(ResultStatus.id).where(ResultStatus.pattern_id.is_not(None))),
        ("project", select(Project.id).where(~ready)),
        ("list", select(CustomerList.id).where(CustomerList.customers > 0)),
        ("grants", select(CustomerList.id).where(CustomerList.enabled, granted)),
        ("test_call", select(CallRecord.id)),
    ]
    return {code: exists(query) for code, query in asked}
