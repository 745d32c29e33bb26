"""The site, projects (案件), result patterns, attribute items and caller numbers."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base


class Site(Base):
    """The one row of site-wide settings. Postgres' gate locks it first (design §3)."""

    __tablename__ = "site"

    id: Mapped[int] = mapped_column(primary_key=True)
    site_key: Mapped[str] = mapped_column(String(16))
    """Random, made once: marks our channels, Redis names and files."""
    name: Mapped[str] = mapped_column(String(64), default="")
    practice: Mapped[bool] = mapped_column(default=True)
    lines: Mapped[int] = mapped_column(default=10)
    lines_reserved_inbound: Mapped[int] = mapped_column(default=0)
    lines_max_predictive: Mapped[int | None]
    seats: Mapped[int | None]
    b2c_opens: Mapped[time] = mapped_column(default=time(8, 0))
    b2c_closes: Mapped[time] = mapped_column(default=time(21, 0))
    min_gap_min: Mapped[int] = mapped_column(default=60)
    wrap_up_limit_s: Mapped[int] = mapped_column(default=180)
    shows_monitoring: Mapped[bool] = mapped_column(default=True)
    """Whether an operator sees that somebody listens to their call."""
    extra_prefixes: Mapped[list[str]] = mapped_column(default=list)
    away_reasons: Mapped[list[str]] = mapped_column(default=list)
    allowed_networks: Mapped[list[str]] = mapped_column(default=list)
    """From which one may sign in; none: from everywhere."""
    second_factor_roles: Mapped[list[str]] = mapped_column(default=list)
    """Roles that are asked for a second factor at sign-in."""
    recordings_capacity_gb: Mapped[int] = mapped_column(default=50)
    restored_at: Mapped[datetime | None]
    """When a backup was restored; reconcile hangs nothing up for 30 s after it."""


class ClosedDay(Base):
    """A day of its own on which the site does not call (GW, お盆, 年末年始)."""

    __tablename__ = "closed_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), default="")


class ResultPattern(Base):
    """A named, reusable set of result statuses (結果パターン)."""

    __tablename__ = "result_patterns"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]


class BuiltIn(StrEnum):
    """Statuses in every pattern, never renamed or deleted (R-ST-1)."""

    NO_ANSWER = "no_answer"
    FAX = "fax"
    NOT_IN_USE = "not_in_use"
    PROSPECT = "prospect"
    CALLBACK = "callback"
    CLAIM = "claim"


