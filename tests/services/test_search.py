"""Searching customers: what each condition finds, with and without the index."""

from array import array
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, select, text

from calltree.errors import NotFound
from calltree.models import (
    BuiltIn,
    Customer,
    DncSource,
    DoNotCall,
    Import,
    ImportState,
    ResultStatus,
    Role,
    Task,
    WorkQueue,
)
from calltree.services import search
from calltree.services.criteria import Ban, Criteria, Order, Presence, Shortcut, Term
from calltree.services.rights import Viewer
from calltree.services.search_conditions import SMALL_LIST, Conditions
from calltree.text.folding import fold_cells
from tests.factories import (
    NOW,
    grant,
    make_customer,
    make_extra_number,
    make_item,
    make_list,
    make_project,
    make_site,
    make_user,
)

ROWS = [
    ["株式会社タナカ商事", "東京都港区芝公園1-2-3", "田中 一郎"],
    ["ヤマダ電機\\本店", "大阪市北区梅田", ""],
    ["ＡＢＣ建設", "京都府東山区", "山田 花子"],
    ["港運輸", '名古屋市中村区 "東"', "東 京子"],
    ["さくら", "", "鈴木"],
]


class Site:
    """A list of ROWS with an operator who may work on it."""

    def __init__(self, session):
        make_site(session)
        self.project = make_project(session)
        self.folder = make_list(session, self.project, columns=["会社名", "住所", "氏名"])
        self.operator = make_user(session)
        grant(session, self.folder, self.operator)
        self.customers = [self.add(session, cells) for cells in ROWS]
        self.viewer = Viewer.of(self.operator)

    def add(self, session, cells, **given):
        return make_customer(session, self.folder, cells=cells, folded=fold_cells(cells), **given)

    def status(self, session, code):
        return session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == code))

    def found(self, session, viewer=None, **asked):
        ids = search.find_ids(
            session,
            list_id=self.folder.id,
            criteria=Criteria(**asked),
            viewer=viewer or self.viewer,
            now=NOW,
        )
        places = {customer.id: place for place, customer in enumerate(self.customers)}
        return [places[customer_id] for customer_id in ids]


@pytest.fixture
def session(store):
    with store.write() as session:
        yield session


@pytest.fixture(params=["small list", "large list"])
def site(request, session):
    """The same answers, read through and proposed by the index."""
    site = Site(session)
    if request.param == "large list":
        site.folder.customers = SMALL_LIST
        session.flush()
    return site


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ("田中", [0]),
        ("たなか", [0]),
        ("タナカ", [0]),
        ("ﾀﾅｶ", [0]),
        ("abc", [2]),
        ("ＡＢＣ", [2]),
        ("東京", [0]),
        ("東", [0, 2, 3]),
        ("東京都港区", [0]),
        ("山田 東山", [2]),
        ("やまだ", [1]),
        ("1-2-3", [0]),
        ("\\本", [1]),
        ('"東"', [3]),
        ("さくら", [4]),
        ("鈴木", [4]),
        ("木", [4]),
        ("くら鈴", []),
        ("いない", []),
        ("無い", []),
    ],
)
def test_R_LS_10_words_are_found_in_part_and_folded(session, site, words, places):
    assert site.found(session, text=words) == places


@pytest.mark.parametrize(
    ("term", "places"),
    [
        (Term("住所", "東"), [0, 2, 3]),
        (Term("住所", "東京"), [0]),
        (Term("氏名", "東京"), []),
        (Term("氏名", "東 京子"), [3]),
        (Term("会社名", "\\本"), [1]),
        (Term("住所", presence=Presence.EMPTY), [4]),
        (Term("氏名", presence=Presence.EMPTY), [1]),
        (Term("氏名", "山", Presence.FILLED), [2]),
        (Term("無い列", "東"), []),
        (Term("会社名", "株式会社たなか商事", Presence.EQUALS), [0]),
        (Term("会社名", "商事", Presence.EQUALS), []),
        (Term("会社名", "ヤマダ電機\\本店", Presence.EQUALS), [1]),
        (Term("氏名", " 鈴木 ", Presence.EQUALS), [4]),
        (Term("会社名", "", Presence.EQUALS), [0, 1, 2, 3, 4]),
    ],
)
def test_R_LS_10_a_column_is_searched_by_itself(session, site, term, places):
    assert site.found(session, columns=(term,)) == places


