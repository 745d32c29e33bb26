"""A supervisor's day in a real Chromium: the floor watched, a campaign run, a list granted, a
record corrected, a call heard, a promise moved, the screens switched. Each is asked of the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import utcnow
from calltree.models import (
    Attempt,
    AuditEntry,
    CallRecord,
    CallState,
    Campaign,
    CampaignState,
    CustomerList,
    HelpRequest,
    LegState,
    Line,
    ListGrant,
    Operator,
    OperatorState,
    Origin,
    RecordCorrection,
    ResultStatus,
    Role,
    Task,
    User,
)
from calltree.services import sound
from calltree.text.days import site_day
from tests import factories as make
from tests.chromium.house import PASSWORD, House, running_house
from tests.recordings import Shelf
from tests.sounds import tone, write_wav
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

TOKYO = ZoneInfo("Asia/Tokyo")
RANGE = """
async (url) => {
  const answer = await fetch(url, {headers: {Range: "bytes=100-199"}});
  return [answer.status, answer.headers.get("content-type"),
          [...new Uint8Array(await answer.arrayBuffer())]];
}
"""


@dataclass
class Floor:
    """Who works there and what lies before them; all but the house are ids or names."""

    house: House
    chief: User
    talker: User
    list: int = 0
    campaign: int = 0
    own: int = 0
    """The supervisor's record, and one of the operator."""
    theirs: int = 0
    interest: int = 0
    """A result, other than the one that both records have."""
    task: int = 0
    recording: int = 0
    mp3: bytes = field(default=b"", repr=False)


@pytest.fixture
def floor(settings: Settings, tmp_path: Path) -> Iterator[Floor]:
    with running_house(settings, tmp_path) as house:
        chief = house.person(role=Role.SUPERVISOR, name="監督 次郎")
        talker = house.person(name="山田 太郎")
        made = Floor(house, chief, talker)
        furnish(made)
        mp3 = tmp_path / "sound.mp3"
        wav = write_wav(tmp_path / "sound.wav", tone(440, 2), tone(330, 2))
        with wav.open("rb") as source, mp3.open("wb") as target:
            sound.encode(source, target)
        made.mp3 = mp3.read_bytes()
        at = utcnow() - timedelta(minutes=20)
        shelf = Shelf(house.store, Path(settings.recordings_dir), made.list, talker.id)
        made.recording = shelf.put(
            number="0398760001", started_at=at, record={"site_day": site_day(at)},
            length_ms=2_000, sound=made.mp3, waveform=bytes(range(100)),
        )  # fmt: skip
        yield made


def furnish(floor: Floor) -> None:
    """One operator talks and asks for help; a campaign stands; a promise was not kept."""
    now = utcnow()
    early = now - timedelta(hours=1)
    with floor.house.store.write() as session:
        pattern = make.make_pattern(session)
        sent, interest = (make.make_status(session, pattern, name) for name in ("不在", "見込"))
        project = make.make_project(session, pattern_id=pattern.id)
        folder = make.make_list(session, project, name="春のリスト")
        customer = make.make_customer(session, folder, number="0312345678", cells=["山田商店"])
        call = Attempt(
            uuid="0f0e0d0c-0009-4000-8000-000000000001", origin=Origin.CALL,
            user_id=floor.talker.id, customer_id=customer.id, number=customer.number, node="main",
            verdict="allowed", state=CallState.TALKING, created_at=now, dialled_at=now,
            answered_at=now, joined_at=now,
        )  # fmt: skip
        session.add(call)
        session.flush()
        session.add(Line(attempt_id=call.id, uuid=call.uuid, taken_at=now))
        make.make_operator(
            session, floor.talker, state=OperatorState.TALKING, attempt_id=call.id,
            leg_state=LegState.JOINED, customer_id=customer.id, since=now,
        )  # fmt: skip
        session.add(HelpRequest(user_id=floor.talker.id, asked_at=now))
        campaign = make.make_campaign(session, folder, state=CampaignState.STOPPED)
        records = [
            make.make_record(
                session, make.make_customer(session, folder), user_id=user.id, status_id=sent.id,
                started_at=early, saved_at=early, closed_at=early, site_day=site_day(early),
            )
            for user in (floor.chief, floor.talker)
        ]  # fmt: skip
        promised = make.make_customer(session, folder, cells=["約束商店"])
        task = make.make_task(session, promised, user_id=floor.talker.id, due_at=early)
        floor.list, floor.campaign, floor.task = folder.id, campaign.id, task.id
        floor.own, floor.theirs = (record.id for record in records)
        floor.interest = interest.id


