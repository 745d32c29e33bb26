"""集計 as people see it: figures, their definitions, the way to their records, files (R-WT-2…4)."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import openpyxl
import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import select

from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.blueprints.summary_columns import COLUMNS
from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    BuiltIn,
    CallRecord,
    OperatorInterval,
    OperatorState,
    Project,
    RecordKind,
    Role,
    SystemResult,
)
from calltree.services import figures, history
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis
from calltree.text.days import site_day
from tests import factories as make
from tests.browser import Answer, Browser


class House:
    """Two projects, two operators (one in a group), and some calls of today."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = utcnow()
        start = self.now
        with store.write() as session:
            make.make_site(session)
            self.manager = make.make_user(session, Role.MANAGER, name="管理花子")
            self.supervisor = make.make_user(session, Role.SUPERVISOR)
            self.op = make.make_user(session, name="山田太郎")
            self.other = make.make_user(session, name="佐藤一郎")
            make.make_group(session, self.op).name = "東京組"
            projects = [
                make.make_project(session, name=name, weekdays=list(range(7)), on_holidays=True)
                for name in ("新規開拓", "既存深耕")
            ]
            projects[0].target_conversions = 4
            self.project_id = projects[0].id
            apo = make.make_status(
                session, make.get_pattern(session, projects[0]), "アポ", conversion=True
            )
            plan: list[tuple[int, Any, Any, dict[str, Any]]] = [
                (0, self.op, BuiltIn.NO_ANSWER, {}),
                (0, self.op, BuiltIn.PROSPECT, {"talk_ms": 60_000}),
                (0, self.op, apo, {"talk_ms": 120_000}),
                (0, self.other, BuiltIn.CALLBACK, {"talk_ms": 30_000}),
                (1, self.other, BuiltIn.FAX, {}),
                (1, self.other, None, {"system": SystemResult.LINE_ERROR}),
                (1, self.other, None, {}),
                (1, None, BuiltIn.NO_ANSWER, {"kind": RecordKind.PREDICTIVE}),
                (0, self.op, BuiltIn.PROSPECT, {"kind": RecordKind.ENTRY}),
                (0, self.op, BuiltIn.PROSPECT, {"kind": RecordKind.INBOUND}),
                (0, self.op, None, {"kind": RecordKind.MANUAL}),
            ]
            folders = [make.make_list(session, project) for project in projects]
            for place, user, status, given in plan:
                if isinstance(status, BuiltIn):
                    status = make.built_in(session, status)
                record = make.make_record(
                    session,
                    make.make_customer(session, folders[place]),
                    user_id=user.id if user else None,
                    status_id=status.id if status else None,
                    started_at=start,
                    site_day=site_day(start),
                    **given,
                )
                figures.settle(session, record=record, now=self.now)
            make.grant(session, folders[0], self.op)
            for state, reason, seconds in (
                (OperatorState.AWAY, "昼休み", 600),
                (OperatorState.TALKING, "", 180),
                (OperatorState.WRAP_UP, "", 60),
            ):
                begun = self.now - timedelta(seconds=seconds)
                session.add(
                    OperatorInterval(
                        user_id=self.op.id, site_day=site_day(start), state=state, reason=reason,
                        started_at=begun, ended_at=begun + timedelta(seconds=seconds // 2),
                    )
                )  # fmt: skip


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.fixture
def manager(house: House, browser_of) -> Browser:
    return browser_of(house.manager)


def table_of(page: Answer) -> list[list[str]]:
    """Header, lines and total, as they are read."""
    return [
        [" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])]
        for row in page.one("#summary table").find_all("tr")
    ]


def line(page: Answer, name: str) -> dict[str, str]:
    header, *rows = table_of(page)
    (found,) = [row for row in rows if row[0] == name]
    return dict(zip(header, found, strict=True))


def test_R_WT_2_a_table_by_user_shows_every_figure(manager: Browser) -> None:
    page = manager.get("/figures/table?period=today&by=user")
    yamada = line(page, "山田太郎")
    assert {
        "コール数": "3", "コネクト数": "2", "コネクト率": "66.7%", "CV": "1", "CV率": "50.0%",
        "通話時間": "0:03:00", "平均通話": "0:01:30", "後処理": "0:00:30", "待機": "0:00:00",
        "稼働時間": "0:02:00", "コール／時": "90.0", "対応数": "1", "受電数": "1",
        "手動発信数": "1", "回線エラー": "0",
    }.items() <= yamada.items()  # fmt: skip
    assert line(page, "自動発信")["コネクト率"] == "0.0%"
    total = line(page, "合計")
    assert (total["コール数"], total["コネクト数"], total["CV"]) == ("7", "3", "1")
    assert (total["目標"], total["達成率"], total["回線エラー"]) == ("4", "25.0%", "1")


def test_R_WT_2_a_chart_is_as_high_as_its_figures(manager: Browser) -> None:
    page = manager.get("/figures/table?period=today&by=user")
    chart = page.one("#summary figure.chart svg")
    full = float(str(chart["viewbox"]).split()[3]) - 18  # what is under the bars are names
    for kind, column in (("dials", "コール数"), ("connects", "コネクト数")):
        bars = [float(str(bar["height"])) for bar in chart.select(f"rect.{kind}")]
        header, *rows = table_of(page)
        figures = [int(row[header.index(column)]) for row in rows[:-1]]
        most = max(int(row[header.index("コール数")]) for row in rows[:-1])
        assert bars == pytest.approx([full * one / most for one in figures], abs=0.06)
        assert any(figures)
    titles = [title.get_text() for title in chart.select("title")]
    assert "山田太郎 3 / 2" in [" ".join(title.split()) for title in titles]
    assert not manager.get("/figures/table?period=today&by=user&then=status").all("#summary svg")


def test_R_WT_2_every_figure_leads_to_its_records(house: House, manager: Browser) -> None:
    pages = [f"/figures/table?period=today&by={axis}" for axis in Axis]
    pages += ["/figures/table?period=today&by=user&then=status", "/figures/heat?period=today"]
    followed = 0
    for path in pages:
        for link in manager.get(path).all("#summary td a"):
            place, _, query = str(link["href"]).partition("?")
            if place == "/figures/hours":
                continue
            assert place == "/history/"
            text = link.get_text(" ", strip=True).rpartition("/")[2]  # 33.3% 1/3: of three calls
            if not text.isdigit():
                continue  # a rate leads where its part leads
            asked = HistoryCriteria.parse(parse_qsl(query))
            with house.store.read() as session:
                number, _newest = history.count(
                    session, viewer=Viewer.of(house.manager), criteria=asked, now=house.now
                )
            assert number == int(text), (path, query)
            followed += 1
    assert followed > 100


@pytest.mark.one_database
def test_R_WT_2_a_printed_table_says_what_was_chosen(house: House, manager: Browser) -> None:
    said = manager.get(f"/figures/table?project={house.project_id}&user={house.op.id}")
    on_paper = " ".join(said.one(".printed-only").get_text().split())
    assert on_paper.startswith("案件 新規開拓 · ユーザー 山田太郎 · ")
    assert "案件" not in manager.get("/figures/table").one(".printed-only").get_text()


def test_R_WT_2_every_figure_says_what_it_counts(manager: Browser) -> None:
    page = manager.get("/figures/table?period=today&by=user")
    heads = page.all("#summary thead th.num")
    assert len(heads) == len(COLUMNS)
    assert all(len(str(head["title"])) > 5 for head in heads)
    defined = [term.get_text() for term in page.all("details.definitions dt")]
    assert defined == [head.get_text(strip=True) for head in heads]


@pytest.mark.one_database
def test_R_WT_2_the_page_of_one_figure_keeps_to_it_and_leads_back(manager: Browser) -> None:
    page = manager.get("/figures/table?period=today&by=group")
    (row,) = [row for row in page.all("#summary tbody tr") if "東京組" in row.get_text()]
    behind = manager.get(str(row.find_all("a")[1]["href"]))
    assert "集計の数値に含まれる履歴だけ" in behind.text
    assert len(behind.all("main tbody tr")) == 2
    boxes = behind.values("main form.toolbar")
    again = manager.get("/history/", query_string=boxes)
    assert len(again.all("main tbody tr")) == 2, "searching on keeps to the figure"
    (others,) = [a for a in behind.all("main a") if a.get_text() == "ほかの履歴も表示"]
    assert len(manager.get(str(others["href"])).all("main tbody tr")) == 10


@pytest.mark.one_database
def test_R_WT_2_today_is_told_live(app: Flask, house: House, manager: Browser) -> None:
    page = manager.get("/figures/")
    tiles = {
        tile.find("dt").get_text(strip=True): tile.find("dd").get_text(strip=True)
        for tile in page.all(".tile")
    }
    assert (tiles["コール数"], tiles["コネクト率"], tiles["目標"]) == ("7", "42.9%", "4")
    live = page.one("#live")
    assert "page=figures" in str(live["hx-ws:connect"])
    part = manager.part(str(page.one("#today-figures")["data-poll"]))
    assert part.one("#today-figures")
    who = Viewer.of(house.manager)
    with app.test_request_context("/live"), house.store.read() as session:
        login_user(SignedIn(who, house.manager.session_version))
        panel = panels.find(panels.name_of("summaries.index", {}), who)
        assert "figures" in panel.heard
        told = "".join(panel.draw(session, {"figures"}, fresh=False))
    assert 'hx-target="#today-figures"' in told
    assert "山田太郎" in told


def test_R_WT_2_an_operator_sees_their_own_figures_only(house: House, browser_of) -> None:
    op = browser_of(house.op)
    for path in ("/figures/", "/figures/table?by=user", f"/figures/table?user={house.other.id}"):
        page = op.get(path)
        assert "佐藤" not in page.text
        assert page.one("body.operator")
    assert line(op.get("/figures/table?period=today&by=user"), "合計")["コール数"] == "3"
    assert "佐藤" not in op.get("/figures/hours?period=today").text
    assert not op.page.all("select#box-user")
    op.get("/figures/file/table.csv", status=403)


@pytest.mark.one_database
def test_R_WT_2_csv_and_xlsx_hold_what_the_page_shows(
    house: House, manager: Browser, store: Store
) -> None:
    query = "period=today&by=user&then=project"
    page = manager.get(f"/figures/table?{query}")
    hrefs = [str(a["href"]) for a in page.all(".page-actions a")]
    assert [href.partition("?")[0].rpartition(".")[2] for href in hrefs] == ["csv", "xlsx"]
    sheet = manager.get(hrefs[0])
    rows = list(csv.reader(io.StringIO(sheet.data.decode("utf-8-sig"))))
    header, *lines = table_of(page)
    places = [rows[0].index(name) for name in header]
    shown = [[row[place] or "–" for place in places] for row in rows[1:-1]]
    assert shown == [[cell.replace(",", "") for cell in one] for one in lines[:-1]]
    book = openpyxl.load_workbook(io.BytesIO(manager.get(hrefs[1]).data)).active
    assert book.max_row == len(rows)
    assert [cell.value for cell in book[1]] == rows[0]
    dials = rows[0].index("コール数")
    numbers = [row[dials].value for row in book.iter_rows(min_row=2)]
    assert numbers == [int(row[dials]) for row in rows[1:]]
    with store.read() as session:
        left = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "figures.exported")
        ).all()
        assert [entry.detail["form"] for entry in left] == ["csv", "xlsx"]
        assert left[0].user_id == house.manager.id


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["heat", "hours"])
def test_R_WT_3_and_4_leave_as_files_too(manager: Browser, kind: str) -> None:
    rows = list(
        csv.reader(
            io.StringIO(
                manager.get(f"/figures/file/{kind}.csv?period=today").data.decode("utf-8-sig")
            )
        )
    )
    book = openpyxl.load_workbook(
        io.BytesIO(manager.get(f"/figures/file/{kind}.xlsx?period=today").data)
    ).active
    assert [cell.value for cell in book[1]] == rows[0]
    assert book.max_row == len(rows) == 2
    manager.get(f"/figures/file/{kind}.pdf", status=404)
    manager.get("/figures/file/x.csv", status=404)