@pytest.mark.parametrize(
    ("number", "places"),
    [
        ("03-1234-5678", [0]),
        ("+81 3 1234 5678", [0]),
        ("０３１２３４", [0]),
        ("345", [0, 2]),
        ("2345678", [0]),
        ("34", []),
        ("0901112222", []),
        ("09033334444", [1]),
        ("3333", [1]),
    ],
)
def test_R_LS_10_numbers_are_found_by_digits_main_and_extra(session, site, number, places):
    for place, customer in enumerate(site.customers):
        customer.number = f"0700000000{place}"  # the factory counts up to such digits too
    site.customers[0].number = "0312345678"
    site.customers[2].number = "0533456789"
    make_extra_number(session, site.customers[1], "09033334444")
    assert site.found(session, number=number) == places
    if len(number) > 2:
        assert site.found(session, text=number.replace(" ", "")) == places


def dialled(site, session, place, code, *, dials=1, user=None, days=0, cycle=1):
    customer = site.customers[place]
    customer.cycle, customer.dials = cycle, dials
    customer.last_status_id = site.status(session, code) if code else None
    customer.last_system = "" if code else "blank"
    customer.last_user_id = (user or site.operator).id
    customer.last_dialled_at = NOW - timedelta(days=days)
    session.flush()


def test_R_CL_1_shortcuts_find_first_second_third_and_own_prospects(session, site):
    other = make_user(session)
    dialled(site, session, 0, BuiltIn.NO_ANSWER)
    dialled(site, session, 1, BuiltIn.NO_ANSWER, dials=2)
    dialled(site, session, 2, BuiltIn.PROSPECT)
    dialled(site, session, 3, BuiltIn.PROSPECT, user=other)
    assert site.found(session, shortcut=Shortcut.FIRST) == [4]
    assert site.found(session, shortcut=Shortcut.SECOND) == [0]
    assert site.found(session, shortcut=Shortcut.THIRD) == [1]
    assert site.found(session, shortcut=Shortcut.MY_PROSPECTS) == [2]
    prospect = str(site.status(session, BuiltIn.PROSPECT))
    assert site.found(session, statuses=(prospect,)) == [2, 3]


def test_R_CL_1_callbacks_are_open_tasks_of_mine_or_of_nobody(session, site):
    other = make_user(session)
    for place, user_id, done in (
        (0, site.operator.id, None),
        (1, None, None),
        (2, other.id, None),
        (3, site.operator.id, NOW),
    ):
        session.add(
            Task(
                customer_id=site.customers[place].id,
                list_id=site.folder.id,
                user_id=user_id,
                opened_at=NOW,
                done_at=done,
            )
        )
    session.flush()
    assert site.found(session, shortcut=Shortcut.CALLBACKS) == [0, 1]


def test_R_CL_1_a_new_cycle_starts_again(session, site):
    for place in range(5):
        dialled(site, session, place, BuiltIn.NO_ANSWER)
    site.folder.cycle = 2
    dialled(site, session, 3, BuiltIn.NO_ANSWER, cycle=2)
    assert site.found(session, shortcut=Shortcut.FIRST) == [0, 1, 2, 4]
    assert site.found(session, shortcut=Shortcut.SECOND) == [3]
    no_answer = str(site.status(session, BuiltIn.NO_ANSWER))
    assert site.found(session, statuses=(no_answer,)) == [3]
    assert site.found(session, dials_min=1) == [3]
    assert site.found(session, dials_max=0) == [0, 1, 2, 4]


def test_R_US_5_others_prospects_are_not_found_when_restricted(session, site):
    other = make_user(session)
    dialled(site, session, 0, BuiltIn.PROSPECT)
    dialled(site, session, 1, BuiltIn.PROSPECT, user=other)
    site.operator.may_search_others_prospects = False
    restricted = Viewer.of(site.operator)
    prospect = str(site.status(session, BuiltIn.PROSPECT))
    assert site.found(session, viewer=restricted, statuses=(prospect,)) == [0]
    assert site.found(session, viewer=restricted) == [0, 2, 3, 4]
    assert site.found(session, statuses=(prospect,)) == [0, 1]


