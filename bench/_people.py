"""Who works in a generated year, for whom, and with which lists (see `bench._year`)."""

import random
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from bench.search import COLUMNS
from calltree.db import Store
from calltree.models import (
    AttributeItem,
    CallerNumber,
    CustomerList,
    Group,
    GroupMember,
    ItemKind,
    ItemTarget,
    ListGroupGrant,
    Project,
    ProjectItem,
    ProjectRecipient,
    ResultPattern,
    ResultStatus,
    Role,
    SavedSearch,
    User,
)
from calltree.services.setup import found

OPERATORS = 15
PROJECTS = 4
LISTS = 40
GROUPS = 2
WAVEFORMS = 50


@dataclass
class People:
    """Ids of what stands before the first call; places are indexes of `lists`."""

    manager: int
    operators: list[int]
    names: dict[int, str]
    lists: list[tuple[int, int]]
    """(list, its project)"""
    lists_of_group: list[list[int]]
    """Places of the lists granted to each group; operator n is of group n % GROUPS."""
    projects: list[int]
    caller: int
    group: int
    item: int
    pattern: int
    status: int
    search: int
    waveforms: list[bytes]
    filled: list[int] = field(default_factory=lambda: [0] * LISTS)
    """How many customers each list has had."""


def settle_in(store: Store, draw: random.Random, now: datetime) -> People:
    """Make 20 users of every role, 4 projects with a target each, 40 empty lists granted to two
    groups, one of everything else that a page shows."""
    with store.write() as session:
        site = found(session, practice=True, now=now)
        site.recordings_capacity_gb = 5_000  # nothing of the year has been removed for room
        session.flush()
        pattern = session.scalars(select(ResultPattern).order_by(ResultPattern.id)).first()
        assert pattern is not None
        own = select(ResultStatus.id).where(ResultStatus.pattern_id == pattern.id)
        roles = [Role.MANAGER, Role.SUPERVISOR, Role.SUPERVISOR, Role.BUSINESS, Role.BACKYARD]
        users = [
            User(
                login_id=f"year{n}", login_key=f"year{n}", name=f"計測 {n:02}", role=role,
                password_hash="!", created_at=now,
            )
            for n, role in enumerate(roles + [Role.OPERATOR] * OPERATORS)
        ]  # fmt: skip
        caller = CallerNumber(number="0312345678", label="代表")
        item = AttributeItem(
            name="興味", name_key="興味", target=ItemTarget.RESULT, kind=ItemKind.TEXT
        )
        groups = [Group(name=f"第{n + 1}班") for n in range(GROUPS)]
        session.add_all([*users, caller, item, *groups])
        session.flush()
        operators = [user.id for user in users if user.role is Role.OPERATOR]
        status = session.scalars(own.order_by(ResultStatus.id)).first()
        assert status is not None
        projects = [
            Project(
                name=f"計測案件{n + 1}", weekdays=[0, 1, 2, 3, 4], on_holidays=True,
                pattern_id=pattern.id, main_number_id=caller.id, prospect_levels=["A", "B", "C"],
                target_conversions=draw.randrange(1, 20), reporting=True,
                reported_status_ids=[status], reports_recordings=True, created_at=now,
            )
            for n in range(PROJECTS)
        ]  # fmt: skip
        session.add_all(projects)
        session.flush()
        lists = [
            CustomerList(
                name=f"計測リスト{n + 1}", project_id=projects[n % PROJECTS].id, enabled=True,
                columns=COLUMNS, created_at=now,
            )
            for n in range(LISTS)
        ]  # fmt: skip
        asked = SavedSearch(
            project_id=projects[0].id, user_id=users[0].id, name="銀座", shared=True,
            criteria={"pairs": [["q", "銀座"]]}, created_at=now,
        )  # fmt: skip
        session.add_all([*lists, asked])
        session.flush()
        session.add_all(
            [
                *(
                    GroupMember(group_id=groups[n % GROUPS].id, user_id=user_id)
                    for n, user_id in enumerate(operators)
                ),
                *(
                    ListGroupGrant(list_id=one.id, group_id=groups[n % GROUPS].id)
                    for n, one in enumerate(lists)
                ),
                *(ProjectItem(project_id=one.id, item_id=item.id) for one in projects),
                *(ProjectRecipient(project_id=one.id, user_id=users[3].id) for one in projects),
            ]
        )
        return People(
            manager=users[0].id,
            operators=operators,
            names={user.id: user.name for user in users},
            lists=[(one.id, one.project_id) for one in lists],
            lists_of_group=[list(range(n, LISTS, GROUPS)) for n in range(GROUPS)],
            projects=[one.id for one in projects],
            caller=caller.id,
            group=groups[0].id,
            item=item.id,
            pattern=pattern.id,
            status=status,
            search=asked.id,
            waveforms=[draw.randbytes(600) for _ in range(WAVEFORMS)],
        )
