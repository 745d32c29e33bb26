"""CSVでリスト登録: from an uploaded file to customers in a list, and back (R-LS-3…7).

The short steps of an import: what a press does, one transaction each. The long ones, which the
worker does, are `check` here, `services.import_run` and `services.import_undo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from calltree.db import Announcement, Store, announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    CallRecord,
    Customer,
    CustomerList,
    Import,
    ImportState,
    Project,
    ProjectState,
    Site,
    User,
)
from calltree.services import audit, figures, lists, projects, scope
from calltree.services.import_analysis import analyse
from calltree.services.import_check import Choices, Verdict
from calltree.services.rights import Right, Viewer

PAGE = 50
BELL_S = 15
"""A bell of the sweep that waited for so long is not needed any more: the next has been rung."""
_ENDS = (func.min, func.max)
OPEN = (ImportState.UPLOADED, ImportState.CHECKING, ImportState.CHECKED)
ENDED = (ImportState.DONE, ImportState.CANCELLED, ImportState.FAILED, ImportState.UNDONE)
NAMING = ("sample", "shown")
"""Of `Import.findings`: rows of the file as they stood in it."""
BUSY = (
    ImportState.RUNNING,
    ImportState.PUBLISHED,
    ImportState.UPDATING,
    ImportState.UNDOING,
)


def targets(session: Session, *, viewer: Viewer) -> tuple[list[Project], list[CustomerList]]:
    """Return the projects and lists that a file may go into."""
    here = session.scalars(
        select(Project).where(Project.state == ProjectState.RUNNING).order_by(Project.name)
    )
    folders = session.scalars(
        select(CustomerList).where(scope.lists_seen(viewer)).order_by(CustomerList.id.desc())
    )
    return list(here), list(folders)


def receive(
    session: Session,
    *,
    viewer: Viewer,
    project_id: int | None,
    list_id: int | None,
    new_list_name: str,
    filename: str,
    stored_name: str,
    size_bytes: int,
    now: datetime,
) -> Import:
    """Take a stored file in and have it checked; `list_id` None makes a new list of it.

    Raises NotAllowed, NotFound; Refused 'import_no_pattern', 'import_no_caller_number' (R-PJ-3),
    'list_name_missing', 'list_name_taken'.
    """
    if not viewer.may(Right.IMPORT):
        raise NotAllowed(Right.IMPORT)
    if list_id is not None:
        folder = scope.get_list(session, viewer=viewer, list_id=list_id)
        project_id, new_list_name = folder.project_id, ""
    project = session.get(Project, project_id) if project_id else None
    if project is None:
        raise NotFound
    missing = projects.missing_for_import(project)
    if missing:
        raise Refused(f"import_no_{missing[0]}", field="project_id", project=project.name)
    if list_id is None:
        new_list_name = lists.free_name(session, project_id=project.id, name=new_list_name)
    given = Import(
        state=ImportState.CHECKING,
        project_id=project.id,
        list_id=list_id,
        new_list_name=new_list_name,
        user_id=viewer.user_id,
        filename=filename[-256:],
        stored_name=stored_name,
        size_bytes=size_bytes,
        choices=Choices().stored(),
        created_at=now,
    )
    session.add(given)
    session.flush()
    audit.note(
        session, viewer=viewer, action="import.uploaded", kind="import", object_id=given.id, now=now
    )
    _ring(session, given.id, "check", lane="soon")
    return given


def _ring(session: Session, import_id: int, what: str, *, lane: str = "bulk") -> None:
    announce(session, "job", lane=lane, func=f"calltree.jobs.imports.{what}", args=[import_id])
    announce(session, "imports", import_id=import_id)


def get(session: Session, *, viewer: Viewer, import_id: int, lock: bool = False) -> Import:
    """Return an import. Raises NotAllowed, NotFound."""
    if not viewer.may(Right.IMPORT):
        raise NotAllowed(Right.IMPORT)
    query = select(Import).where(Import.id == import_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound
    return found


def page(session: Session, *, before_id: int | None = None) -> list[Import]:
    """Return up to 50 imports, newest first."""
    query = select(Import).order_by(Import.id.desc()).limit(PAGE)
    if before_id is not None:
        query = query.where(Import.id < before_id)
    return list(session.scalars(query))


def names(session: Session, rows: Sequence[Import]) -> dict[str, dict[int, str]]:
    """Name the projects, lists and users of imports, by their ids."""
    wanted: list[tuple[str, Any, set[int | None]]] = [
        ("projects", Project, {row.project_id for row in rows}),
        ("lists", CustomerList, {row.list_id for row in rows} - {None}),
        ("users", User, {row.user_id for row in rows}),
    ]
    return {
        kind: dict(iter(session.execute(select(table.id, table.name).where(table.id.in_(ids)))))
        for kind, table, ids in wanted
    }


def choose(session: Session, *, viewer: Viewer, import_id: int, choices: Choices) -> Import:
    """Keep what the manager decided and have the file checked again.

    Raises Refused 'import_started' once it runs.
    """
    found = get(session, viewer=viewer, import_id=import_id, lock=True)
    if found.state not in OPEN:
        raise Refused("import_started")
    if found.choices == choices.stored() and found.state is ImportState.CHECKED:
        return found
    found.choices = choices.stored()
    found.state = ImportState.CHECKING
    _ring(session, found.id, "check", lane="soon")
    return found


def check(store: Store, *, uploads_dir: Path, import_id: int, now: datetime) -> None:
    """Look at the whole file and keep the findings; a choice made meanwhile wins over them."""
    with store.read() as session:
        given = session.get(Import, import_id)
    if given is None or given.state is not ImportState.CHECKING:
        return
    try:
        _keep_findings(store, uploads_dir, given, now)
    except Exception:  # raised again; the manager is told, and no sweep tries it for ever
        with store.write() as session:
            found = session.get_one(Import, import_id, with_for_update=True)
            if found.state is ImportState.CHECKING:
                found.state, found.failure, found.ended_at = ImportState.FAILED, "unexpected", now
            announce(session, "imports", import_id=import_id)
        raise


def _keep_findings(store: Store, uploads_dir: Path, given: Import, now: datetime) -> None:
    import_id = given.id
    try:
        found_out = analyse(store, path=uploads_dir / given.stored_name, given=given, now=now)
        findings, choices = found_out.findings(), found_out.choices.stored()
    except FileNotFoundError:
        choices = given.choices
        findings = {"verdict": Verdict.REFUSED.value, "problems": [], "gone": True}
    with store.write() as session:
        found = session.scalars(
            select(Import).where(Import.id == import_id).with_for_update()
        ).one()
        if found.state is ImportState.CHECKING and found.choices == given.choices:
            found.state = ImportState.CHECKED
            found.findings, found.choices = findings, choices
            found.rows_total = findings.get("row_count", 0)
        announce(session, "imports", import_id=import_id)


def start(session: Session, *, viewer: Viewer, import_id: int, now: datetime) -> Import:
    """Let the worker take the rows in. A second press changes nothing.

    Raises Refused 'import_not_ready', 'import_nothing', 'import_list_busy', 'list_unavailable'.
    """
    found = get(session, viewer=viewer, import_id=import_id, lock=True)
    if found.state in BUSY or found.state is ImportState.DONE:
        return found
    findings = found.findings
    if found.state is not ImportState.CHECKED or findings.get("verdict") not in (
        Verdict.ROWS_WRONG,
        Verdict.FINE,
    ):
        raise Refused("import_not_ready")
    counts = findings["counts"]
    if not counts["new"] + counts["updated"]:
        raise Refused("import_nothing")
    if found.new_list_name and found.list_id is None:
        _make_hidden_list(session, viewer, found, now)
    _check_list_free(session, found)
    found.state = ImportState.RUNNING
    found.started_at = now
    found.heartbeat_at = None
    found.rows_done = 0
    found.cancel_requested = False
    audit.note(
        session, viewer=viewer, action="import.started", kind="import", object_id=found.id, now=now
    )
    _ring(session, found.id, "run")
    return found


def _make_hidden_list(session: Session, viewer: Viewer, given: Import, now: datetime) -> None:
    """Make the list that the rows go into; nobody sees it before they are all there."""
    folder = lists.create(
        session,
        viewer=viewer,
        project_id=given.project_id,
        name=given.new_list_name,
        columns=given.findings["layout"]["columns"],
        now=now,
    )
    folder.deleted_at = now
    given.list_id = folder.id


def _check_list_free(session: Session, given: Import) -> None:
    # One at a time into a list: two would add columns in each other's places.
    folder = session.scalars(
        select(CustomerList).where(CustomerList.id == given.list_id).with_for_update()
    ).one()
    if folder.deleted_at is not None and not given.new_list_name:
        raise Refused("list_unavailable")
    if at_work_in(session, list_ids=[folder.id], besides=given.id):
        raise Refused("import_list_busy", list=folder.name)


def at_work_in(session: Session, *, list_ids: Sequence[int], besides: int = 0) -> bool:
    """Whether an import is writing into one of these lists, or being taken back from it."""
    busy = select(Import.id).where(
        Import.list_id.in_(list_ids), Import.id != besides, Import.state.in_(BUSY)
    )
    return session.scalar(busy.limit(1)) is not None


def cancel(session: Session, *, viewer: Viewer, import_id: int, now: datetime) -> Import:
    """Ask a run to stop, or drop a file that was never run. Published rows stay: see `undo`."""
    found = get(session, viewer=viewer, import_id=import_id, lock=True)
    if found.state in OPEN:
        found.state = ImportState.CANCELLED
        found.ended_at = now
    elif found.state is ImportState.RUNNING:
        found.cancel_requested = True
        if found.heartbeat_at is None:  # no worker has it yet
            found.state = ImportState.CANCELLED
            found.ended_at = now
            _ring(session, found.id, "sweep_one")
    announce(session, "imports", import_id=found.id)
    return found


def may_undo(session: Session, *, given: Import) -> bool:
    """Whether none of its customers was dialled or written about yet."""
    if given.state is not ImportState.DONE:
        return False
    mine = Customer.import_id == given.id
    first, last = (session.scalar(select(end(Customer.id)).where(mine)) for end in _ENDS)
    if first is None:
        return True
    # Customers of one file lie together: the ledger is asked for that stretch of it, in which
    # nothing stands but what concerns them and those whom somebody else added meanwhile.
    touched = or_(
        select(CallRecord.id)
        .join(Customer, Customer.id == CallRecord.customer_id)
        .where(CallRecord.customer_id.between(first, last), mine)
        .exists(),
        select(Attempt.id)
        .join(Customer, Customer.id == Attempt.customer_id)
        .where(Attempt.customer_id.between(first, last), mine, Attempt.verdict == "allowed")
        .exists(),
    )
    return not session.scalar(select(touched))


def forget_file(session: Session, *, viewer: Viewer, import_id: int, now: datetime) -> str:
    """Forget an ended import's file, and with it the rows that it shows (R-LS-11).

    Counts and columns stay, and so does all that was taken in. Returns the file's name under the
    uploads directory for its removal, "" when it was forgotten before.

    Raises NotAllowed, NotFound; Refused 'import_not_ended'.
    """
    if not viewer.may(Right.BULK_WORK):
        raise NotAllowed(Right.BULK_WORK)
    found = get(session, viewer=viewer, import_id=import_id, lock=True)
    if found.state not in ENDED:
        raise Refused("import_not_ended")
    name, found.stored_name = found.stored_name, ""
    found.findings = {key: kept for key, kept in found.findings.items() if key not in NAMING}
    if name:
        audit.note(
            session, viewer=viewer, action="import.file_removed", kind="import",
            object_id=found.id, now=now,
        )  # fmt: skip
    return name


def undo(session: Session, *, viewer: Viewer, import_id: int, now: datetime) -> Import:
    """Take a whole import back (R-LS-7): its customers are gone at once, the rest follows.

    Raises NotAllowed; Refused 'import_dialled', 'import_list_busy'.
    """
    if not viewer.may(Right.BULK_WORK):
        raise NotAllowed(Right.BULK_WORK)
    counted = _counted(session, import_id)  # first: while the lock is held nobody can dial
    # The gate takes the same lock: a dial is either seen here or meets no customer any more.
    session.execute(select(Site.id).where(Site.id == 1).with_for_update())
    found = get(session, viewer=viewer, import_id=import_id, lock=True)
    if found.state in (ImportState.UNDOING, ImportState.UNDONE):
        return found
    if counted is None or not may_undo(session, given=found):
        raise Refused("import_dialled")
    _check_list_free(session, found)
    _stop_counting(session, found, counted, now)
    found.state = ImportState.UNDOING
    found.heartbeat_at = None
    audit.note(
        session, viewer=viewer, action="import.undone", kind="import", object_id=found.id, now=now
    )
    _ring(session, found.id, "undo")
    return found


def _counted(session: Session, import_id: int) -> dict[int, int] | None:
    """How many customers each list shows of an import; None while it is not done."""
    if session.scalar(select(Import.state).where(Import.id == import_id)) is not ImportState.DONE:
        return None
    rows = session.execute(
        select(Customer.list_id, func.count())
        .where(Customer.import_id == import_id, Customer.deleted_at.is_(None))
        .group_by(Customer.list_id)
    )
    return dict(iter(rows))


def _stop_counting(session: Session, given: Import, counted: dict[int, int], now: datetime) -> None:
    for list_id, count in counted.items():
        figures.add_customers(session, list_id=list_id, count=-count)
    if given.new_list_name and given.list_id is not None:
        session.execute(
            update(CustomerList)
            .where(CustomerList.id == given.list_id, CustomerList.customers == 0)
            .values(deleted_at=now, enabled=False)
        )
    announce(session, "lists", list_id=given.list_id)


def unfinished(session: Session) -> list[Import]:
    """Return what waits for a worker, or was left by one: to be checked, run, undone or swept."""
    rows = select(Customer.id).where(Customer.import_id == Import.id).exists()
    made_list = and_(Import.new_list_name != "", Import.list_id.is_not(None))
    swept = Import.state.in_((ImportState.CANCELLED, ImportState.FAILED))
    at_work = Import.state.in_((*BUSY, ImportState.CHECKING))
    query = select(Import).where(or_(at_work, and_(swept, or_(rows, made_list))))
    return list(session.scalars(query.order_by(Import.id)))


def bell(given: Import) -> Announcement:
    """Give the bell of the job that takes an unfinished import further.

    It is one of many: the sweep rings it again as long as the import waits. A lane does one job
    after the other, so that it meets none at work; a lane that is busy lets it pass.
    """
    what = {
        ImportState.CHECKING: "check",
        ImportState.UNDOING: "undo",
        ImportState.CANCELLED: "sweep_one",
        ImportState.FAILED: "sweep_one",
    }.get(given.state, "run")
    lane = "soon" if given.state is ImportState.CHECKING else "bulk"
    func = f"calltree.jobs.imports.{what}"
    return Announcement("job", {"lane": lane, "func": func, "args": [given.id], "ttl": BELL_S})
