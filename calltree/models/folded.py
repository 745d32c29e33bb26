"""Text as it is searched (text/folding.py), made inside a statement.

For values that are kept as they were typed alone. On SQLite it is our own function, which each
connection is given (db.py); on Postgres its own, to the same end: NFKC, no capitals, hiragana for
katakana, nothing invisible. They differ in letters such as ß alone, which case-folding takes apart.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from calltree.text.folding import SEARCH_TABLE

_FROM = "".join(chr(code) for code in SEARCH_TABLE if SEARCH_TABLE[code] is not None)
_TO = "".join(chr(to) for to in SEARCH_TABLE.values() if to is not None)
_GONE = "".join(chr(code) for code in SEARCH_TABLE if SEARCH_TABLE[code] is None)


class folded(FunctionElement[str]):  # noqa: N801 - stands in statements like func.lower
    """A text in the form in which it is searched."""

    type = String()
    inherit_cache = True


@compiles(folded, "sqlite")
def _folded_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    return f"calltree_fold({compiler.process(element.clauses, **given)})"


@compiles(folded, "postgresql")
def _folded_postgres(element: Any, compiler: Any, **given: Any) -> str:
    text = f"lower(normalize({compiler.process(element.clauses, **given)}, NFKC))"
    # what has no counterpart at the end of the second string is left out
    return f"normalize(translate({text}, '{_FROM}{_GONE}', '{_TO}'), NFKC)"
