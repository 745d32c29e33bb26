"""Rows for tests: small functions that fill in what a test does not care about.

Each adds and flushes, so ids are there at once; the caller's session commits.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import (
    AttributeItem,
    BuiltIn,
    CallerNumber,
    CallRecord,
    Campaign,
    CampaignList,
    CampaignState,
    Customer,
    CustomerHold,
    CustomerList,
    ExtraNumber,
    Group,
    GroupMember,
    ItemKind,
    ItemTarget,
    Lease,
    LegState,
    ListGrant,
    ListGroupGrant,
    Operator,
    OperatorState,
    Project,
    ProjectItem,
    ProjectNumber,
    RecordKind,
    ResultPattern,
    ResultStatus,
    Role,
    Site,
    SystemResult,
    Task,
    Trunk,
    TrunkKind,
    User,
)
from calltree.services.rights import Viewer
from calltree.services.setup import found

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
"""A Tuesday, 10:00 in Tokyo, inside every default of hours."""

_counter = itertools.count(1)


def make_site(session: Session, **given: Any) -> Site:
    """The site as its first start makes it, with the built-in statuses and the starter pattern."""
    site = found(session, practice=True, now=NOW)
    for name, value in given.items():
        setattr(site, name, value)
    session.flush()
    return site


def make_user(session: Session, role: Role = Role.OPERATOR, **given: Any) -> User:
    """A user who may sign in, though with no usable password."""
    n = next(_counter)
    values: dict[str, Any] = {
        "login_id": f"user{n}",
        "login_key": f"user{n}",
        "name": f"利用者{n}",
        "role": role,
        "password_hash": "!",
        "created_at": NOW,
    }
    user = User(**(values | given))
    session.add(user)
    session.flush()
    return user


def viewer_of(user: User) -> Viewer:
    """The user's rights as they are now."""
    return Viewer.of(user)


def make_operator(session: Session, user: User, **given: Any) -> Operator:
    """The state of someone who is signed in with a parked leg, 閲覧中."""
    values: dict[str, Any] = {
        "user_id": user.id,
        "state": OperatorState.BROWSING,
        "since": NOW,
        "leg_uuid": f"leg-{user.id}",
        "leg_node": "main",
        "leg_state": LegState.PARKED,
        "leg_since": NOW,
    }
    operator = Operator(**(values | given))
    session.add(operator)
    session.flush()
    return operator


def make_switch(session: Session, **note: Any) -> Lease:
    """A switch role that leads and hears its link to the node "main", for ever."""
    lease = session.get(Lease, "switch") or Lease(name="switch", until=NOW)
    lease.holder, lease.epoch = "test", 1
    lease.until = NOW + timedelta(days=36500)
    lease.note = {"nodes": {"main": {"link_up": True}}} | note
    session.add(lease)
    session.flush()
    return lease


def built_in(session: Session, which: BuiltIn) -> ResultStatus:
    """One of the six built-in statuses; the site must be there."""
    return session.scalars(select(ResultStatus).where(ResultStatus.built_in == which)).one()


def make_pattern(session: Session, **given: Any) -> ResultPattern:
    """A result pattern with no statuses of its own."""
    values: dict[str, Any] = {"name": f"パターン{next(_counter)}", "created_at": NOW}
    pattern = ResultPattern(**(values | given))
    session.add(pattern)
    session.flush()
    return pattern


def make_trunk(session: Session, **given: Any) -> Trunk:
    """A trunk that registers, in use, for all numbers."""
    values: dict[str, Any] = {
        "name": f"回線{next(_counter)}",
        "kind": TrunkKind.REGISTERED,
        "proxy": "sip.example.jp",
        "username": "0501112222",
        "password": "s3cret-of-trunk",
        "prefixes": [],
    }
    trunk = Trunk(**(values | given))
    session.add(trunk)
    session.flush()
    return trunk


def get_pattern(session: Session, project: Project) -> ResultPattern:
    """The pattern of a project that has one."""
    return session.get_one(ResultPattern, project.pattern_id)


def make_status(session: Session, pattern: ResultPattern, name: str, **given: Any) -> ResultStatus:
    """An own status of a pattern."""
    values: dict[str, Any] = {"pattern_id": pattern.id, "name": name, "name_key": name.lower()}
    status = ResultStatus(**(values | given))
    session.add(status)
    session.flush()
    return status


def make_caller_number(session: Session, number: str | None = None, **given: Any) -> CallerNumber:
    """A number of ours."""
    n = next(_counter)
    caller = CallerNumber(number=number or f"0350{n:06d}", **({"label": f"番号{n}"} | given))
    session.add(caller)
    session.flush()
    return caller


def add_number(session: Session, project: Project, caller: CallerNumber) -> None:
    """Let the project show a further number."""
    session.add(ProjectNumber(project_id=project.id, caller_number_id=caller.id))
    session.flush()


def make_project(
    session: Session, further_numbers: tuple[CallerNumber, ...] = (), **given: Any
) -> Project:
    """A running B2C project with a pattern and a caller number, calling on weekdays."""
    make_site(session)
    values: dict[str, Any] = {
        "name": f"案件{next(_counter)}",
        "weekdays": [0, 1, 2, 3, 4],
        "prospect_levels": ["A", "B", "C", "なし"],
        "created_at": NOW,
    }
    if "pattern_id" not in given:
        values["pattern_id"] = make_pattern(session).id
    if "main_number_id" not in given:
        values["main_number_id"] = make_caller_number(session).id
    project = Project(**(values | given))
    session.add(project)
    session.flush()
    for caller in further_numbers:
        add_number(session, project, caller)
    return project