def test_R_LS_10_status_user_date_and_count(session, site):
    other = make_user(session)
    dialled(site, session, 0, BuiltIn.FAX, days=1)
    dialled(site, session, 1, None, user=other, dials=3)
    dialled(site, session, 2, BuiltIn.FAX, days=3)
    fax = str(site.status(session, BuiltIn.FAX))
    today = date(2026, 11, 24)
    assert site.found(session, statuses=(fax,)) == [0, 2]
    assert site.found(session, statuses=("blank",)) == [1]
    assert site.found(session, statuses=("none",)) == [3, 4]
    assert site.found(session, statuses=("none", fax)) == [0, 2, 3, 4]
    assert site.found(session, last_user_id=other.id) == [1]
    assert site.found(session, dialled_from=today) == [1]
    assert site.found(session, dialled_to=today - timedelta(days=1)) == [0, 2]
    assert site.found(session, dials_min=1, dials_max=2) == [0, 2]


def test_R_LS_10_attributes_levels_assignment_and_bans(session, site):
    item = make_item(session, site.project)
    site.customers[0].attributes = {str(item.id): "タロウ"}
    site.customers[1].attributes = {str(item.id): ""}
    site.customers[2].prospect_level = "A"
    site.customers[3].assigned_user_id = site.operator.id
    make_extra_number(session, site.customers[4], "09088887777")
    for number in (site.customers[2].number, "09088887777"):
        session.add(DoNotCall(number=number, source=DncSource.FORM, created_at=NOW))
    session.flush()
    named = str(item.id)
    assert site.found(session, items=(Term(named, "たろ"),)) == [0]
    assert site.found(session, items=(Term(named, presence=Presence.FILLED),)) == [0]
    assert site.found(session, items=(Term(named, presence=Presence.EMPTY),)) == [1, 2, 3, 4]
    assert site.found(session, prospect_levels=("A", "B")) == [2]
    assert site.found(session, assigned=str(site.operator.id)) == [3]
    assert site.found(session, assigned="none") == [0, 1, 2, 4]
    assert site.found(session, ban=Ban.BANNED) == [2, 4]
    assert site.found(session, ban=Ban.FREE) == [0, 1, 3]


def test_R_LS_10_a_result_is_in_file_order_or_sorted(session, site):
    dialled(site, session, 3, BuiltIn.FAX, days=2)
    dialled(site, session, 1, BuiltIn.FAX, days=1)
    assert site.found(session, descending=True) == [4, 3, 2, 1, 0]
    assert site.found(session, order=Order.DIALLED, descending=True)[:2] == [1, 3]
    by_name = site.found(session, order=Order.COLUMN, order_column="会社名")
    folded = [fold_cells(row[:1]) for row in ROWS]
    assert [folded[place] for place in by_name] == sorted(folded)
    assert site.found(session, order=Order.COLUMN, order_column="無い列") == [0, 1, 2, 3, 4]


def test_R_LS_7_rows_of_an_unpublished_import_are_found_by_nobody(session, site):
    source = Import(
        project_id=site.project.id,
        list_id=site.folder.id,
        user_id=site.operator.id,
        filename="a.csv",
        stored_name="a",
        state=ImportState.RUNNING,
        created_at=NOW,
    )
    session.add(source)
    session.flush()
    site.customers.append(site.add(session, ["港商店", "", ""], import_id=source.id))
    site.customers[3].deleted_at = NOW
    session.flush()
    assert site.found(session, text="港") == [0]
    source.state = ImportState.PUBLISHED
    session.flush()
    assert site.found(session, text="港") == [0, 5]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("descending", [False, True])
def test_R_LS_10_pages_by_key_give_the_whole_result_once(session, site, order, descending):
    site.customers += [site.add(session, [f"港{n % 7}", "", ""]) for n in range(30)]
    for place in range(0, 30, 4):
        dialled(site, session, place, BuiltIn.FAX, days=place % 3)
    asked = Criteria(text="港", order=order, order_column="会社名", descending=descending)
    given = {"list_id": site.folder.id, "criteria": asked, "viewer": site.viewer, "now": NOW}
    whole = list(search.find_ids(session, **given))
    seen, after = [], None
    while True:
        page = search.page(session, **given, after=after, size=7)
        seen += [customer.id for customer in page.rows]
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == whole
    assert len(whole) == 32 == search.count(session, **given)


def test_R_LS_10_a_foreign_list_is_not_found(session, site):
    stranger = Viewer.of(make_user(session))
    with pytest.raises(NotFound):
        site.found(session, viewer=stranger)


