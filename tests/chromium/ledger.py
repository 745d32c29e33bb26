"""Both CSVs as they must be, written out from the rows without any of the product's code."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import (
    AttributeItem,
    CallerNumber,
    CallRecord,
    Customer,
    CustomerList,
    ExtraNumber,
    MemoEntry,
    Project,
    RecordKind,
    ResultStatus,
    SystemResult,
    Task,
    User,
)
from calltree.text.phones import format_national
from tests.chromium.house import House

TOKYO = ZoneInfo("Asia/Tokyo")


class Ledger:
    """A house's ledger as tables of text."""

    def __init__(self, house: House, list_name: str) -> None:
        self.store = house.store
        self.list_name = list_name

    @staticmethod
    def shown(moment: datetime | None) -> str:
        return f"{moment.astimezone(TOKYO):%Y/%m/%d %H:%M:%S}" if moment else ""

    @staticmethod
    def result(session: Session, record: CallRecord | None) -> str:
        if record is None:
            return ""
        if record.status_id:
            return session.get_one(ResultStatus, record.status_id).name
        return {"blank": "空白", "abandoned": "放棄", "line_error": "回線エラー"}[record.system]

    @staticmethod
    def safe(cell: str) -> str:
        return "'" + cell if cell[:1] in tuple("=＝") else cell

    def customer_head(self) -> list[str]:
        return [
            "顧客ID", "リスト番号", "リスト名", "電話番号", "会社名", "住所1", "住所2", "備考",
            "追加番号1", "業種", "見込レベル", "最終結果", "最終架電日時", "最終架電者", "コール数",
            "コネクト数", "再コール日時", "簡易メモ", "メモ",
        ]  # fmt: skip

    def customers(self) -> list[list[str]]:
        with self.store.read() as session:
            folder = session.scalars(
                select(CustomerList).where(CustomerList.name == self.list_name)
            ).one()
            trade = session.scalars(select(AttributeItem).where(AttributeItem.name == "業種")).one()
            found = []
            for customer in session.scalars(select(Customer).order_by(Customer.position)):
                of = CallRecord.customer_id == customer.id
                newest = CallRecord.started_at.desc()
                calls = session.scalars(select(CallRecord).where(of).order_by(newest)).all()
                last = next((c for c in calls if c.system != SystemResult.LINE_ERROR), None)
                extra = session.scalars(
                    select(ExtraNumber.number).where(ExtraNumber.customer_id == customer.id)
                ).first()
                task = session.scalars(
                    select(Task).where(Task.customer_id == customer.id, Task.done_at.is_(None))
                ).first()
                memo = session.scalars(
                    select(MemoEntry.text).where(MemoEntry.customer_id == customer.id)
                ).all()
                user = session.get(User, last.user_id) if last and last.user_id else None
                found.append(
                    [
                        str(customer.id), str(folder.id), folder.name,
                        format_national(customer.number), *map(self.safe, customer.cells),
                        format_national(extra) if extra else "",
                        customer.attributes.get(str(trade.id), ""),
                        customer.prospect_level, self.result(session, last),
                        self.shown(last and last.started_at), user.name if user else "",
                        str(sum(c.counts_dial for c in calls)),
                        str(sum(c.counts_connect for c in calls)),
                        self.shown(task and task.due_at), customer.short_note, "\n".join(memo),
                    ]
                )  # fmt: skip
            return found

    def records(self) -> list[list[str]]:
        head = [
            "履歴ID", "種別", "日時", "通話秒", "案件", "リスト名", "顧客ID", "電話番号",
            "架電した番号", "発信番号", "ユーザー", "結果", "予算", "メモ", "録音",
        ]  # fmt: skip
        with self.store.read() as session:
            budget = session.scalars(
                select(AttributeItem).where(AttributeItem.name == "予算")
            ).one()
            found = []
            newest = (CallRecord.started_at.desc(), CallRecord.id.desc())
            for record in session.scalars(select(CallRecord).order_by(*newest)):
                assert record.kind is RecordKind.OUTBOUND
                caller = session.get_one(CallerNumber, record.caller_number_id)
                found.append(
                    [
                        str(record.id), "発信", self.shown(record.started_at),
                        str(record.talk_ms // 1000),
                        session.get_one(Project, record.project_id).name,
                        session.get_one(CustomerList, record.list_id).name,
                        str(record.customer_id),
                        format_national(session.get_one(Customer, record.customer_id).number),
                        format_national(record.number), format_national(caller.number),
                        session.get_one(User, record.user_id).name, self.result(session, record),
                        record.attributes.get(str(budget.id), ""), self.safe(record.memo), "",
                    ]
                )  # fmt: skip
        return [head, *found]
