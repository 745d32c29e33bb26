"""What each condition of a search means, as SQL over Customer.

Words are looked for in `Customer.folded` (every cell folded, joined by U+001F). The index
(models/search.py) only proposes customers; each condition verifies them by itself, so it holds with
and without the index.
"""

from __future__ import annotations

import re
import sys
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    column,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    union,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session, aliased

from calltree.models import (
    HIDDEN_IMPORT_STATES,
    BuiltIn,
    Customer,
    CustomerList,
    DoNotCall,
    DoNotCallProject,
    ExtraNumber,
    Import,
    ResultStatus,
    SystemResult,
    Task,
)
from calltree.services import do_not_call, scope
from calltree.services.criteria import (
    NOT_DIALLED,
    UNASSIGNED,
    Ban,
    Criteria,
    Presence,
    Shortcut,
    Term,
)
from calltree.services.number_search import is_whole
from calltree.services.rights import Viewer
from calltree.text.days import TOKYO
from calltree.text.folding import CELL_SEPARATOR, bigrams, fold, words
from calltree.text.phones import digits_fragment

SMALL_LIST = 2000
"""Below this many customers a list is read through sooner than the index of all lists is asked."""
FIRST_CYCLE = 1
MAX_TERMS = 3000
"""Trigrams that may begin with two characters before the index is not worth asking."""
_SEARCH = table("customer_search", column("rowid"))
_TERMS = table("customer_search_terms", column("term"))


def visible() -> ColumnElement[bool]:
    """Condition on Customer: not in the bin, its import published (design §5).

    The same as `scope.is_present`, written for whole lists: the hidden imports are found once, not
    for every customer.
    """
    hidden = select(Import.id).where(Import.state.in_(HIDDEN_IMPORT_STATES))
    return and_(
        Customer.deleted_at.is_(None),
        or_(Customer.import_id.is_(None), Customer.import_id.not_in(hidden)),
    )


