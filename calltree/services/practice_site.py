"""The practice site: accounts, one project and one list for trying out and training (R-AR-5).

A number's last digit decides what the practice carrier does, so the list holds every digit, and
people (9) most often (docs/reference/practice-switch.md).
"""

from __future__ import annotations

from datetime import datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash

from calltree.models import (
    Audience,
    CallerNumber,
    Customer,
    CustomerList,
    ListGrant,
    Project,
    ProjectRecipient,
    ResultPattern,
    Role,
    User,
)
from calltree.services import setup
from calltree.text.folding import fold_cells, fold_name

ACCOUNTS = (
    ("mgr", "管理 花子", Role.MANAGER),
    ("sv", "監督 次郎", Role.SUPERVISOR),
    ("op1", "山田 太郎", Role.OPERATOR),
    ("op2", "佐藤 美咲", Role.OPERATOR),
    ("op3", "鈴木 健一", Role.OPERATOR),
    ("op4", "高橋 由美", Role.OPERATOR),
    ("op5", "田中 誠", Role.OPERATOR),
    ("biz", "依頼主 一郎", Role.BUSINESS),
    ("by", "事務 恵子", Role.BACKYARD),
)
PROJECT = "練習案件"
LIST = "練習リスト"
CALLER = "0312345678"
COLUMNS = ["会社名", "担当者", "住所", "業種"]
LAST_DIGITS = "9999099199299399499599699799989990"
CUSTOMERS = 60
TOWNS = ("東京都千代田区", "神奈川県横浜市", "大阪府大阪市", "愛知県名古屋市", "福岡県福岡市")
TRADES = ("建設", "小売", "飲食", "医療", "運輸", "不動産")
FAMILIES = ("青木", "石井", "上田", "遠藤", "岡本", "加藤", "木村", "小林", "斎藤", "清水")
SCRIPT = "{会社名} の {担当者} 様でいらっしゃいますか。\nただいまお時間よろしいでしょうか。"


def fill(session: Session, *, password_hash: str, now: datetime) -> bool:
    """Fill an empty site; False, and nothing done, when it has a user or a project already."""
    if session.scalar(select(User.id).limit(1)) or session.scalar(select(Project.id).limit(1)):
        return False
    setup.found(session, practice=True, now=now)
    users = [
        User(
            login_id=login_id,
            login_key=fold_name(login_id),
            name=name,
            role=role,
            password_hash=password_hash,
            created_at=now,
        )
        for login_id, name, role in ACCOUNTS
    ]
    session.add_all(users)
    project = _project(session, now)
    folder = CustomerList(
        name=LIST, project_id=project.id, enabled=True, columns=COLUMNS, created_at=now
    )
    session.add(folder)
    session.flush()
    for user in users:
        if user.role in {Role.OPERATOR, Role.BACKYARD}:
            session.add(ListGrant(list_id=folder.id, user_id=user.id))
        if user.role is Role.BUSINESS:
            session.add(ProjectRecipient(project_id=project.id, user_id=user.id))
    _customers(session, folder, now)
    return True


def with_other_password(session: Session, *, password: str) -> list[int]:
    """Return the practice accounts whose password is another one. Slow on purpose: 0.1 s each."""
    keys = [fold_name(login_id) for login_id, *_ in ACCOUNTS]
    users = session.scalars(select(User).where(User.login_key.in_(keys), User.deleted_at.is_(None)))
    return [user.id for user in users if not check_password_hash(user.password_hash, password)]


def numbers() -> list[tuple[str, str]]:
    """Return the made-up numbers of the practice list: digits, and as a list writes them."""
    digits = [
        f"03{5550100 + index}{LAST_DIGITS[index % len(LAST_DIGITS)]}" for index in range(CUSTOMERS)
    ]
    return [(number, f"{number[:2]}-{number[2:6]}-{number[6:]}") for number in digits]


def _project(session: Session, now: datetime) -> Project:
    caller = CallerNumber(number=CALLER, label="練習用の番号")
    session.add(caller)
    session.flush()
    project = Project(
        name=PROJECT,
        # companies, at any hour: whoever tries it out on a Sunday evening shall get through
        audience=Audience.B2B,
        opens=time(0, 0),
        closes=time(23, 59),
        weekdays=list(range(7)),
        on_holidays=True,
        pattern_id=session.scalar(select(ResultPattern.id).order_by(ResultPattern.id).limit(1)),
        main_number_id=caller.id,
        script=SCRIPT,
        business_name="練習商事",
        purpose="新しいサービスのご案内",
        prospect_levels=["A", "B", "C", "なし"],
        created_at=now,
    )
    session.add(project)
    session.flush()
    return project


def _customers(session: Session, folder: CustomerList, now: datetime) -> None:
    for index, (number, given) in enumerate(numbers()):
        cells = [
            f"練習{TRADES[index % len(TRADES)]}株式会社 第{index + 1}支店",
            FAMILIES[index % len(FAMILIES)],
            f"{TOWNS[index % len(TOWNS)]}{index % 9 + 1}丁目",
            TRADES[index % len(TRADES)],
        ]
        session.add(
            Customer(
                list_id=folder.id,
                position=index + 1,
                number_given=given,
                number=number,
                cells=cells,
                folded=fold_cells(cells),
                created_at=now,
                updated_at=now,
            )
        )
    folder.next_position = CUSTOMERS + 1
    folder.customers = CUSTOMERS
