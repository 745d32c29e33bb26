"""What every page's live line carries: badges, reminders, a caller, a customer who is pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from calltree.blueprints import answering, call_screen, navigation, switches
from calltree.blueprints.assets import kept_url
from calltree.blueprints.panel_parts import partial
from calltree.db import utcnow
from calltree.extensions import settings
from calltree.live import ARRIVES
from calltree.services import switch_checks, switch_nodes, task_reminders
from calltree.services.rights import Right, Viewer

Changed = frozenset[str] | set[str]


class Page:
    """A page that shows nothing live but the numbers in its navigation."""

    name = ""
    ages: frozenset[str] = frozenset()
    """Addresses that are drawn again every minute: their values change with the clock."""
    soon: frozenset[str] = frozenset()
    """The same every ten seconds: they show that nothing is heard any more."""
    awaits: frozenset[str] = frozenset()
    """Addresses of what is shown ahead of the ledger, until the ledger's own is drawn over it."""
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
        self._switch = frozenset({"switch", own} if viewer.may(Right.DIAL) else ())
        self.soon |= self._switch - {own}  # a leader that died tells nobody
        cares = viewer.may(Right.SEE_SETTINGS) and navigation.screen() == "admin"
        self._cares = frozenset({"switch"} if cares else ())
        self._reminds = frozenset(
            address for address, endpoint in self._badges.items() if endpoint == "tasks.index"
        )
        beside = viewer.may(Right.DIAL) and navigation.screen() == "operator"
        self._beside = frozenset({f"supervision:user_id={viewer.user_id}"} if beside else ())
        self._asked = frozenset({own} if beside else ())
        rings = viewer.may(Right.ANSWER_INBOUND) and navigation.screen() == "operator"
        self._ringing = False
        self._rings = frozenset({own, f"inbound:user_id={viewer.user_id}"} if rings else ())
        self.heard: frozenset[str] = (
            frozenset(self._badges) | self.addresses() | self._switch | self._own_calls
        ) | (self._beside | self._rings | self._asked | self._cares)
        self.ages = frozenset(self._badges)

    def addresses(self) -> frozenset[str]:
        """Name what the page's own panels change with."""
        return frozenset()

    def draw(self, session: Session, changed: Changed, fresh: bool) -> Iterator[str]:
        """Give messages of fragments that show what changed; `fresh` after connecting, all.

        Each is to be sent before the next is asked for: what somebody waits for comes first.
        """
        if changed & self._rings:
            yield self._draw_ringing()  # a caller waits
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
            mine = {"reminded": due, "user_id": self.viewer.user_id}
            badges.append(partial("tasks/_reminder.html", "outerHTML", **mine))
        if changed & self._switch:
            lost = switch_nodes.lost(
                session, user_id=self.viewer.user_id, nodes=settings().node_names
            )
            badges.append(partial("operator/_switch_lost.html", lost=lost))
        if changed & self._cares:
            looks = [switch_checks.last(session, node=node) for node in settings().node_names]
            alarms = switches.alarms_of(filter(None, looks))
            badges.append(partial("switches/_bar.html", alarms=alarms))
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
        """Give the fragment that shows what is foretold; empty when it says nothing here.

        Who calls is shown ahead of the ledger where nothing rings yet: a call that rings has
        buttons, which must not go and come again.
        """
        if told["topic"] != ARRIVES or not self._rings or self._ringing:
            return ""
        shown = answering.arriving(viewer=self.viewer, told=told, now=utcnow())
        if not shown:
            return ""
        self.awaits = self._rings
        return partial("answering/_ringing.html", shown=shown)

    def _draw_ringing(self) -> str:
        shown = answering.ringing()
        self._ringing, self.awaits = bool(shown), frozenset()
        return partial("answering/_ringing.html", shown=shown)


BADGES_CHANGE_WITH = {
    "missed.index": "missed",
    "recordings.problems": "recording",
    "tasks.index": "tasks",
}
