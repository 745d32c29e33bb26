"""An operator at the call screen, with a real browser: presses, keys, and what is then seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count

from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    CallRecord,
    Customer,
    CustomerList,
    MemoEntry,
    Operator,
    Project,
    ResultPattern,
    ResultStatus,
    Role,
)
from calltree.models import User as UserRow
from calltree.services import figures, results
from calltree.text.days import site_day
from tests import factories as make
from tests.browser import signed_in_cookie
from tests.faults.site import Site
from tests.windows import Windows

NUMBERS = count(1)


def numbers(*digits: str) -> list[str]:
    """A number of its own for each last digits, in no other test's list."""
    return [f"03{55000000 + next(NUMBERS) * 100 + int(d):08}" for d in digits]


@dataclass
class Place:
    """The site: where operators and lists are made, and the Chromium that looks at it."""

    store: Store
    origin: str
    chromium: Windows
    app: Flask
    list_id: int
    site: Site

    def seat(self, *numbers: str, **project: object) -> Seat:
        """An operator of their own with a list of these numbers, signed in on a new machine."""
        with self.store.write() as session:
            base = session.get_one(CustomerList, self.list_id)
            of_base = session.get_one(Project, base.project_id)
            values = {
                "audience": of_base.audience,
                "weekdays": of_base.weekdays,
                "on_holidays": True,
                "opens": of_base.opens,
                "closes": of_base.closes,
                "ring_time_s": 60,
                "auto_dial_delay_s": 0,
                "pattern_id": session.scalars(
                    select(ResultPattern.id).where(ResultPattern.name == "標準")
                ).one(),
                "script": "{会社名} の {担当者} 様でいらっしゃいますか。",
                "business_name": "練習商事",
            }
            own = make.make_project(session, **(values | project))
            folder = make.make_list(session, own)
            user = make.make_user(session, Role.OPERATOR)
            make.grant(session, folder, user)
            customers = [make.make_customer(session, folder, number=n) for n in numbers]
        seat = Seat(self, user.id, folder.id, [c.id for c in customers])
        seat.page = seat.window()
        return seat

    def window(self) -> BrowserContext:
        """A browser of its own: another machine, nobody signed in."""
        return self.chromium.new_context(
            viewport={"width": 1366, "height": 768}, locale="ja-JP", timezone_id="Asia/Tokyo"
        )

    def cookie(self, user_id: int) -> str:
        return signed_in_cookie(self.app, user_id)


@dataclass
class Seat:
    """One operator at one page; questions about what happened are asked of the ledger."""

    place: Place
    user_id: int
    list_id: int
    customers: list[int]
    page: Page = field(init=False)

    # --- windows

    def window(self, context: BrowserContext | None = None) -> Page:
        """Signed in, in a new page on a machine of its own unless one is given."""
        opened = context or self.place.window()
        if context is None:
            cookie = self.place.cookie(self.user_id)
            opened.add_cookies([{"name": "calltree", "value": cookie, "url": self.place.origin}])
        page = opened.new_page()
        page.goto(f"{self.place.origin}/operator/")
        return page

    def begin(self) -> None:
        """リスト選択 → コールデータ検索 → the first customer."""
        self.page.goto(f"{self.place.origin}/operator/lists/{self.list_id}")
        self.press("F2")
        expect(self.at("#call")).to_be_visible()
        expect(self.at("#softphone.ok")).to_be_visible()

    # --- pressing and seeing

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def sees(self, state: str) -> None:
        """Wait for the call box to show this state (ringing, talking, ended…)."""
        expect(self.at("#call-status")).to_have_class(re.compile(rf"\b({state})\b"))
        if state == "ended":  # the buttons below follow the call box
            expect(self.at('#call-actions button[value="next"]')).to_be_enabled()

    def sees_text(self, selector: str, text: str) -> None:
        expect(self.at(selector)).to_contain_text(text)

    def picked(self) -> str:
        """The result that is chosen now."""
        return self.at("#results .result:has(:checked) > span").inner_text()

    def picks(self, key: str, name: str) -> None:
        """Choose a result by its key."""
        self.press(key)
        expect(self.at("#results .result:has(:checked) > span")).to_have_text(name)

    def call(self, state: str = "talking") -> None:
        """CALL by its key, until the call is in this state."""
        expect(self.at("#call-now button")).to_be_enabled()
        self.press("F2")
        self.sees(state)

    def hang_up(self) -> None:
        self.press("F9")
        self.sees("ended")

    def save(self) -> None:
        """保存のみ, until the screen is drawn anew and takes the next key."""
        with self.page.expect_response("**/operator/call/") as answer:
            self.press("Control+s")
        assert answer.value.ok
        expect(self.at("#call-form:not([data-sent])")).to_be_visible()
        expect(self.at("#operator-state.browsing")).to_be_visible()

    def position(self, number: int, size: int) -> None:
        """Wait until this customer of the queue is open."""
        expect(self.at("#call-queue .nowrap")).to_have_text(f"{number} / {size}")

    # --- the ledger

    def records(self) -> list[CallRecord]:
        with self.place.store.read() as session:
            return list(
                session.scalars(
                    select(CallRecord)
                    .where(CallRecord.user_id == self.user_id)
                    .order_by(CallRecord.id)
                )
            )

    def results(self) -> list[str]:
        """Each record's result as pages name it, in the order of the calls."""
        with self.place.store.read() as session:
            return [results.result_name(session, record) for record in self.records()]

    def attempts(self) -> list[Attempt]:
        with self.place.store.read() as session:
            mine = select(Attempt).where(Attempt.user_id == self.user_id).order_by(Attempt.id)
            return list(session.scalars(mine))

    def memo(self) -> list[str]:
        """The first customer's memo."""
        with self.place.store.read() as session:
            mine = MemoEntry.customer_id == self.customers[0]
            return list(session.scalars(select(MemoEntry.text).where(mine).order_by(MemoEntry.id)))

    def operator(self) -> Operator:
        with self.place.store.read() as session:
            return session.get_one(Operator, self.user_id)

    def customer(self, index: int = 0) -> Customer:
        with self.place.store.read() as session:
            return session.get_one(Customer, self.customers[index])

    def today(self) -> tuple[int, int]:
        """コール数 and コネクト数 of the ledger."""
        with self.place.store.read() as session:
            summed = figures.today(session, user_id=self.user_id, day=site_day(utcnow()))
        return summed.dials, summed.connects

    def name(self) -> str:
        with self.place.store.read() as session:
            return session.get_one(UserRow, self.user_id).name

    def status_id(self, name: str) -> int:
        with self.place.store.read() as session:
            return session.scalars(
                select(ResultStatus.id).where(ResultStatus.name == name).limit(1)
            ).one()

    def change(self, model: type, key: object, **values: object) -> None:
        """Change a row behind everybody's back."""
        with self.place.store.write() as session:
            row = session.get_one(model, key)
            for name, value in values.items():
                setattr(row, name, value)
