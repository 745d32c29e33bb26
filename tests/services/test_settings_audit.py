"""Every setting that can be changed leaves a line with before and after (R-US-7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from calltree.db import Base, Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    AttributeItem,
    AuditEntry,
    CallerNumber,
    Campaign,
    CampaignMode,
    CampaignState,
    ClosedDay,
    CustomerList,
    Group,
    Guidance,
    ItemKind,
    LegKind,
    NumberDirection,
    Preset,
    Project,
    ResultPattern,
    ResultStatus,
    Role,
    Site,
    Trunk,
    User,
)
from calltree.services import (
    campaigns,
    closed_days,
    lists,
    patterns,
    people,
    projects,
    reporting,
    settings,
    softphones,
    trunks,
)
from calltree.services.audit_fields import FIELDS
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

NO_SETTING: dict[type[Base], set[str]] = {
    Site: {"id", "site_key", "practice", "restored_at"},
    ClosedDay: set(),
    Project: {"id", "created_at"},
    CallerNumber: {"id", "number", "retired_at"},
    ResultPattern: {"id", "created_at"},
    ResultStatus: {"id", "pattern_id", "built_in", "name_key", "position", "retired_at"},
    AttributeItem: {"id", "name_key", "target", "retired_at"},
    Trunk: {"id", "retired_at"},
    User: {
        "id", "login_key", "session_version", "locale", "created_at", "deleted_at",
        "last_sign_in_at", "totp_sealed", "totp_step",
    },
    Group: {"id"},
    Campaign: {"id", "state_since", "braked", "created_at", "retired_at"},
    CustomerList: {
        "id", "project_id", "columns", "cycle", "next_position", "customers", "worked", "dials",
        "connects", "created_at", "deleted_at", "deleted_by", "purged_at",
    },
}  # fmt: skip
"""Columns that no page of the settings changes: made once, counted, or with an action of their own.

