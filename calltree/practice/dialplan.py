"""Applications a leg executes, one after another, and the few extensions there are."""

import asyncio
import re
import uuid as uuids
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

from calltree.practice import calls, monitoring, outgoing
from calltree.practice.channels import Channel, Doing
from calltree.practice.heard import MESSAGE, RINGS, SILENCE
from calltree.practice.originate import (
    App,
    DialError,
    Request,
    inline_apps,
    leading_variables,
    split_outside,
    target_of,
)
from calltree.practice.switch import Switch

DEFAULT_PLAYBACK_SECONDS = 3.0
FOREVER = 365 * 86400.0

EXTENSIONS = {
    # What our rendered configuration does when the application is away.
    "orphan": (
        "set:orphaned=true,sched_transfer:+20 orphan-end XML calltree,"
        "endless_playback:local_stream://default"
    ),
    "orphan-end": "playback:apology,hangup:NORMAL_CLEARING",
    # Who answered a campaign's dial; the wait is a variable of the leg.
    "answered": (
        "sleep:400,playback:${calltree_guidance},sleep:${calltree_wait_ms},"
        "playback:${calltree_apology},hangup:NORMAL_CLEARING"
    ),
    "answered-end": "playback:${calltree_apology},hangup:NORMAL_CLEARING",
    "inbound-away": "answer:,playback:apology,hangup:NORMAL_CLEARING",
    "agent": "set:park_after_bridge=true,set:hangup_after_bridge=false,answer:,park:",
    "park": "park:",
}
OF_THE_LEG = {
    "calltree_wait_ms": "2000",
    "calltree_guidance": "guidance",
    "calltree_apology": "apology",
}
"""Variables of a leg that an extension reads, and what they are without one."""
PUBLIC = "ring_ready:,sleep:{},answer:,playback:guidance,hangup:NORMAL_CLEARING"
"""An inbound call that nobody takes within a time, of 2 s."""

_TONE = re.compile(r"tone_stream://(?:L=([0-9]+);)?%\(([0-9]+),([0-9]+),[0-9,]+\)")
"""Rounds, and the milliseconds of tone and silence in each."""

Action = Callable[[Switch, Channel, str], Awaitable[bool]]


def run_extension(
    switch: Switch, channel: Channel, extension: str, dialplan: str, context: str
) -> None:
    """Start a leg on an inline chain or an extension, as a transfer does."""
    if dialplan == "inline":
        chain = inline_apps(extension)
    elif extension in EXTENSIONS:
        text = EXTENSIONS[extension]
        for name, usual in OF_THE_LEG.items():
            text = text.replace(f"${{{name}}}", channel.variables.get(name, usual))
        chain = inline_apps(text)
    elif context == "public":
        chain = inline_apps(PUBLIC.format(int(switch.ordered.fallback_s * 1000)))
    else:
        chain = []
    run_apps(switch, channel, chain, context)


def run_apps(switch: Switch, channel: Channel, chain: list[App], context: str) -> None:
    """Start a leg on a chain of applications."""
    channel.context = context or channel.context
    channel.hit_dialplan = True
    channel.doing = Doing.EXECUTING
    channel.state = "CS_EXECUTE"
    if channel.direction == "outbound":
        channel.flipped = True
    channel.work = switch.spawn(run(switch, channel, chain))


def install(switch: Switch) -> None:
    """Give the switch its dialplan."""
    switch.run_extension = lambda c, e, d, x: run_extension(switch, c, e, d, x)
    switch.run_apps = lambda c, a, x: run_apps(switch, c, a, x)


async def run(switch: Switch, channel: Channel, chain: list[App]) -> None:
    """Execute a chain; a leg that reaches its end is hung up."""
    for app in chain:
        if not channel.alive:
            return
        channel.application, channel.application_data = app.name, app.data
        told = {"Application": app.name, "Application-UUID": str(uuids.uuid4())}
        if app.data:
            told["Application-Data"] = app.data
        switch.tell("CHANNEL_EXECUTE", channel, told)
        action = _ACTIONS.get(app.name, _nothing)
        stays = await action(switch, channel, app.data)
        if stays or not channel.alive:
            return
        switch.tell("CHANNEL_EXECUTE_COMPLETE", channel, told | {"Application-Response": "_none_"})
    calls.hangup(switch, channel, "NORMAL_CLEARING")


