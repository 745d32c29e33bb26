"""電話回線: trunks as managers set them up, and which of them a call takes."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.errors import NotFound, Refused
from calltree.models import (
    Attempt,
    CallerIdForm,
    CallerNumber,
    CommandKind,
    NumberForm,
    SwitchCommand,
    Transport,
    Trunk,
    TrunkKind,
)
from calltree.services import audit, audit_changes, switch_commands
from calltree.services.rights import Viewer

DEFAULT_GATEWAY = "carrier"
"""What a site without trunks dials by: the practice switch's carrier and the test carrier."""

NO_TRUNK = "NO_TRUNK"
TRUNK_FULL = "TRUNK_FULL"
TRUNK_DOWN = "TRUNK_DOWN"

# Whatever is allowed here stands in a configuration file and in SIP headers.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\])"
_PROXY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_REALM = re.compile(_HOST)
_USER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~+-]{0,62}[A-Za-z0-9])?")
_PASSWORD = re.compile(r"[\x21-\x7e]{1,128}")
_PREFIX = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class TrunkDetails:
    """What a form says of a trunk. An empty password keeps the one that is there."""

    name: str
    proxy: str
    kind: TrunkKind = TrunkKind.REGISTERED
    realm: str = ""
    transport: Transport = Transport.UDP
    username: str = ""
    password: str = ""
    lines: int | None = None
    prefixes: tuple[str, ...] = ()
    number_form: NumberForm = NumberForm.NATIONAL
    caller_id_form: CallerIdForm = CallerIdForm.FROM
    position: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """How one call leaves: the gateway's name and how it wants numbers."""

    trunk_id: int | None
    gateway: str
    number_form: NumberForm = NumberForm.NATIONAL
    caller_id_form: CallerIdForm = CallerIdForm.FROM


DEFAULT_ROUTE = Route(None, DEFAULT_GATEWAY)


def all_trunks(session: Session, *, retired: bool = False) -> list[Trunk]:
    """Return the trunks in the order in which they are tried; with `retired` the 廃止 ones too."""
    query = select(Trunk).order_by(Trunk.position, Trunk.id)
    return list(session.scalars(query if retired else query.where(Trunk.retired_at.is_(None))))


def get(session: Session, trunk_id: int) -> Trunk:
    """Return a trunk that is not retired. Raises NotFound."""
    trunk = session.get(Trunk, trunk_id)
    if trunk is None or trunk.retired_at:
        raise NotFound(f"trunk {trunk_id}")
    return trunk


def route(
    session: Session, *, number: str, trunk_id: int | None, without: Container[str] = ()
) -> Route | str:
    """Choose how a call leaves; inside the transaction that dials it.

    `trunk_id` is the caller number's own trunk, which alone may be taken then. Otherwise it is the
    first enabled one whose prefixes fit and that has a line free. `without`: gateways that must not
    be taken. Returns NO_TRUNK, TRUNK_DOWN (only such as are in `without`) or TRUNK_FULL when there
    is none. A site without trunks has one gateway, `carrier`.
    """
    rows = session.execute(_TRUNKS).all()
    if not rows:
        return TRUNK_DOWN if DEFAULT_GATEWAY in without else DEFAULT_ROUTE
    fits = [row for row in rows if trunk_id in (None, row.id) and _fits(row, number)]
    fitting = [row for row in fits if f"trunk{row.id}" not in without]
    if not fitting:
        return TRUNK_DOWN if fits else NO_TRUNK
    used = _in_use(session, [row.id for row in fitting if row.lines is not None])
    for row in fitting:
        if row.lines is None or used.get(row.id, 0) < row.lines:
            return Route(row.id, f"trunk{row.id}", row.number_form, row.caller_id_form)
    return TRUNK_FULL


def gateways(session: Session, *, number: str, trunk_id: int | None) -> list[str]:
    """Return the gateways that calls to this number may leave by, busy or not."""
    rows = session.execute(_TRUNKS).all()
    if not rows:
        return [DEFAULT_GATEWAY]
    return [f"trunk{row.id}" for row in rows if trunk_id in (None, row.id) and _fits(row, number)]


def _fits(row: Any, number: str) -> bool:
    return bool(row.enabled and (not row.prefixes or number.startswith(tuple(row.prefixes))))


# Built once: every dial asks it.
_TRUNKS = (
    select(
        Trunk.id,
        Trunk.prefixes,
        Trunk.lines,
        Trunk.enabled,
        Trunk.number_form,
        Trunk.caller_id_form,
    )
    .where(Trunk.retired_at.is_(None))
    .order_by(Trunk.position, Trunk.id)
)


