"""Which pages show what live: topics in, fragments out.

A page is named in the address of its live line. It says which addresses it hears and draws, for
those that changed, the same fragment files as the page itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from flask import request
from sqlalchemy.orm import Session

from calltree.blueprints import (
    answering,
    call_ahead,
    call_screen,
    call_transfer,
    campaigns,
    manual,
    navigation,
    predictive,
    summaries,
    watch_page,
)
from calltree.blueprints.assets import kept_url
from calltree.blueprints.given import whole
from calltree.blueprints.panel_parts import LINES, instead_of_main, lines_in_use, partial
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import settings
from calltree.locale import choose_locale
from calltree.models import CampaignState, ImportState
from calltree.services import bulk, imports, task_reminders
from calltree.services import campaigns as campaign_services
from calltree.services.rights import Right, Viewer

Changed = frozenset[str] | set[str]


class Page:
    """A page that shows nothing live but the numbers in its navigation."""

    name = ""
    ages: frozenset[str] = frozenset()
    """Addresses that are drawn again every minute: their values change with the clock."""
    pulls = True
    """Whether the page gives way to that of a customer whom プレディコール connects (R-DL-2)."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._badges = {
            address: endpoint
            for endpoint, address in BADGES_CHANGE_WITH.items()
            if navigation.is_shown(endpoint)
        }
        own = f"operator:user_id={viewer.user_id}"
        self._own_calls = frozenset({own} if self.pulls and viewer.may(Right.DIAL) else ())
        self._pulled: int | None = None
        several = len(settings().node_names) > 1 and viewer.may(Right.DIAL)
        self._switch = frozenset({"switch", own} if several else ())
        self._reminds = frozenset(
            address for address, endpoint in self._badges.items() if endpoint == "tasks.index"
        )
        beside = viewer.may(Right.DIAL) and navigation.screen() == "operator"
        self._beside = frozenset({f"supervision:user_id={viewer.user_id}"} if beside else ())
        self._asked = frozenset({own} if beside else ())
        rings = viewer.may(Right.ANSWER_INBOUND) and navigation.screen() == "operator"
        self._rings = frozenset({own, f"inbound:user_id={viewer.user_id}"} if rings else ())
        self.heard: frozenset[str] = (
            frozenset(self._badges) | self.addresses() | self._switch | self._own_calls
        ) | (self._beside | self._rings | self._asked)
        self.ages = frozenset(self._badges)

    def addresses(self) -> frozenset[str]:
        """Name what the page's own panels change with."""
        return frozenset()

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        """Give messages of fragments that show what changed; `fresh` after connecting, all.

        Each is to be sent before the next is asked for: what somebody waits for comes first.
        """
        if changed & self._rings:
            yield partial("answering/_ringing.html")  # a caller waits
        if changed & self._asked:
            yield partial("operator/_offer.html")  # a customer hears music
        if pulled := self._pull(session, changed, fresh):
            yield pulled
        badges = [
            partial("_badge.html", item=navigation.badge_of(session, endpoint))
            for address, endpoint in self._badges.items()
            if address in changed
        ]
        if changed & self._reminds:
            due = task_reminders.due(session, viewer=self.viewer, now=utcnow())
            badges.append(partial("tasks/_reminder.html", "outerHTML", reminded=due))
        if changed & self._switch:
            badges.append(partial("operator/_switch_lost.html"))
        if changed & self._beside:
            badges.append(partial("operator/_assistance.html"))
        if badges:
            yield "".join(badges)

    def _pull(self, session: Session, changed: Changed, fresh: bool) -> str:
        """Have the customer's page fetched, once for each call.

        Who opens another page in that call has seen the customer's already.
        """
        if not changed & self._own_calls:
            return ""
        before, self._pulled = (
            self._pulled,
            call_screen.pushed_call(session, user_id=self.viewer.user_id),
        )
        if self._pulled in (None, before) or fresh:
            return ""
        return partial(
            "operator/_pushed_call.html", "outerHTML", pushed_url=kept_url("calling.screen")
        )

    def foretell(self, told: Mapping[str, Any]) -> str:
        """Give the fragment that shows what is foretold; empty when it says nothing here."""
        return ""


BADGES_CHANGE_WITH = {
    "missed.index": "missed",
    "recordings.problems": "recording",
    "tasks.index": "tasks",
}


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


class PredictivePage(Page):
    """Waiting in a campaign."""

    name = "predictive"
    pulls = False

    def __init__(self, viewer: Viewer) -> None:
        own = f"user_id={viewer.user_id}"
        self._state = frozenset({f"operator:{own}", "site"})
        self._figures = f"figures:{own}"
        self._waits = False
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._state | {self._figures, "lines"}

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        at = call_screen.desk(session, viewer=self.viewer, now=utcnow())
        if at is not None and changed & self._state:
            shown = predictive.panel(session, at)
            was, self._waits = self._waits, shown is not None
            if shown is None and was:  # the campaign was stopped, or its list is not granted now
                url = kept_url("predictive.screen")
                yield partial("operator/_pushed_call.html", "outerHTML", pushed_url=url)
            if shown is not None:
                yield partial("operator/_wait.html", wait=shown)  # what everybody waits for
                yield _own(session, at, "_operator.html") + _own(session, at, "_softphone.html")
        if at is not None and self._figures in changed:
            yield _own(session, at, "_today.html")
        if "lines" in changed:
            yield (lines_in_use(session) if fresh else LINES.get(session)).text
        yield from super().draw(session, changed, fresh)


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
        if "lines" in changed:
            yield (lines_in_use(session) if fresh else LINES.get(session)).text
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
        if "lines" in changed:
            yield (lines_in_use(session) if fresh else LINES.get(session)).text
        yield from super().draw(session, changed, fresh)


