"""What campaigns are called on pages: states, presets, modes, multipliers, and why they wait."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints.formats import clock, moment
from calltree.db import utcnow
from calltree.locale import sentence
from calltree.models import Campaign, CampaignMode, CampaignState, Preset
from calltree.services import campaign_facts
from calltree.services.campaign_facts import Why
from calltree.services.sentences import N_
from calltree.text.days import site_day

STATES = {
    CampaignState.RUNNING: (N_("At work"), "ok"),
    CampaignState.PAUSED: (N_("Paused"), "warn"),
    CampaignState.STOPPED: (N_("Stopped"), "mute"),
}
PRESETS = {
    Preset.SAFE: N_("Safe 1:1"),
    Preset.STANDARD: N_("Standard (adjusts itself, up to 2×)"),
    Preset.BOLD: N_("Bold (adjusts itself, up to 3×)"),
    Preset.CUSTOM: N_("Own setting"),
}
MODES = {
    CampaignMode.PROGRESSIVE: N_("1:1 (one line for each operator who waits)"),
    CampaignMode.FIXED: N_("Fixed (always the multiplier)"),
    CampaignMode.ADAPTIVE: N_("Adjusts itself (the multiplier is the most)"),
}
MULTIPLIERS = (10, 15, 20, 25, 30, 40, 50)
"""× 10, offered beside the campaign's own."""
_MOMENTS = ("opens_at", "due_at")
OF_TRUNKS = frozenset({"alarm_trunk"})
"""Alarms that stand on the landing screen already, for whatever dials."""


def multiplier(tenths: int | None) -> str:
    """Say a multiplier: 1.5×; without one, that there is none."""
    if tenths is None:
        return str(_("No multiplier (only the limit holds it)"))
    return str(_("%(multiplier)s×", multiplier=f"{tenths / 10:g}"))


def boldness(campaign: Campaign) -> str:
    """Say how boldly a campaign dials."""
    if campaign.preset is not Preset.CUSTOM:
        return str(_(PRESETS[campaign.preset]))
    if campaign.mode is CampaignMode.PROGRESSIVE:
        return str(_("1:1"))
    said = multiplier(campaign.multiplier_tenths)
    if campaign.mode is CampaignMode.FIXED:
        return str(_("Fixed %(multiplier)s", multiplier=said))
    if campaign.multiplier_tenths is None:
        return str(_("Adjusts itself, without a multiplier"))
    return str(_("Adjusts itself, up to %(multiplier)s", multiplier=said))


def say(why: Why) -> str:
    """Say a reason or an alarm; moments in it as today's clock, or with their day."""
    values = dict(why.values)
    for name in _MOMENTS:
        if isinstance(values.get(name), str):
            values[name] = _when(datetime.fromisoformat(values[name]))
    return sentence(why.code, **values)


def alarms(session: Session, *, besides: frozenset[str] = frozenset()) -> list[str]:
    """Say what the dialler finds wrong now, in any campaign, without the codes `besides`."""
    found = campaign_facts.alarms(session, now=utcnow())
    said = [say(alarm) for alarm in found if alarm.code not in besides]
    return list(dict.fromkeys(said))


def _when(at: datetime) -> str:
    return clock(at) if site_day(at) == site_day(utcnow()) else moment(at)