def test_R_WT_4_hours_show_sign_in_states_and_reasons(house: House, manager: Browser) -> None:
    page = manager.get("/figures/hours?period=today")
    header, row = table_of(page)
    shown = dict(zip(header, row, strict=True))
    assert (shown["ユーザー"], shown["稼働時間"], shown["コール数"]) == ("山田太郎", "0:02:00", "3")
    assert (shown["在席時間"], shown["離席：昼休み"]) == ("0:07:00", "0:05:00")
    assert (shown["通話中"], shown["後処理"]) == ("0:01:30", "0:00:30")
    (dials,) = page.all("#summary td a")
    assert len(manager.get(str(dials["href"])).all("main tbody tr")) == 3


@pytest.mark.one_database
def test_R_WT_2_a_period_without_a_record_says_so(manager: Browser) -> None:
    old = "period=custom&from=2020-01-01&to=2020-01-31"
    assert "条件に合う履歴はありません" in manager.get(f"/figures/table?{old}").text
    assert "条件に合う履歴はありません" in manager.get(f"/figures/heat?{old}").text
    assert "ログインした人はいません" in manager.get(f"/figures/hours?{old}").text
    rows = manager.get(f"/figures/file/table.csv?{old}").data.decode("utf-8-sig").splitlines()
    assert len(rows) == 2, "a header and a total of nothing"


