"""Faults to order: `practice <fault> …`, an api command no real switch has.

| command | effect |
|---|---|
| `practice` | this list |
| `practice drop [now\\|after N]` | close every link, now or after N more events |
| `practice delay SECONDS` | hold every event back; 0 ends it |
| `practice duplicate N` | send the next N events twice |
| `practice reorder N` | collect the next N events and send them shuffled |
| `practice lose N` | lose the next N events |
| `practice refuse N [CAUSE]` | the next N originates fail (NORMAL_TEMPORARY_FAILURE) |
| `practice gateway NAME up\\|down` | a trunk's OPTIONS ping succeeds or fails |
| `practice freeze SECONDS` | read nothing and send nothing for so long |
| `practice ringback early\\|local` | the carrier sends 183 with ringing tone, or 180 |
| `practice answer UUID` / `practice leave UUID [CAUSE]` | the far end answers, or hangs up |
| `practice inbound FROM DID` | somebody calls one of our numbers; FROM `anonymous`: 非通知 |
| `practice fallback SECONDS` | how long a call that comes in waits for the application |
| `practice dialled UUID` | how many originates asked for it; no fault, a question |
| `practice heard UUID` | what who called in heard, as JSON |
| `practice calm` | end every fault |
"""

import asyncio
import uuid as uuids
from collections import deque

from calltree.practice import calls
from calltree.practice.channels import Channel
from calltree.practice.events import CUSTOM, Event
from calltree.practice.switch import FALLBACK_SECONDS, Gateway, Switch

USAGE = "-USAGE: practice " + "|".join(
    (
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "lose",
        "refuse",
        "gateway",
        "freeze",
        "ringback",
        "answer",
        "leave",
        "inbound",
        "fallback",
        "dialled",
        "heard",
        "calm",
    )
)


