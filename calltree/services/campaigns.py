"""Campaigns: settings, start and stop, their lists in order (R-DL-1, R-DL-6).

Who works in one is `services.campaign_team`, what its page shows `services.campaign_facts`; whom it
dials next is `services.campaign_leads`, and when again `services.redialling`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    CustomerList,
    Preset,
    Project,
)
from calltree.pacing.rule import MINIMUM_RING_S, Mode, Rule
from calltree.services import (
    audit,
    audit_changes,
    campaign_sounds,
    campaign_team,
    gate,
    projects,
    trunks,
)
from calltree.services.rights import Right, Viewer

PRESETS: dict[Preset, tuple[CampaignMode, int | None]] = {
    Preset.SAFE: (CampaignMode.PROGRESSIVE, None),
    Preset.STANDARD: (CampaignMode.ADAPTIVE, 20),
    Preset.BOLD: (CampaignMode.ADAPTIVE, 30),
}
"""安全 1:1, 標準 up to 2×, 攻め up to 3×: mode and multiplier × 10."""

RANGES: dict[str, tuple[int, int]] = {
    "multiplier_tenths": (10, 100),
    "limit_thousandths": (1, 200),
    "max_tries": (1, 20),
    "busy_min": (1, 1440),
    "no_answer_min": (1, 10_080),
    "again_min": (1, 43_200),
    "answered_wait_s": (1, 10),
    "minimum_ring_s": (MINIMUM_RING_S, 60),
    "calls_per_second": (1, 50),
}
"""Least and most of each number of the form."""


@dataclass(frozen=True, slots=True)
class CampaignDetails:
    """What a form says of a campaign; the defaults are the spec's."""

    name: str
    project_id: int
    preset: Preset = Preset.STANDARD
    mode: CampaignMode = CampaignMode.ADAPTIVE
    """Only with CUSTOM; a preset brings its own mode and multiplier."""
    multiplier_tenths: int | None = None
    limit_thousandths: int = 30
    max_tries: int = 3
    busy_min: int = 20
    no_answer_min: int = 180
    other_part: bool = True
    again_status_ids: tuple[int, ...] = ()
    again_min: int = 1440
    callbacks_first: bool = True
    answered_wait_s: int = 2
    minimum_ring_s: int = MINIMUM_RING_S
    calls_per_second: int = 2
    waiting_guidance_id: int | None = None
    apology_guidance_id: int | None = None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of a campaign as its page shows it."""

    list_id: int
    name: str
    position: int
    enabled: bool
    """In this campaign."""
    usable: bool
    """有効 and not in the bin."""
    customers: int
    worked: int


def all_campaigns(session: Session) -> list[Campaign]:
    """Return every campaign in use, running ones first."""
    found = session.scalars(
        select(Campaign).where(Campaign.retired_at.is_(None)).order_by(Campaign.name)
    )
    order = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.STOPPED)
    return sorted(found, key=lambda campaign: order.index(campaign.state))


def get(session: Session, campaign_id: int) -> Campaign:
    """Return one campaign, a retired one too. Raises NotFound."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFound(f"campaign {campaign_id}")
    return campaign


def save(
    session: Session,
    *,
    viewer: Viewer,
    campaign_id: int | None,
    details: CampaignDetails,
    nodes: Iterable[str] = (),
    now: datetime,
) -> Campaign:
    """Create or change a campaign; in force at the loop's next tick.

    `nodes` are the switches, which take its sounds.

    Raises NotAllowed (only MGR), NotFound, Refused: 'campaign_name_missing',
    'campaign_name_taken', 'campaign_multiplier_missing', 'campaign_range' with `least`, `most` and
    the field, 'guidance_gone', 'campaign_runs' when a campaign that runs would get another project.
    """
    if not viewer.may(Right.EDIT_CAMPAIGNS):
        raise NotAllowed
    name = details.name.strip()
    if not name:
        raise Refused("campaign_name_missing", field="name")
    twin = session.scalar(select(Campaign.id).where(Campaign.name == name))
    if twin is not None and twin != campaign_id:
        raise Refused("campaign_name_taken", field="name")
    mode, tenths = PRESETS.get(details.preset, (details.mode, details.multiplier_tenths))
    _check(details, mode, tenths)
    projects.get(session, details.project_id)
    campaign = (
        get(session, campaign_id) if campaign_id else Campaign(created_at=now, state_since=now)
    )
    before = audit_changes.state_of(campaign) if campaign_id else None
    sounds = campaign_sounds.choose(
        session, campaign, details.waiting_guidance_id, details.apology_guidance_id
    )
    if campaign_id and campaign.project_id != details.project_id:
        _change_project(session, campaign)
    for field in RANGES:
        setattr(campaign, field, getattr(details, field))
    campaign.name, campaign.project_id = name, details.project_id
    campaign.preset, campaign.mode, campaign.multiplier_tenths = details.preset, mode, tenths
    campaign.other_part, campaign.callbacks_first = details.other_part, details.callbacks_first
    campaign.again_status_ids = sorted(set(details.again_status_ids))
    session.add(campaign)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="campaign.saved", kind="campaign", object_id=campaign.id,
        before=before, after=audit_changes.state_of(campaign), now=now, name=name,
    )  # fmt: skip
    if sounds:
        trunks.load(session, viewer=viewer, nodes=nodes, now=now)
    _tell(session, campaign)
    return campaign


