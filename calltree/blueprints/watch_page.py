"""オペレータ状況 live: of the rows only those go out that look otherwise than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session

from calltree.blueprints import watch_board
from calltree.services.rights import Viewer

Changed = frozenset[str] | set[str]
SHARED = frozenset({*watch_board.ROWS, *watch_board.FIGURES, "lines", "site"})


class Board:
    """What one open page shows of the floor."""

    def __init__(self, viewer: Viewer, partial: Callable[..., str]) -> None:
        """`partial` draws a fragment as a message."""
        self._partial = partial
        self._viewer = viewer
        mine = f"user_id={viewer.user_id}"
        self._own = frozenset({f"operator:{mine}", f"supervision:{mine}"})
        self._drawn: dict[str, str] | None = None

    @property
    def heard(self) -> frozenset[str]:
        """Name what the page changes with."""
        return SHARED | self._own

    def draw(self, session: Session, changed: Changed, *, fresh: bool) -> Iterator[str]:
        """Give the panels that changed: one's own telephone first, one waits for it."""
        if changed & self._own:
            yield self._partial("watch/_own.html", own=watch_board.own(session, self._viewer))
        if changed & SHARED:
            totals = watch_board.totals(session, fresh=fresh)
            tiles = self._partial("watch/_totals.html", totals=totals)
            yield tiles + self._table(session, fresh=fresh)

    def _table(self, session: Session, *, fresh: bool) -> str:
        rows = watch_board.rows(session, self._viewer, fresh=fresh)
        drawn = {str(row["id"]): self._partial("watch/_row.html", row=row) for row in rows}
        before, self._drawn = self._drawn, drawn
        if before is None or list(before) != list(drawn):
            return self._partial("watch/_table.html", rows=rows)
        return "".join(text for one, text in drawn.items() if text != before[one])
