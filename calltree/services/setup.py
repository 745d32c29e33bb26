"""What a site is born with: its one row, the built-in statuses and the starter pattern."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import BuiltIn, ResultPattern, ResultStatus, Site
from calltree.text.folding import fold_name

AWAY_REASONS = ["休憩", "昼休み", "会議", "研修", "その他"]

BUILT_IN: list[tuple[BuiltIn, str, bool, str, str]] = [
    # code, name, connected, colour, key
    (BuiltIn.NO_ANSWER, "不通", False, "grey", "1"),
    (BuiltIn.FAX, "FAX", False, "grey", "2"),
    (BuiltIn.NOT_IN_USE, "現アナ", False, "grey", "3"),
    (BuiltIn.PROSPECT, "見込", True, "green", "4"),
    (BuiltIn.CALLBACK, "再コール", True, "blue", "5"),
    (BuiltIn.CLAIM, "クレーム", True, "red", "6"),
]

STARTER: list[dict[str, object]] = [
    {"name": "担当者不在", "key": "7"},
    {"name": "決裁者不在", "key": "8"},
    {"name": "アポ", "key": "9", "conversion": True, "colour": "green"},
    {"name": "資料送付", "key": "0"},
    {"name": "お断り", "key": "A", "bans_number": True, "colour": "red"},
]


def found(session: Session, *, practice: bool, now: datetime) -> Site:
    """Return the site, making it and what it is born with on the first start."""
    site = session.get(Site, 1)
    if site is not None:
        return site
    site = Site(
        id=1,
        site_key=secrets.token_hex(4),
        practice=practice,
        away_reasons=AWAY_REASONS,
        extra_prefixes=[],
    )
    session.add(site)
    for position, (code, name, connected, colour, key) in enumerate(BUILT_IN):
        session.add(
            ResultStatus(
                built_in=code,
                name=name,
                name_key=fold_name(name),
                position=position,
                connected=connected,
                bans_number=code is BuiltIn.CLAIM,
                colour=colour,
                key=key,
            )
        )
    _starter_pattern(session, now)
    session.flush()
    return site


def _starter_pattern(session: Session, now: datetime) -> None:
    pattern = ResultPattern(name="標準", created_at=now)
    session.add(pattern)
    session.flush()
    for position, values in enumerate(STARTER):
        name = str(values["name"])
        status = ResultStatus(pattern_id=pattern.id, name_key=fold_name(name), **values)
        status.position = 10 + position
        session.add(status)


def is_founded(session: Session) -> bool:
    """Whether the first start has been made."""
    return session.scalar(select(Site.id).where(Site.id == 1)) is not None
