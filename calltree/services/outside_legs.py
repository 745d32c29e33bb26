"""Further legs to the outside, beside a call's own: transfer targets (R-CL-8, R-CL-9, R-CL-16).

They have the gate's rules that are about a number and about lines, in the same turn as the gate,
so its limits hold over both. There is no list, no hold and no gap to keep.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import Refused
from calltree.models import Attempt, CallerNumber, Line, NumberDirection, Project, Site
from calltree.services import do_not_call, gate, gate_checks, leases
from calltree.text.phones import DialVerdict, may_dial

KIND = "transfer"


def take(
    session: Session, *, attempt: Attempt, number: str, leg_uuid: str, now: datetime
) -> CallerNumber:
    """Take a line for a leg to `number` (normal form); give the number of ours that it shows.

    Whoever calls this has written nothing yet: it waits for the gate's turn. Raises Refused
    'number_not_allowed', 'number_banned', 'no_caller_number', 'switch_down', 'no_lines',
    'no_lines_number'.
    """
    gate.take_turn(session)
    site = session.get_one(Site, 1)
    verdict = may_dial(number, site.extra_prefixes)
    if verdict is not DialVerdict.ALLOWED:
        raise Refused("number_not_allowed", field="number", reason=verdict.value)
    project_id = attempt.project_id
    if do_not_call.is_banned(session, number=number, project_id=project_id, now=now):
        raise Refused("number_banned", field="number")
    caller = _caller(session, attempt)
    if caller is None:
        raise Refused("no_caller_number")
    if not leases.hears(leases.note(session), attempt.node):
        raise Refused("switch_down")
    _require_line(session, site, caller)
    session.add(
        Line(
            attempt_id=attempt.id,
            uuid=leg_uuid,
            kind=KIND,
            caller_number_id=caller.id,
            taken_at=now,
        )
    )
    session.flush()
    announce(session, "lines")
    return caller


def _caller(session: Session, attempt: Attempt) -> CallerNumber | None:
    """The number that the call itself shows, or that was called; else the project's own."""
    own = session.get(CallerNumber, attempt.caller_number_id) if attempt.caller_number_id else None
    if own is not None and own.direction is not NumberDirection.INBOUND and not own.retired_at:
        return own
    project = session.get(Project, attempt.project_id) if attempt.project_id else None
    offered = gate.caller_numbers(session, project=project) if project else []
    return offered[0] if offered else own


def _require_line(session: Session, site: Site, caller: CallerNumber) -> None:
    lines = gate_checks.count_lines(session, site)
    if not lines.free_outbound:
        raise Refused("no_lines", lines=lines.limit)
    if caller.line_cap is None:
        return
    taken = select(func.count(Line.id)).where(
        Line.caller_number_id == caller.id, Line.released_at.is_(None)
    )
    if (session.scalar(taken) or 0) >= caller.line_cap:
        raise Refused("no_lines_number", lines=caller.line_cap, label=caller.label)


def release(session: Session, *, leg_uuid: str, now: datetime) -> bool:
    """Give the line of a leg back; False when it was free before."""
    line = session.scalar(select(Line).where(Line.uuid == leg_uuid, Line.released_at.is_(None)))
    if line is None:
        return False
    line.released_at = now
    session.flush()
    announce(session, "lines")
    return True