def _in_use(session: Session, trunk_ids: list[int]) -> dict[int, int]:
    """Count the live calls of trunks, which stay locked: two dials must not take one last line."""
    if not trunk_ids:
        return {}
    session.execute(select(Trunk.id).where(Trunk.id.in_(trunk_ids)).with_for_update())
    rows = session.execute(
        select(Attempt.trunk_id, func.count())
        .where(Attempt.ended_at.is_(None), Attempt.trunk_id.in_(trunk_ids))
        .group_by(Attempt.trunk_id)
    )
    return {trunk_id: count for trunk_id, count in rows if trunk_id is not None}


def save(
    session: Session,
    *,
    viewer: Viewer,
    trunk_id: int | None,
    details: TrunkDetails,
    now: datetime,
) -> Trunk:
    """Create or change a trunk. `load` then brings it to the switch.

    Raises Refused with the field that is wrong: 'name_missing', 'name_control',
    'trunk_name_taken', 'trunk_proxy', 'trunk_realm', 'trunk_user', 'trunk_password',
    'trunk_lines', 'trunk_prefix'.
    """
    trunk = get(session, trunk_id) if trunk_id else Trunk()
    _check(session, trunk, details)
    before = audit_changes.state_of(trunk) if trunk_id else None
    for column in TrunkDetails.__slots__:
        if column != "password":
            value = getattr(details, column)
            setattr(trunk, column, list(value) if isinstance(value, tuple) else value)
    trunk.name = details.name.strip()
    if details.password:
        trunk.password = details.password
    session.add(trunk)
    session.flush()
    audit_changes.note(
        session, viewer=viewer, action="trunk.saved", kind="trunk", object_id=trunk.id,
        before=before, after=audit_changes.state_of(trunk), now=now, name=trunk.name,
    )  # fmt: skip
    return trunk


def _check(session: Session, trunk: Trunk, details: TrunkDetails) -> None:
    name = details.name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    if not name.isprintable() or len(name) > 64:
        raise Refused("trunk_name", field="name")
    twin = session.scalar(select(Trunk.id).where(Trunk.name == name, Trunk.retired_at.is_(None)))
    if twin is not None and twin != trunk.id:
        raise Refused("trunk_name_taken", field="name")
    if not _PROXY.fullmatch(details.proxy) or not _port_fits(details.proxy):
        raise Refused("trunk_proxy", field="proxy")
    if details.realm and not _REALM.fullmatch(details.realm):
        raise Refused("trunk_realm", field="realm")
    registered = details.kind is TrunkKind.REGISTERED
    if not _USER.fullmatch(details.username) and (registered or details.username):
        raise Refused("trunk_user", field="username")
    if details.password and not _PASSWORD.fullmatch(details.password):
        raise Refused("trunk_password", field="password")
    if registered and not (details.password or trunk.password):
        raise Refused("trunk_password_missing", field="password")
    if details.lines is not None and details.lines < 1:
        raise Refused("line_cap_range", field="lines")
    for prefix in details.prefixes:
        if not _PREFIX.fullmatch(prefix):
            raise Refused("trunk_prefix", field="prefixes", prefix=prefix)


def _port_fits(proxy: str) -> bool:
    _host, _colon, port = proxy.rpartition(":")
    return not port.isdigit() or not _host or 0 < int(port) < 65536


def retire(session: Session, *, viewer: Viewer, trunk_id: int, now: datetime) -> None:
    """Retire (廃止) a trunk; refused while a caller number is bound to it."""
    trunk = get(session, trunk_id)
    number = session.scalar(
        select(CallerNumber.number).where(
            CallerNumber.trunk_id == trunk_id, CallerNumber.retired_at.is_(None)
        )
    )
    if number is not None:
        raise Refused("trunk_in_use")
    trunk.retired_at, trunk.password = now, ""
    audit.note(
        session, viewer=viewer, action="trunk.retired", kind="trunk", object_id=trunk_id, now=now,
        name=trunk.name,
    )  # fmt: skip


def load(
    session: Session, *, viewer: Viewer, nodes: Iterable[str], now: datetime
) -> list[SwitchCommand]:
    """Ask every switch to take the trunks as they are now; calls go on meanwhile."""
    return [
        switch_commands.ask(
            session, kind=CommandKind.LOAD_TRUNKS, node=node, user_id=viewer.user_id, now=now
        )
        for node in nodes
    ]


def last_loads(session: Session, *, nodes: Iterable[str]) -> list[SwitchCommand]:
    """Return each switch's latest order to take the trunks."""
    return switch_commands.latest(session, kind=CommandKind.LOAD_TRUNKS, nodes=nodes)