@pytest.fixture
def page(floor: Floor, chromium: Windows) -> Iterator[Page]:
    """The supervisor's page, signed in."""
    page = chromium.new_page(
        locale="ja-JP", timezone_id="Asia/Tokyo", viewport={"width": 1366, "height": 768},
        base_url=floor.house.web.origin,
    )  # fmt: skip
    page.goto("/sign-in")
    page.fill("[name=login_id]", floor.chief.login_id)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page).to_have_url(re.compile("/admin/$"))
    yield page
    chromium.close()


def test_R_WT_1_R_US_1_R_HS_3_R_RC_1_a_supervisors_day(floor: Floor, page: Page) -> None:
    day = Day(page, floor)
    day.watches_and_helps()
    day.runs_a_campaign()
    day.grants_a_list()
    day.corrects_their_own_record()
    day.is_refused_anothers_record()
    day.hears_a_call()
    day.switches_and_moves_a_promise()


class Day:
    """What the supervisor does, a step a method."""

    def __init__(self, page: Page, floor: Floor) -> None:
        self.page, self.floor, self.store = page, floor, floor.house.store

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def noted(self, action: str) -> list[int | None]:
        """Whom the audit log names for this."""
        with self.store.read() as session:
            query = select(AuditEntry.user_id).where(AuditEntry.action == action)
            return list(session.scalars(query))

    def watches_and_helps(self) -> None:
        """オペレータ状況: who talks with whom; 対応する takes the help that is asked for."""
        self.page.goto("/watch/")
        row = self.page.locator(f"#watch-row-{self.floor.talker.id}")
        for shown in ("山田 太郎", "通話中", "山田商店", "03-1234-5678", "ヘルプ要請"):
            expect(row).to_contain_text(shown)
        row.get_by_role("button", name="対応する").click()
        expect(row).to_contain_text("監督 次郎さんが対応")
        expect(row).not_to_contain_text("ヘルプ要請")
        with self.store.read() as session:
            asked = session.scalars(select(HelpRequest)).one()
            assert (asked.taken_by, asked.over_at) == (self.floor.chief.id, None)
            assert asked.taken_at is not None
        assert self.noted("help.taken") == [self.floor.chief.id]

    def runs_a_campaign(self) -> None:
        """開始 and 一時停止 are theirs; the settings are read only."""
        self.page.goto(f"/admin/campaigns/{self.floor.campaign}")
        for press, then, state in (
            ("開始", "一時停止", CampaignState.RUNNING),
            ("一時停止", "開始", CampaignState.PAUSED),
        ):
            self.press(press)
            expect(self.page.get_by_role("button", name=then, exact=True)).to_be_visible()
            with self.store.read() as session:
                assert session.get_one(Campaign, self.floor.campaign).state is state
        assert self.noted("campaign.state_set") == [self.floor.chief.id] * 2
        self.page.goto(f"/admin/campaigns/{self.floor.campaign}/settings")
        name = self.page.locator("main [name=name]").input_value()
        expect(self.page.locator("main .form-actions button")).to_have_count(0)
        assert self.post(f"/admin/campaigns/{self.floor.campaign}/settings", name="別名") == 403
        with self.store.read() as session:
            assert session.get_one(Campaign, self.floor.campaign).name == name

    def grants_a_list(self) -> None:
        """Grants are theirs; the list's name is master data."""
        self.page.goto(f"/admin/lists/{self.floor.list}/settings")
        self.page.check(f"[name=users][value='{self.floor.talker.id}']")
        self.press("権限を保存")
        expect(self.page.locator("#toasts")).to_contain_text("保存しました")
        with self.store.read() as session:
            grants = session.scalars(select(ListGrant)).all()
            assert [(one.list_id, one.user_id) for one in grants] == [
                (self.floor.list, self.floor.talker.id)
            ]
        assert self.post(f"/admin/lists/{self.floor.list}/name", name="夏のリスト") == 403
        with self.store.read() as session:
            assert session.get_one(CustomerList, self.floor.list).name == "春のリスト"

    def corrects_their_own_record(self) -> None:
        """R-HS-3: another result, which leaves a line with before and after."""
        own = self.floor.own
        self.page.goto(f"/history/{own}")
        self.page.select_option("#status", str(self.floor.interest))
        self.press("訂正を保存")
        expect(self.page.locator("#corrections")).to_contain_text("見込")
        with self.store.read() as session:
            assert session.get_one(CallRecord, own).status_id == self.floor.interest
            line = session.scalars(select(RecordCorrection)).one()
            assert (line.record_id, line.user_id) == (own, self.floor.chief.id)

    def is_refused_anothers_record(self) -> None:
        """Read, yes; no form, and what is sent all the same changes nothing."""
        theirs = self.floor.theirs
        self.page.goto(f"/history/{theirs}")
        expect(self.page.locator("main")).to_contain_text("山田 太郎")
        expect(self.page.locator(f"form[action='/history/{theirs}']")).to_have_count(0)
        assert self.post(f"/history/{theirs}", status=str(self.floor.interest)) == 403
        with self.store.read() as session:
            record = session.get_one(CallRecord, theirs)
            assert session.get_one(ResultStatus, record.status_id).name == "不在"
            assert session.scalars(select(RecordCorrection.record_id)).all() == [self.floor.own]

    def hears_a_call(self) -> None:
        """R-RC-1: the audio element fetches a range; one player is one line of the audit log."""
        self.page.goto("/admin/recordings/?span=all")
        sound_of = re.compile(rf"/recordings/{self.floor.recording}/sound")
        with self.page.expect_response(lambda answer: bool(sound_of.search(answer.url))) as given:
            self.page.get_by_role("link", name="再生").click()
        assert given.value.status == 206
        audio = self.page.locator("[data-player] audio")
        expect(audio).not_to_have_js_property("readyState", 0)
        assert 1.9 < audio.evaluate("(one) => one.duration") < 2.2
        status, kind, some = self.page.evaluate(RANGE, audio.evaluate("(one) => one.src"))
        assert (status, kind, bytes(some)) == (206, "audio/mpeg", self.floor.mp3[100:200])
        assert self.noted("recording.played") == [self.floor.chief.id]

    def switches_and_moves_a_promise(self) -> None:
        """管理 → オペレータ, an operator's overdue callback gets another time, and back."""
        with self.store.read() as session:
            assert session.get(Operator, self.floor.chief.id) is None
        self.press("オペレータ画面へ")
        expect(self.page).to_have_url(re.compile("/operator/$"))
        with self.store.read() as session:
            assert session.get(Operator, self.floor.chief.id) is not None
        self.page.goto("/operator/tasks/overdue")
        late = self.page.locator("main tbody tr")
        expect(late).to_have_count(1)
        expect(late).to_contain_text("山田 太郎")
        late.get_by_role("link", name="表示").click()
        row = self.page.locator(f"#task-{self.floor.task}")
        expect(row).to_contain_text("約束商店")
        row.locator("summary").click()
        tomorrow = datetime.now(TOKYO).date() + timedelta(days=1)
        due = datetime.combine(tomorrow, time(10, 30), TOKYO)
        row.locator("[name=due_at]").fill(f"{due:%Y-%m-%dT%H:%M}")
        row.locator(".reschedule button").click()
        expect(row).to_have_count(0)
        with self.store.read() as session:
            task = session.get_one(Task, self.floor.task)
            assert (task.due_at, task.user_id) == (due, self.floor.talker.id)
        self.page.goto("/operator/tasks/overdue")
        expect(self.page.locator("main tbody tr")).to_have_count(0)
        self.press("管理画面へ")
        expect(self.page).to_have_url(re.compile("/admin/$"))

    def post(self, path: str, **form: str) -> int:
        """Send what no page of theirs has a form for; gives the status."""
        token = self.page.locator("input[name=csrf_token]").first.input_value()
        answer = self.page.request.post(path, form={"csrf_token": token} | form)
        return answer.status