@pytest.mark.one_database
def test_R_WT_2_a_long_table_says_that_it_goes_on(house: House, browser_of) -> None:
    moment = datetime.fromisoformat("2025-01-01T10:00:00+09:00")
    with house.store.write() as session:
        session.add_all(
            CallRecord(
                kind=RecordKind.OUTBOUND,
                number="0312345678",
                user_id=house.op.id,
                started_at=moment + timedelta(days=day),
                site_day=site_day(moment + timedelta(days=day)),
                counts_dial=True,
            )
            for day in range(501)
        )
    supervisor = browser_of(house.supervisor)
    page = supervisor.get("/figures/table?period=custom&from=2025-01-01&to=2026-10-31")
    assert "501行のうち先頭の500行" in page.text
    assert line(page, "合計")["コール数"] == "501"


@pytest.mark.one_database
def test_R_WT_2_a_project_says_its_target(house: House, manager: Browser) -> None:
    manager.get(f"/admin/projects/{house.project_id}")
    manager.submit("main form", target_conversions="9")
    with house.store.read() as session:
        assert session.get_one(Project, house.project_id).target_conversions == 9
    manager.get(f"/admin/projects/{house.project_id}")
    manager.submit("main form", target_conversions="")
    with house.store.read() as session:
        assert session.get_one(Project, house.project_id).target_conversions is None
    assert "目標" not in table_of(manager.get("/figures/table?period=today"))[0]


@pytest.mark.one_database
def test_R_AR_2_figures_are_complete_in_english(house: House, app: Flask) -> None:
    with house.store.write() as session:
        user = make.make_user(session, Role.MANAGER, locale="en")
    browser = Browser(app)
    browser.sign_in_as(user)
    for path in ("", "table?by=hour&then=user", "heat", "hours?period=today"):
        browser.get(f"/figures/{path}")
