"""What who calls us hears, moment by moment: for training to show, and for tests to judge.

Kept for calls that came in, the last few hundred of them, also after their end.
"""

import json
from collections import OrderedDict

from calltree.practice.channels import Channel

KEPT = 200
RINGS, ANSWERED, SILENCE, ENDED = "rings", "answered", "silence", "ended"
MESSAGE = "message"
"""Silence that is meant: they speak, and it is kept."""


class Heard:
    """Lines of `[milliseconds since the call came in, what is heard from then on]`."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, list[tuple[int, str]]] = OrderedDict()

    def begin(self, channel: Channel) -> None:
        """Somebody calls."""
        self._of[channel.uuid] = []
        while len(self._of) > KEPT:
            self._of.popitem(last=False)

    def note(self, channel: Channel, what: str, now_us: int) -> None:
        """From now on this is heard on the leg; a leg that nobody called in on is passed over."""
        lines = self._of.get(channel.uuid)
        if lines is not None:
            lines.append(((now_us - channel.times.created) // 1000, what))

    def tell(self, uuid: str) -> str:
        """Answer `practice heard UUID` as JSON."""
        return json.dumps(self._of.get(uuid, []))
