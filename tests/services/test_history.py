"""Searching コール履歴, and its pages at any depth (R-HS-1, R-HS-2, R-HS-5)."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, literal, select, text
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import NotFound
from calltree.models import (
    BuiltIn,
    CallRecord,
    ProjectRecipient,
    RecordKind,
    Role,
    SystemResult,
)
from calltree.models.folded import folded
from calltree.services import history, recording_search
from calltree.services.history_criteria import (
    AUTOMATIC,
    NOBODY,
    UNANSWERED,
    Direction,
    HistoryCriteria,
    Span,
)
from calltree.services.rights import Viewer
from calltree.text.folding import fold
from tests.factories import (
    NOW,
    built_in,
    grant,
    make_customer,
    make_item,
    make_list,
    make_project,
    make_record,
    make_site,
    make_user,
    viewer_of,
)

ALL = HistoryCriteria(span=Span.ALL)


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make_site(session)
        return viewer_of(make_user(session, Role.MANAGER))


def ids(store: Store, viewer: Viewer, criteria: HistoryCriteria = ALL, **given: Any) -> list[int]:
    with store.read() as session:
        found = history.page(session, viewer=viewer, criteria=criteria, now=NOW, **given)
    return [row.id for row in found.rows]


def test_R_HS_1_each_condition_finds_its_records_and_no_others(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        project = make_project(session)
        item = make_item(session, project, name="温度感")
        folder = make_list(session, project)
        one = make_customer(session, folder, number="0312345678")
        other = make_customer(session, make_list(session), number="0698765432")
        user = make_user(session)
        fax = built_in(session, BuiltIn.FAX)
        told = {
            "outbound": make_record(session, one, user_id=user.id, status_id=fax.id),
            "predictive": make_record(
                session, one, kind=RecordKind.PREDICTIVE, system=SystemResult.ABANDONED
            ),
            "inbound": make_record(
                session, other, kind=RecordKind.INBOUND, talk_ms=61_999, user_id=user.id
            ),
            "entry": make_record(
                session,
                other,
                kind=RecordKind.ENTRY,
                user_id=user.id,
                status_id=fax.id,
                prospect_level="A",
                started_at=NOW - timedelta(days=2),
            ),
            "heat": make_record(
                session,
                one,
                user_id=user.id,
                attributes={str(item.id): "とても高い Hot"},
                system=SystemResult.LINE_ERROR,
            ),
        }
        make_record(session, one, kind=RecordKind.MANUAL, user_id=user.id)
    names = {record.id: name for name, record in told.items()}

    def found(**asked: Any) -> set[str]:
        wanted = HistoryCriteria(**({"span": Span.ALL} | asked))
        return {names[i] for i in ids(store, manager, wanted)}

    assert found() == set(told)
    assert found(project_id=project.id) == {"outbound", "predictive", "heat"}
    assert found(list_id=folder.id) == {"outbound", "predictive", "heat"}
    assert found(customer_id=other.id) == {"inbound", "entry"}
    assert found(statuses=(str(fax.id),)) == {"outbound", "entry"}
    assert found(statuses=("blank",)) == {"inbound"}
    assert found(statuses=("abandoned", "line_error")) == {"predictive", "heat"}
    assert found(statuses=("nonsense",)) == set()
    assert found(user=str(user.id)) == {"outbound", "inbound", "entry", "heat"}
    assert found(user=AUTOMATIC) == {"predictive"}
    assert found(user=UNANSWERED) == set()
    assert found(number="0698765432") == {"inbound", "entry"}
    assert found(number="9876") == {"inbound", "entry"}
    assert found(number="03-1234") == {"outbound", "predictive", "heat"}
    assert found(number="＋８１６９８７６") == {"inbound", "entry"}
    assert found(number="98") == set()
    assert found(kinds=(RecordKind.ENTRY, RecordKind.INBOUND)) == {"entry", "inbound"}
    assert found(kinds=(RecordKind.MANUAL,)) == set()
    assert found(direction=Direction.OUT) == {"outbound", "predictive", "heat"}
    assert found(direction=Direction.IN) == {"inbound"}
    assert found(talk_min_s=61) == {"inbound"}
    assert found(talk_min_s=61, talk_max_s=61) == {"inbound"}
    assert found(talk_min_s=62) == set()
    assert found(levels=("A",)) == {"entry"}
    assert found(items=((item.id, "高い"),)) == {"heat"}
    assert found(items=((item.id, "hot"),)) == {"heat"}
    assert found(items=((item.id, "%"),)) == set()
    assert found(items=((item.id, "ＨＯＴ　高い"),)) == {"heat"}  # in any order, of any width
    assert found(items=((item.id, "高い 低い"),)) == set()
    assert found(started_to=date(2026, 11, 22)) == {"entry"}
    assert found(started_from=date(2026, 11, 23)) == set(told) - {"entry"}


def test_R_HS_1_days_are_days_of_the_site(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        customer = make_customer(session, make_list(session))
        midnight = NOW - timedelta(hours=10)  # 00:00 in Tokyo
        late = make_record(session, customer, started_at=midnight - timedelta(seconds=1))
        early = make_record(session, customer, started_at=midnight)
    day = date(2026, 11, 24)
    assert ids(store, manager, HistoryCriteria(started_from=day, started_to=day)) == [early.id]
    assert ids(store, manager, HistoryCriteria(started_to=date(2026, 11, 23))) == [late.id]


def test_R_HS_1_by_default_what_was_saved_in_the_last_24_hours(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        customer = make_customer(session, make_list(session))
        fax = built_in(session, BuiltIn.FAX).id
        long_ago, lately = NOW - timedelta(days=3), NOW - timedelta(hours=23)
        make_record(session, customer, started_at=long_ago, saved_at=long_ago, status_id=fax)
        repaired = make_record(session, customer, started_at=long_ago, saved_at=NOW, status_id=fax)
        saved = make_record(session, customer, started_at=lately, saved_at=lately, status_id=fax)
        blank = make_record(session, customer, started_at=NOW)
        make_record(session, customer, started_at=long_ago)
    assert ids(store, manager, HistoryCriteria()) == [blank.id, saved.id, repaired.id]


def fill(session: Session, count: int, *, spread_s: int) -> None:
    customer = make_customer(session, make_list(session))
    draw = random.Random(7)
    for _ in range(count):
        started = NOW - timedelta(seconds=draw.randrange(spread_s))
        make_record(session, customer, started_at=started)


@pytest.mark.parametrize("spread_s", [1, 5, 100_000])
def test_R_HS_1_pages_by_key_show_each_record_once_in_order(
    store: Store, manager: Viewer, spread_s: int
) -> None:
    with store.write() as session:
        fill(session, 83, spread_s=spread_s)
    with store.read() as session:
        newest = (CallRecord.started_at.desc(), CallRecord.id.desc())
        expected = list(session.scalars(select(CallRecord.id).order_by(*newest)))
        found, key, pages = [], "", 0
        while True:
            page = history.page(session, viewer=manager, criteria=ALL, now=NOW, after=key, size=10)
            found += [row.id for row in page.rows]
            key, pages = page.next_key, pages + 1
            if not key:
                break
    assert (found, pages) == (expected, 9)


def test_R_HS_1_new_records_do_not_move_the_pages_behind(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        fill(session, 30, spread_s=1000)
    with store.read() as session:
        first = history.page(session, viewer=manager, criteria=ALL, now=NOW, size=10)
    before = ids(store, manager, after=first.next_key, size=10)
    with store.write() as session:
        customer = make_customer(session, make_list(session))
        make_record(session, customer, started_at=NOW + timedelta(minutes=1))
    assert ids(store, manager, after=first.next_key, size=10) == before


def test_R_HS_1_a_deep_page_begins_in_the_index(store: Store, manager: Viewer) -> None:
    """The plan of a page behind a key: a search of the index, no sort, nothing counted over."""
    with store.write() as session:
        fill(session, 50, spread_s=1000)
    with store.read() as session:
        if session.get_bind().dialect.name != "sqlite":
            session.execute(text("SET enable_seqscan = off"))  # fifty rows are read faster whole
        last = session.scalars(select(CallRecord)).first()
        query = (
            select(CallRecord.id)
            .where(
                *history.conditions(criteria=ALL, now=NOW), *history.behind(history.key_of(last))
            )
            .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
            .limit(10)
        )
        compiled = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN" if "sqlite" in str(session.get_bind().url) else "EXPLAIN"
        rows = session.connection().exec_driver_sql(f"{explain} {compiled}".replace("%", "%%"))
        plan = "\n".join(str(row) for row in rows)
    assert "ix_call_records_started" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("key", ["x", "1", "-1-2", "9" * 30, "1-2;DROP", "１-２"])
def test_R_HS_1_a_broken_key_is_the_first_page(store: Store, manager: Viewer, key: str) -> None:
    with store.write() as session:
        fill(session, 3, spread_s=10)
    assert len(ids(store, manager, after=key)) == 3


def test_R_HS_1_an_operator_finds_own_records_and_those_of_granted_lists(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        granted, foreign = make_list(session), make_list(session)
        user, other = make_user(session), make_user(session)
        grant(session, granted, user)
        seen = make_record(session, make_customer(session, granted), user_id=other.id)
        own = make_record(session, make_customer(session, foreign), user_id=user.id)
        hidden = make_record(session, make_customer(session, foreign), user_id=other.id)
        viewer = viewer_of(user)
    assert set(ids(store, viewer)) == {seen.id, own.id}
    assert set(ids(store, manager)) == {seen.id, own.id, hidden.id}
    with store.read() as session, pytest.raises(NotFound):
        history.get(session, viewer=viewer, record_id=hidden.id)


def test_R_HS_5_a_client_finds_reported_statuses_of_naming_projects_only(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        prospect, fax = built_in(session, BuiltIn.PROSPECT).id, built_in(session, BuiltIn.FAX).id
        client = make_user(session, Role.BUSINESS)
        reporting = make_project(session, reporting=True, reported_status_ids=[prospect])
        off = make_project(session, reporting=False, reported_status_ids=[prospect])
        unnamed = make_project(session, reporting=True, reported_status_ids=[prospect])
        for project in (reporting, off):
            session.add(ProjectRecipient(project_id=project.id, user_id=client.id))
        made = {}
        for name, project in (("named", reporting), ("off", off), ("unnamed", unnamed)):
            customer = make_customer(session, make_list(session, project))
            made[name] = make_record(session, customer, status_id=prospect)
            make_record(session, customer, status_id=fax)
            make_record(session, customer)
        viewer = viewer_of(client)
    assert ids(store, viewer) == []  # コール履歴 is not theirs
    with store.read() as session:
        seen = history.reports(session, viewer=viewer, criteria=ALL, now=NOW)
        assert [row.id for row in seen.rows] == [made["named"].id]
        told = history.reports(session, viewer=manager, criteria=ALL, now=NOW)
        assert {row.id for row in told.rows} == {made["named"].id, made["unnamed"].id}
        with pytest.raises(NotFound):
            history.get_reported(session, viewer=viewer, record_id=made["unnamed"].id)
        with pytest.raises(NotFound):
            history.get(session, viewer=viewer, record_id=made["off"].id)


def test_R_HS_5_operators_have_no_reports(store: Store, manager: Viewer) -> None:
    with store.write() as session:
        prospect = built_in(session, BuiltIn.PROSPECT).id
        project = make_project(session, reporting=True, reported_status_ids=[prospect])
        folder = make_list(session, project)
        user = make_user(session)
        grant(session, folder, user)
        make_record(session, make_customer(session, folder), status_id=prospect)
        viewer = viewer_of(user)
    with store.read() as session:
        assert not history.reports(session, viewer=viewer, criteria=ALL, now=NOW).rows


numbers = st.integers(min_value=0, max_value=999_999_999)
seconds = st.integers(min_value=0, max_value=1_000_000)
days = st.none() | st.dates(min_value=date(2000, 1, 1), max_value=date(2999, 12, 31))
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)
several = st.lists(words, unique=True, max_size=3).map(tuple)


@given(
    st.builds(
        HistoryCriteria,
        span=st.sampled_from(Span),
        started_from=days,
        started_to=days,
        project_id=st.none() | numbers,
        list_id=st.none() | numbers,
        customer_id=st.none() | numbers,
        user=st.sampled_from(["", *NOBODY]) | numbers.map(str),
        number=words,
        statuses=several,
        kinds=st.lists(st.sampled_from(RecordKind), unique=True).map(tuple),
        direction=st.sampled_from(Direction),
        talk_min_s=st.none() | seconds,
        talk_max_s=st.none() | seconds,
        levels=several,
        items=st.dictionaries(numbers, words, max_size=3).map(lambda found: tuple(found.items())),
    )
)
def test_R_HS_1_a_search_survives_its_way_through_an_address(criteria: HistoryCriteria) -> None:
    assert HistoryCriteria.parse(criteria.pairs()) == criteria


@given(st.lists(st.tuples(st.sampled_from(["user", "from", "kind", "i.x", "i.1", "span"]), words)))
def test_R_HS_1_a_mistyped_address_is_read_as_far_as_it_goes(
    pairs: list[tuple[str, str]],
) -> None:
    criteria = HistoryCriteria.parse(pairs)
    assert HistoryCriteria.parse(criteria.pairs()) == criteria


def test_R_HS_1_sqlite_begins_at_the_last_day_and_reads_not_all_of_history(
    store: Store, manager: Viewer
) -> None:
    """A quiet day must not cost more on an old ledger, which a scan in the order of time does."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("Postgres has statistics")
    asked: list[tuple[str, Any]] = []

    def note(_link: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        asked.append((statement, given))

    last_day = {"viewer": manager, "criteria": HistoryCriteria(), "now": NOW}
    with store.read() as session:
        for ask in (
            history.page, history.count, recording_search.page, recording_search.total,
        ):  # fmt: skip
            asked.clear()
            event.listen(store.engine, "before_cursor_execute", note)
            ask(session, **last_day)
            event.remove(store.engine, "before_cursor_execute", note)
            (one,) = [said for said in asked if "UNION" in said[0]]
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {one[0]}", one[1])
            scans = [row[3] for row in plan if row[3].startswith("SCAN")]
            assert scans == [], ask


@pytest.mark.parametrize(
    "typed",
    [
        "カタカナとﾊﾝｶｸ", "ＡＢＣ　ﾎｯﾄ", "ヴァイオリンﾍﾞﾙ", "か\u3099ぎ", "見え\u200bない\ufeff字",
        "髙橋 高橋", "㈱①Ⅳ", "it's 100% {x} :y \\", "", "ヽヾヷ",
    ],
)  # fmt: skip
def test_R_HS_1_a_database_folds_text_as_we_do(store: Store, typed: str) -> None:
    with store.read() as session:
        assert session.scalar(select(folded(literal(typed)))) == fold(typed)
