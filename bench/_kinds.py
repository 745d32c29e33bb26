"""How the calls of a generated year go: their kinds and weights, and what is carried from one to
the next (see `bench._year`)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from calltree.models import OperatorState, RecordKind, SystemResult
from calltree.services import figures

MEMOS = (
    "担当者は外出中。夕方に戻る予定とのこと。",
    "資料を送付。来週改めて連絡する。",
    "社長に直接説明済み。",
)
LEVELS = ("A", "B", "C")


class Kind(NamedTuple):
    """A way in which a call goes: how often of a thousand, its result, how long it is talked."""

    weight: int
    kind: RecordKind
    status: str
    """A status's name, or a system result."""
    talk_s: tuple[int, int]


KINDS = (
    Kind(430, RecordKind.OUTBOUND, "不通", (0, 0)),
    Kind(15, RecordKind.OUTBOUND, "FAX", (2, 8)),
    Kind(45, RecordKind.OUTBOUND, "現アナ", (0, 0)),
    Kind(25, RecordKind.OUTBOUND, "見込", (60, 400)),
    Kind(50, RecordKind.OUTBOUND, "再コール", (15, 90)),
    Kind(1, RecordKind.OUTBOUND, "クレーム", (20, 200)),
    Kind(190, RecordKind.OUTBOUND, "担当者不在", (10, 40)),
    Kind(80, RecordKind.OUTBOUND, "決裁者不在", (15, 60)),
    Kind(15, RecordKind.OUTBOUND, "アポ", (120, 600)),
    Kind(30, RecordKind.OUTBOUND, "資料送付", (60, 300)),
    Kind(24, RecordKind.OUTBOUND, "お断り", (10, 60)),
    Kind(10, RecordKind.OUTBOUND, SystemResult.BLANK, (0, 60)),
    Kind(5, RecordKind.OUTBOUND, SystemResult.LINE_ERROR, (0, 0)),
    Kind(20, RecordKind.PREDICTIVE, "担当者不在", (10, 60)),
    Kind(20, RecordKind.PREDICTIVE, "不通", (0, 0)),
    Kind(4, RecordKind.PREDICTIVE, SystemResult.ABANDONED, (0, 0)),
    Kind(14, RecordKind.ENTRY, "資料送付", (0, 0)),
    Kind(15, RecordKind.INBOUND, "再コール", (20, 200)),
    Kind(7, RecordKind.MANUAL, "", (10, 100)),
)
BY_NOBODY = {"不通", SystemResult.ABANDONED}
"""Of プレディコール: nobody was joined."""


class Result(NamedTuple):
    """What a Kind writes into a record."""

    status_id: int | None
    system: SystemResult
    name: str
    counts: figures.Counts
    promises: bool
    bans: bool


class Slot(NamedTuple):
    """One call of an operator's day; seconds since 1970."""

    start: float
    kind: Kind
    user: int
    list_place: int
    talked_ms: int
    ended: float
    saved: float


@dataclass(slots=True)
class Card:
    """What is known of a customer while its span is written."""

    id: int
    list_place: int
    number: str
    extra: str = ""
    dials: int = 0
    connects: int = 0
    cycle: int = 0
    last: tuple[Any, ...] = (None, None, "", None)
    """record, status, system result, user"""
    dialled_at: str | None = None
    banned: bool = False
    level: str = ""
    updated: str = ""
    task: list[Any] | None = None


WEIGHTS = [kind.weight for kind in KINDS]
STATES = (
    OperatorState.BROWSING, OperatorState.DIALLING, OperatorState.TALKING, OperatorState.WRAP_UP,
)  # fmt: skip
STATES_UNANSWERED = (OperatorState.BROWSING, OperatorState.DIALLING, OperatorState.WRAP_UP)
ORIGINS = {
    RecordKind.OUTBOUND: "call", RecordKind.PREDICTIVE: "predictive",
    RecordKind.INBOUND: "inbound", RecordKind.MANUAL: "manual",
}  # fmt: skip
LINES = {
    RecordKind.OUTBOUND: "outbound", RecordKind.PREDICTIVE: "predictive",
    RecordKind.INBOUND: "inbound", RecordKind.MANUAL: "outbound",
}  # fmt: skip
