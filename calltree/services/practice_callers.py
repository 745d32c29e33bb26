"""Somebody calls one of our numbers, on order: for training, with the practice switch alone."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import CallerNumber, CommandKind, Site
from calltree.services import inbound_routes, switch_commands
from calltree.text.phones import Phone, normalise

NODE = "practice"
WITHHELD = "anonymous"


def call_in(session: Session, *, caller: str, number: str, now: datetime) -> None:
    """Have the practice switch bring a call; `caller` empty: 非通知. `number` is one of ours.

    Raises Refused 'practice_only', 'number_unreadable' (field 'caller'), 'number_not_ours'.
    """
    site = session.get(Site, 1)
    if site is None or not site.practice:
        raise Refused("practice_only")
    shown = WITHHELD
    if caller.strip():
        read = normalise(caller)
        if not isinstance(read, Phone):
            raise Refused("number_unreadable", field="caller")
        shown = read.number
    ours = re.sub(r"[^0-9]", "", number)
    found = session.scalar(select(CallerNumber).where(CallerNumber.number == ours))
    if found is None or not inbound_routes.takes_calls(found):
        raise Refused("number_not_ours", field="number")
    switch_commands.ask(
        session,
        kind=CommandKind.CALL_IN,
        node=NODE,
        args={"caller": shown, "number": ours},
        now=now,
    )
