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
    campaign_words,
    campaigns,
    landing_board,
    summaries,
    watch_board,
    watch_page,
)
from calltree.blueprints.given import whole
from calltree.blueprints.live_page import Changed, Page
from calltree.blueprints.operator_pages import (
    AnsweringPage,
    CallPage,
    HomePage,
    ManualPage,
    PredictivePage,
)
from calltree.blueprints.panel_parts import partial
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.models import CampaignState, ImportState
from calltree.services import bulk, imports
from calltree.services import campaigns as campaign_services
from calltree.services.rights import Right, Viewer


class CampaignPage(Page):
    """A campaign at work."""

    name = "campaign"

    def __init__(self, viewer: Viewer, campaign_id: int) -> None:
        self._campaign_id = campaign_id
        self._state: CampaignState | None = None
        super().__init__(viewer)
        self.soon |= self.addresses()

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


class Alarms:
    """What the dialler finds wrong, on pages where the floor is watched; sent when it changes."""

    heard = frozenset({"campaign"})

    def __init__(self, besides: frozenset[str] = frozenset()) -> None:
        self._besides = besides
        self._said: list[str] | None = None

    def draw(self, session: Session, changed: Changed, *, fresh: bool) -> str:
        if not (fresh or changed & self.heard):
            return ""
        said = campaign_words.alarms(session, besides=self._besides)
        if said == self._said and not fresh:
            return ""
        self._said = said
        return partial("campaigns/_alarms.html", alarms=said)


class WatchPage(Page):
    """オペレータ状況."""

    name = "watch"
    soon = Alarms.heard

    def __init__(self, viewer: Viewer) -> None:
        self._board = watch_page.Board(viewer, partial)
        self._alarms = Alarms()
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return self._board.heard | Alarms.heard

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from self._board.draw(session, changed, fresh=fresh)
        yield self._alarms.draw(session, changed, fresh=fresh)
        yield from super().draw(session, changed, fresh)


class LandingPage(Page):
    """管理画面 as it opens."""

    name = "landing"
    soon = Alarms.heard

    def __init__(self, viewer: Viewer) -> None:
        self._alarms = Alarms(besides=campaign_words.OF_TRUNKS)
        super().__init__(viewer)

    def addresses(self) -> frozenset[str]:
        return frozenset({"figures", "tasks", "lines", *watch_board.ROWS}) | Alarms.heard

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        yield from super().draw(session, changed, fresh)
        if changed & {"lines", *watch_board.ROWS}:
            yield partial("admin/_floor.html", floor=watch_board.floor(session, fresh=fresh))
        yield self._alarms.draw(session, changed, fresh=fresh)
        if changed & {"figures", "tasks"}:
            yield partial("admin/_today.html", today=landing_board.today(session, self.viewer))


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
    if kind == "home" and viewer.may(Right.DIAL):
        return HomePage(viewer)
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
    if kind == "landing" and viewer.may(Right.WATCH):
        return LandingPage(viewer)
    if kind == "figures" and viewer.may(Right.SEE_FIGURES):
        return TodayPage(viewer)
    return Page(viewer)


def name_of(endpoint: str, arguments: Mapping[str, Any]) -> str:
    """Name the page that an endpoint shows."""
    if endpoint == "calling.screen":
        return "call"
    if endpoint == "operator.home":
        return "home"
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
    if endpoint == "admin.home":
        return "landing"
    if endpoint == "summaries.index":
        return "figures"
    if endpoint == "bulk.show":
        return f"bulk:{arguments['job_id']}"
    if endpoint == "what_if.show":
        return f"bulk:{arguments['trial_id']}"
    return "plain"
