"""Commands about a switch itself: let it take the trunks, read how it is. They last seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models.calls import CommandKind, SwitchCommand
from calltree.services import switch_checks, switch_commands, trunks
from calltree.telephony import inspection, trunk_loading
from calltree.telephony.config.wanted import ConfigError, Wanted
from calltree.telephony.esl import Link, LinkDown

Work = Callable[[Link], str]
"""Gives '' or the code of what went wrong; raises LinkDown."""


@dataclass(frozen=True, slots=True)
class Care:
    """What the calls worker knows beyond the calls themselves."""

    settings: Settings
    store: Store

    def work(self, session: Session, command: SwitchCommand) -> Work | str:
        """Prepare a command inside the transaction that takes it; a code when it is not done."""
        if command.kind is CommandKind.CHECK:
            node, gateways = command.node, wanted_gateways(session, self.settings)
            return lambda link: self._check(link, node, gateways)
        if self.settings.practice:
            return "practice"  # its one gateway is no trunk of ours
        try:
            wanted = Wanted.read(session, self.settings, node=command.node)
        except ConfigError:
            return "config_not_written"
        return lambda link: trunk_loading.load(link, wanted, self.settings)

    def unreachable(self, command_id: int, *, by: str, node: str, why: LinkDown) -> bool:
        """Serve a check of a switch that cannot be reached: that is a finding too.

        False: it is another command, or somebody else's; it waits until the switch is back.
        """
        now = utcnow()
        with self.store.write() as session:
            command = session.get(SwitchCommand, command_id)
            if command is None or command.kind is not CommandKind.CHECK:
                return False
            if switch_commands.take(session, command_id=command_id, by=by, now=now) is None:
                return False
            reading = inspection.unreachable(node, self.settings, why, now=now)
            switch_checks.keep(session, node=node, reading=reading.as_json())
            switch_commands.finish(session, command_id=command_id, now=now)
        return True

    def _check(self, link: Link, node: str, gateways: list[tuple[str, str]]) -> str:
        reading = inspection.read(link, node, self.settings, gateways, now=utcnow())
        with self.store.write() as session:
            switch_checks.keep(session, node=node, reading=reading.as_json())
        return ""


def wanted_gateways(session: Session, settings: Settings) -> list[tuple[str, str]]:
    """Name the gateways that the switch should have, with their titles."""
    default = trunks.DEFAULT_GATEWAY
    if settings.practice:
        return [(default, default)]
    found = [(t.gateway, t.name) for t in trunks.all_trunks(session) if t.enabled]
    return found or [(default, default)]
