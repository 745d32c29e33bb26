"""A leg in another's call (eavesdrop): who is heard by whom, and how it ends.

As measured on FreeSWITCH 1.10.12: `eavesdrop_whisper_bleg` is heard by the leg that is named,
`eavesdrop_whisper_aleg` by its partner, and both stay set on the leg that listens.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from calltree.practice.channels import Channel, Doing

if TYPE_CHECKING:
    from calltree.practice.switch import Switch

SUPERVISOR = "supervisor"
"""What a leg says that is in another's call."""


def enter(switch: Switch, channel: Channel, watched: Channel, over: asyncio.Event) -> None:
    """Begin; `over` is set when the leg that is listened to ends."""
    _sound_changes(switch, channel, watched)
    channel.listens_to, channel.listening_over = watched, over
    watched.listeners.append(channel)
    switch.tell("MEDIA_BUG_START", watched, _bug(watched))


def leave(switch: Switch, channel: Channel) -> None:
    """The leg is taken away, or there is nobody left to listen to."""
    watched = channel.listens_to
    if watched is None:
        return
    _sound_changes(switch, channel, watched)
    channel.listens_to = channel.listening_over = None
    watched.listeners.remove(channel)
    switch.tell("MEDIA_BUG_STOP", watched, _bug(watched))


def end_of(watched: Channel) -> None:
    """The leg that is listened to ends: whoever is in its call goes on in its own chain."""
    for listener in watched.listeners:
        if listener.listening_over is not None:
            listener.listening_over.set()


def heard_by(channel: Channel) -> list[str]:
    """Name what supervisors add to what is sent towards a leg."""
    watched = channel.listens_to
    if watched is not None and channel.doing is Doing.EXECUTING:
        return [watched.voice, *([watched.partner.voice] if watched.partner else [])]
    added = [one for one in channel.listeners if one.flag("eavesdrop_whisper_bleg")]
    if channel.partner is not None:
        added += [one for one in channel.partner.listeners if one.flag("eavesdrop_whisper_aleg")]
    return [SUPERVISOR for _one in added[:1]]


def _sound_changes(switch: Switch, channel: Channel, watched: Channel) -> None:
    switch.recordings.sound_changes(channel, watched, watched.partner)


def _bug(watched: Channel) -> dict[str, str]:
    return {"Media-Bug-Function": "eavesdrop", "Media-Bug-Target": watched.uuid}