async def _nothing(switch: Switch, channel: Channel, data: str) -> bool:
    return False


async def _set(switch: Switch, channel: Channel, data: str) -> bool:
    name, _, value = data.partition("=")
    set_variable(channel, name, value)
    return False


def set_variable(channel: Channel, name: str, value: str) -> None:
    """An empty value unsets, as on the real switch."""
    if value:
        channel.variables[name] = value
    else:
        channel.variables.pop(name, None)


async def _unset(switch: Switch, channel: Channel, data: str) -> bool:
    channel.variables.pop(data, None)
    return False


async def _answer(switch: Switch, channel: Channel, data: str) -> bool:
    calls.mark_answered(switch, channel, channel.voice if channel.answered else "customer")
    return False


async def _ring_ready(switch: Switch, channel: Channel, data: str) -> bool:
    if not channel.times.progress:
        channel.times.progress = switch.clock.now_us()
        channel.callstate = "RINGING"
        switch.hears(channel, RINGS)
        switch.tell("CHANNEL_PROGRESS", channel)
    return False


async def _pre_answer(switch: Switch, channel: Channel, data: str) -> bool:
    if not channel.answered and not channel.times.progress_media:
        calls.mark_early(switch, channel, "silence")
        channel.state = "CS_EXECUTE"
    return False


async def _park(switch: Switch, channel: Channel, data: str) -> bool:
    calls.park(switch, channel, application=True)
    return True


async def _sleep(switch: Switch, channel: Channel, data: str) -> bool:
    await switch.clock.sleep(int(data) / 1000 if data.isdecimal() else 0.0)
    return False


async def _wait_for_answer(switch: Switch, channel: Channel, data: str) -> bool:
    """Looks ten times a second, as the real one does; the chain is cancelled with its channel."""
    while not channel.answered:
        await switch.clock.sleep(0.1)
    return False


def playback_seconds(path: str) -> float:
    """How long a sound lasts: the file's length where there is one, otherwise 3 s."""
    if path.startswith("silence_stream://"):
        length = path.removeprefix("silence_stream://").partition(",")[0]
        return int(length) / 1000 if length.isdecimal() else FOREVER
    if path.startswith("local_stream://") or "L=-1" in path:
        return FOREVER
    if tone := _TONE.fullmatch(path):
        return int(tone[1] or 1) * (int(tone[2]) + int(tone[3])) / 1000
    try:
        with wave.open(str(Path(path)), "rb") as sound:
            return sound.getnframes() / sound.getframerate()
    except (OSError, EOFError, wave.Error, ZeroDivisionError):
        return DEFAULT_PLAYBACK_SECONDS


async def _playback(switch: Switch, channel: Channel, data: str) -> bool:
    calls.start_playback(switch, channel, data)
    await switch.clock.sleep(playback_seconds(data))
    calls.stop_playback(switch, channel)
    return False


async def _endless_playback(switch: Switch, channel: Channel, data: str) -> bool:
    calls.start_playback(switch, channel, data)
    return True


async def _sched_transfer(switch: Switch, channel: Channel, data: str) -> bool:
    """A timer of the leg: only `sched_del` ends it, a bridge does not."""
    from calltree.practice import scheduler  # it knows this module

    scheduler.sched_transfer(switch, data.replace(" ", f" {channel.uuid} ", 1))
    return False


async def _transfer(switch: Switch, channel: Channel, data: str) -> bool:
    """Go on in another extension: `EXTENSION DIALPLAN CONTEXT`."""
    extension, dialplan, context, *_ = [*data.split(), "XML", channel.context][:3]
    run_extension(switch, channel, extension, dialplan, context)
    return True


async def _wait_for_silence(switch: Switch, channel: Channel, data: str) -> bool:
    """`LEVEL FRAMES FRAMES MILLISECONDS`; who calls in here speaks for ever: the full time."""
    milliseconds = data.split()[3:4]
    switch.hears(channel, MESSAGE)
    await switch.clock.sleep(int(milliseconds[0]) / 1000 if milliseconds else 60.0)
    switch.hears(channel, SILENCE)
    return False


