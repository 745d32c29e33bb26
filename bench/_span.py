"""Some days of a generated year while they are written, call by call (see `bench._year`)."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bench._columns import SHEETS
from bench._kinds import (
    BY_NOBODY,
    KINDS,
    LEVELS,
    LINES,
    MEMOS,
    ORIGINS,
    STATES,
    STATES_UNANSWERED,
    WEIGHTS,
    Card,
    Result,
    Slot,
)  # fmt: skip
from bench._sheets import Sheets, moment, start_day
from bench.search import cells
from calltree.models import (
    Attempt,
    AuditEntry,
    CallRecord,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    ExtraNumber,
    Import,
    Line,
    MemoEntry,
    OperatorInterval,
    OperatorState,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    SystemResult,
    Task,
)
from calltree.services import figures
from calltree.text.days import TOKYO
from calltree.text.folding import fold_cells

if TYPE_CHECKING:
    from bench._year import Year

DIALS_EACH = 5
"""Records for each customer, about."""
BATCH = 20_000
LARGEST = 0.25
"""The first list's part of all customers: deep pages shall have something to show."""
OPENS, CLOSES = time(9, 0), time(18, 0)
NONE_OF = ("updated", "merged", "skipped", "errors", "warnings")
"""Of an import's rows: all were new."""