def make_item(session: Session, project: Project | None = None, **given: Any) -> AttributeItem:
    """An attribute item, used by the project if one is given."""
    name = given.get("name", f"項目{next(_counter)}")
    values: dict[str, Any] = {
        "name": name,
        "name_key": name,
        "target": ItemTarget.RESULT,
        "kind": ItemKind.TEXT,
    }
    item = AttributeItem(**(values | given))
    session.add(item)
    session.flush()
    if project is not None:
        session.add(ProjectItem(project_id=project.id, item_id=item.id))
        session.flush()
    return item


def make_list(session: Session, project: Project | None = None, **given: Any) -> CustomerList:
    """An enabled, empty list; in a project of its own unless one is given."""
    project = project or make_project(session)
    values: dict[str, Any] = {
        "name": f"リスト{next(_counter)}",
        "project_id": project.id,
        "enabled": True,
        "columns": ["会社名", "担当者"],
        "created_at": NOW,
    }
    folder = CustomerList(**(values | given))
    session.add(folder)
    session.flush()
    return folder


def grant(session: Session, folder: CustomerList, *users: User) -> None:
    """Grant a list to users."""
    session.add_all(ListGrant(list_id=folder.id, user_id=user.id) for user in users)
    session.flush()


def make_group(session: Session, *users: User, lists: tuple[CustomerList, ...] = ()) -> Group:
    """A group with its members and the lists granted to it."""
    group = Group(name=f"グループ{next(_counter)}")
    session.add(group)
    session.flush()
    session.add_all(GroupMember(group_id=group.id, user_id=user.id) for user in users)
    session.add_all(ListGroupGrant(list_id=folder.id, group_id=group.id) for folder in lists)
    session.flush()
    return group


def make_customer(session: Session, folder: CustomerList, **given: Any) -> Customer:
    """A customer at the end of the list, counted in its 登録数."""
    n = next(_counter)
    number = given.get("number", f"0312{n:06d}")
    cells = given.get("cells", [f"会社{n}", f"担当{n}"])
    values: dict[str, Any] = {
        "list_id": folder.id,
        "position": folder.next_position,
        "number_given": number,
        "number": number,
        "cells": cells,
        "folded": "\x1f".join(cells),
        "created_at": NOW,
        "updated_at": NOW,
    }
    customer = Customer(**(values | given))
    session.add(customer)
    folder.next_position += 1
    if customer.deleted_at is None:
        folder.customers += 1
    session.flush()
    return customer


def make_extra_number(
    session: Session, customer: Customer, number: str, **given: Any
) -> ExtraNumber:
    """A further number of a customer."""
    extra = ExtraNumber(customer_id=customer.id, number_given=number, number=number, **given)
    session.add(extra)
    session.flush()
    return extra


def make_hold(session: Session, customer: Customer, user: User, **given: Any) -> CustomerHold:
    """A fresh hold: the user has the customer's page open."""
    values: dict[str, Any] = {
        "customer_id": customer.id,
        "user_id": user.id,
        "page_id": f"page-{user.id}",
        "taken_at": NOW,
        "renewed_at": NOW,
        "touched_at": NOW,
    }
    hold = CustomerHold(**(values | given))
    session.add(hold)
    session.flush()
    return hold


def make_record(session: Session, customer: Customer, **given: Any) -> CallRecord:
    """An outbound record of a customer, 空白 unless a status is given; figures are not touched."""
    folder = session.get_one(CustomerList, customer.list_id)
    values: dict[str, Any] = {
        "kind": RecordKind.OUTBOUND,
        "customer_id": customer.id,
        "list_id": folder.id,
        "project_id": folder.project_id,
        "number": customer.number,
        "cycle": folder.cycle,
        "started_at": NOW,
        "site_day": NOW.date(),
        "system": SystemResult.NONE if given.get("status_id") else SystemResult.BLANK,
        "saved_at": NOW if given.get("status_id") else None,
    }
    record = CallRecord(**(values | given))
    session.add(record)
    session.flush()
    return record


def make_campaign(session: Session, *lists: CustomerList, **given: Any) -> Campaign:
    """A running campaign over these lists, of one project, in this order."""
    n = next(_counter)
    values: dict[str, Any] = {
        "name": f"キャンペーン{n}",
        "project_id": lists[0].project_id if lists else None,
        "state": CampaignState.RUNNING,
        "state_since": NOW,
        "created_at": NOW,
    }
    if not lists and "project_id" not in given:
        given["project_id"] = make_project(session).id
    campaign = Campaign(**(values | given))
    session.add(campaign)
    session.flush()
    session.add_all(
        CampaignList(campaign_id=campaign.id, list_id=folder.id, position=place)
        for place, folder in enumerate(lists)
    )
    session.flush()
    return campaign


def make_task(session: Session, customer: Customer, **given: Any) -> Task:
    """An open task of a customer, フリー and 担当なし."""
    values: dict[str, Any] = {
        "customer_id": customer.id,
        "list_id": customer.list_id,
        "opened_at": NOW,
    }
    task = Task(**(values | given))
    session.add(task)
    session.flush()
    return task
