"""Template filters: moments, durations and numbers as Japanese offices write them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from flask import Flask
from flask_babel import gettext as _

from calltree.extensions import settings
from calltree.models import RecordKind
from calltree.services.record_names import KIND_WORDS, nobody_word
from calltree.services.recordings import Sound
from calltree.services.sentences import N_
from calltree.services.tasks import MOST_COUNTED
from calltree.text import phones


def _local(value: datetime) -> datetime:
    return value.astimezone(settings().timezone)


def moment(value: datetime | None) -> str:
    """2026/11/24(火) 14:05, or an en dash for nothing."""
    return f"{day(value)} {clock(value)}" if value else "–"


def day(value: date | datetime | None) -> str:
    """2026/11/24(火)."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        value = _local(value).date()
    return f"{value:%Y/%m/%d}({_(WEEKDAY_IDS[value.weekday()])})"


def clock(value: datetime | None) -> str:
    """14:05, in the site's zone."""
    return f"{_local(value):%H:%M}" if value else "–"


def duration(seconds: float | None) -> str:
    """1:02:03, or 2:03 below an hour."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def percent(part: int, whole: int) -> str:
    """12.3%, or an en dash when there is nothing to divide by (spec §1)."""
    return f"{part / whole * 100:.1f}%" if whole else "–"


def capped(count: int) -> str:
    """7, or 999+ for what is counted no further."""
    return str(count) if count < MOST_COUNTED else f"{MOST_COUNTED - 1}+"


def phone(number: str | None) -> str:
    """03-1234-5678."""
    return phones.format_national(number) if number else "–"


def switch_name(node: str) -> str:
    """Name a switch for people: a real one has its host's name."""
    return str(_("Practice telephone")) if settings().practice else node


class _Recorded(Protocol):
    @property
    def kind(self) -> RecordKind: ...
    @property
    def user(self) -> str: ...


def record_kind(row: _Recorded) -> str:
    """種別 of a call record, or of the call of a recording."""
    return str(_(KIND_WORDS[row.kind]))


def by_whom(row: _Recorded) -> str:
    """Whose call it was; 自動発信 or 応答なし where it was nobody's."""
    return row.user or str(_(nobody_word(row.kind)))


def sound_result(sound: Sound) -> str:
    """How the call of a recording ended; 手動発信 has no results."""
    return record_kind(sound) if sound.kind is RecordKind.MANUAL else sound.result


def iso(value: datetime | None) -> str:
    """A moment for `<time datetime>` and the running clocks."""
    return value.isoformat() if value else ""


WEEKDAY_IDS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


def init_app(app: Flask) -> None:
    """Register the filters."""
    for filter_ in (
        moment,
        day,
        clock,
        capped,
        duration,
        phone,
        iso,
        switch_name,
        record_kind,
        by_whom,
        sound_result,
    ):
        app.add_template_filter(filter_)
    app.add_template_global(percent)
