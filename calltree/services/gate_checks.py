"""What the gate looks at, one check a function, in the order in which it answers (design §3).

Verdicts, first match wins: what can never be mended first, then what a manager could mend, then
what passes by itself, and the questions last, so that a yes to a question leads to a dial.

1. `number_not_allowed`    R-CL-16, `reason` is a DialVerdict
2. `customer_gone`         deleted, or its import was undone
3. `list_unavailable`      not granted or not enabled any more; `project_stopped` (R-PJ-2)
4. `number_banned`         R-CL-9, R-DN-1
5. `customer_held`         by `name` (R-CL-2)
6. `no_caller_number`, `caller_number_foreign`   R-PJ-4
7. `outside_site_hours`, `outside_hours` (automatic modes)   R-PJ-5, with `opens`, `closes`
8. `in_a_call`, `no_leg`   the operator is taken, or could not hear anybody
9. `switch_down`           no leader, or its link to this node is down
9a. `trunk_down`          every trunk for this number is left alone, for `seconds` yet
10. `number_in_call`       somebody is in a call with this number
11. `no_lines`, `no_lines_number`, `no_lines_predictive`   R-CL-8, with `lines`
12. `abandoned_lately`, `needs_operator`, `preview_only`   automatic modes after 放棄 (R-DL-4)
12a. `too_soon`            automatic modes within the minimum gap (R-CL-15)
13. `ask_hours`, `ask_gap` a press may go on with `confirmed`; `asks` lists every open question
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.models import (
    CallerNumber,
    Customer,
    CustomerHold,
    CustomerList,
    LegState,
    Line,
    Operator,
    Origin,
    Project,
    ProjectState,
    Site,
)
from calltree.services import (
    hours,
    hurry,
    leases,
    operators,
    redialling,
    trunk_health,
    trunks,
)
from calltree.services.gate_facts import Facts, LastDial
from calltree.services.rights import Viewer
from calltree.text.days import site_day
from calltree.text.hours import HoursVerdict, hours_verdict
from calltree.text.phones import DialVerdict, may_dial

ALLOWED = "allowed"
AUTOMATIC = (Origin.PROGRESSIVE, Origin.PREDICTIVE)
"""Modes that dial without a press: no question can be asked, so they are refused instead."""
WITHOUT_LIST = (Origin.MANUAL, Origin.TEST)


_LINES = select(Line.kind, func.count()).where(Line.released_at.is_(None)).group_by(Line.kind)


@dataclass(frozen=True, slots=True)
class DialRequest:
    """What somebody, or the pacer, wants to dial."""

    origin: Origin
    number: str
    """Normal form. With a customer: its main number or one of its extra numbers."""
    user_id: int | None = None
    """The operator to be joined; None only for プレディコール."""
    customer_id: int | None = None
    project_id: int | None = None
    """Without a customer: whose caller number is used; None: the first that has it."""
    caller_number_id: int | None = None
    """The operator's choice on the call screen; None: the customer's last, else メイン."""
    press_id: str | None = None
    """One per press. A confirmed press is another press: it carries an id of its own."""
    confirmed: bool = False
    """The operator said yes to the questions of the verdict before."""
    node: str = ""
    """Where to dial when there is no operator's leg to say so."""
    campaign_id: int | None = None
    """The campaign that dials it; its rules of redialling hold."""
    reserved_user_id: int | None = None
    """The operator to be kept free for this customer, in the same transaction (R-DL-4)."""
    least_ring_s: int = 0
    """The campaign's 最短呼出時間; it rings no shorter, whatever the project says."""
    epoch: int = 0
    """The leader's, for what the `switch` role dials; 0 for presses."""


class Verdict(NamedTuple):
    """The gate's answer, without a row."""

    code: str
    detail: dict[str, Any]

    @property
    def allowed(self) -> bool:
        """Whether it may be dialled."""
        return self.code == ALLOWED

    @property
    def asks(self) -> bool:
        """Whether a confirmed press would go on."""
        return self.code.startswith("ask_")