class Conditions:
    """The criteria of one search, over one list or (folder None) all that the viewer may see."""

    def __init__(
        self,
        session: Session,
        *,
        folder: CustomerList | None,
        criteria: Criteria,
        viewer: Viewer,
        now: datetime,
        customer_id: int | None = None,
    ) -> None:
        self.session = session
        self.folder = folder
        self.criteria = criteria
        self.viewer = viewer
        self.now = now
        self.customer_id = customer_id
        self.sqlite = session.get_bind().dialect.name == "sqlite"

    def all(self, *, indexed: bool = True) -> list[ColumnElement[bool]]:
        """Every condition; without `indexed` the index is left out and the result is the same."""
        found = [
            self._where(indexed),
            *self._text(),
            *self._columns(),
            *self._calls(),
            *self._rest(),
        ]
        if indexed:
            found += self._proposals()
        return found

    @property
    def uses_index(self) -> bool:
        """Whether the index of words helps with these criteria."""
        return bool(self._indexable) and not self._small

    @property
    def is_of_few(self) -> bool:
        """Whether a whole telephone number is asked for, which one customer has, or a handful."""
        numbers = [self._digits, *map(_number_in, words(self.criteria.text))]
        return any(map(is_whole, filter(None, numbers)))

    @property
    def _digits(self) -> str:
        return digits_fragment(self.criteria.number) or ""

    @property
    def _small(self) -> bool:
        return self.folder is not None and self.folder.customers < SMALL_LIST

    def _where(self, indexed: bool = False) -> ColumnElement[bool]:
        if self.folder is None:
            return scope.customers_seen(self.session, viewer=self.viewer)
        if indexed and self.sqlite and not self._small and (self._indexable or self._digits):
            # "+": SQLite, which keeps no statistics, would walk the list and probe the proposals
            return and_(visible(), literal_column("+customers.list_id") == self.folder.id)
        return and_(visible(), Customer.list_id == self.folder.id)

    # ---- words -----------------------------------------------------------------------------

    @property
    def _indexable(self) -> list[str]:
        columns = [word for term in self.criteria.columns for word in words(term.text)]
        found = [w for w in (*words(self.criteria.text), *columns) if len(w) > 1]
        return list(dict.fromkeys(found))

    def _text(self) -> list[ColumnElement[bool]]:
        found = []
        for word in words(self.criteria.text):
            here = self._contains(Customer.folded, word)
            digits = _number_in(word)
            found.append(or_(here, self._number(digits)) if digits else here)
        return found

    def _columns(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        for term in self.criteria.columns:
            cell = self.cell(term.name)
            if cell is None:
                return [false()]
            found += _presence(func.trim(cell), term)
            if term.text and term.presence is Presence.EQUALS:
                found.append(func.trim(cell) == self._as_in_cell(fold(term.text).strip()))
            for word in words(term.text):
                found.append(self._contains(Customer.folded, word))
                # the cell is cut out of those rows only that hold the word at all
                found.append(self._contains(cell, self._as_in_cell(word)))
        return found

    def cell(self, name: str) -> ColumnElement[Any] | None:
        """The folded text of one column; None if the list has no such column."""
        if self.folder is None or name not in self.folder.columns:
            return None
        place = self.folder.columns.index(name)
        if not self.sqlite:
            return func.split_part(Customer.folded, CELL_SEPARATOR, place + 1)
        # SQLite cannot split. As JSON it can be cut by a function in C, which is several times
        # faster than calling back into Python; a backslash would read as JSON's own.
        quoted = func.json_quote(func.replace(Customer.folded, "\\", "/"))
        listed = literal("[") + func.replace(quoted, "\\u001f", '","') + literal("]")
        return func.coalesce(func.json_extract(listed, f"$[{place}]"), "")

    def _as_in_cell(self, word: str) -> str:
        return word.replace("\\", "/") if self.sqlite else word

    def _contains(self, text: Any, word: str) -> ColumnElement[bool]:
        place = func.instr(text, word) if self.sqlite else func.strpos(text, word)
        return place > 0

    # ---- the index -------------------------------------------------------------------------

    def _proposals(self) -> list[ColumnElement[bool]]:
        if self._small:
            return []
        plain = [word for word in self._indexable if not self._is_free_digits(word)]
        found: list[ColumnElement[bool]] = []
        if plain:
            found += self._proposed(plain)
        for word in self._indexable:
            if word not in plain:
                found += self._proposed_or_number(word)
        return found

    def _is_free_digits(self, word: str) -> bool:
        in_columns = any(word in words(term.text) for term in self.criteria.columns)
        return bool(_number_in(word)) and not in_columns

    def _proposed(self, wanted: list[str]) -> list[ColumnElement[bool]]:
        ids = self._proposal(wanted)
        if ids is None:
            return []
        if not self.sqlite:
            return [self._grams_of(Customer.folded, wanted)]
        return [Customer.id.in_(ids)]

    def _proposed_or_number(self, word: str) -> list[ColumnElement[bool]]:
        ids = self._proposal([word])
        if ids is None:
            return []
        # as one set of ids: of an OR of two Postgres would read all customers
        return [Customer.id.in_(union(ids, *self._with_number(_number_in(word))))]

    def _proposal(self, wanted: list[str]) -> Select[Any] | None:
        """Ids of customers that may hold all these words; None: the index cannot tell."""
        if not self.sqlite:
            other = aliased(Customer)
            return select(other.id).where(self._grams_of(other.folded, wanted))
        parts = [part for word in wanted if (part := self._match(word)) is not None]
        if not parts:
            return None
        asked = " AND ".join(parts)
        return select(_SEARCH.c.rowid).where(literal_column("customer_search").op("MATCH")(asked))

    def _grams_of(self, text: Any, wanted: list[str]) -> ColumnElement[bool]:
        pairs = sorted({pair for word in wanted for pair in bigrams(word)})
        return func.customer_search_grams(text).op("@>")(sql_cast(pairs, ARRAY(Text)))

    def _match(self, word: str) -> str | None:
        """FTS5's words for one word of ours: its trigrams, or those that begin with its two."""
        if len(word) > 2:
            return _trigrams(word)
        begins = [_TERMS.c.term >= word, _TERMS.c.term <= word + chr(sys.maxunicode)]
        grams = self.session.scalars(
            select(_TERMS.c.term).where(*begins).limit(MAX_TERMS + 1)
        ).all()
        if len(grams) > MAX_TERMS:
            return None
        # No such term: something that cannot be found, for the whole must find nothing.
        return "(" + (" OR ".join(_quoted(gram) for gram in grams) or _quoted("\x1f" * 3)) + ")"

    # ---- numbers ---------------------------------------------------------------------------

    def _number(self, digits: str) -> ColumnElement[bool]:
        ids = self._with_number(digits)
        return Customer.id.in_(union(*ids)) if ids else false()

    def _with_number(self, digits: str) -> list[Select[Any]]:
        """Ids of customers with such a main number, and with such an extra one."""
        if not digits:
            return []
        other = aliased(Customer)
        main = select(other.id).where(self._digits_in(other.number, digits))
        if self.customer_id is not None:
            main = main.where(other.id == self.customer_id)
        elif self.sqlite and not self._small and not is_whole(digits):
            main = main.where(other.id.in_(_matching(_trigrams(digits))))
        elif self.folder is not None:
            main = main.where(other.list_id == self.folder.id)
        extra = select(ExtraNumber.customer_id).where(self._digits_in(ExtraNumber.number, digits))
        return [main, extra]

    def _digits_in(self, number: Any, digits: str) -> ColumnElement[bool]:
        if is_whole(digits):
            return and_(number == digits)
        return self._contains(number, digits)

    # ---- calls -----------------------------------------------------------------------------

    @cached_property
    def _cycle(self) -> ColumnElement[bool]:
        """The customer's last result and counters are of the list's present 周回."""
        if self.folder is not None:
            return Customer.cycle == self.folder.cycle
        now = select(CustomerList.cycle).where(CustomerList.id == Customer.list_id)
        return Customer.cycle == now.scalar_subquery()

    @cached_property
    def _built_in(self) -> dict[BuiltIn | None, int]:
        rows = self.session.scalars(select(ResultStatus).where(ResultStatus.built_in.is_not(None)))
        return {row.built_in: row.id for row in rows}

    @property
    def dials(self) -> ColumnElement[int]:
        """How often the customer was called in this 周回."""
        return case((self._cycle, Customer.dials), else_=0)

    def _last_is(self, code: BuiltIn) -> ColumnElement[bool]:
        return and_(self._cycle, Customer.last_status_id == self._built_in.get(code, 0))

    def _calls(self) -> list[ColumnElement[bool]]:
        asked = self.criteria
        found = [*self._shortcut(asked.shortcut), *self._statuses(asked.statuses)]
        if asked.last_user_id is not None:
            found.append(Customer.last_user_id == asked.last_user_id)
        if asked.dialled_from is not None:
            found.append(Customer.last_dialled_at >= _start(asked.dialled_from))
        if asked.dialled_to is not None:
            found.append(Customer.last_dialled_at < _start(asked.dialled_to + timedelta(days=1)))
        if asked.dials_min:
            found.append(and_(self._cycle, Customer.dials >= asked.dials_min))
        if asked.dials_max is not None:
            found.append(or_(~self._cycle, Customer.dials <= asked.dials_max))
        if not self.viewer.searches_others_prospects:
            own = Customer.last_user_id == self.viewer.user_id
            prospect = self._built_in.get(BuiltIn.PROSPECT, 0)
            other = func.coalesce(Customer.last_status_id, 0) != prospect
            found.append(or_(other, ~self._cycle, own))
        return found

    def _shortcut(self, shortcut: Shortcut) -> list[ColumnElement[bool]]:
        if shortcut is Shortcut.FIRST:
            return [self._never_dialled()]
        if shortcut in (Shortcut.SECOND, Shortcut.THIRD):
            dials = 1 if shortcut is Shortcut.SECOND else 2
            return [Customer.dials == dials, self._last_is(BuiltIn.NO_ANSWER)]
        if shortcut is Shortcut.MY_PROSPECTS:
            own = Customer.last_user_id == self.viewer.user_id
            return [self._last_is(BuiltIn.PROSPECT), own]
        if shortcut is Shortcut.CALLBACKS:
            mine = or_(Task.user_id.is_(None), Task.user_id == self.viewer.user_id)
            tasks = select(Task.customer_id).where(Task.done_at.is_(None), mine)
            return [Customer.id.in_(tasks)]
        return []

    def _never_dialled(self) -> ColumnElement[bool]:
        never = Customer.dials == literal_column("0")  # as the index of the undialled has it
        if self.folder is not None and self.folder.cycle == FIRST_CYCLE:
            return never  # whose counters are of no 周回 has none
        return or_(~self._cycle, never)

    def _statuses(self, wanted: tuple[str, ...]) -> list[ColumnElement[bool]]:
        if not wanted:
            return []
        found: list[ColumnElement[bool]] = []
        ids = [int(code) for code in wanted if re.fullmatch(r"[0-9]{1,9}", code)]
        if ids:
            found.append(and_(self._cycle, Customer.last_status_id.in_(ids)))
        system = [code for code in wanted if code and code in list(SystemResult)]
        if system:
            found.append(and_(self._cycle, Customer.last_system.in_(system)))
        if NOT_DIALLED in wanted:
            found.append(self._never_dialled())
        return [or_(false(), *found)]

    # ---- the rest --------------------------------------------------------------------------

    def _rest(self) -> list[ColumnElement[bool]]:
        asked = self.criteria
        found: list[ColumnElement[bool]] = [self._item(term) for term in asked.items]
        if asked.number:
            found.append(self._number(self._digits))
        if asked.prospect_levels:
            found.append(Customer.prospect_level.in_(asked.prospect_levels))
        if asked.assigned == UNASSIGNED:
            found.append(Customer.assigned_user_id.is_(None))
        elif asked.assigned:
            found.append(Customer.assigned_user_id == int(asked.assigned))
        if asked.ban is not Ban.ANY:
            banned = self._banned()
            found.append(banned if asked.ban is Ban.BANNED else ~banned)
        return found

    def _banned(self) -> ColumnElement[bool]:
        """Number or an extra number is banned for the list's project; bans are found once."""
        project_id = self.folder.project_id if self.folder else None
        narrow = select(DoNotCallProject.entry_id).where(DoNotCallProject.project_id == project_id)
        numbers = select(DoNotCall.number).where(
            do_not_call.in_force(self.now),
            or_(DoNotCall.all_projects, DoNotCall.id.in_(narrow)),
        )
        extra = select(ExtraNumber.customer_id).where(ExtraNumber.number.in_(numbers))
        return or_(Customer.number.in_(numbers), Customer.id.in_(extra))

    def _item(self, term: Term) -> ColumnElement[bool]:
        """An attribute item's value, which is not kept folded.

        The values that stand in the list are folded here, and those that hold every word are
        asked for.
        """
        value = Customer.attributes[term.name].as_string()
        found = _presence(func.trim(func.coalesce(value, "")), term)
        if term.text:
            where = [self._where(), value.is_not(None)]
            if self.customer_id is not None:
                where.append(Customer.id == self.customer_id)
            standing = self.session.scalars(select(value).where(*where).distinct())
            wanted = words(term.text)
            held = [v for v in standing if all(word in fold(str(v)) for word in wanted)]
            if term.presence is Presence.EQUALS:
                held = [v for v in held if fold(str(v)).strip() == fold(term.text).strip()]
            if not held:
                return false()
            found.append(value.in_(held))
        return and_(*found)


def _presence(text: ColumnElement[Any], term: Term) -> list[ColumnElement[bool]]:
    if term.presence is Presence.EMPTY:
        return [text == ""]
    if term.presence is Presence.FILLED:
        return [text != ""]
    return []


def _number_in(word: str) -> str:
    """Digits of a free word that may be a part of a number; empty if it cannot be one."""
    return digits_fragment(word) or ""


def _trigrams(word: str) -> str:
    """FTS5's words for three characters and more; without positions it knows no phrases."""
    parts = dict.fromkeys(word[i : i + 3] for i in range(len(word) - 2))
    return " AND ".join(_quoted(part) for part in parts)


def _matching(asked: str) -> Select[Any]:
    return select(_SEARCH.c.rowid).where(literal_column("customer_search").op("MATCH")(asked))


def _quoted(gram: str) -> str:
    return '"' + gram.replace('"', '""') + '"'


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, TOKYO)
