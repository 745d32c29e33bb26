"""案件管理 and 発信番号: projects and caller numbers (R-PJ-1…6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import Integer, bindparam, delete, or_, select
from sqlalchemy.orm import Session

from calltree.errors import NotFound, Refused
from calltree.models import (
    AttributeItem,
    Audience,
    CallerNumber,
    DiallingMode,
    NumberDirection,
    Project,
    ProjectItem,
    ProjectNumber,
    ProjectState,
    ResultStatus,
    Site,
    Trunk,
)
from calltree.services import audit, audit_changes, names
from calltree.services.rights import Viewer
from calltree.text import phones

RING_TIME_S = range(15, 61)
PROSPECT_LEVELS = ("A", "B", "C", "なし")
WEEKDAYS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class ProjectDetails:
    """What a form says of a project; the defaults are the spec's."""

    name: str
    state: ProjectState = ProjectState.RUNNING
    audience: Audience = Audience.B2C
    pattern_id: int | None = None
    main_number_id: int | None = None
    further_number_ids: tuple[int, ...] = ()
    item_ids: tuple[int, ...] = ()
    script: str = ""
    business_name: str = ""
    caller_person: str = ""
    purpose: str = ""
    prospect_levels: tuple[str, ...] = PROSPECT_LEVELS
    ring_time_s: int = 30
    opens: time = time(9, 0)
    closes: time = time(20, 0)
    weekdays: tuple[int, ...] = WEEKDAYS
    on_holidays: bool = False
    mode: DiallingMode = DiallingMode.PREVIEW
    auto_dial_delay_s: int = 1
    target_conversions: int | None = None
    recordings_days: int | None = None


COLUMNS = (
    "state", "audience", "pattern_id", "main_number_id", "script", "business_name",
    "caller_person", "purpose", "ring_time_s", "opens", "closes", "on_holidays", "mode",
    "auto_dial_delay_s", "target_conversions", "recordings_days",
)  # fmt: skip


def all_projects(session: Session) -> list[Project]:
    """Return every project, 運営 first."""
    return list(session.scalars(select(Project).order_by(Project.state, Project.name)))


def running(session: Session) -> list[Project]:
    """Return the projects that pickers offer (R-PJ-2)."""
    query = select(Project).where(Project.state == ProjectState.RUNNING).order_by(Project.name)
    return list(session.scalars(query))


def get(session: Session, project_id: int) -> Project:
    """Return one project. Raises NotFound."""
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"project {project_id}")
    return project


def save(
    session: Session,
    *,
    viewer: Viewer,
    project_id: int | None,
    details: ProjectDetails,
    now: datetime,
) -> Project:
    """Create or change a project.

    Changing the pattern keeps old records: they point to their statuses. Raises Refused for a name
    that is taken, hours outside the site's bound, a retired number, and every clash of R-ST-3.
    """
    name = details.name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    twin = session.scalar(select(Project).where(Project.name == name))
    if twin is not None and twin.id != project_id:
        raise Refused("project_name_taken", field="name", name=name)
    _check_times(session, details)
    _check_number(session, details.main_number_id)
    project = get(session, project_id) if project_id else Project(created_at=now)
    before = _state(session, project) if project_id else None
    project.name = name
    for column in COLUMNS:
        setattr(project, column, getattr(details, column))
    project.prospect_levels = [level for level in details.prospect_levels if level]
    project.weekdays = sorted(set(details.weekdays))
    session.add(project)
    session.flush()
    _replace_items(session, project, details.item_ids)
    _replace_numbers(session, project, details.further_number_ids)
    session.flush()
    _refuse_inner_clash(session, project)
    audit_changes.note(
        session, viewer=viewer, action="project.saved", kind="project", object_id=project.id,
        before=before, after=_state(session, project), now=now, name=name,
    )  # fmt: skip
    return project


def _state(session: Session, project: Project) -> audit_changes.State:
    items = select(ProjectItem.item_id).where(ProjectItem.project_id == project.id)
    numbers = select(ProjectNumber.caller_number_id).where(ProjectNumber.project_id == project.id)
    return audit_changes.state_of(
        project,
        items=session.scalars(items.order_by(ProjectItem.position)).all(),
        further_numbers=set(session.scalars(numbers)),
    )


def _check_times(session: Session, details: ProjectDetails) -> None:
    if details.ring_time_s not in RING_TIME_S:
        raise Refused("ring_time_range", field="ring_time_s")
    if not 0 <= details.auto_dial_delay_s <= 5:
        raise Refused("auto_dial_range", field="auto_dial_delay_s")
    if details.opens >= details.closes:
        raise Refused("hours_reversed", field="closes")
    site = session.get(Site, 1)
    if site is None or details.audience is not Audience.B2C:
        return
    if details.opens < site.b2c_opens or details.closes > site.b2c_closes:
        raise Refused(
            "hours_beyond_bound",
            field="opens",
            opens=f"{site.b2c_opens:%H:%M}",
            closes=f"{site.b2c_closes:%H:%M}",
        )


def _check_number(session: Session, number_id: int | None) -> None:
    if number_id is None:
        return
    number = session.get(CallerNumber, number_id)
    if number is None or number.retired_at or number.direction is NumberDirection.INBOUND:
        raise Refused("number_not_usable", field="main_number_id")


def _replace_items(session: Session, project: Project, item_ids: tuple[int, ...]) -> None:
    session.execute(delete(ProjectItem).where(ProjectItem.project_id == project.id))
    known = set(session.scalars(select(AttributeItem.id)))
    session.add_all(
        ProjectItem(project_id=project.id, item_id=item_id, position=position)
        for position, item_id in enumerate(dict.fromkeys(item_ids))
        if item_id in known
    )


