"""What a campaign's customers hear while nobody is free: guidances of its own, else the site's.

They are files of the switch's configuration, as the site's own (`services.site_sounds`).
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import Campaign, Guidance, Site


def choose(
    session: Session, campaign: Campaign, waiting_id: int | None, apology_id: int | None
) -> bool:
    """Set a campaign's guidance and apology (None: the site's); whether either is another now.

    Raises Refused 'guidance_gone' with the field.
    """
    wanted = {"waiting_guidance_id": waiting_id, "apology_guidance_id": apology_id}
    changed = {field: one for field, one in wanted.items() if getattr(campaign, field) != one}
    if not changed:
        return False
    session.get_one(Site, 1, with_for_update=True)  # none of them is retired meanwhile
    for field, guidance_id in changed.items():
        found = session.get(Guidance, guidance_id) if guidance_id else None
        if guidance_id and (found is None or found.retired_at):
            raise Refused("guidance_gone", field=field)
        setattr(campaign, field, guidance_id)
    return True


def used(session: Session) -> dict[int, str]:
    """Return which guidances campaigns in use play, each with the name of one."""
    rows = session.execute(
        select(Campaign.waiting_guidance_id, Campaign.apology_guidance_id, Campaign.name).where(
            Campaign.retired_at.is_(None),
            or_(
                Campaign.waiting_guidance_id.is_not(None),
                Campaign.apology_guidance_id.is_not(None),
            ),
        )
    )
    return {one: row.name for row in rows for one in row[:2] if one is not None}


def waves(session: Session) -> dict[int, bytes]:
    """Return the WAV of each guidance that a campaign plays, by its id."""
    wanted = list(used(session))
    asked = select(Guidance.id, Guidance.sound).where(Guidance.id.in_(wanted))
    return {row.id: row.sound for row in session.execute(asked)}
