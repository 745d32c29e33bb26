"""Campaigns: what dials by itself, over which lists, and how boldly (R-DL-1, R-DL-6)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base


class CampaignState(StrEnum):
    """Stopped ones are not offered to operators; paused ones keep their operators and dial not."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


class CampaignMode(StrEnum):
    """R-DL-1 without preview, in which operators press CALL themselves."""

    PROGRESSIVE = "progressive"
    FIXED = "fixed"
    ADAPTIVE = "adaptive"


class Preset(StrEnum):
    """安全, 標準, 攻め; CUSTOM once the mode or the multiplier is another."""

    SAFE = "safe"
    STANDARD = "standard"
    BOLD = "bold"
    CUSTOM = "custom"


class Campaign(Base):
    """A project's lists, dialled by themselves for the operators who joined (プレディコール)."""

    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    state: Mapped[CampaignState] = mapped_column(default=CampaignState.STOPPED, index=True)
    state_since: Mapped[datetime]
    mode: Mapped[CampaignMode] = mapped_column(default=CampaignMode.ADAPTIVE)
    preset: Mapped[Preset] = mapped_column(default=Preset.STANDARD)
    multiplier_tenths: Mapped[int | None]
    """FIXED: k × 10. ADAPTIVE: the ceiling, None for no other than the lines."""
    limit_thousandths: Mapped[int] = mapped_column(default=30)
    """放棄率 that is not to be passed: 30 is 3 %."""
    max_tries: Mapped[int] = mapped_column(default=3)
    """Dials of one customer in one 周回, those by hand included."""
    busy_min: Mapped[int] = mapped_column(default=20)
    no_answer_min: Mapped[int] = mapped_column(default=180)
    other_part: Mapped[bool] = mapped_column(default=True)
    """不在 is tried again in another part of the day only."""
    again_status_ids: Mapped[list[int]] = mapped_column(default=list)
    """Results saved by operators after which the customer is dialled again."""
    again_min: Mapped[int] = mapped_column(default=1440)
    callbacks_first: Mapped[bool] = mapped_column(default=True)
    answered_wait_s: Mapped[int] = mapped_column(default=2)
    """So long a customer who answered waits for an operator before the apology (R-DL-3)."""
    waiting_guidance_id: Mapped[int | None] = mapped_column(ForeignKey("guidances.id"))
    """Heard by who answered while nobody is free; None: the site's."""
    apology_guidance_id: Mapped[int | None] = mapped_column(ForeignKey("guidances.id"))
    """Names the business before a call is released (R-DL-3); None: the site's."""
    minimum_ring_s: Mapped[int] = mapped_column(default=15)
    calls_per_second: Mapped[int] = mapped_column(default=2)
    braked: Mapped[bool] = mapped_column(default=False)
    """Above the limit: 1:1 until well below it (R-DL-4). Written by the dialler's loop alone."""
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    """Taken out of use; the ledger keeps pointing here."""


class CampaignList(Base):
    """A list of a campaign, in the order in which they are dialled."""

    __tablename__ = "campaign_lists"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)
    enabled: Mapped[bool] = mapped_column(default=True)