class LinesInUse(NamedTuple):
    """Open outside legs by kind, and what may still be taken."""

    total: int
    inbound: int
    predictive: int
    limit: int
    reserved_inbound: int

    @property
    def free_outbound(self) -> int:
        """Lines that a dial could take now; never below zero."""
        kept = max(0, self.reserved_inbound - self.inbound)
        return max(0, self.limit - self.total - kept)

    @property
    def free_inbound(self) -> int:
        """Lines that a caller could take now."""
        return max(0, self.limit - self.total)


@dataclass(slots=True)
class Case:
    """Everything one decision looks at."""

    request: DialRequest
    site: Site
    viewer: Viewer | None = None
    operator: Operator | None = None
    customer: Customer | None = None
    folder: CustomerList | None = None
    project: Project | None = None
    caller: CallerNumber | None = None
    facts: Facts = field(init=False)
    """How things stand in the database; gathered when the rest is known."""
    asked: list[Verdict] = field(default_factory=list)

    @property
    def automatic(self) -> bool:
        return self.request.origin in AUTOMATIC


def _number_allowed(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    verdict = may_dial(case.request.number, case.site.extra_prefixes)
    if verdict is DialVerdict.ALLOWED:
        return None
    return Verdict("number_not_allowed", {"reason": verdict.value})


def _customer_present(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.customer is None or case.facts.customer_present:
        return None
    return Verdict("customer_gone", {})


def _list_available(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.folder is None:
        return None
    if not case.facts.list_available:
        return Verdict("list_unavailable", {"list": case.folder.name})
    if case.project is not None and case.project.state is not ProjectState.RUNNING:
        return Verdict("project_stopped", {"project": case.project.name})
    return None


def _not_banned(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.facts.ban is None:
        return None
    entry_id, since = case.facts.ban
    return Verdict("number_banned", {"entry_id": entry_id, "since": since.isoformat()})


def _customer_free(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.facts.holder is None or case.facts.holder[0] == case.request.user_id:
        return None
    return Verdict("customer_held", {"name": case.facts.holder[1]})


def _caller_number(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.caller is not None:
        return None
    chosen = case.request.caller_number_id is not None
    return Verdict("caller_number_foreign" if chosen else "no_caller_number", {})


def _inside_hours(_session: Session, case: Case, now: datetime) -> Verdict | None:
    if case.project is None:
        return None
    closed = (site_day(now),) if case.facts.closed_today else ()
    rules = hours.rules(case.site, case.project, closed_days=closed)
    verdict = hours_verdict(rules, now)
    if verdict is HoursVerdict.OPEN:
        return None
    if verdict is HoursVerdict.REFUSE:
        return Verdict("outside_site_hours", _shown(case.site.b2c_opens, case.site.b2c_closes))
    shown = _shown(case.project.opens, case.project.closes)
    if case.automatic:
        return Verdict("outside_hours", shown)
    case.asked.append(Verdict("ask_hours", shown))
    return None


def _operator_free(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    if case.request.user_id is None:
        return None
    if case.operator is None:
        return Verdict("no_leg", {})
    if case.operator.attempt_id is not None or case.facts.user_in_call:
        return Verdict("in_a_call", {})
    if case.operator.leg_state is not LegState.PARKED:
        return Verdict("no_leg", {})
    # 着信中 without a lock: a call is just being handed over.
    dialling = operators.next_state(case.operator.state, operators.Move.DIAL)
    return Verdict("in_a_call", {}) if dialling is None else None


def node_of(case: Case) -> str:
    return case.operator.leg_node if case.operator else case.request.node


def _switch_alive(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    # By the database's clock, not `_now`: it is the one that the leader is judged by.
    alive = leases.hears(case.facts.leader_note, node_of(case))
    return None if alive else Verdict("switch_down", {})


def _trunk_works(session: Session, case: Case, now: datetime) -> Verdict | None:
    shut = trunk_health.shut(session, now=now) if case.facts.trunks_ailing else {}
    if not shut:
        return None
    number, bound = case.request.number, case.caller.trunk_id if case.caller else None
    ways = [trunks.DEFAULT_GATEWAY]
    if not case.site.practice:
        ways = trunks.gateways(session, number=number, trunk_id=bound)
    if not ways or not shut.keys() >= {*ways}:
        return None
    until = min((shut[way] or now for way in ways), default=now)
    return Verdict("trunk_down", {"seconds": max(1, int((until - now).total_seconds()) + 1)})


def _number_free(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    name = case.facts.in_call_with
    return None if name is None else Verdict("number_in_call", {"name": name})


def _line_free(_session: Session, case: Case, _now: datetime) -> Verdict | None:
    facts = case.facts
    lines = _lines(case.site, facts.lines, facts.lines_inbound, facts.lines_predictive)
    if not lines.free_outbound:
        return Verdict("no_lines", {"lines": lines.limit})
    cap = case.caller.line_cap if case.caller else None
    if case.caller is not None and cap is not None and facts.lines_of_caller >= cap:
        return Verdict("no_lines_number", {"lines": cap, "label": case.caller.label})
    ceiling = case.site.lines_max_predictive
    predictive = case.request.origin is Origin.PREDICTIVE
    if predictive and ceiling is not None and lines.predictive >= ceiling:
        return Verdict("no_lines_predictive", {"lines": ceiling})
    return None


def _abandons_kept(session: Session, case: Case, now: datetime) -> Verdict | None:
    if not case.automatic:
        return None  # an operator may press CALL
    if case.customer is not None and case.customer.preview_only:
        return Verdict("preview_only", {})
    count, last = redialling.abandons_of(session, number=case.request.number)
    if last is None:
        return None
    if hurry.passed(session, last, now) < redialling.ABANDONED_GAP:
        until = hurry.later(session, last, redialling.ABANDONED_GAP)
        return Verdict("abandoned_lately", {"until": until.isoformat()})
    if count >= redialling.MOST_ABANDONS:
        return Verdict("preview_only", {})
    kept_free = case.request.reserved_user_id or case.request.user_id
    return None if kept_free else Verdict("needs_operator", {})


def _gap_kept(session: Session, case: Case, now: datetime) -> Verdict | None:
    last = case.facts.last
    if last is None:
        return None
    passed = hurry.passed(session, last.at, now)
    if passed >= timedelta(minutes=case.site.min_gap_min):
        return None
    minutes = max(0, int(passed.total_seconds() // 60))
    if case.automatic:
        gap = redialling.minimum_gap(
            session,
            site=case.site,
            campaign_id=case.request.campaign_id,
            number=case.request.number,
        )
        if passed >= gap:
            return None
        return Verdict("too_soon", {"minutes": minutes, "gap": gap // timedelta(minutes=1)})
    if not _same_open_customer(session, case, last):
        case.asked.append(Verdict("ask_gap", {"minutes": minutes, "name": last.name}))
    return None


def _same_open_customer(session: Session, case: Case, last: LastDial) -> bool:
    """Whether the last dial was this operator's, on the customer still open since then."""
    if case.customer is None:
        return False
    if (last.user_id, last.customer_id) != (case.request.user_id, case.customer.id):
        return False
    hold = session.get(CustomerHold, case.customer.id, populate_existing=True)
    mine = hold is not None and hold.user_id == case.request.user_id
    return mine and hold is not None and hold.taken_at <= last.at


_Check = Callable[[Session, Case, datetime], Verdict | None]
CHECKS: tuple[_Check, ...] = (
    _number_allowed,
    _customer_present,
    _list_available,
    _not_banned,
    _customer_free,
    _caller_number,
    _inside_hours,
    _operator_free,
    _switch_alive,
    _trunk_works,
    _number_free,
    _line_free,
    _abandons_kept,
    _gap_kept,
)
"""In the order of precedence that the head of this file gives."""


def count_lines(session: Session, site: Site) -> LinesInUse:
    rows = session.connection().execute(_LINES).all()
    by_kind = {kind: int(count) for kind, count in rows}
    inbound, predictive = by_kind.get("inbound", 0), by_kind.get("predictive", 0)
    return _lines(site, sum(by_kind.values()), inbound, predictive)


def _lines(site: Site, total: int, inbound: int, predictive: int) -> LinesInUse:
    return LinesInUse(
        total=total,
        inbound=inbound,
        predictive=predictive,
        limit=site.lines,
        reserved_inbound=site.lines_reserved_inbound,
    )


def _shown(opens: Any, closes: Any) -> dict[str, str]:
    return {"opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}
