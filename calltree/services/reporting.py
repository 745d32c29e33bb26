"""報告機能設定: what each project reports, and to whom (R-HS-5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound
from calltree.models import Project, ProjectRecipient, ResultStatus, Role, User
from calltree.services import audit_changes, patterns
from calltree.services.rights import Right, Viewer


@dataclass(frozen=True, slots=True)
class Reporting:
    """The setting of one project; nobody is told anything by default."""

    enabled: bool = False
    status_ids: frozenset[int] = frozenset()
    recipient_ids: frozenset[int] = frozenset()
    """送信先ユーザー: BIZ users."""
    recordings: bool = False


def recipients(session: Session) -> list[User]:
    """Return who may be reported to: the BIZ users, by name."""
    query = select(User).where(User.role == Role.BUSINESS, User.deleted_at.is_(None))
    return list(session.scalars(query.order_by(User.name)))


def named(session: Session) -> dict[int, list[str]]:
    """Return the names of each project's recipients."""
    rows = session.execute(
        select(ProjectRecipient.project_id, User.name)
        .join(User, User.id == ProjectRecipient.user_id)
        .where(User.deleted_at.is_(None))
        .order_by(User.name)
    )
    found: dict[int, list[str]] = {}
    for project_id, name in rows:
        found.setdefault(project_id, []).append(name)
    return found


def statuses(session: Session, project: Project) -> list[tuple[int, str]]:
    """Return what can be reported: the pattern's statuses, and retired ones that are."""
    offered = [(status.id, status.name) for status in patterns.offered(session, project.pattern_id)]
    known = {status_id for status_id, _name in offered}
    former = [i for i in project.reported_status_ids if i not in known]
    kept = session.scalars(select(ResultStatus).where(ResultStatus.id.in_(former)))
    return offered + [(status.id, status.name) for status in kept]


def of(session: Session, project: Project) -> Reporting:
    """Return a project's setting."""
    names = session.scalars(
        select(ProjectRecipient.user_id).where(ProjectRecipient.project_id == project.id)
    )
    return Reporting(
        project.reporting,
        frozenset(project.reported_status_ids),
        frozenset(names),
        project.reports_recordings,
    )


def save(
    session: Session, *, viewer: Viewer, project_id: int, wanted: Reporting, now: datetime
) -> None:
    """Set what a project reports; in effect on the next request. Raises NotAllowed, NotFound.

    Statuses that the project does not have and users that are not BIZ are left out.
    """
    if not viewer.may(Right.EDIT_MASTER_DATA):
        raise NotAllowed(Right.EDIT_MASTER_DATA)
    project = session.get(Project, project_id, with_for_update=True)
    if project is None:
        raise NotFound(f"project {project_id}")
    possible = [status_id for status_id, _name in statuses(session, project)]
    clients = {user.id for user in recipients(session)} & wanted.recipient_ids
    before = _state(session, project)
    project.reporting, project.reports_recordings = wanted.enabled, wanted.recordings
    project.reported_status_ids = [i for i in possible if i in wanted.status_ids]
    session.execute(delete(ProjectRecipient).where(ProjectRecipient.project_id == project_id))
    session.add_all(ProjectRecipient(project_id=project_id, user_id=i) for i in sorted(clients))
    audit_changes.note(
        session,
        viewer=viewer,
        action="project.reporting_saved",
        kind="project",
        object_id=project_id,
        before=before,
        after=_state(session, project),
        now=now,
    )


def _state(session: Session, project: Project) -> audit_changes.State:
    named = select(ProjectRecipient.user_id).where(ProjectRecipient.project_id == project.id)
    return audit_changes.state_of(project, recipients=set(session.scalars(named)))