class ResultStatus(Base):
    """How a call ended. Built-in rows belong to no pattern and stand in all of them.

    The system's own results (空白, 放棄, 回線エラー) are no rows: see `models.calls.SystemResult`.
    """

    __tablename__ = "result_statuses"
    __table_args__ = (
        Index(
            "uq_result_statuses_pattern_name",
            "pattern_id",
            "name_key",
            unique=True,
            sqlite_where=text("retired_at IS NULL"),
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    pattern_id: Mapped[int | None] = mapped_column(ForeignKey("result_patterns.id"))
    built_in: Mapped[BuiltIn | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(default=0)
    connected: Mapped[bool] = mapped_column(default=True)
    conversion: Mapped[bool] = mapped_column(default=False)
    """CV: counted against targets."""
    asks_callback_time: Mapped[bool] = mapped_column(default=False)
    bans_number: Mapped[bool] = mapped_column(default=False)
    """架電禁止に登録."""
    colour: Mapped[str] = mapped_column(String(16), default="")
    key: Mapped[str] = mapped_column(String(1), default="")
    retired_at: Mapped[datetime | None]


class ItemTarget(StrEnum):
    """Whether an attribute item describes the customer or one call."""

    CUSTOMER = "customer"
    RESULT = "result"


class ItemKind(StrEnum):
    """What an attribute item holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    CHECK = "check"


class AttributeItem(Base):
    """An extra field: 顧客属性 or 結果属性. Values are kept as `{str(item id): value}`."""

    __tablename__ = "attribute_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(64))
    target: Mapped[ItemTarget]
    kind: Mapped[ItemKind]
    choices: Mapped[list[str]] = mapped_column(default=list)
    required: Mapped[bool] = mapped_column(default=False)
    retired_at: Mapped[datetime | None]


class NumberDirection(StrEnum):
    """What a number of ours is used for."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    BOTH = "both"


class CallerNumber(Base):
    """A number of ours (発信番号). Retired, never deleted."""

    __tablename__ = "caller_numbers"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(16), unique=True)
    label: Mapped[str] = mapped_column(String(64), default="")
    direction: Mapped[NumberDirection] = mapped_column(default=NumberDirection.BOTH)
    line_cap: Mapped[int | None]
    trunk_id: Mapped[int | None] = mapped_column(ForeignKey("trunks.id"))
    """The trunk that its calls take; None: the first whose prefixes fit."""
    retired_at: Mapped[datetime | None]


class ProjectState(StrEnum):
    """運営 or 停止 (R-PJ-2)."""

    RUNNING = "running"
    STOPPED = "stopped"


class Audience(StrEnum):
    """Whom a project calls; B2C obeys the site's bound on hours (R-PJ-5, 6)."""

    B2B = "b2b"
    B2C = "b2c"


class DiallingMode(StrEnum):
    """R-DL-1."""

    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    PREDICTIVE_2X = "predictive_2x"
    PREDICTIVE_3X = "predictive_3x"
    ADAPTIVE = "adaptive"


class Project(Base):
    """A campaign (案件)."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[ProjectState] = mapped_column(default=ProjectState.RUNNING)
    audience: Mapped[Audience] = mapped_column(default=Audience.B2C)
    pattern_id: Mapped[int | None] = mapped_column(ForeignKey("result_patterns.id"))
    main_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    script: Mapped[str] = mapped_column(default="")
    """トークスクリプト; {列名} is filled from the customer's columns."""
    business_name: Mapped[str] = mapped_column(String(128), default="")
    caller_person: Mapped[str] = mapped_column(String(128), default="")
    """氏名; empty: the operator's own name."""
    purpose: Mapped[str] = mapped_column(String(256), default="")
    prospect_levels: Mapped[list[str]] = mapped_column(default=list)
    ring_time_s: Mapped[int] = mapped_column(default=30)
    opens: Mapped[time] = mapped_column(default=time(9, 0))
    closes: Mapped[time] = mapped_column(default=time(20, 0))
    weekdays: Mapped[list[int]] = mapped_column(default=list)
    """Days on which it calls, Monday = 0."""
    on_holidays: Mapped[bool] = mapped_column(default=False)
    mode: Mapped[DiallingMode] = mapped_column(default=DiallingMode.PREVIEW)
    auto_dial_delay_s: Mapped[int] = mapped_column(default=1)
    """Seconds between 保存して次へ and the dial, 0–5, with 中止 (R-CL-5)."""
    target_conversions: Mapped[int | None]
    """目標: CV aimed at on each calling day; None: no target."""
    recordings_days: Mapped[int | None]
    """Recordings are removed after so many days, earlier without room; None: by room only."""
    created_at: Mapped[datetime]

    # 報告機能設定 (R-HS-5)
    reporting: Mapped[bool] = mapped_column(default=False)
    reports_recordings: Mapped[bool] = mapped_column(default=False)
    reported_status_ids: Mapped[list[int]] = mapped_column(default=list)


class ProjectNumber(Base):
    """A further caller number that a project may show."""

    __tablename__ = "project_numbers"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    caller_number_id: Mapped[int] = mapped_column(
        ForeignKey("caller_numbers.id"), primary_key=True, index=True
    )


class ProjectItem(Base):
    """An attribute item that a project uses."""

    __tablename__ = "project_items"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(
        ForeignKey("attribute_items.id"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(default=0)


class ProjectRecipient(Base):
    """A BIZ user to whom a project reports (R-HS-5)."""

    __tablename__ = "project_recipients"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)


class Setting(Base):
    """A small value of the site that has no column of its own."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(default=dict)
