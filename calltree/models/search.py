"""The index over customers' folded text, kept by the database itself (design §5).

SQLite: `customer_search`, an FTS5 table of trigrams without content, fed by triggers; a term of
two characters is a range of its vocabulary. Postgres: a GIN index over the bigrams of `folded`,
computed by an immutable function. Either only proposes customers: `services.search` verifies each
against `Customer.folded`, so an entry that outlived its row does no harm.

No code path can forget the index, and none has to know it. What a bulk writer on SQLite must do is
`services.search.merge_index` between its batches: FTS5's own merging is switched off, because it
would hold the one writer for a tenth of a second at a time of its own choosing.
"""

from __future__ import annotations

from sqlalchemy import DDL, Table, event

from calltree.db import Base
from calltree.models.lists import Customer

SQLITE_STATEMENTS = [
    # trigram folds case by itself unless told not to; `folded` already is
    "CREATE VIRTUAL TABLE customer_search USING fts5(folded, content='', columnsize=0, "
    "detail=none, tokenize='trigram case_sensitive 1')",
    "CREATE VIRTUAL TABLE customer_search_terms USING fts5vocab('customer_search', 'row')",
    "INSERT INTO customer_search(customer_search, rank) VALUES ('automerge', 0)",
    "INSERT INTO customer_search(customer_search, rank) VALUES ('crisismerge', 1000)",
    # Segments are merged sixteen by sixteen: each word is written anew half as often as by four.
    "INSERT INTO customer_search(customer_search, rank) VALUES ('usermerge', 16)",
    # Two separators behind the text: so that its last two characters begin a trigram too. The
    # number never changes; behind the text its parts are found like words.
    "CREATE TRIGGER customer_search_insert AFTER INSERT ON customers BEGIN "
    "INSERT INTO customer_search(rowid, folded) "
    "VALUES (new.id, new.folded || char(31) || char(31) || new.number); END",
    "CREATE TRIGGER customer_search_delete AFTER DELETE ON customers BEGIN "
    "INSERT INTO customer_search(customer_search, rowid, folded) "
    "VALUES ('delete', old.id, old.folded || char(31) || char(31) || old.number); END",
    "CREATE TRIGGER customer_search_update AFTER UPDATE OF folded, number ON customers "
    "WHEN new.folded <> old.folded OR new.number <> old.number BEGIN "
    "INSERT INTO customer_search(customer_search, rowid, folded) "
    "VALUES ('delete', old.id, old.folded || char(31) || char(31) || old.number); "
    "INSERT INTO customer_search(rowid, folded) "
    "VALUES (new.id, new.folded || char(31) || char(31) || new.number); END",
]
POSTGRES_STATEMENTS = [
    # COST: the planner must never think of computing this for each row of a scan.
    "CREATE FUNCTION customer_search_grams(given text) RETURNS text[] "
    "LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$ "
    # Two arrays side by side: an array of text asked for its i-th letter counts from its first,
    # which made this a hundred times slower.
    "SELECT coalesce(array_agg(a || b), '{}') "
    "FROM unnest(string_to_array(given, NULL), (string_to_array(given, NULL))[2:]) AS pair(a, b) "
    "WHERE a NOT IN (' ', chr(31)) AND b NOT IN (' ', chr(31)) "
    "$$",
    "CREATE INDEX customer_search_ix ON customers USING gin (customer_search_grams(folded))",
]


def _after_create(table: Table, statement: str, dialect: str) -> None:
    text = statement.replace("%", "%%")
    event.listen(
        table,
        "after_create",
        DDL(text).execute_if(dialect=dialect),  # type: ignore[no-untyped-call] # SQLAlchemy's
    )


_customers = Base.metadata.tables[Customer.__tablename__]
for _statement in SQLITE_STATEMENTS:
    _after_create(_customers, _statement, "sqlite")
for _statement in POSTGRES_STATEMENTS:
    _after_create(_customers, _statement, "postgresql")