class CampaignPage(Page):
    """A campaign at work."""

    name = "campaign"

    def __init__(self, viewer: Viewer, campaign_id: int) -> None:
        self._campaign_id = campaign_id
        self._state: CampaignState | None = None
        super().__init__(viewer)
        self.ages |= self.addresses()

    def addresses(self) -> frozenset[str]:
        return frozenset({f"campaign:campaign_id={self._campaign_id}"})

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from super().draw(session, changed, fresh)
        if not changed & self.addresses():
            return
        with contextlib.suppress(NotFound):
            campaign = campaign_services.get(session, self._campaign_id)
            live = campaigns.live(session, campaign, utcnow())
            yield partial("campaigns/_live.html", live=live)
            if campaign.state is not self._state:  # not each time: a button keeps its focus
                self._state = campaign.state
                yield partial("campaigns/_presses.html", campaign=campaign)


class WatchPage(Page):
    """オペレータ状況."""

    name = "watch"

    def __init__(self, viewer: Viewer) -> None:
        self._board = watch_page.Board(viewer, partial)
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._board.heard

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from self._board.draw(session, changed, fresh=fresh)
        yield from super().draw(session, changed, fresh)


class ImportPage(Page):
    """One import's progress."""

    name = "imports"

    def __init__(self, viewer: Viewer, import_id: int) -> None:
        self._import_id = import_id
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return frozenset({f"imports:import_id={self._import_id}"})

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from super().draw(session, changed, fresh)
        if not changed & self.addresses():
            return
        try:
            given = imports.get(session, viewer=self.viewer, import_id=self._import_id)
        except NotFound:
            return
        over = given.state not in IMPORT_WORKS
        if fresh and over:
            return  # the page is another step's, or it asks by itself every 10 s
        yield partial("imports/_status.html", swap="outerHTML", given=given, over=over)


class TodayPage(Page):
    """集計 of today; an operator's page hears of their own calls only."""

    name = "figures"

    def addresses(self) -> frozenset[str]:
        own = f"figures:user_id={self.viewer.user_id}"
        return frozenset({"figures" if self.viewer.manages else own})

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from super().draw(session, changed, fresh)
        if changed & self.addresses():
            yield partial("summaries/_today.html", today=summaries.today(self.viewer, session))


IMPORT_WORKS = (
    ImportState.UPLOADED,
    ImportState.CHECKING,
    ImportState.RUNNING,
    ImportState.PUBLISHED,
    ImportState.UPDATING,
    ImportState.UNDOING,
)


class BulkPage(Page):
    """One piece of bulk work's progress."""

    name = "bulk"

    def __init__(self, viewer: Viewer, job_id: int) -> None:
        self._job_id = job_id
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return frozenset({f"bulk:job_id={self._job_id}"})

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from super().draw(session, changed, fresh)
        if not changed & self.addresses():
            return
        try:
            job = bulk.get(session, viewer=self.viewer, job_id=self._job_id)
        except NotFound:
            return
        over = job.state not in bulk.WORKING
        if fresh and over:
            return  # the page shows the end already, or it asks by itself every 10 s
        yield partial("bulk/_status.html", swap="outerHTML", job=job, over=over)


def find(name: str, viewer: Viewer) -> Page:
    """Return the page of this name for this viewer; a plain one where they lack the right."""
    kind, _, one = name.partition(":")
    if kind == "call" and viewer.may(Right.DIAL):
        return CallPage(viewer)
    if kind == "imports" and viewer.may(Right.IMPORT):
        with contextlib.suppress(ValueError):
            return ImportPage(viewer, whole(one))
    if kind == "bulk" and viewer.may(Right.ADMIN_SCREEN):
        with contextlib.suppress(ValueError):
            return BulkPage(viewer, whole(one))
    if kind == "manual" and viewer.may(Right.DIAL_MANUALLY):
        return ManualPage(viewer)
    if kind == "answering" and viewer.may(Right.ANSWER_INBOUND):
        return AnsweringPage(viewer, chooses=one == "choose")
    if kind == "predictive" and viewer.may(Right.DIAL):
        return PredictivePage(viewer)
    if kind == "campaign" and viewer.may(Right.RUN_CAMPAIGNS):
        with contextlib.suppress(ValueError):
            return CampaignPage(viewer, whole(one))
    if kind == "watch" and viewer.may(Right.LISTEN):
        return WatchPage(viewer)
    if kind == "figures" and viewer.may(Right.SEE_FIGURES):
        return TodayPage(viewer)
    return Page(viewer)


def name_of(endpoint: str, arguments: Mapping[str, Any]) -> str:
    """Name the page that an endpoint shows."""
    if endpoint == "calling.screen":
        return "call"
    if endpoint == "predictive.screen":
        return "predictive"
    if endpoint == "answering.screen":
        return "answering:choose" if "choose" in request.args else "answering"
    if endpoint == "manual.screen":
        return "manual"
    if endpoint == "campaigns.show":
        return f"campaign:{arguments['campaign_id']}"
    if endpoint == "watch.index":
        return "watch"
    if endpoint == "imports.show":
        return f"imports:{arguments['import_id']}"
    if endpoint == "summaries.index":
        return "figures"
    if endpoint == "bulk.show":
        return f"bulk:{arguments['job_id']}"
    if endpoint == "what_if.show":
        return f"bulk:{arguments['trial_id']}"
    return "plain"
