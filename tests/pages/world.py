"""A site with one of everything that has a page, and a second floor that most people may not see.

For walks over all routes: `World.paths` gives an address for every rule of the application, each
of its ids that of a row of `near` (granted to the operator) or of `far` (granted to nobody).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from bench._walk import addresses
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import (
    ApiToken,
    Attempt,
    BuiltIn,
    BulkJob,
    BulkKind,
    BulkState,
    CallState,
    DncSource,
    DoNotCall,
    Draft,
    Guidance,
    Import,
    ImportState,
    MemoEntry,
    Notice,
    NoticeReader,
    Origin,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    SavedSearch,
    Task,
    Transfer,
    TransferKind,
    TransferState,
    Webhook,
    WebhookDelivery,
)
from calltree.pacing.what_if import METHODS, Figures
from calltree.services import figures, what_if
from tests import factories as make

TRIED = Figures(12.5, 20.0, 0.02, 0.031, 0.05, 240.0, 1, 3)
SECRET = "秘密の"
"""Stands in every text of the far floor; nobody without the right may ever read it."""


@dataclass
class Floor:
    """A project with a list, a customer and what hangs on them; all values are ids."""

    project: int
    list: int
    customer: int
    extra: int
    record: int
    recording: int
    task: int
    given: int
    pattern: int
    status: int
    item: int
    number: int
    trunk: int
    group: int
    ban: int
    job: int
    author: int
    phone: str
    search: int
    token: int
    webhook: int
    delivery: int
    call: int
    campaign: int
    trial: int
    guidance: int
    notice: int
    transfer: int


@dataclass
class World:
    """Two floors and a user of each role; `op` has the near list, `by` too."""

    near: Floor
    far: Floor
    users: dict[Role, int] = field(default_factory=dict)

    def paths(
        self, app: Flask, method: str, floor: Floor, **instead: object
    ) -> list[tuple[str, str]]:
        """(endpoint, path) of every rule with this method, filled with the ids of a floor."""
        ids = {
            "project_id": floor.project,
            "list_id": floor.list,
            "customer_id": floor.customer,
            "extra_id": floor.extra,
            "record_id": floor.record,
            "recording_id": floor.recording,
            "import_id": floor.given,
            "pattern_id": floor.pattern,
            "status_id": floor.status,
            "item_id": floor.item,
            "number_id": floor.number,
            "trunk_id": floor.trunk,
            "group_id": floor.group,
            "user_id": floor.author,
            "entry_id": floor.ban,
            "job_id": floor.job,
            "search_id": floor.search,
            "token_id": floor.token,
            "webhook_id": floor.webhook,
            "notice_id": floor.notice,
            "delivery_id": floor.delivery,
            "call_id": floor.call,
            "transfer_id": floor.transfer,
            "campaign_id": floor.campaign,
            "trial_id": floor.trial,
            "guidance_id": floor.guidance,
            "name": "call_status",
            "wish": "hang_up",
            "asked": "x",
            "kind": "table",
            "part": 1,
            "form": "csv",
        }
        found, unknown = addresses(app, method, ids | instead)
        assert not unknown, f"teach the world {unknown}"
        return found


def build(store: Store, settings: Settings, *, texts: str = "") -> World:
    """Make both floors and the users; `texts` stands in every free text of the near one."""
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session)
        users = {role: make.make_user(session, role) for role in Role}
        for floor in ("near", "far"):
            (settings.uploads_dir / floor).parent.mkdir(parents=True, exist_ok=True)
            (settings.uploads_dir / floor).write_bytes("電話番号\r\n12\r\n".encode())
        near = _floor(session, texts or "近くの", "near", "0312340001")
        far = _floor(session, SECRET, "far", "0398760002")
        folder = session.get_one(make.CustomerList, near.list)
        make.grant(session, folder, users[Role.OPERATOR], users[Role.BACKYARD])
    for floor in (near, far):
        sound = Path(settings.recordings_dir) / f"{floor.recording}.mp3"
        sound.parent.mkdir(parents=True, exist_ok=True)
        sound.write_bytes(b"ID3" + bytes(100))
    return World(near, far, {role: user.id for role, user in users.items()})


def _floor(session: Session, text: str, stored: str, phone: str) -> Floor:
    now = utcnow()
    author = make.make_user(session, name=f"{stored}の担当", note=text)
    pattern = make.make_pattern(session, name=f"{text}パターン"[:64])
    status = make.make_status(session, pattern, f"{text}結果"[:64])
    caller = make.make_caller_number(session, label=f"{text}番号"[:64])
    trunk = make.make_trunk(session, name=f"{text}回線"[:64])
    project = make.make_project(
        session,
        name=f"{text}案件"[:64],
        pattern_id=pattern.id,
        main_number_id=caller.id,
        prospect_levels=["A", f"{text}"[:32]],
        script=f"{text} {{{text}}} {{会社名}} {{{{7*7}}}}",
        business_name=text[:128],
        caller_person=text[:128],
        purpose=text[:256],
        reporting=True,
        reported_status_ids=[status.id],
        reports_recordings=True,
    )
    item = make.make_item(session, project, name=f"{text}項目"[:64])
    folder = make.make_list(
        session, project, name=f"{text}リスト"[:128], columns=["会社名", f"{text}列"]
    )
    customer = make.make_customer(
        session,
        folder,
        number=phone,
        number_given=phone,
        cells=[f"{text}商店", text],
        short_note=text[:256],
        attributes={str(item.id): text},
        prospect_level=text[:32],
    )
    extra = make.make_extra_number(session, customer, "09011112222", label=text[:32])
    attempt = _attempt(session, customer, author.id)
    record = make.make_record(
        session,
        customer,
        attempt_id=attempt.id,
        user_id=author.id,
        status_id=status.id,
        memo=text,
        attributes={str(item.id): text},
        prospect_level=text[:32],
        started_at=now - timedelta(hours=1),
        saved_at=now - timedelta(hours=1),
        callback_at=now,
        closed_at=now,
    )
    figures.settle(session, record=record, now=now)
    recording = Recording(
        attempt_id=attempt.id,
        record_id=record.id,
        raw_name="",
        stored_name="",
        state=RecordingState.STORED,
        started_at=now,
        stopped_at=now,
        waveform=bytes(range(100)),
        length_ms=5000,
        problem="short",
    )
    task = Task(
        customer_id=customer.id,
        list_id=folder.id,
        record_id=record.id,
        user_id=author.id,
        opened_at=now,
        due_at=now,
    )
    given = Import(
        state=ImportState.CHECKED,
        project_id=project.id,
        list_id=folder.id,
        user_id=author.id,
        filename=f"{text}.csv"[:256],
        stored_name=stored,
        created_at=now,
    )
    ban = DoNotCall(
        number="0311119999", source=DncSource.FORM, note=text[:256], created_at=now, record_id=None
    )
    job = BulkJob(
        kind=BulkKind.BAN_ADD,
        state=BulkState.CHECKED,
        user_id=author.id,
        filename=f"{text}.csv"[:256],
        stored_name=stored,
        choices={"note": text, "project_ids": [project.id]},
        findings={
            "refused": False,
            "column": text,
            "problems": [],
            "shown": [{"row": 2, "found": text, "reason": "empty"}],
            "counts": {"total": 1, "twice": 0, "invalid": 1, "new": 1, "existing": 0},
        },
        created_at=now,
    )
    search = SavedSearch(
        project_id=project.id, user_id=author.id, name=text[:64], shared=True, created_at=now,
        criteria={"pairs": [["q", text]]},
    )  # fmt: skip
    token = ApiToken(
        name=text[:64], token_hash=f"hash of {stored}", ending="wxyz", user_id=author.id,
        scopes=["lists:read"], created_at=now, created_by=author.id,
    )  # fmt: skip
    webhook = Webhook(
        name=text[:64], url=f"https://example.jp/{stored}", events=["call.ended"],
        secret_sealed="", enabled_at=now, created_at=now, created_by=author.id,
    )  # fmt: skip
    trial = BulkJob(
        kind=BulkKind.WHAT_IF, state=BulkState.DONE, user_id=author.id, created_at=now,
        choices=asdict(what_if.GUESS), findings={method: TRIED.to_json() for method in METHODS},
        rows_total=len(METHODS), rows_done=len(METHODS),
    )  # fmt: skip
    guidance = Guidance(name=text[:64], sound=b"RIFF", length_ms=1000, size_bytes=4, created_at=now)
    notice = Notice(text=text[:300], user_id=author.id, created_at=now)
    transfer = Transfer(
        attempt_id=attempt.id, kind=TransferKind.PARKED, state=TransferState.ENDED, uuid="",
        from_user_id=author.id, began_at=now, settled_at=now, ended_at=now,
    )  # fmt: skip
    session.add_all([token, webhook, trial, guidance, notice, transfer])
    session.flush()
    campaign = make.make_campaign(session, folder, name=f"{text}架電"[:64])
    delivery = WebhookDelivery(
        webhook_id=webhook.id, event="call.ended", event_key=f"of {stored}", body=text,
        customer_id=customer.id, created_at=now,
    )  # fmt: skip
    rows: list[Any] = [
        delivery,
        NoticeReader(notice_id=notice.id, user_id=author.id),
        search,
        recording,
        task,
        given,
        ban,
        job,
        MemoEntry(
            customer_id=customer.id, record_id=record.id, user_id=author.id, at=now, text=text
        ),
        RecordCorrection(
            record_id=record.id,
            at=now,
            user_id=author.id,
            before={"memo": text, "status": text},
            after={"memo": "", "status": text + "2", "attributes": {str(item.id): text}},
        ),
        Draft(user_id=author.id, customer_id=customer.id, memo=text, updated_at=now),
    ]
    session.add_all(rows)
    session.flush()
    recording.stored_name = f"{recording.id}.mp3"
    group = make.make_group(session, author)
    group.name = f"{text}組"[:64]
    session.flush()
    return Floor(
        project.id, folder.id, customer.id, extra.id, record.id, recording.id, task.id, given.id,
        pattern.id, status.id, item.id, caller.id, trunk.id, group.id, ban.id, job.id, author.id,
        phone, search.id, token.id, webhook.id, delivery.id, attempt.id, campaign.id, trial.id,
        guidance.id, notice.id, transfer.id,
    )  # fmt: skip


def _attempt(session: Session, customer: Any, user_id: int) -> Attempt:
    now = utcnow()
    attempt = Attempt(
        uuid=f"0f0e0d0c-0000-4000-8000-{customer.id:012d}",
        origin=Origin.CALL,
        user_id=user_id,
        customer_id=customer.id,
        list_id=customer.list_id,
        number=customer.number,
        verdict="allowed",
        state=CallState.ENDED,
        created_at=now,
        dialled_at=now,
        joined_at=now,
        answered_at=now,
        ended_at=now,
        talk_ms=5000,
    )
    session.add(attempt)
    session.flush()
    return attempt


__all__ = ["SECRET", "BuiltIn", "Floor", "RecordKind", "World", "build"]