def test_R_CL_1_the_queue_is_one_row_of_ids_in_order(session, site):
    asked = Criteria(text="東", descending=True)
    given = {"list_id": site.folder.id, "criteria": asked, "viewer": site.viewer, "now": NOW}
    search.make_queue(session, **given)
    search.make_queue(session, **given)
    queue = session.scalars(select(WorkQueue)).one()
    ids = array("q")
    ids.frombytes(queue.customer_ids)
    assert list(ids) == [site.customers[place].id for place in (3, 2, 0)]
    assert (queue.size, queue.cursor, queue.made_at) == (3, 0, NOW)
    assert Criteria.restored(queue.criteria) == asked


def test_R_CL_1_a_customer_is_judged_anew_when_its_turn_comes(session, site):
    asked = Criteria(text="港", shortcut=Shortcut.FIRST)
    given = {"criteria": asked, "viewer": site.viewer, "now": NOW}
    first = site.customers[0]
    assert search.matches(session, customer_id=first.id, **given)
    assert not search.matches(session, customer_id=site.customers[1].id, **given)
    dialled(site, session, 0, BuiltIn.FAX)
    assert not search.matches(session, customer_id=first.id, **given)
    assert not search.matches(session, customer_id=0, **given)


def test_R_LS_10_an_edited_or_deleted_row_leaves_the_index(session, site):
    first = site.customers[0]
    first.cells = ["別の会社", "", ""]
    first.folded = fold_cells(first.cells)
    session.flush()
    assert site.found(session, text="田中") == []
    assert site.found(session, text="別の") == [0]
    session.execute(delete(Customer).where(Customer.id == site.customers[4].id))
    assert site.found(session, text="さくら") == []
    if session.get_bind().dialect.name == "sqlite":
        left = text("SELECT count(*) FROM customer_search_terms WHERE term LIKE 'さくら%'")
        assert session.scalar(left) == 0


def test_R_LS_10_the_index_merges_in_small_steps_until_done(session, site):
    while search.merge_index(session):
        pass
    assert site.found(session, text="東京") == [0]


def test_R_LS_12_numbers_and_names_over_every_list_one_may_see(session, site):
    hidden = make_list(session, site.project, columns=["会社名"])
    stranger = make_customer(
        session, hidden, cells=["港の店"], folded=fold_cells(["港の店"]), number="0399998888"
    )
    given = {"list_id": None, "now": NOW}

    def ids(viewer, words):
        asked = Criteria(text=words)
        return [c.id for c in search.page(session, **given, criteria=asked, viewer=viewer).rows]

    manager = Viewer.of(make_user(session, Role.MANAGER))
    assert ids(manager, "9999-8888") == [stranger.id]
    assert ids(site.viewer, "9999-8888") == []
    assert ids(manager, "港") == [site.customers[0].id, site.customers[3].id, stranger.id]
    assert ids(site.viewer, "港区") == [site.customers[0].id]


CASES = [
    Criteria(),
    Criteria(text="東京 港", number="0312", columns=(Term("会社 名=&", "あ", Presence.FILLED),)),
    Criteria(items=(Term("12", "x"),), statuses=("3", "none", "blank"), last_user_id=4),
    Criteria(dialled_from=date(2026, 1, 2), dialled_to=date(2026, 2, 3), dials_min=0, dials_max=3),
    Criteria(prospect_levels=("A", "なし"), assigned="none", ban=Ban.FREE),
    Criteria(shortcut=Shortcut.SECOND, order=Order.COLUMN, order_column="住所", descending=True),
]


@pytest.mark.parametrize("criteria", CASES, ids=range(len(CASES)))
def test_R_LS_10_conditions_live_in_the_url(criteria):
    assert Criteria.parse(criteria.pairs()) == criteria
    assert Criteria.restored(criteria.stored()) == criteria


def test_R_LS_10_a_mistyped_address_is_no_failure(session, site):
    bad = [
        ("from", "2026-99-99"),
        ("user", "99999999999999999999"),
        ("assigned", "x"),
        ("dials_min", "-1"),
        ("status", "99999999999999999999"),
        ("sort", "?"),
        ("i.\"'", "x"),
        ("q", "\x00\x1f"),
        ("unknown", "1"),
    ]
    criteria = Criteria.parse(bad)
    conditions = Conditions(
        session, folder=site.folder, criteria=criteria, viewer=site.viewer, now=NOW
    )
    assert session.scalars(select(Customer.id).where(*conditions.all())).all() == []
    assert criteria.statuses
    assert Criteria.parse(bad[:4]).is_empty
