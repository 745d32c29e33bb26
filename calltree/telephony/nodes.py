"""The switches we are linked to, by name. A name is part of rows, queues and log lines."""

from __future__ import annotations

from dataclasses import dataclass

from calltree.config import Settings
from calltree.services import softphones
from calltree.telephony.esl import EslUrl

PRACTICE = "practice"
DOMAIN = softphones.DOMAIN
"""The directory domain of operators' telephones."""


@dataclass(frozen=True, slots=True)
class Node:
    """One switch."""

    name: str
    url: EslUrl


def nodes(settings: Settings) -> tuple[Node, ...]:
    """Give every switch of the settings; the practice switch alone while there is no real one."""
    urls = [EslUrl.parse(url) for url in settings.switch_urls]
    return tuple(Node(name, url) for name, url in zip(settings.node_names, urls, strict=False))