def set_multiplier(
    session: Session, *, viewer: Viewer, campaign_id: int, tenths: int | None, now: datetime
) -> Campaign:
    """Change how boldly a campaign dials, which a supervisor may too; 10 is 1:1.

    None: as bold as the abandon limit lets it (adaptive only). A progressive campaign becomes
    adaptive with this ceiling. Raises NotAllowed, NotFound, Refused as `save`.
    """
    if not viewer.may(Right.RUN_CAMPAIGNS):
        raise NotAllowed
    campaign = get(session, campaign_id)
    before = audit_changes.state_of(campaign)
    mode = campaign.mode
    if mode is CampaignMode.PROGRESSIVE and tenths != 10:
        mode = CampaignMode.ADAPTIVE
    if mode is CampaignMode.FIXED and tenths is None:
        raise Refused("campaign_multiplier_missing", field="multiplier_tenths")
    if tenths is not None:
        _check_range("multiplier_tenths", tenths)
    campaign.mode = mode
    campaign.multiplier_tenths = None if mode is CampaignMode.PROGRESSIVE else tenths
    campaign.preset = next(
        (preset for preset, of in PRESETS.items() if of == (mode, campaign.multiplier_tenths)),
        Preset.CUSTOM,
    )
    audit_changes.note(
        session, viewer=viewer, action="campaign.saved", kind="campaign", object_id=campaign.id,
        before=before, after=audit_changes.state_of(campaign), now=now, name=campaign.name,
    )  # fmt: skip
    _tell(session, campaign)
    return campaign


def start(session: Session, *, viewer: Viewer, campaign_id: int, now: datetime) -> Campaign:
    """Let a campaign dial, from stopped or paused. Raises NotAllowed, NotFound, 'campaign_gone'."""
    return _set_state(session, viewer, campaign_id, CampaignState.RUNNING, now)


def pause(session: Session, *, viewer: Viewer, campaign_id: int, now: datetime) -> Campaign:
    """Dial nobody new; operators stay, and those who are ringing are served."""
    return _set_state(session, viewer, campaign_id, CampaignState.PAUSED, now)


def stop(session: Session, *, viewer: Viewer, campaign_id: int, now: datetime) -> Campaign:
    """End it: nobody new is dialled, operators in 待機 leave it, others after their result.

    While somebody rings still, operators in 待機 stay for them.
    """
    gate.take_turn(session)  # so that no dial is being made of which this knows nothing
    campaign = _set_state(session, viewer, campaign_id, CampaignState.STOPPED, now)
    campaign_team.stopped(session, campaign_id=campaign_id, now=now)
    return campaign


def retire(session: Session, *, viewer: Viewer, campaign_id: int, now: datetime) -> None:
    """Take a stopped campaign out of use. Raises NotAllowed, NotFound, Refused 'campaign_runs'."""
    if not viewer.may(Right.EDIT_CAMPAIGNS):
        raise NotAllowed
    campaign = get(session, campaign_id)
    if campaign.state is not CampaignState.STOPPED:
        raise Refused("campaign_runs")
    campaign.retired_at = campaign.retired_at or now
    # The name is free again for another.
    campaign.name = f"{campaign.name[:40]} #{campaign.id}"
    audit.note(
        session, viewer=viewer, action="campaign.retired", kind="campaign",
        object_id=campaign.id, now=now,
    )  # fmt: skip
    _tell(session, campaign)


