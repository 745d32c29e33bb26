"""What changes by itself on the pages of an operator: their call, state, telephone and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from calltree.blueprints import (
    answering,
    call_ahead,
    call_screen,
    call_transfer,
    manual,
    predictive,
)
from calltree.blueprints.assets import kept_url
from calltree.blueprints.live_page import Changed, Page
from calltree.blueprints.panel_parts import LINES, instead_of_main, lines_in_use, partial
from calltree.db import utcnow
from calltree.live import FORETOLD
from calltree.locale import choose_locale
from calltree.services.rights import Viewer


class CallPage(Page):
    """The call screen."""

    name = "call"
    pulls = False

    def __init__(self, viewer: Viewer) -> None:
        own = f"user_id={viewer.user_id}"
        self._figures = f"figures:{own}"
        self._state = frozenset({f"operator:{own}", f"call:{own}", "switch", "site"})
        self._lines_full: bool | None = None
        self._box: call_ahead.Box | None = None
        self._showed = False
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._state | {self._figures, "lines"}

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        mine = bool(changed & self._state)
        lines, full = self._draw_lines(session, changed, fresh)
        today = self._figures in changed
        at = None
        if mine or full or today:
            at = call_screen.desk(session, viewer=self.viewer, now=utcnow())
        if at is not None and mine and (parted := self._parted(session, at)):
            yield parted
        rest = []
        if at is not None and (mine or full):
            box = self._draw_box(call_ahead.box(session, at))
            if mine:
                yield box  # what everybody waits for
            else:
                rest.append(box)
            rest += [_own(session, at, name) for name in ("_operator.html", *STEADY)]
        if at is not None and today:
            rest.append(_own(session, at, "_today.html"))
        if rest or lines:
            yield "".join([*rest, lines])
        yield from super().draw(session, changed, fresh)

    def _parted(self, session: Session, at: call_screen.Desk) -> str:
        """Give what stands instead of a customer whom a transfer took: no CALL is left there."""
        showed, self._showed = self._showed, at.customer is not None
        if not showed or self._showed:
            return ""
        over = call_transfer.parted(session, user_id=self.viewer.user_id, now=utcnow())
        return instead_of_main("operator/_released.html", parted=over) if over else ""

    def foretell(self, told: Mapping[str, Any]) -> str:
        """Draw the call box ahead of the ledger (telephony.foretelling)."""
        if told["topic"] != FORETOLD:
            return super().foretell(told)
        ahead = self._box.foretell(told, utcnow()) if self._box else None
        return self._draw_box(ahead) if ahead else ""

    def _draw_box(self, box: call_ahead.Box) -> str:
        """Draw it, unless the ledger is still behind what is shown already."""
        self._box = self._box.or_ahead(box) if self._box else box
        return partial("operator/_call_status.html", call=self._box.values)

    def _draw_lines(self, session: Session, changed: Changed, fresh: bool) -> tuple[str, bool]:
        """Give the lines in use, and whether CALL must be drawn anew for them.

        CALL is refused while no line is free: the button must know when one is.
        """
        if "lines" not in changed:
            return "", False
        lines = lines_in_use(session) if fresh else LINES.get(session)
        before, self._lines_full = self._lines_full, lines.full
        return lines.text, before not in (None, lines.full)


def _lines(session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
    if "lines" in changed:
        yield (lines_in_use(session) if fresh else LINES.get(session)).text


STEADY = ("_actions.html", "_softphone.html")
"""Fragments of few forms, the same for everybody who is in the same state."""


def _own(session: Session, at: call_screen.Desk, name: str) -> str:
    values = call_screen.fragment(session, at, name)
    template = f"operator/{name}"
    return (
        _same(choose_locale(), template, values) if name in STEADY else partial(template, **values)
    )


_SAME: dict[tuple[str, str, str], str] = {}
_MOST_SAME = 200


def _same(locale: str, template: str, values: dict[str, Any]) -> str:
    """Draw what has nothing of anybody's own in it, once for each set of values."""
    key = (locale, template, repr(values))
    if key not in _SAME:
        if len(_SAME) >= _MOST_SAME:
            _SAME.clear()
        _SAME[key] = partial(template, **values)
    return _SAME[key]


class HomePage(Page):
    """リスト選択: one's state, telephone and figures over the lists."""

    name = "home"

    def __init__(self, viewer: Viewer) -> None:
        own = f"user_id={viewer.user_id}"
        self._state = frozenset({f"operator:{own}", "switch", "site"})
        self._figures = f"figures:{own}"
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._state | {self._figures, "lines"}

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        at = call_screen.desk(session, viewer=self.viewer, now=utcnow())
        if at is not None and changed & self._state:
            yield from self._draw_state(session, at)
        if at is not None and self._figures in changed:
            yield _own(session, at, "_today.html")
        yield from _lines(session, changed, fresh)
        yield from super().draw(session, changed, fresh)

    def _draw_state(self, session: Session, at: call_screen.Desk) -> Iterator[str]:
        yield _own(session, at, "_operator.html") + _own(session, at, "_softphone.html")


class PredictivePage(HomePage):
    """Waiting in a campaign, below the same strip."""

    name = "predictive"
    pulls = False
    _waits = False

    def _draw_state(self, session: Session, at: call_screen.Desk) -> Iterator[str]:
        shown = predictive.panel(session, at)
        was, self._waits = self._waits, shown is not None
        if shown is None and was:  # the campaign was stopped, or its list is not granted now
            url = kept_url("predictive.screen")
            yield partial("operator/_pushed_call.html", "outerHTML", pushed_url=url)
        if shown is not None:
            yield partial("operator/_wait.html", wait=shown)  # what everybody waits for
            yield from super()._draw_state(session, at)


class ManualPage(Page):
    """手動発信: the call box and the newest calls; what is typed stands beside them."""

    name = "manual"

    def __init__(self, viewer: Viewer) -> None:
        own = f"user_id={viewer.user_id}"
        self._state = frozenset({f"operator:{own}", f"call:{own}", "switch"})
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._state | {"lines"}

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        at = call_screen.desk(session, viewer=self.viewer, now=utcnow())
        if at is not None and at.customer is None and changed & self._state:
            for name in ("_call_status.html", "_operator.html", "_softphone.html"):
                yield _own(session, at, name)
            yield partial("manual/_rows.html", **manual.rows(session))
        yield from _lines(session, changed, fresh)
        yield from super().draw(session, changed, fresh)


class AnsweringPage(Page):
    """A call that was taken and has no customer yet; the customer's page once they are open.

    Not where another customer is chosen: that page stays until one is.
    """

    name = "answering"
    pulls = False

    def __init__(self, viewer: Viewer, *, chooses: bool) -> None:
        own = f"user_id={viewer.user_id}"
        self._state = frozenset({f"operator:{own}", f"call:{own}", "switch"})
        self._chooses = chooses
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._state | {"lines"}

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        at = call_screen.desk(session, viewer=self.viewer, now=utcnow())
        if at is not None and changed & self._state:
            finish = answering.finishing_of(session, at)
            if finish is not None:
                yield _own(session, at, "_call_status.html")
                yield partial("answering/_finish.html", finish=finish)
            elif not self._chooses:
                yield partial(
                    "operator/_pushed_call.html", "outerHTML", pushed_url=kept_url("calling.screen")
                )
            yield _own(session, at, "_operator.html") + _own(session, at, "_softphone.html")
        yield from _lines(session, changed, fresh)
        yield from super().draw(session, changed, fresh)