def _replace_numbers(session: Session, project: Project, number_ids: tuple[int, ...]) -> None:
    session.execute(delete(ProjectNumber).where(ProjectNumber.project_id == project.id))
    known = set(session.scalars(select(CallerNumber.id)))
    session.add_all(
        ProjectNumber(project_id=project.id, caller_number_id=number_id)
        for number_id in dict.fromkeys(number_ids)
        if number_id in known and number_id != project.main_number_id
    )


def _refuse_inner_clash(session: Session, project: Project) -> None:
    """Compare everything that now meets in the project; two lists may share a column name."""
    standing: list[names.Place] = []
    for place in names.places(session, project):
        others = [other for other in standing if not (other.kind == place.kind == "column")]
        found = names.clashes([place.name], others)
        names.refuse_first([clash for clash in found if clash.other is not None])
        standing.append(place)


def numbers_of(session: Session, project: Project) -> list[CallerNumber]:
    """Return the numbers a project may show: メイン first, retired ones left out."""
    found = session.scalars(_NUMBERS, {"project": project.id, "main": project.main_number_id})
    return sorted(found, key=lambda number: number.id != project.main_number_id)


# Built once: every press and every call screen asks it.
_NUMBERS = (
    select(CallerNumber)
    .where(
        CallerNumber.retired_at.is_(None),
        or_(
            CallerNumber.id == bindparam("main", type_=Integer),
            CallerNumber.id.in_(
                select(ProjectNumber.caller_number_id).where(
                    ProjectNumber.project_id == bindparam("project")
                )
            ),
        ),
    )
    .order_by(CallerNumber.id)
)


def missing_for_import(project: Project) -> list[str]:
    """Return what a list needs first: 'pattern', 'caller_number' (R-PJ-3)."""
    missing = []
    if project.pattern_id is None:
        missing.append("pattern")
    if project.main_number_id is None:
        missing.append("caller_number")
    return missing


def caller_numbers(session: Session, *, retired: bool = False) -> list[CallerNumber]:
    """Return our numbers; with `retired` the 廃止 ones too."""
    query = select(CallerNumber).order_by(CallerNumber.number)
    if not retired:
        query = query.where(CallerNumber.retired_at.is_(None))
    return list(session.scalars(query))


@dataclass(frozen=True, slots=True)
class NumberDetails:
    """What a form says of a caller number."""

    number: str
    label: str = ""
    direction: NumberDirection = NumberDirection.BOTH
    line_cap: int | None = None
    trunk_id: int | None = None


def save_number(
    session: Session,
    *,
    viewer: Viewer,
    number_id: int | None,
    details: NumberDetails,
    now: datetime,
) -> CallerNumber:
    """Create or change a caller number; the digits of an existing one never change."""
    if details.line_cap is not None and details.line_cap < 1:
        raise Refused("line_cap_range", field="line_cap")
    trunk = session.get(Trunk, details.trunk_id) if details.trunk_id else None
    if details.trunk_id and (trunk is None or trunk.retired_at):
        raise Refused("trunk_gone", field="trunk_id")
    if number_id is None:
        number = _new_number(session, details.number)
    else:
        number = caller_number(session, number_id)
    before = audit_changes.state_of(number) if number_id else None
    number.label = details.label.strip()
    number.direction = details.direction
    number.line_cap = details.line_cap
    number.trunk_id = details.trunk_id
    session.add(number)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="number.saved", kind="caller_number", object_id=number.id,
        before=before, after=audit_changes.state_of(number), now=now,
    )  # fmt: skip
    return number


def _new_number(session: Session, given: str) -> CallerNumber:
    read = phones.normalise(given)
    if not isinstance(read, phones.Phone):
        raise Refused("number_unreadable", field="number")
    if session.scalar(select(CallerNumber.id).where(CallerNumber.number == read.number)):
        raise Refused("number_taken", field="number")
    return CallerNumber(number=read.number)


def caller_number(session: Session, number_id: int) -> CallerNumber:
    """Return one number that is not retired. Raises NotFound."""
    number = session.get(CallerNumber, number_id)
    if number is None or number.retired_at:
        raise NotFound(f"caller number {number_id}")
    return number


def retire_number(session: Session, *, viewer: Viewer, number_id: int, now: datetime) -> None:
    """Retire (廃止) a number; refused while a running project has it as メイン (R-PJ-4)."""
    number = caller_number(session, number_id)
    project = session.scalar(
        select(Project).where(
            Project.main_number_id == number_id, Project.state == ProjectState.RUNNING
        )
    )
    if project is not None:
        raise Refused("number_is_main", project=project.name)
    number.retired_at = now
    audit.note(
        session, viewer=viewer, action="number.retired", kind="caller_number",
        object_id=number_id, now=now,
    )  # fmt: skip


def opening_words(project: Project, *, operator: str) -> list[tuple[str, str]]:
    """Return the script's fixed first block (特定商取引法 16条): code of the line and its text."""
    return [
        ("business_name", project.business_name),
        ("caller_person", project.caller_person or operator),
        ("purpose", project.purpose),
    ]


def fill_script(script: str, columns: list[str], cells: list[str]) -> str:
    """Put the customer's cells into `{列名}`; a name that is no column stays as written."""
    values = {name.strip(): cell for name, cell in zip(columns, cells, strict=False)}
    parts = script.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        known = bool(closed) and name.strip() in values
        filled.append(f"{values[name.strip()]}{rest}" if known else "{" + part)
    return "".join(filled)


def statuses_in_use(session: Session) -> list[ResultStatus]:
    """Return every status, retired ones too, for filters over history."""
    return list(session.scalars(select(ResultStatus).order_by(ResultStatus.position)))