def set_lists(
    session: Session,
    *,
    viewer: Viewer,
    campaign_id: int,
    lists: list[tuple[int, bool]],
    now: datetime,
) -> None:
    """Set the lists in their order: (list id, enabled in this campaign).

    Raises NotAllowed, NotFound, Refused 'campaign_list_foreign' for another project's list.
    """
    if not viewer.may(Right.EDIT_CAMPAIGNS):
        raise NotAllowed
    campaign = get(session, campaign_id)
    wanted = dict(lists)
    known = session.scalars(
        select(CustomerList.id).where(
            CustomerList.id.in_(wanted), CustomerList.project_id == campaign.project_id
        )
    )
    if set(known) != set(wanted):
        raise Refused("campaign_list_foreign", field="lists")
    before = {"lists": _list_ids(session, campaign_id)}
    session.execute(delete(CampaignList).where(CampaignList.campaign_id == campaign_id))
    session.add_all(
        CampaignList(campaign_id=campaign_id, list_id=list_id, position=place, enabled=enabled)
        for place, (list_id, enabled) in enumerate(wanted.items())
    )
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="campaign.lists_set", kind="campaign",
        object_id=campaign_id, before=before, after={"lists": _list_ids(session, campaign_id)},
        now=now, name=campaign.name,
    )  # fmt: skip
    _tell(session, campaign)


def lists_of(session: Session, *, campaign_id: int) -> list[ListOf]:
    """Return the campaign's lists in their order; deleted ones stand there as not usable."""
    rows = session.execute(
        select(CampaignList, CustomerList)
        .join(CustomerList, CustomerList.id == CampaignList.list_id)
        .where(CampaignList.campaign_id == campaign_id)
        .order_by(CampaignList.position)
    ).all()
    return [
        ListOf(
            list_id=folder.id,
            name=folder.name,
            position=of.position,
            enabled=of.enabled,
            usable=folder.enabled and folder.deleted_at is None,
            customers=folder.customers,
            worked=folder.worked,
        )
        for of, folder in rows
    ]


def choosable_lists(session: Session, *, project_id: int) -> list[CustomerList]:
    """Return the project's lists that a campaign may take, by name."""
    return list(
        session.scalars(
            select(CustomerList)
            .where(CustomerList.project_id == project_id, CustomerList.deleted_at.is_(None))
            .order_by(CustomerList.name)
        )
    )


def rule(campaign: Campaign, project: Project) -> Rule:
    """Give the settings as the pacing rule takes them."""
    tenths = campaign.multiplier_tenths
    return Rule(
        mode=Mode(campaign.mode.value),
        multiplier=None if tenths is None else Decimal(tenths) / 10,
        limit=campaign.limit_thousandths / 1000,
        minimum_ring_s=campaign.minimum_ring_s,
        ring_timeout_s=max(campaign.minimum_ring_s, project.ring_time_s),
    )


def _set_state(
    session: Session, viewer: Viewer, campaign_id: int, state: CampaignState, now: datetime
) -> Campaign:
    if not viewer.may(Right.RUN_CAMPAIGNS):
        raise NotAllowed
    campaign = get(session, campaign_id)
    if campaign.retired_at is not None:
        raise Refused("campaign_gone")
    if campaign.state is state:
        return campaign
    before = {"state": campaign.state}
    campaign.state, campaign.state_since = state, now
    audit_changes.note(
        session, viewer=viewer, action="campaign.state_set", kind="campaign",
        object_id=campaign.id, before=before, after={"state": state}, now=now, name=campaign.name,
    )  # fmt: skip
    _tell(session, campaign)
    campaign_team.tell(session, campaign_id=campaign.id)
    return campaign


def _change_project(session: Session, campaign: Campaign) -> None:
    if campaign.state is not CampaignState.STOPPED:
        raise Refused("campaign_runs", field="project_id")
    session.execute(delete(CampaignList).where(CampaignList.campaign_id == campaign.id))


def _check(details: CampaignDetails, mode: CampaignMode, tenths: int | None) -> None:
    if mode is CampaignMode.FIXED and tenths is None:
        raise Refused("campaign_multiplier_missing", field="multiplier_tenths")
    for field in RANGES:
        value = tenths if field == "multiplier_tenths" else getattr(details, field)
        if value is not None:
            _check_range(field, value)


def _check_range(field: str, value: int) -> None:
    least, most = RANGES[field]
    if not least <= value <= most:
        raise Refused("campaign_range", field=field, least=least, most=most)


def _list_ids(session: Session, campaign_id: int) -> list[int]:
    """The lists that are on in the campaign, in their order, whatever became of them since."""
    return list(
        session.scalars(
            select(CampaignList.list_id)
            .where(CampaignList.campaign_id == campaign_id, CampaignList.enabled)
            .order_by(CampaignList.position)
        )
    )


def _tell(session: Session, campaign: Campaign) -> None:
    announce(session, "campaign", campaign_id=campaign.id)
