"""R-RC-1, R-RC-4, R-RC-5 on the pages: who hears what, in which pieces, and what is noted of it."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.blueprints.recordings import outline
from calltree.config import Settings
from calltree.db import Store
from calltree.jobs import recordings as job
from calltree.models import (
    Attempt,
    AuditEntry,
    BuiltIn,
    CallRecord,
    CallState,
    Origin,
    Project,
    ProjectRecipient,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    SystemResult,
    User,
)
from calltree.services import recordings
from calltree.text.days import site_day
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.sounds import silence, tone, write_wav

pytestmark = pytest.mark.one_database

EVERYBODY = [Role.MANAGER, Role.SUPERVISOR, Role.OPERATOR, Role.BUSINESS, Role.BACKYARD]


@dataclass
class Studio:
    """A call of 山田太郎 with a stored recording, and people who may or may not hear it."""

    store: Store
    root: Path
    operator: User
    list_id: int
    project_id: int
    record_id: int
    recording_id: int

    def change(self, model: type, key: int, **values: object) -> None:
        with self.store.write() as session:
            row = session.get_one(model, key)
            for name, value in values.items():
                setattr(row, name, value)

    def user(self, role: Role, **given: object) -> User:
        with self.store.write() as session:
            return make.make_user(session, role, **given)

    def path(self, part: str = "") -> str:
        return f"/recordings/{self.recording_id}{part}"

    def audited(self, action: str) -> list[AuditEntry]:
        with self.store.read() as session:
            wanted = AuditEntry.action == action
            return list(session.scalars(select(AuditEntry).where(wanted).order_by(AuditEntry.id)))

    def copy(self) -> bytes:
        with self.store.read() as session:
            name = session.get_one(Recording, self.recording_id).stored_name
        return (self.root / name).read_bytes()


@pytest.fixture
def studio(app: Flask, store: Store, settings: Settings) -> Studio:
    with store.write() as session:
        folder = make.make_list(session)
        customer = make.make_customer(session, folder, number="0312345678")
        operator = make.make_user(session, name="山田太郎")
        project = session.get_one(Project, folder.project_id)
        project.name = "春の案内"
        attempt = Attempt(
            uuid="0f0e0d0c-0000-4000-8000-000000000001",
            origin=Origin.CALL,
            user_id=operator.id,
            customer_id=customer.id,
            list_id=folder.id,
            project_id=project.id,
            number=customer.number,
            verdict="allowed",
            state=CallState.ENDED,
            created_at=NOW,
            dialled_at=NOW,
            joined_at=NOW,
            answered_at=NOW,
            ended_at=NOW + timedelta(seconds=6),
            talk_ms=6000,
        )
        session.add(attempt)
        session.flush()
        record = CallRecord(
            kind=RecordKind.OUTBOUND,
            attempt_id=attempt.id,
            customer_id=customer.id,
            list_id=folder.id,
            project_id=project.id,
            user_id=operator.id,
            number=customer.number,
            started_at=NOW,
            site_day=site_day(NOW),
            talk_ms=6000,
            status_id=make.built_in(session, BuiltIn.PROSPECT).id,
            system=SystemResult.NONE,
            saved_at=NOW,
        )
        session.add(record)
        session.flush()
        recordings.call_ended(session, attempt=attempt, now=NOW)
        recording = session.scalars(select(Recording)).one()
        raw = settings.recordings_dir / recording.raw_name
    write_wav(raw, tone(300, 6), silence(2) + tone(500, 4))
    job.finish_in(store, settings.recordings_dir, recording.id, now=NOW)
    return Studio(
        store, settings.recordings_dir, operator, folder.id, project.id, record.id, recording.id
    )


def sound_of(page: Answer) -> str:
    return str(page.one("audio")["src"])


# --- the player


def test_R_RC_1_the_player_shows_waveform_and_speeds(studio: Studio, browser_of) -> None:
    page = browser_of(studio.operator).get(studio.path())
    assert "山田太郎" in page.text
    assert [tag["data-speed"] for tag in page.all("[data-speed]")] == [
        *("0.75", "1", "1.25", "1.5", "2")
    ]
    operator, customer = page.one("path.operator"), page.one("path.customer")
    assert str(operator["d"]).startswith("M0 ")
    assert operator["d"] != customer["d"]
    audio = page.one("audio")
    assert (audio["preload"], audio["data-length"]) == ("none", "6.0")
    assert not audio.has_attr("autoplay")


def test_R_RC_1_the_player_is_the_same_part_in_a_page_of_records(
    studio: Studio, browser_of
) -> None:
    part = browser_of(studio.operator).part(studio.path())
    assert "<html" not in part.html
    assert part.one("audio").has_attr("autoplay"), "it was asked for by pressing 再生"


def test_R_RC_1_the_waveform_shows_who_spoke_when(studio: Studio, browser_of) -> None:
    page = browser_of(studio.operator).get(studio.path())
    heights = [
        float(point.split()[1]) for point in str(page.one("path.customer")["d"])[1:-1].split("L")
    ]
    pairs = len(heights) // 2
    silent, spoken = heights[: pairs // 3 - 2], heights[pairs // 3 + 2 : pairs - 1]
    assert all(height == 59.6 for height in silent)
    assert all(height < 55 for height in spoken)


def test_an_outline_is_mirrored_and_closed() -> None:
    assert outline(bytes([255, 0]), middle=20) == "M0 1.0L1 19.6L1 20.4L0 39.0Z"
    assert outline(b"", middle=20) == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RecordingState.RECORDING, "通話が終わってから"),
        (RecordingState.STOPPED, "準備しています"),
        (RecordingState.HIDDEN, "不通のため"),
        (RecordingState.DESTROYED, "削除されました"),
        (RecordingState.MISSING, "録音はありません"),
    ],
)
def test_R_RC_4_what_cannot_be_played_says_why_and_sends_no_sound(
    studio: Studio, browser_of, state: RecordingState, words: str
) -> None:
    manager = browser_of(studio.user(Role.MANAGER))
    url = sound_of(manager.get(studio.path()))
    studio.change(Recording, studio.recording_id, state=state)
    page = manager.get(studio.path())
    assert words in page.one("[data-player]").get_text()
    assert page.all("audio") == []
    manager.get(url, status=404)
    manager.get(studio.path("/download"), status=404)
    assert studio.audited("recording.played") == studio.audited("recording.downloaded") == []


def test_a_recording_being_prepared_asks_again(studio: Studio, browser_of) -> None:
    studio.change(Recording, studio.recording_id, state=RecordingState.STOPPED)
    part = browser_of(studio.operator).part(studio.path())
    assert part.one("[data-player]")["hx-get"] == studio.path()


# --- ranges


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-", 0, None), ("bytes=100-199", 100, 199), ("bytes=-50", -50, None)],
)
def test_R_RC_4_a_range_is_answered_with_206(
    studio: Studio, browser_of, asked: str, first: int, last: int | None
) -> None:
    browser, whole = browser_of(studio.operator), studio.copy()
    url = sound_of(browser.get(studio.path()))
    answer = browser.get(url, status=206, headers={"Range": asked})
    assert answer.data == whole[first : last + 1 if last else None]
    start = first % len(whole) if first < 0 else first
    end = last or len(whole) - 1
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{len(whole)}"
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Cache-Control"] == "no-store"


def test_R_RC_4_a_range_beyond_the_end_is_416(studio: Studio, browser_of) -> None:
    browser = browser_of(studio.operator)
    url = sound_of(browser.get(studio.path()))
    answer = browser.get(url, status=416, headers={"Range": "bytes=9999999-"})
    assert answer.headers["Content-Range"] == f"bytes */{len(studio.copy())}"
    assert studio.audited("recording.played") == []


def test_R_RC_4_without_a_range_the_whole_comes(studio: Studio, browser_of) -> None:
    browser = browser_of(studio.operator)
    answer = browser.get(sound_of(browser.get(studio.path())))
    assert answer.data == studio.copy()
    assert answer.headers["Accept-Ranges"] == "bytes"


# --- audited


def test_R_RC_4_the_pieces_of_one_play_are_one_line(studio: Studio, browser_of) -> None:
    browser = browser_of(studio.operator)
    url = sound_of(browser.get(studio.path()))
    assert studio.audited("recording.played") == [], "looking is not playing"
    for start in (0, 5000, 200, 0):
        browser.get(url, status=206, headers={"Range": f"bytes={start}-"})
    (line,) = studio.audited("recording.played")
    assert (line.user_name, line.object_id) == ("山田太郎", str(studio.recording_id))


def test_R_RC_4_each_player_is_a_line_of_its_own(studio: Studio, browser_of) -> None:
    browser = browser_of(studio.operator)
    first, second = (sound_of(browser.get(studio.path())) for _ in range(2))
    for url in (second, first, second):
        browser.get(url)
    assert len(studio.audited("recording.played")) == 2


@pytest.mark.parametrize("forged", ["", "?player=", "?player=abc", "?player=WzEsMV0.abc"])
def test_R_RC_4_no_address_leads_past_the_audit(studio: Studio, browser_of, forged: str) -> None:
    browser = browser_of(studio.operator)
    answer = browser.get(studio.path("/sound") + forged, status=303)
    browser.get(answer.location)
    assert len(studio.audited("recording.played")) == 1


def test_R_RC_4_another_persons_address_is_noted_under_ones_own_name(
    studio: Studio, browser_of
) -> None:
    url = sound_of(browser_of(studio.operator).get(studio.path()))
    manager = browser_of(studio.user(Role.MANAGER, name="管理花子"))
    manager.get(manager.get(url, status=303).location)
    assert [line.user_name for line in studio.audited("recording.played")] == ["管理花子"]


def test_R_RC_4_each_download_is_a_line(studio: Studio, browser_of) -> None:
    manager = browser_of(studio.user(Role.MANAGER))
    for _ in range(2):
        assert manager.get(studio.path("/download")).data == studio.copy()
    assert len(studio.audited("recording.downloaded")) == 2


def test_R_RC_1_a_download_is_named_by_its_call(studio: Studio, browser_of) -> None:
    answer = browser_of(studio.user(Role.MANAGER)).get(studio.path("/download"))
    name = quote("20261124-100000_春の案内_0312345678_山田太郎_見込.mp3")
    assert f"filename*=UTF-8''{name}" in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Disposition"].startswith("attachment")


# --- rights


@pytest.mark.parametrize("role", EVERYBODY)
def test_R_RC_4_a_foreign_recording(studio: Studio, browser_of, role: Role) -> None:
    """Managers hear all; of the others nobody learns that there is one."""
    status = 200 if role in (Role.MANAGER, Role.SUPERVISOR) else 404
    browser = browser_of(studio.user(role))
    browser.get(studio.path(), status=status)
    browser.get(studio.path("/sound"), status=303 if status == 200 else 404)
    browser.get(studio.path("/download"), status=200 if status == 200 else 403)
    listed = browser.get("/admin/recordings/problems", status=200 if status == 200 else 403)
    assert studio.audited("recording.played") == []
    assert listed.text


def test_R_RC_4_signed_out_nothing_is_served(studio: Studio, client: Browser) -> None:
    for part in ("", "/sound", "/download"):
        assert "/sign-in" in client.get(studio.path(part), status=303).location


def test_R_RC_4_a_granted_list_lets_backyard_hear_but_not_another_operator(
    studio: Studio, browser_of
) -> None:
    backyard, operator = studio.user(Role.BACKYARD), studio.user(Role.OPERATOR)
    with studio.store.write() as session:
        make.grant(session, session.get_one(make.CustomerList, studio.list_id), backyard, operator)
    browser_of(backyard).get(studio.path())
    browser_of(operator).get(studio.path(), status=404)


def test_R_RC_4_business_hears_what_is_reported_if_the_project_lets_it(
    studio: Studio, browser_of
) -> None:
    business = studio.user(Role.BUSINESS)
    with studio.store.write() as session:
        project = session.get_one(Project, studio.project_id)
        project.reporting = True
        project.reported_status_ids = [make.built_in(session, BuiltIn.PROSPECT).id]
        session.add(ProjectRecipient(project_id=project.id, user_id=business.id))
    browser = browser_of(business)
    browser.get(studio.path(), status=404)
    studio.change(Project, studio.project_id, reports_recordings=True)
    browser.get(sound_of(browser.get(studio.path())))
    browser.get(studio.path("/download"), status=403)


def test_R_CL_13_a_call_by_hand_is_heard_by_its_operator_and_who_leads(
    studio: Studio, browser_of
) -> None:
    """Also when its number is one that others call from lists of theirs."""
    others = {role: studio.user(role) for role in EVERYBODY}
    with studio.store.write() as session:
        folder = session.get_one(make.CustomerList, studio.list_id)
        make.grant(session, folder, *others.values(), studio.operator)
        project = session.get_one(Project, studio.project_id)
        project.reporting = project.reports_recordings = True
        project.reported_status_ids = [make.built_in(session, BuiltIn.PROSPECT).id]
        session.add(ProjectRecipient(project_id=project.id, user_id=others[Role.BUSINESS].id))
        record = session.get_one(CallRecord, studio.record_id)
        record.kind, record.status_id = RecordKind.MANUAL, None
        record.customer_id = record.list_id = None
        attempt = session.get_one(Attempt, record.attempt_id)
        attempt.customer_id = attempt.list_id = None
    leads = {Role.MANAGER, Role.SUPERVISOR}
    for role, user in others.items():
        browser = browser_of(user)
        browser.get(studio.path(), status=200 if role in leads else 404)
        browser.get(studio.path("/sound"), status=303 if role in leads else 404)
    mine = browser_of(studio.operator)
    mine.get(sound_of(mine.get(studio.path())))
    assert studio.path() in mine.get("/operator/manual/").html
    assert studio.path() not in browser_of(others[Role.OPERATOR]).get("/operator/manual/").html


def test_R_US_5_playback_can_be_taken_from_an_operator(studio: Studio, browser_of) -> None:
    studio.change(User, studio.operator.id, may_play_recordings=False)
    browser = browser_of(studio.operator)
    browser.get(studio.path(), status=403)
    browser.get(studio.path("/sound"), status=403)


# --- problems


def test_R_RC_5_problems_stand_in_the_list_and_on_its_badge(studio: Studio, browser_of) -> None:
    manager = browser_of(studio.user(Role.MANAGER))
    page = manager.get("/admin/recordings/problems")
    assert "問題のある録音はありません" in page.text
    studio.change(Recording, studio.recording_id, problem=recordings.Problem.SILENT_CUSTOMER)
    page = manager.get("/admin/recordings/problems")
    assert "顧客側無音" in page.text
    assert page.one('.leftnav a[href="/admin/recordings/problems"] .badge').get_text() == "1"
    assert page.one(f'a[href="{studio.path()}"]')


def test_R_RC_5_a_problem_is_ticked_off(studio: Studio, browser_of) -> None:
    studio.change(Recording, studio.recording_id, problem=recordings.Problem.SHORT)
    manager = browser_of(studio.user(Role.SUPERVISOR))
    manager.get("/admin/recordings/problems")
    manager.submit(
        'form[action="/admin/recordings/problems"]', follow=True, recording=studio.recording_id
    )
    assert "問題のある録音はありません" in manager.page.text
    assert "録音が短い" in manager.get("/admin/recordings/problems?show=checked").text
    (line,) = studio.audited("recording.problem_checked")
    assert line.object_id == str(studio.recording_id)


@pytest.mark.parametrize("locale", ["ja", "en"])
def test_the_pages_are_written_in_both_languages(studio: Studio, browser_of, locale: str) -> None:
    studio.change(Recording, studio.recording_id, problem=recordings.Problem.SHORT)
    manager = browser_of(studio.user(Role.MANAGER, locale=locale))
    manager.get(studio.path())
    manager.get("/admin/recordings/problems")
