"""Things that happen later: sched_hangup, sched_transfer, and what is played to a leg."""

import time
from collections.abc import Callable

from calltree.practice import calls
from calltree.practice.channels import Channel
from calltree.practice.dialplan import FOREVER, playback_seconds
from calltree.practice.originate import DialError, words
from calltree.practice.switch import Switch

NO_CHANNEL = "-ERR No such channel!\n"


def _wait(switch: Switch, when: str) -> float | None:
    """Seconds until `+5` or an epoch second; whole seconds, so +5 fires at about 4.5 s."""
    digits = when.removeprefix("+")
    if not digits.isdecimal():
        return None
    if when.startswith("+"):
        return switch.clock.whole_seconds(int(digits)) if int(digits) else 0.0
    return max(int(digits) - time.time(), 0.0)


def _at(switch: Switch, uuid: str, seconds: float, what: Callable[[Channel], None]) -> str:
    task = next(switch.task_ids)

    def fire() -> None:
        switch.scheduled.pop(task, None)
        channel = switch.find(uuid)
        if channel is not None:
            what(channel)

    switch.scheduled[task] = (uuid, switch.clock.later(seconds, fire))
    return "+OK\n"


def sched_hangup(switch: Switch, text: str) -> str:
    parts = text.split()
    seconds = _wait(switch, parts[0]) if parts else None
    if seconds is None:
        return "-USAGE: [+]<time> <uuid> [<cause>]\n"
    if len(parts) < 2 or switch.find(parts[1]) is None:
        return NO_CHANNEL
    cause = parts[2] if len(parts) > 2 else "ALLOTTED_TIMEOUT"
    return _at(switch, parts[1], seconds, lambda c: calls.hangup(switch, c, cause))


def sched_transfer(switch: Switch, text: str) -> str:
    usage = "-USAGE: [+]<time> <uuid> <extension> [<dialplan>] [<context>]\n"
    try:
        parts = words(text)
    except DialError:
        return usage
    seconds = _wait(switch, parts[0]) if len(parts) > 2 else None
    if seconds is None:
        return usage
    channel = switch.find(parts[1])
    if channel is None:
        return NO_CHANNEL
    dialplan = parts[3] if len(parts) > 3 else "XML"
    context = parts[4] if len(parts) > 4 else channel.context
    return _at(
        switch,
        parts[1],
        seconds,
        lambda c: calls.transfer(switch, c, parts[2], dialplan, context),
    )


def sched_del(switch: Switch, text: str) -> str:
    """Take back one task by its number, or every task of a leg by its uuid."""
    if text.isdecimal():
        doomed = [int(text)] if int(text) in switch.scheduled else []
    else:
        doomed = [task for task, (uuid, _) in switch.scheduled.items() if uuid == text]
    for task in doomed:
        switch.scheduled.pop(task)[1].cancel()
    return f"+OK Deleted: {len(doomed)}\n"


def play_to(switch: Switch, channel: Channel, path: str) -> None:
    """Play beside whatever the leg does; it ends by itself, by uuid_break or by a bridge."""
    calls.stop_playback(switch, channel)
    calls.start_playback(switch, channel, path)
    seconds = playback_seconds(path)
    if seconds < FOREVER:
        channel.playback_timer = switch.clock.later(
            seconds, lambda: calls.stop_playback(switch, channel)
        )