async def _hangup(switch: Switch, channel: Channel, data: str) -> bool:
    calls.hangup(switch, channel, data or "NORMAL_CLEARING")
    return True


async def _record_session(switch: Switch, channel: Channel, data: str) -> bool:
    calls.start_recording(switch, channel, data)
    return False


async def _stop_record_session(switch: Switch, channel: Channel, data: str) -> bool:
    calls.stop_recording(switch, channel, data)
    return False


async def _bridge(switch: Switch, channel: Channel, data: str) -> bool:
    """Dial out from a leg and join what answers; afterwards the chain goes on or the leg ends."""
    outcome = await _bridge_out(switch, channel, data)
    channel.variables["originate_disposition"] = outcome
    if outcome == "SUCCESS":
        if channel.flag("hangup_after_bridge"):
            calls.hangup(switch, channel, "NORMAL_CLEARING")
            return True
        return False
    if channel.alive and not channel.flag("continue_on_fail"):
        calls.hangup(switch, channel, outcome)
        return True
    return False


async def _bridge_out(switch: Switch, channel: Channel, data: str) -> str:
    timeout = channel.variables.get("call_timeout", "60")
    try:
        variables, rest = leading_variables(data)
        targets = [target_of(part) for part in split_outside(rest, ",")]
    except DialError as error:
        return str(error)
    variables.setdefault("origination_caller_id_number", channel.caller_id()[0])
    variables["ignore_early_media"] = "true"
    request = Request(targets, variables, [], timeout=int(timeout) if timeout.isdecimal() else 60)
    other, outcome = await outgoing.race(switch, request, caller=channel)
    if other is None or not channel.alive:
        return outcome
    other.doing = Doing.JOINING
    if other.answered:  # who called in is answered with who was called for them
        calls.mark_answered(switch, channel, channel.voice if channel.answered else "customer")
    channel.bridge_over = asyncio.get_running_loop().create_future()
    if first := _ACTIONS.get(channel.variables.get("bridge_pre_execute_aleg_app", "")):
        await first(switch, channel, channel.variables.get("bridge_pre_execute_aleg_data", ""))
    calls.link(switch, channel, other)
    channel.state = "CS_EXECUTE"
    switch.tell(
        "CHANNEL_BRIDGE",
        channel,
        {"Bridge-A-Unique-ID": channel.uuid, "Bridge-B-Unique-ID": other.uuid},
    )
    try:
        await channel.bridge_over
    finally:
        channel.bridge_over = None
    return "SUCCESS"


async def _stay(switch: Switch, channel: Channel, data: str) -> bool:
    """conference, echo: the leg stays until somebody takes it away."""
    return True


async def _eavesdrop(switch: Switch, channel: Channel, data: str) -> bool:
    """Be in another leg's calls until that leg ends or this one is taken away.

    A leg that is gone or not answered is nobody to listen to: the chain goes on at once.
    """
    watched = switch.find(data)
    if watched is None or watched is channel or not watched.answered:
        return False
    over = asyncio.Event()
    monitoring.enter(switch, channel, watched, over)
    try:
        await over.wait()
    finally:
        monitoring.leave(switch, channel)
    return False


_ACTIONS: dict[str, Action] = {
    "set": _set,
    "export": _set,
    "unset": _unset,
    "answer": _answer,
    "ring_ready": _ring_ready,
    "pre_answer": _pre_answer,
    "park": _park,
    "sleep": _sleep,
    "wait_for_answer": _wait_for_answer,
    "playback": _playback,
    "endless_playback": _endless_playback,
    "sched_transfer": _sched_transfer,
    "hangup": _hangup,
    "transfer": _transfer,
    "wait_for_silence": _wait_for_silence,
    "record_session": _record_session,
    "stop_record_session": _stop_record_session,
    "bridge": _bridge,
    "eavesdrop": _eavesdrop,
    "three_way": _stay,
    "conference": _stay,
    "echo": _stay,
}