class Faults:
    """Stands between the event bus and the links and spoils what it was ordered to."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._links: set[asyncio.Transport] = set()
        self._delay = 0.0
        self._duplicates = 0
        self._losses = 0
        self._shuffle = 0
        self._held: list[Event] = []
        self._late: deque[tuple[float, Event]] = deque()
        self._drop_after: int | None = None
        self._frozen_until = 0.0
        switch.bus.deliver = self._deliver

    def add_link(self, link: asyncio.Transport) -> None:
        self._links.add(link)

    def remove_link(self, link: asyncio.Transport) -> None:
        self._links.discard(link)

    @property
    def frozen_for(self) -> float:
        """Seconds that the switch still stands still."""
        return max(self._frozen_until - asyncio.get_running_loop().time(), 0.0)

    def _deliver(self, event: Event) -> None:
        if self._losses:
            self._losses -= 1
            return
        if self._shuffle:
            self._held.append(event)
            self._shuffle -= 1
            if self._shuffle == 0:
                self._send_shuffled()
            return
        self._send(event)
        if self._duplicates:
            self._duplicates -= 1
            self._send(event)
        if self._drop_after is not None:
            self._drop_after -= 1
            if self._drop_after <= 0:
                self._drop()

    def _send_shuffled(self) -> None:
        held, self._held = self._held, []
        self._switch.random.shuffle(held)
        for event in held:
            self._send(event)

    def _send(self, event: Event) -> None:
        wait = max(self._delay, self.frozen_for)
        if not wait and not self._late:
            self._switch.bus.hand_out(event)
            return
        self._late.append((asyncio.get_running_loop().time() + wait, event))
        if len(self._late) == 1:
            self._wake_late()

    def _wake_late(self) -> None:
        """Hand out what was held back for long enough, in its order; sleep until the next."""
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time():
            self._switch.bus.hand_out(self._late.popleft()[1])
        if self._late:
            loop.call_at(self._late[0][0] + 0.001, self._wake_late)

    def _drop(self) -> None:
        self._drop_after = None
        for link in list(self._links):
            link.abort()

    def close_links(self) -> None:
        """Close every link after what is written to it has gone out."""
        for link in list(self._links):
            link.close()

    def order(self, text: str) -> str:
        """The api command. Answers +OK, -ERR or the usage."""
        name, *values = text.split()[:4] or [""]
        try:
            return self._order(name, values)
        except (ValueError, LookupError):
            return USAGE + "\n"

    def _order(self, name: str, values: list[str]) -> str:
        if name in ("answer", "leave"):
            return self._far_end(name, values)
        if name == "drop":
            self._order_drop(values)
        elif name == "delay":
            self._delay = float(values[0])
        elif name == "duplicate":
            self._duplicates = int(values[0])
        elif name == "reorder":
            self._shuffle = int(values[0])
        elif name == "lose":
            self._losses = int(values[0])
        elif name == "refuse":
            cause = values[1] if len(values) > 1 else "NORMAL_TEMPORARY_FAILURE"
            self._switch.ordered.refusals.extend([cause] * int(values[0]))
        elif name == "gateway":
            self._gateway(values[0], up={"up": True, "down": False}[values[1]])
        elif name == "freeze":
            self._frozen_until = asyncio.get_running_loop().time() + float(values[0])
        elif name == "ringback":
            self._switch.ordered.early_ringback = values[0] == "early"
        elif name == "inbound":
            return f"+OK {ring_in(self._switch, values[0], values[1])}\n"
        elif name == "fallback":
            self._switch.ordered.fallback_s = float(values[0])
        elif name == "dialled":
            return f"{self._switch.dialled[values[0]]}\n"
        elif name == "heard":
            return self._switch.heard.tell(values[0])
        elif name == "calm":
            self._calm()
        else:
            return USAGE + "\n"
        return "+OK\n"

    def _order_drop(self, values: list[str]) -> None:
        if values[:1] == ["after"]:
            self._drop_after = int(values[1])
        else:
            asyncio.get_running_loop().call_soon(self._drop)

    def _gateway(self, name: str, *, up: bool) -> None:
        gateway = self._switch.gateways.setdefault(name, Gateway(name, up=not up))
        if gateway.up != up:
            gateway.up = up
            state = {"Gateway": name, "State": "NOREG", "Ping-Status": "UP" if up else "DOWN"}
            self._switch.bus.publish(CUSTOM, state, subclass="sofia::gateway_state")

    def _far_end(self, name: str, values: list[str]) -> str:
        channel = self._switch.find(values[0])
        if channel is None:
            return "-ERR No such channel!\n"
        if name == "answer":
            calls.mark_answered(self._switch, channel, "customer")
            if channel.outcome is not None and not channel.outcome.done():
                channel.outcome.set_result("answer")
        else:
            cause = values[1] if len(values) > 1 else "NORMAL_CLEARING"
            calls.hangup(self._switch, channel, cause, disposition="recv_bye")
        return "+OK\n"

    def _calm(self) -> None:
        self._delay = 0.0
        self._duplicates = self._losses = self._shuffle = 0
        self._drop_after = None
        self._frozen_until = 0.0
        self._send_shuffled()
        self._switch.ordered.refusals.clear()
        self._switch.ordered.early_ringback = False
        self._switch.ordered.fallback_s = FALLBACK_SECONDS
        for gateway in list(self._switch.gateways.values()):
            self._gateway(gateway.name, up=True)


def ring_in(switch: Switch, caller: str, did: str) -> str:
    """Somebody calls one of our numbers; the leg waits in the context `public`."""
    channel = Channel(
        uuid=str(uuids.uuid4()),
        name=f"sofia/external/{caller}@127.0.0.1",
        direction="inbound",
        number=did,
        caller=caller,
        context="public",
        hit_dialplan=True,
        state="CS_INIT",
        variables={"sofia_profile_name": "external", "calltree_did": did},
    )
    switch.add(channel)
    switch.heard.begin(channel)
    switch.tell("CHANNEL_CREATE", channel)
    switch.run_extension(channel, did, "XML", "public")
    return channel.uuid
