"""Do-not-call (架電禁止): look up, enter, release."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import (
    BanItem,
    BansEntered,
    BansQuery,
    NewBans,
    Page,
    Release,
)
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.models import DncSource, DoNotCall
from calltree.services import do_not_call, keyed_pages, projects
from calltree.services import settings as site_settings
from calltree.services.api_tokens import Caller, Scope
from calltree.text.phones import Phone, digits_fragment, normalise


def _told(session: Session, entries: Sequence[DoNotCall]) -> list[BanItem]:
    scopes = do_not_call.projects_of(session, [entry.id for entry in entries])
    return [
        BanItem(
            id=entry.id,
            number=entry.number,
            all_projects=entry.all_projects,
            project_ids=scopes.get(entry.id, []),
            source=entry.source.value,
            note=entry.note,
            created_at=entry.created_at,
            expires_at=entry.expires_at,
            released_at=entry.released_at,
        )
        for entry in entries
    ]


@operation(
    "GET",
    "/do-not-call",
    tag="do-not-call",
    scope=Scope.BANS_READ,
    query=BansQuery,
    answer=Page[BanItem],
    refuses=True,
)
def list_bans(caller: Caller, query: BansQuery) -> Page[BanItem]:
    """Return entries in force, newest first; with `number` those on that number.

    An empty page means that the number may be dialled as far as do-not-call is concerned.
    What cannot be read as a number is refused (`number_unreadable`).
    """
    session = reading()
    part = keyed_pages.bans(
        session,
        viewer=caller.viewer,
        number=_looked_for(session, query.number) if query.number else "",
        after=query.cursor or "",
        size=query.limit,
        now=utcnow(),
    )
    return Page[BanItem](items=_told(session, part.rows), next_cursor=part.next_key or None)


def _looked_for(session: Session, given: str) -> str:
    """An empty page lets a program dial: a number that cannot be read must not give one."""
    found = normalise(given, site_settings.get(session).extra_prefixes)
    if isinstance(found, Phone):
        return found.number
    if digits_fragment(given) is None:
        raise Refused("number_unreadable", field="number")
    return given


@operation(
    "POST",
    "/do-not-call",
    tag="do-not-call",
    scope=Scope.BANS_WRITE,
    body=NewBans,
    answer=BansEntered,
    refuses=True,
)
def add_bans(caller: Caller, body: NewBans) -> BansEntered:
    """Enter numbers; none of them is dialled any more from the answer on.

    Numbers that are on do-not-call already are counted, so the same request may be sent twice.
    """
    with writing() as session:
        known = {project.id for project in projects.all_projects(session)}
        for project_id in body.project_ids:
            if project_id not in known:
                raise Refused("project_unknown", field="project_ids", id=project_id)
        counted = do_not_call.add(
            session,
            viewer=caller.viewer,
            numbers=body.numbers,
            source=DncSource.API,
            project_ids=frozenset(body.project_ids),
            note=body.note,
            expires_at=body.expires_at,
            extra_prefixes=site_settings.get(session).extra_prefixes,
            now=utcnow(),
        )
    return BansEntered(added=counted.added, existing=counted.existing, invalid=counted.invalid)


@operation(
    "POST",
    "/do-not-call/<int:entry_id>/release",
    tag="do-not-call",
    scope=Scope.BANS_RELEASE,
    body=Release,
    answer=BanItem,
    refuses=True,
)
def release_ban(caller: Caller, entry_id: int, body: Release) -> BanItem:
    """Release an entry, with a reason; by a manager's token.

    To solicit again somebody who has refused is against the law (特定商取引法17条).
    """
    with writing() as session:
        do_not_call.get(session, viewer=caller.viewer, entry_id=entry_id)
        released = do_not_call.release(
            session, viewer=caller.viewer, entry_ids=[entry_id], reason=body.reason, now=utcnow()
        )
        if not released:
            raise Refused("ban_over")
        entry = do_not_call.get(session, viewer=caller.viewer, entry_id=entry_id)
        session.refresh(entry)
        return _told(session, [entry])[0]
