"""The site's sounds: what the switch plays by itself, a guidance of ours or its own tune.

They are files of the switch's configuration, so each change asks every switch to take it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, Refused
from calltree.models import Campaign, CampaignMode, Guidance, InboundStep, Setting, Site
from calltree.models.inbound import FALLS_BACK_TO
from calltree.services import audit_changes, campaign_sounds, trunks
from calltree.services.rights import Right, Viewer

_ROW = "sounds"


class SiteSound(StrEnum):
    """When it is heard; the values are names in the audit log too."""

    HOLD_MUSIC = "hold_music_id"
    """By whoever is on hold, waits in a queue or lost their operator."""
    WAITING = "waiting_guidance_id"
    """By who answered a campaign's dial while nobody is free, and by callers while CALLTREE is
    away."""
    APOLOGY = "apology_guidance_id"
    """By who is released because nobody became free (放棄)."""


def chosen(session: Session) -> dict[SiteSound, int]:
    """Return the guidance of each sound that has one; the others are the switch's own."""
    row = session.get(Setting, _ROW)
    kept = row.value if row else {}
    return {sound: int(kept[sound]) for sound in SiteSound if kept.get(sound)}


def waves(session: Session) -> dict[SiteSound, bytes]:
    """Return the WAV of each sound that was chosen, for a switch's configuration."""
    wanted = chosen(session)
    asked = select(Guidance.id, Guidance.sound).where(Guidance.id.in_(wanted.values()))
    found = {row.id: row.sound for row in session.execute(asked)}
    return {sound: found[one] for sound, one in wanted.items() if one in found}


def names_nobody(session: Session, campaign: Campaign) -> bool:
    """Whether this campaign would let people go with the switch's own chime, which has no words.

    Nobody is let go on the practice switch, and hardly anybody at one line for each operator.
    """
    if session.get_one(Site, 1).practice or campaign.mode is CampaignMode.PROGRESSIVE:
        return False
    return campaign.apology_guidance_id is None and SiteSound.APOLOGY not in chosen(session)


def choose(
    session: Session,
    *,
    viewer: Viewer,
    given: Mapping[SiteSound, int | None],
    nodes: Iterable[str],
    now: datetime,
) -> None:
    """Set the sounds (None: the switch's own) and let the switches take them.

    Raises NotAllowed, Refused 'guidance_gone' with the field.
    """
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    session.get_one(Site, 1, with_for_update=True)  # none of them is retired meanwhile
    for sound, guidance_id in given.items():
        found = session.get(Guidance, guidance_id) if guidance_id else None
        if guidance_id and (found is None or found.retired_at):
            raise Refused("guidance_gone", field=sound.value)
    before = chosen(session)
    after = {sound: given[sound] for sound in SiteSound if given.get(sound)}
    line = audit_changes.note(
        session, viewer=viewer, action="sounds.changed", now=now,
        before={sound.value: before.get(sound) for sound in SiteSound},
        after={sound.value: after.get(sound) for sound in SiteSound},
    )  # fmt: skip
    if line is None:
        return
    session.merge(Setting(name=_ROW, value={sound.value: one for sound, one in after.items()}))
    trunks.load(session, viewer=viewer, nodes=nodes, now=now)


def bring(
    session: Session, *, viewer: Viewer, guidance_id: int, nodes: Iterable[str], now: datetime
) -> None:
    """Let the switches take the sounds again, if this is played by one without us."""
    played = {*chosen(session).values(), *campaign_sounds.used(session)}
    if guidance_id in played or _closes(session, guidance_id):
        trunks.load(session, viewer=viewer, nodes=nodes, now=now)


def _closes(session: Session, guidance_id: int) -> bool:
    """Whether a number's closed hours play it: then the switch does too, without us (R-IN-4)."""
    query = select(InboundStep.guidance_id).where(
        InboundStep.guidance_id == guidance_id, InboundStep.situation.in_(FALLS_BACK_TO)
    )
    return session.scalar(query.limit(1)) is not None