class Span:
    """Some days of the year while they are written."""

    def __init__(
        self, year: "Year", sheet: Sheets, rows: int, first: date, until: datetime
    ) -> None:
        self.year, self.sheet, self.draw, self.people = year, sheet, year.draw, year.people
        self.rows, self.until = rows, until
        self.begun = moment(datetime.combine(first, time(8), TOKYO).timestamp())
        days = (until.astimezone(TOKYO).date() - first).days + 1
        self.days = [
            day for day in (first + timedelta(days=n) for n in range(days)) if day.weekday() < 5
        ]
        self.lists = [self._dealt(place) for place in range(len(self.people.lists))]
        self.turn = [0] * len(self.lists)
        self.written: dict[Any, list[tuple[Any, ...]]] = {name: [] for name in SHEETS}

    def _dealt(self, place: int) -> list[Card]:
        """The cards of one list's customers."""
        total = max(self.rows // DIALS_EACH, 2 * len(self.people.lists))
        many = (
            int(total * LARGEST)
            if place == 0
            else int(total * (1 - LARGEST) / (len(self.people.lists) - 1))
        )
        return [
            Card(
                self.year.next(Customer),
                place,
                f"03{self.draw.randrange(10**8):08}",
                f"090{self.draw.randrange(10**8):08}" if not self.draw.randrange(10) else "",
            )
            for _ in range(max(many, 2))
        ]

    def write(self) -> None:
        """Write everything; customers last, when it is known what became of them."""
        left = self.rows
        for place, day in enumerate(self.days):
            today = left // (len(self.days) - place)
            left -= today
            for slot in sorted(self._day(day, today)):
                self._call(slot)
            if len(self.written["call_records"]) > BATCH:
                self._flush()
        for cards in self.lists:
            for card in cards:
                if card.task:
                    self.written["tasks"].append(tuple(card.task))
        self._customers()
        self._flush()
        self._sum_up()

    def _day(self, day: date, calls: int) -> Iterator[Slot]:
        """Every operator's day: so many calls between opening and closing, and lunch."""
        who = self.people.operators
        opens = datetime.combine(day, OPENS, TOKYO).timestamp()
        closes = min(datetime.combine(day, CLOSES, TOKYO), self.until).timestamp()
        for place, user in enumerate(who):
            many = calls // len(who) + (place < calls % len(who))
            if closes - opens > 600:
                yield from self._shift(user, place, opens, closes, many)

    def _shift(
        self, user: int, place: int, opens: float, closes: float, many: int
    ) -> Iterator[Slot]:
        draw = self.draw
        if not many:
            return
        each = (closes - opens) / (many + many // 8 + 1)  # one in nine stretches is 離席
        at = opens + draw.random() * each / 10
        folder = self._list_of(place)
        for turn, kind in enumerate(draw.choices(KINDS, WEIGHTS, k=many)):
            if turn % 8 == 7:
                self._state(user, OperatorState.AWAY, at, at + each, "休憩")
                at += each
            longest = each * 0.5
            talked = min(draw.uniform(*kind.talk_s), longest)
            start, rung = at + each * 0.15, each * draw.uniform(0.05, 0.15)
            ended = start + rung + talked
            end = at + each
            if kind.kind in (RecordKind.ENTRY, RecordKind.INBOUND):
                rung = 0.0
            elif kind.kind is RecordKind.PREDICTIVE and kind.status in BY_NOBODY:
                self._state(user, OperatorState.READY, at, end)
                yield Slot(start, kind, 0, folder, 0, ended, ended)
                at = end
                continue
            saved = ended + (end - ended) * 0.8
            moments = [at, start, start + rung, ended, end] if talked else [at, start, ended, end]
            states = STATES if talked else STATES_UNANSWERED
            for state, (begin, stop) in zip(states, pairwise(moments), strict=True):
                self._state(user, state, begin, stop)
            yield Slot(start, kind, user, folder, int(talked * 1000), ended, saved)
            at = end

    def _list_of(self, place: int) -> int:
        """The list an operator works on today: larger ones more often, of the own group's."""
        lists = self.people.lists_of_group[place % len(self.people.lists_of_group)]
        sizes = [len(self.lists[one]) for one in lists]
        return int(self.draw.choices(lists, sizes)[0])

    def _state(
        self, user: int, state: OperatorState, start: float, end: float, reason: str = ""
    ) -> None:
        if end <= start:  # nothing rang before an entry
            return
        row = (user, start_day(start), state.value, reason, moment(start), moment(end))
        self.written["operator_intervals"].append((self.year.next(OperatorInterval), *row))

    def _card(self, wanted: int) -> Card | None:
        """The next of the list who may be dialled, of another one where nobody is left; the last
        hundredth of each list is in the bin."""
        for place in (wanted, *range(len(self.lists))):
            cards = self.lists[place]
            living = len(cards) - len(cards) // 100
            for _ in range(living):
                self.turn[place] = (self.turn[place] + 1) % living
                card = cards[self.turn[place]]
                if not card.banned:
                    return card
        return None

    def _call(self, slot: Slot) -> None:
        year, kind, result = self.year, slot.kind.kind, self.year.results[slot.kind]
        by_hand = kind is RecordKind.MANUAL
        card = None if by_hand else self._card(slot.list_place)
        number = card.number if card else f"03{self.draw.randrange(10**8):08}"
        list_id, project_id = self.people.lists[card.list_place] if card else (None, None)
        if card is None and not by_hand:
            return
        start, saved = moment(slot.start), moment(slot.saved)
        record_id = year.next(CallRecord)
        user = slot.user or None
        called = kind is not RecordKind.ENTRY
        attempt_id = year.next(Attempt) if called else None
        if attempt_id is not None:
            self._attempt(slot, attempt_id, record_id, card, number, list_id, project_id)
        blank = result.system in (SystemResult.BLANK, SystemResult.LINE_ERROR) or by_hand
        memo = self.draw.choice(MEMOS) if slot.talked_ms > 20_000 and not blank else ""
        due = moment(slot.saved + 86_400 * self.draw.randint(1, 5)) if result.promises else None
        level = self.draw.choice(LEVELS) if slot.kind.status == "見込" else ""
        self.written["call_records"].append((
            record_id, kind.value, attempt_id, card and card.id, list_id, project_id, user, number,
            self.people.caller, 1 if card else 0, start, start_day(slot.start),
            slot.talked_ms, result.status_id, result.system.value, None if blank else saved, saved,
            level, due, memo, *map(int, result.counts),
        ))  # fmt: skip
        if card is not None:
            self._known(card, slot, result, record_id, user, start, due, level)
            if memo and user:
                self._memo(card, record_id, user, slot, f" {result.name}】{memo}")
        if not record_id % 200 and user and memo:
            before, after = (
                {"memo": "", "status": "再コール"},
                {"memo": memo, "status": result.name},
            )
            texts = (self.sheet.json(before), self.sheet.json(after))
            row = (record_id, saved, self.people.manager, *texts)
            self.written["record_corrections"].append((year.next(RecordCorrection), *row))

    def _attempt(
        self, slot: Slot, attempt_id: int, record_id: int, card: Card | None, number: str,
        list_id: int | None, project_id: int | None,
    ) -> None:  # fmt: skip
        year, kind = self.year, slot.kind.kind
        start, ended = moment(slot.start), moment(slot.ended)
        uuid = f"00000000-0000-4000-8000-{attempt_id:012x}"
        answered = moment(slot.ended - slot.talked_ms / 1000) if slot.talked_ms else None
        state = {"line_error": "failed", "abandoned": "abandoned"}.get(slot.kind.status, "ended")
        self.written["attempts"].append((
            attempt_id, uuid, ORIGINS[kind], slot.user or None, card and card.id, list_id,
            project_id, number, self.people.caller, "main", "allowed", state, start, start,
            answered, answered, ended, slot.talked_ms,
        ))  # fmt: skip
        line = (attempt_id, uuid, LINES[kind], self.people.caller, start, ended)
        self.written["lines"].append((year.next(Line), *line))
        if slot.kind.status == SystemResult.LINE_ERROR:
            return
        kept = slot.kind.status != "不通"
        seconds = slot.ended - slot.start
        recording_id = year.next(Recording)
        self.written["recordings"].append((
            recording_id, attempt_id, record_id, "main", "",
            f"{start[:4]}/{attempt_id}.mp3" if kept else "",
            (RecordingState.STORED if kept else RecordingState.DESTROYED).value, start, ended,
            int(seconds * 1000), int(seconds * 2_000) if kept else 0,
            self.draw.choice(self.people.waveforms) if kept else b"",
            "short" if kept and not recording_id % 1_000 else "",
            moment(slot.saved + 9_000) if recording_id % 5_000 else None,
            None if kept else moment(slot.saved + 700), "" if kept else "no_answer",
        ))  # fmt: skip
        if kept and not recording_id % 40:
            row = (moment(slot.saved), "recording.played", "recording", str(recording_id))
            self._audit(*row)

    def _known(
        self, card: Card, slot: Slot, result: Result, record_id: int, user: int | None,
        start: str, due: str | None, level: str,
    ) -> None:  # fmt: skip
        """What a result does to its customer: the counters, the task, the ban."""
        dial, connect, _conversion = result.counts
        card.cycle, card.updated = 1, moment(slot.saved)
        card.dials, card.connects = card.dials + dial, card.connects + connect
        card.level = level or card.level
        if result.system is not SystemResult.LINE_ERROR:
            card.last = (record_id, result.status_id, result.system.value, user)
            if slot.kind.kind in figures.DIALLED:
                card.dialled_at = start
        if result.status_id is None or user is None:
            return
        if card.task is not None:
            card.task[-3:] = [moment(slot.saved), user, record_id]
            self.written["tasks"].append(tuple(card.task))
            card.task = None
        if result.promises:
            list_id, _project_id = self.people.lists[card.list_place]
            saved = moment(slot.saved)
            task = (self.year.next(Task), card.id, list_id, record_id, user, user, due, saved)
            card.task = [*task, None, None, None]
        if result.bans:
            card.banned = True
            for number in filter(None, (card.number, card.extra)):
                row = (number, DncSource.STATUS.value, user, record_id, moment(slot.saved))
                self.written["do_not_call"].append((self.year.next(DoNotCall), *row))

    def _memo(self, card: Card, record_id: int, user: int, slot: Slot, said: str) -> None:
        at = datetime.fromtimestamp(slot.saved, TOKYO)
        text = f"【{at:%Y/%m/%d %H:%M} {self.people.names[user]}{said}"
        row = (card.id, record_id, user, moment(slot.saved), text)
        self.written["memo_entries"].append((self.year.next(MemoEntry), *row))

    def _audit(self, at: str, action: str, kind: str, object_id: str) -> None:
        manager = self.people.manager
        who = (manager, self.people.names[manager], "192.0.2.10")
        row = (at, *who, action, kind, object_id)
        self.written["audit_entries"].append((self.year.next(AuditEntry), *row))

    def _customers(self) -> None:
        """Each list's import of this span, and its customers as the span left them."""
        for place, cards in enumerate(self.lists):
            list_id, project_id = self.people.lists[place]
            import_id = self.year.next(Import)
            begun = self.begun
            done = {"total": len(cards), "new": len(cards)}
            counts = self.sheet.json(done | dict.fromkeys(NONE_OF, 0))
            self.written["imports"].append((
                import_id, "done", project_id, list_id, self.people.manager, f"{list_id}月次.csv",
                "", len(cards), len(cards), counts, begun, begun, begun, begun,
            ))  # fmt: skip
            for action in ("import.uploaded", "import.started"):
                self._audit(begun, action, "import", str(import_id))
            first = self.people.filled[place] + 1
            self.people.filled[place] += len(cards)
            living = len(cards) - len(cards) // 100
            for index, card in enumerate(cards):
                texts = cells(self.draw)
                gone = (self.begun, self.people.manager) if index >= living else (None, None)
                assigned = self.draw.choice(self.people.operators) if index % 10 == 0 else None
                self.written["customers"].append((
                    card.id, list_id, import_id, first + index, card.number, card.number,
                    self.sheet.json(texts), fold_cells(texts), card.level, assigned, card.cycle,
                    card.dials, card.connects, *card.last, card.dialled_at, begun,
                    card.updated or begun, *gone,
                ))  # fmt: skip
                if card.extra:
                    row = (card.id, card.extra, card.extra, "携帯")
                    self.written["extra_numbers"].append((self.year.next(ExtraNumber), *row))
            self._flush("imports", "customers", "extra_numbers")

    def _flush(self, *names: str) -> None:
        # customers and their imports first: rows point at them
        for name in names or SHEETS:
            model, columns = SHEETS[name]
            if self.written[name]:
                self.sheet.write(model, columns, self.written[name])
                self.written[name] = []

    def _sum_up(self) -> None:
        """Bring the lists' figures in line, as every save did."""
        for place, cards in enumerate(self.lists):
            living = cards[: len(cards) - len(cards) // 100]
            self.sheet.link.execute(
                update(CustomerList)
                .where(CustomerList.id == self.people.lists[place][0])
                .values(
                    customers=CustomerList.customers + len(living),
                    worked=CustomerList.worked + sum(card.dials > 0 for card in living),
                    dials=CustomerList.dials + sum(card.dials for card in living),
                    connects=CustomerList.connects + sum(card.connects for card in living),
                    next_position=self.people.filled[place] + 1,
                )
            )