A new column is a setting until it is named here, and must then be in a line of the log.
"""


@dataclass
class Floor:
    """A session with a manager who may change everything, and the things to change."""

    session: Session
    viewer: Viewer
    project: Project
    number: CallerNumber
    pattern: ResultPattern
    status: ResultStatus
    item: AttributeItem
    trunk: Trunk
    user: User
    group: Group
    folder: CustomerList

    def project_details(self) -> projects.ProjectDetails:
        kept = {name: getattr(self.project, name) for name in projects.COLUMNS}
        return projects.ProjectDetails(
            name=self.project.name,
            prospect_levels=tuple(self.project.prospect_levels),
            weekdays=tuple(self.project.weekdays),
            **kept,
        )

    def lines(self) -> list[AuditEntry]:
        self.session.flush()
        return list(self.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


@pytest.fixture
def floor(store: Store) -> Any:
    with store.write() as session:
        make.make_site(session)
        manager = make.make_user(session, Role.MANAGER)
        pattern = make.make_pattern(session)
        number = make.make_caller_number(session)
        project = make.make_project(
            session, pattern_id=pattern.id, main_number_id=number.id,
            prospect_levels=["A"], weekdays=[0, 1],
        )  # fmt: skip
        folder = make.make_list(session, project, columns=["会社名", "住所"])
        user = make.make_user(session)
        yield Floor(
            session, make.viewer_of(manager), project, number, pattern,
            make.make_status(session, pattern, "見学"), make.make_item(session, project),
            make.make_trunk(session), user, make.make_group(session, user), folder,
        )  # fmt: skip


def _site(floor: Floor) -> None:
    kept = settings.get(floor.session)
    details = settings.SiteDetails(
        **{
            field.name: tuple(value) if isinstance(value := getattr(kept, field.name), list)
            else value
            for field in fields(settings.SiteDetails)
        }
    )  # fmt: skip
    new = replace(
        details, name="焼津センター", lines=12, lines_reserved_inbound=2, lines_max_predictive=6,
        seats=30, b2c_opens=time(9), b2c_closes=time(20), min_gap_min=90, wrap_up_limit_s=240,
        shows_monitoring=False,
        extra_prefixes=("0570",), away_reasons=("休憩",), recordings_capacity_gb=60,
        allowed_networks=("192.0.2.0/24",), second_factor_roles=(Role.MANAGER.value,),
    )  # fmt: skip
    settings.save(floor.session, viewer=floor.viewer, details=new, now=NOW, address="192.0.2.1")


def _closed_day(floor: Floor) -> None:
    day = NOW.date() + timedelta(days=30)
    closed_days.add(
        floor.session, viewer=floor.viewer, first=day, last=None, name="年末年始", today=NOW.date(),
        now=NOW,
    )  # fmt: skip


def _project(floor: Floor) -> None:
    other_pattern = make.make_pattern(floor.session, name="別")
    other = make.make_caller_number(floor.session)
    new = replace(
        floor.project_details(), name="秋の案件", state=projects.ProjectState.STOPPED,
        audience=projects.Audience.B2B, pattern_id=other_pattern.id, main_number_id=other.id,
        script="お世話になっております。", business_name="焼津商会", caller_person="山田",
        purpose="ご案内", ring_time_s=45, opens=time(10), closes=time(18), on_holidays=True,
        mode=projects.DiallingMode.PROGRESSIVE, auto_dial_delay_s=3, target_conversions=5,
        recordings_days=90, prospect_levels=("A", "B"), weekdays=(0, 1, 2),
        further_number_ids=(floor.number.id,), item_ids=(),
    )  # fmt: skip
    if new.audience is floor.project.audience:
        new = replace(new, audience=projects.Audience.B2C)
    projects.save(
        floor.session, viewer=floor.viewer, project_id=floor.project.id, details=new, now=NOW
    )
    client = make.make_user(floor.session, Role.BUSINESS)
    status = make.make_status(floor.session, other_pattern, "アポ")
    reporting.save(
        floor.session, viewer=floor.viewer, project_id=floor.project.id, now=NOW,
        wanted=reporting.Reporting(True, frozenset({status.id}), frozenset({client.id}), True),
    )  # fmt: skip


def _number(floor: Floor) -> None:
    details = projects.NumberDetails(
        number=floor.number.number, label="代表", direction=NumberDirection.OUTBOUND, line_cap=3,
        trunk_id=floor.trunk.id,
    )  # fmt: skip
    projects.save_number(
        floor.session, viewer=floor.viewer, number_id=floor.number.id, details=details, now=NOW
    )


def _pattern(floor: Floor) -> None:
    patterns.save_pattern(
        floor.session, viewer=floor.viewer, pattern_id=floor.pattern.id, name="新", now=NOW
    )


def _status(floor: Floor) -> None:
    kept = floor.status
    details = patterns.StatusDetails(
        name="見学予約", connected=not kept.connected, conversion=not kept.conversion,
        asks_callback_time=True, bans_number=True, colour="red", key="Q",
    )  # fmt: skip
    patterns.save_status(
        floor.session, viewer=floor.viewer, pattern_id=floor.pattern.id, status_id=kept.id,
        details=details, now=NOW,
    )  # fmt: skip


def _item(floor: Floor) -> None:
    details = patterns.ItemDetails(
        name="業種区分", target=floor.item.target, kind=ItemKind.CHOICE, choices=("小売",),
        required=True,
    )  # fmt: skip
    patterns.save_item(
        floor.session, viewer=floor.viewer, item_id=floor.item.id, details=details, now=NOW
    )


def _trunk(floor: Floor) -> None:
    kept = floor.trunk
    details = trunks.TrunkDetails(
        name="光回線", proxy="sip.example.jp:5080", realm="example.jp", username="9001",
        password="k9-lamp-otter", lines=4, prefixes=("090",), position=7,
        kind=next(kind for kind in trunks.TrunkKind if kind is not kept.kind),
        transport=next(one for one in trunks.Transport if one is not kept.transport),
        number_form=trunks.NumberForm.E164, caller_id_form=trunks.CallerIdForm.ASSERTED,
        enabled=not kept.enabled,
    )  # fmt: skip
    trunks.save(floor.session, viewer=floor.viewer, trunk_id=kept.id, details=details, now=NOW)


def _user(floor: Floor) -> None:
    user = floor.user
    details = people.UserDetails(
        login_id="tanaka",
        name="田中",
        role=Role.SUPERVISOR,
        password_hash="x",
        note="午前のみ",
        restrictions={name: not getattr(user, name) for name in people.RESTRICTIONS},
    )
    people.change(floor.session, viewer=floor.viewer, user_id=user.id, details=details, now=NOW)
    softphones.set_telephone(
        floor.session, viewer=floor.viewer, user_id=user.id, kind=LegKind.DEVICE,
        extension="desk7", now=NOW,
    )  # fmt: skip
    softphones.new_device_secret(floor.session, viewer=floor.viewer, user_id=user.id, now=NOW)


def _group(floor: Floor) -> None:
    people.save_group(
        floor.session, viewer=floor.viewer, group_id=floor.group.id, name="夜間", user_ids=set(),
        now=NOW,
    )  # fmt: skip


def _list(floor: Floor) -> None:
    asked: dict[str, Any] = {"viewer": floor.viewer, "list_id": floor.folder.id, "now": NOW}
    lists.rename(floor.session, name="秋のリスト", **asked)
    lists.set_enabled(floor.session, enabled=not floor.folder.enabled, **asked)
    lists.set_shown(floor.session, hidden=["住所"], large=[], order=["住所"], **asked)
    lists.set_grants(
        floor.session, wanted=lists.Grants(frozenset({floor.user.id}), frozenset()), **asked
    )


def _guidance(floor: Floor, name: str) -> int:
    row = Guidance(name=name, sound=b"RIFF", length_ms=1000, size_bytes=4, created_at=NOW)
    floor.session.add(row)
    floor.session.flush()
    return row.id


def _campaign(floor: Floor) -> None:
    campaign = make.make_campaign(floor.session, floor.folder, state=CampaignState.STOPPED)
    other = make.make_project(floor.session)
    sounds = [_guidance(floor, name) for name in ("お待ちください", "お詫び")]
    new = campaigns.CampaignDetails(
        name="秋の架電", project_id=other.id, preset=Preset.CUSTOM, mode=CampaignMode.FIXED,
        multiplier_tenths=25, limit_thousandths=20, max_tries=4, busy_min=30, no_answer_min=240,
        other_part=False, again_status_ids=(floor.status.id,), again_min=60,
        callbacks_first=False, answered_wait_s=3, minimum_ring_s=20, calls_per_second=1,
        waiting_guidance_id=sounds[0], apology_guidance_id=sounds[1],
    )  # fmt: skip
    asked = {"viewer": floor.viewer, "campaign_id": campaign.id, "now": NOW}
    campaigns.set_lists(floor.session, lists=[], **asked)
    campaigns.save(floor.session, details=new, **asked)
    campaigns.start(floor.session, **asked)


CHANGES: dict[type[Base], tuple[Callable[[Floor], None], set[str]]] = {
    Site: (_site, set()),
    ClosedDay: (_closed_day, set()),
    Project: (_project, {"further_numbers", "items", "recipients"}),
    CallerNumber: (_number, set()),
    ResultPattern: (_pattern, set()),
    ResultStatus: (_status, set()),
    AttributeItem: (_item, set()),
    Trunk: (_trunk, set()),
    User: (_user, set()),
    Group: (_group, {"users"}),
    CustomerList: (_list, {"users"}),
    Campaign: (_campaign, {"lists"}),
}
"""How each thing is changed in all that can be changed, and what else its lines must name."""
ACTION_SAYS_IT = {User: {"device_hash"}}
"""Columns whose change has an action of its own, which says all there is to say."""


@pytest.mark.parametrize("model", CHANGES, ids=lambda model: model.__tablename__)
def test_R_US_7_every_setting_is_logged_with_before_and_after(
    floor: Floor, model: type[Base]
) -> None:
    change, others = CHANGES[model]
    columns = {column.key for column in inspect(model).column_attrs}
    settable = columns - NO_SETTING[model] - ACTION_SAYS_IT.get(model, set())
    change(floor)
    said: dict[str, list[Any]] = {}
    for line in floor.lines():
        assert line.user_id == floor.viewer.user_id
        said |= line.detail.get("changed", {})
    assert settable | others <= set(said), f"no line tells of {settable | others - set(said)}"
    secret = {"password", "password_hash", "device_hash", "note"}
    assert [name for name, (old, new) in said.items() if old == new and name not in secret] == []
    assert "k9-lamp-otter" not in str(said)
    assert "午前のみ" not in str(said)


def test_R_US_7_every_table_of_settings_is_walked() -> None:
    assert set(CHANGES) == set(NO_SETTING)
    named = {
        column.key
        for model in CHANGES
        for column in inspect(model).column_attrs
        if column.key not in NO_SETTING[model]
    }
    assert sorted(named - set(FIELDS)) == []


def test_R_US_7_a_save_that_changes_nothing_leaves_no_line(floor: Floor) -> None:
    for change, _others in CHANGES.values():
        change(floor)
    before = len(floor.lines())
    people.save_group(
        floor.session, viewer=floor.viewer, group_id=floor.group.id, name="夜間", user_ids=set(),
        now=NOW,
    )  # fmt: skip
    _closed_day(floor)
    _pattern(floor)
    assert len(floor.lines()) == before


def test_R_US_7_a_long_text_is_logged_where_it_changed(floor: Floor) -> None:
    long = "お世話になっております。" * 40
    for script in (long + "山田", long + "田中"):
        new = replace(floor.project_details(), script=script)
        projects.save(
            floor.session, viewer=floor.viewer, project_id=floor.project.id, details=new, now=NOW
        )
    old, new_text = floor.lines()[-1].detail["changed"]["script"]
    assert (old[-2:], new_text[-2:]) == ("山田", "田中")
    assert len(old) < 100


def test_R_PJ_5_closed_days_are_added_and_removed_by_a_manager(floor: Floor) -> None:
    today = NOW.date()
    asked: dict[str, Any] = {"viewer": floor.viewer, "today": today, "now": NOW, "name": "年末年始"}
    first, last = date(2026, 12, 29), date(2027, 1, 3)
    assert closed_days.add(floor.session, first=first, last=last, **asked) == 6
    assert len(closed_days.upcoming(floor.session, today=today)) == 6
    for days, code in (
        ((today - timedelta(days=1), None), "closed_day_past"),
        ((last, first), "days_reversed"),
        ((first, first + timedelta(days=400)), "closed_days_many"),
    ):
        with pytest.raises(Refused, match=code):
            closed_days.add(floor.session, first=days[0], last=days[1], **asked)
    closed_days.remove(floor.session, viewer=floor.viewer, day=last, now=NOW)
    assert floor.lines()[-1].detail["changed"]["day"] == ["2027-01-03", None]
    operator = make.viewer_of(floor.user)
    with pytest.raises(NotAllowed):
        closed_days.remove(floor.session, viewer=operator, day=first, now=NOW)
