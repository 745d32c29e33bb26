"""ガイダンス: the sounds that callers hear. Retired, never removed: a call may be playing one."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import CallerNumber, Guidance, InboundStep, Site
from calltree.services import audit, campaign_sounds, guidance_sound, site_sounds
from calltree.services.guidance_sound import Normal
from calltree.services.rights import Right, Viewer
from calltree.text.phones import format_national

MAX_NAME = 64


def all_guidances(session: Session) -> list[Guidance]:
    """Return those that can be chosen, by name, without their sound."""
    query = select(Guidance).where(Guidance.retired_at.is_(None)).order_by(Guidance.name)
    return list(session.scalars(query))


def get(session: Session, guidance_id: int) -> Guidance:
    """Return one that is not retired. Raises NotFound."""
    found = session.get(Guidance, guidance_id)
    if found is None or found.retired_at:
        raise NotFound(f"guidance {guidance_id}")
    return found


def sound_of(session: Session, guidance_id: int) -> bytes:
    """Return the WAV of one that is not retired. Raises NotFound."""
    found = session.scalar(
        select(Guidance)
        .where(Guidance.id == guidance_id, Guidance.retired_at.is_(None))
        .options(undefer(Guidance.sound))
    )
    if found is None:
        raise NotFound(f"guidance {guidance_id}")
    return found.sound


def read(file: BinaryIO) -> Normal:
    """Bring a sent sound to the one form and level; apart, for it takes its time (no session)."""
    return guidance_sound.normalise(file)


def save(
    session: Session,
    *,
    viewer: Viewer,
    guidance_id: int | None,
    name: str,
    sound: Normal | None,
    queue_place: int | None = None,
    now: datetime,
) -> Guidance:
    """Add a guidance, or rename one and exchange its sound (None: the present one stays).

    `queue_place`: said to whoever is at this place of a queue (1 … `inbound_queue.LAST_PLACE`).

    Raises NotAllowed, NotFound; Refused 'name_missing', 'guidance_name_taken',
    'guidance_file_missing', 'queue_place_taken'.
    """
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    name = name.strip()[:MAX_NAME]
    if not name:
        raise Refused("name_missing", field="name")
    session.get_one(Site, 1, with_for_update=True)  # two of one name are saved in turn
    twin = select(Guidance.id).where(Guidance.name == name, Guidance.retired_at.is_(None))
    if session.scalar(twin) not in (None, guidance_id):
        raise Refused("guidance_name_taken", field="name", name=name)
    if guidance_id is None and sound is None:
        raise Refused("guidance_file_missing", field="file")
    _require_free_place(session, guidance_id, queue_place)
    row = get(session, guidance_id) if guidance_id else Guidance(created_at=now)
    before, place_before = row.name, row.queue_place
    row.name, row.queue_place = name, queue_place
    if sound is not None:
        row.sound, row.length_ms, row.size_bytes = sound.wav, sound.length_ms, len(sound.wav)
        row.created_at, row.created_by = now, viewer.user_id
    session.add(row)
    session.flush()
    changed = {"name": [before, name]} if before != name else {}
    if sound is not None:
        changed["sound"] = ["…", "…"]
    if place_before != queue_place:
        changed["queue_place"] = [str(place_before or ""), str(queue_place or "")]
    if changed:
        audit.note(
            session, viewer=viewer, action="guidance.saved", kind="guidance", object_id=row.id,
            now=now, name=name, changed=changed if guidance_id else {},
        )  # fmt: skip
    return row


def _require_free_place(session: Session, guidance_id: int | None, place: int | None) -> None:
    if place is None:
        return
    other = session.scalar(
        select(Guidance).where(Guidance.queue_place == place, Guidance.retired_at.is_(None))
    )
    if other is not None and other.id != guidance_id:
        raise Refused("queue_place_taken", field="queue_place", name=other.name)


def retire(session: Session, *, viewer: Viewer, guidance_id: int, now: datetime) -> None:
    """Offer it no more; refused while a number, the site or a campaign plays it.

    Raises NotAllowed, NotFound, Refused 'guidance_in_use', 'guidance_in_sounds',
    'guidance_in_campaign'.
    """
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    session.get_one(Site, 1, with_for_update=True)
    row = get(session, guidance_id)
    number = session.scalar(
        select(CallerNumber.number)
        .join(InboundStep, InboundStep.caller_number_id == CallerNumber.id)
        .where(InboundStep.guidance_id == guidance_id, CallerNumber.retired_at.is_(None))
        .limit(1)
    )
    if number is not None:
        raise Refused("guidance_in_use", number=format_national(number))
    if guidance_id in site_sounds.chosen(session).values():
        raise Refused("guidance_in_sounds")
    if campaign := campaign_sounds.used(session).get(guidance_id):
        raise Refused("guidance_in_campaign", name=campaign)
    row.retired_at = now
    audit.note(
        session, viewer=viewer, action="guidance.retired", kind="guidance", object_id=row.id,
        now=now, name=row.name,
    )  # fmt: skip


def used_by(session: Session) -> dict[int, list[str]]:
    """Return which numbers play each guidance, as people write them."""
    rows = session.execute(
        select(InboundStep.guidance_id, CallerNumber.number)
        .join(CallerNumber, CallerNumber.id == InboundStep.caller_number_id)
        .where(InboundStep.guidance_id.is_not(None), CallerNumber.retired_at.is_(None))
        .distinct()
        .order_by(CallerNumber.number)
    )
    found: dict[int, list[str]] = {}
    for guidance_id, number in rows:
        if guidance_id is not None:
            found.setdefault(guidance_id, []).append(format_national(number))
    return found
