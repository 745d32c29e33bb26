"""The api commands, with the replies a real switch gives, the odd ones included."""

import asyncio
import time
import uuid as uuids
from collections.abc import Awaitable, Callable
from functools import partial

from calltree.practice import calls, outgoing, reports, scheduler
from calltree.practice.channels import Channel
from calltree.practice.dialplan import set_variable
from calltree.practice.originate import DialError, cleaned, words
from calltree.practice.switch import Switch

NO_CHANNEL = "-ERR No such channel!\n"
NO_SESSION = "-ERR Cannot locate session!\n"
BROADCAST_SECONDS = 0.12
"""uuid_broadcast to PLAYBACK_START: 120 ms measured."""

Command = Callable[[Switch, str], str]
SlowCommand = Callable[[Switch, str], Awaitable[str]]


async def execute(switch: Switch, line: str) -> str:
    """Run one api command; the text is what `api` answers and what a job carries."""
    name, _, argument = line.strip().partition(" ")
    slow = _SLOW.get(name)
    if slow is not None:
        return await slow(switch, argument.strip())
    command = COMMANDS.get(name)
    if command is None:
        return f"-ERR {name} Command not found!\n"
    return command(switch, argument.strip())


def _split(text: str, count: int) -> list[str]:
    parts = text.split(" ", count - 1)
    return [part.strip() for part in parts if part.strip()]


def _bridge(switch: Switch, text: str) -> str:
    names = text.split()
    if len(names) < 2:
        return "-USAGE: <uuid> <other_uuid>\n"
    first, second = switch.find(names[0]), switch.find(names[1])
    if first is None or second is None:
        return "-ERR Invalid uuid\n"
    # The reply goes out before any of the events.
    asyncio.get_running_loop().call_soon(calls.bridge, switch, first, second)
    return f"+OK {second.uuid}\n"


def _kill(switch: Switch, text: str) -> str:
    names = text.split()
    if not names:
        return "-USAGE: <uuid> [cause]\n"
    channel = switch.find(names[0])
    if channel is None:
        return NO_CHANNEL
    cause = names[1] if len(names) > 1 else "NORMAL_CLEARING"
    asyncio.get_running_loop().call_soon(lambda: calls.hangup(switch, channel, cause))
    return "+OK\n"


def _answer(switch: Switch, text: str) -> str:
    channel = switch.find(text.strip())
    if channel is None:
        return NO_CHANNEL
    calls.mark_answered(switch, channel, channel.voice if channel.answered else "customer")
    return "+OK\n"


def _setvar(switch: Switch, text: str) -> str:
    names = text.split(" ", 2)
    if len(names) < 2:
        return "-USAGE: <uuid> <var> [value]\n"
    channel = switch.find(names[0])
    if channel is None:
        return NO_CHANNEL
    set_variable(channel, names[1], cleaned(names[2]) if len(names) > 2 else "")
    return "+OK\n"


def _setvar_multi(switch: Switch, text: str) -> str:
    uuid, _, pairs = text.partition(" ")
    if not pairs:
        return ""
    channel = switch.find(uuid)
    if channel is None:
        return NO_CHANNEL
    for pair in pairs.split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            set_variable(channel, name.strip(), value)
    return "+OK\n"


def _getvar(switch: Switch, text: str) -> str:
    names = text.split()
    if len(names) < 2:
        return "-USAGE: <uuid> <var>\n"
    channel = switch.find(names[0])
    if channel is None:
        return NO_CHANNEL
    return channel.variables.get(names[1], "_undef_")


def _exists(switch: Switch, text: str) -> str:
    return "true" if text in switch.channels else "false"


def _dump(switch: Switch, text: str) -> str:
    uuid, _, form = text.partition(" ")
    if not uuid:
        return "-USAGE: <uuid> [format]\n"
    channel = switch.channels.get(uuid)
    return NO_CHANNEL if channel is None else reports.dump(switch, channel, form.strip())


def _transfer(switch: Switch, text: str) -> str:
    usage = "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
    try:
        parts = words(text)
    except DialError:
        return usage
    if len(parts) < 2:
        return usage
    channel = switch.find(parts[0])
    if channel is None:
        return NO_CHANNEL
    legs: list[Channel] = [channel]
    if parts[1] in ("-bleg", "-both"):
        partner = channel.partner
        if partner is None:
            return "-ERR No such channel!\n" if parts[1] == "-bleg" else "+OK\n"
        legs = [partner] if parts[1] == "-bleg" else [channel, partner]
        del parts[1]
    dialplan = parts[2] if len(parts) > 2 else "XML"
    context = parts[3] if len(parts) > 3 else channel.context

    def go() -> None:
        if len(legs) > 1:
            calls.take_apart(switch, channel)
        for leg in legs:
            if leg.alive:
                calls.transfer(switch, leg, parts[1], dialplan, context)

    asyncio.get_running_loop().call_soon(go)
    return "+OK\n"


def _record(switch: Switch, text: str) -> str:
    usage = "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"
    parts = text.split()
    if len(parts) < 3:
        return usage
    channel = switch.find(parts[0])
    if channel is None:
        return NO_SESSION
    action, path = parts[1], parts[2]
    if action == "start":
        done = calls.start_recording(switch, channel, path)
    elif action == "stop":
        done = calls.stop_recording(switch, channel, path)
    elif action in ("mask", "unmask"):
        done = switch.recordings.mask(channel, path, action == "mask")
    else:
        return usage
    verb = {"start": "record", "stop": "stop record"}.get(action, f"{action} recording")
    return "+OK Success\n" if done else f"-ERR Cannot {verb} session!\n"


def _broadcast(switch: Switch, text: str) -> str:
    parts = text.split()
    if len(parts) < 2:
        return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"
    channel = switch.find(parts[0])
    if channel is None:
        return "-ERR invalid uuid\n"
    legs = [channel]
    side = parts[2] if len(parts) > 2 else "aleg"
    if channel.partner is not None and side in ("bleg", "both"):
        legs = [channel.partner] if side == "bleg" else [channel, channel.partner]
    for leg in legs:
        leg.timers.append(
            switch.clock.later(BROADCAST_SECONDS, partial(_start_broadcast, switch, leg, parts[1]))
        )
    return "+OK Message sent\n"


def _start_broadcast(switch: Switch, channel: Channel, path: str) -> None:
    if channel.alive:
        scheduler.play_to(switch, channel, path)


def _break(switch: Switch, text: str) -> str:
    if not text:
        return "-USAGE: <uuid> [all]\n"
    channel = switch.find(text.split()[0])
    if channel is None:
        return NO_CHANNEL
    asyncio.get_running_loop().call_soon(calls.stop_playback, switch, channel, "break")
    return "+OK\n"


def _audio(switch: Switch, text: str) -> str:
    usage = "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n"
    parts = text.split()
    if len(parts) < 2 or parts[1] not in ("start", "stop"):
        return usage
    channel = switch.find(parts[0])
    if channel is None:
        return NO_CHANNEL
    switch.recordings.sound_changes(channel)
    if parts[1] == "stop":
        channel.muted = False
    elif parts[1:4] == ["start", "read", "mute"]:
        channel.muted = True
    return "+OK\n"


def _send_dtmf(switch: Switch, text: str) -> str:
    parts = text.split()
    if len(parts) < 2:
        return "-USAGE: <uuid> <dtmf_data>\n"
    channel = switch.find(parts[0])
    return NO_SESSION if channel is None else f"+OK {channel.uuid} sent DTMF {parts[1]}.\n"


def _recv_dtmf(switch: Switch, text: str) -> str:
    parts = text.split()
    if len(parts) < 2:
        return "-USAGE: <uuid> <dtmf_data>\n"
    channel = switch.find(parts[0])
    if channel is None:
        return NO_SESSION
    for digit in parts[1]:
        switch.tell(
            "DTMF",
            channel,
            {"DTMF-Digit": digit, "DTMF-Duration": "2000", "DTMF-Source": "APP"},
        )
    return f"+OK {channel.uuid} received DTMF {parts[1]}.\n"


def _hold(switch: Switch, text: str) -> str:
    parts = text.split()
    if not parts:
        return "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n"
    verb = parts[0] if parts[0] in ("off", "toggle") else "on"
    channel = switch.find(parts[1] if verb != "on" and len(parts) > 1 else parts[0])
    if channel is not None:  # an unknown uuid gets +OK as well
        hold = not channel.held if verb == "toggle" else verb == "on"
        if hold == channel.held:
            return "-ERR Operation failed\n"
        switch.recordings.sound_changes(channel)
        channel.held = hold
        channel.callstate = "HELD" if hold else "UNHELD"
        switch.tell("CHANNEL_HOLD" if hold else "CHANNEL_UNHOLD", channel)
        channel.callstate = "HELD" if hold else "ACTIVE"
    return "+OK Success\n"


def _hupall(switch: Switch, text: str) -> str:
    cause, *match = text.split() or ["MANAGER_REQUEST"]
    for channel in list(switch.channels.values()):
        if len(match) < 2 or channel.variables.get(match[0]) == match[1]:
            calls.hangup(switch, channel, cause)
    return "+OK hangup all channels with cause " + cause + "\n"


def _global_getvar(switch: Switch, text: str) -> str:
    known = {
        "local_ip_v4": "127.0.0.1",
        "hostname": switch.bus.hostname,
        "core_uuid": switch.bus.core_uuid,
        "recordings_dir": str(switch.recordings.root),
        "domain": "127.0.0.1",
    }
    return known.get(text, "")


def _console_complete(switch: Switch, text: str) -> str:
    """What fs_cli shows for the tab key: the commands that begin so, and what they share.

    `[c=PLACE;]BEGINNING`; of what follows a command nothing is known.
    """
    beginning, place = text, len(text)
    if text.startswith("c="):
        count, _, beginning = text[2:].partition(";")
        place = int(count) if count.isdecimal() else len(beginning)
    found = sorted(name for name in {*COMMANDS, *_SLOW} if name.startswith(beginning))
    if not found:
        return "\n\n\n\n"
    shown = "".join(
        f"[{name:>20}]\t" + ("\n" if number % 4 == 0 else "")
        for number, name in enumerate(found, start=1)
    )
    end = " " if len(found) == 1 else ""
    return f"\n\n{shown}\n\nwrite={place}:{_shared_beginning(found)}{end}"


def _shared_beginning(names: list[str]) -> str:
    """Of sorted names: what the first and the last begin with alike."""
    first, last = names[0], names[-1]
    same = [one == other for one, other in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


COMMANDS: dict[str, Command] = {
    "console_complete": _console_complete,
    "version": reports.version,
    "status": reports.status,
    "uptime": reports.uptime,
    "show": reports.show,
    "sofia": reports.sofia,
    "sofia_contact": lambda switch, text: "error/user_not_registered",
    "uuid_bridge": _bridge,
    "uuid_kill": _kill,
    "uuid_answer": _answer,
    "uuid_setvar": _setvar,
    "uuid_setvar_multi": _setvar_multi,
    "uuid_getvar": _getvar,
    "uuid_exists": _exists,
    "uuid_dump": _dump,
    "uuid_transfer": _transfer,
    "uuid_record": _record,
    "uuid_broadcast": _broadcast,
    "uuid_break": _break,
    "uuid_audio": _audio,
    "uuid_send_dtmf": _send_dtmf,
    "uuid_recv_dtmf": _recv_dtmf,
    "uuid_hold": _hold,
    "sched_hangup": scheduler.sched_hangup,
    "sched_transfer": scheduler.sched_transfer,
    "sched_del": scheduler.sched_del,
    "hupall": _hupall,
    "create_uuid": lambda switch, text: str(uuids.uuid4()),
    "strepoch": lambda switch, text: str(int(time.time())),
    "global_getvar": _global_getvar,
    "hostname": lambda switch, text: switch.bus.hostname,
    "switchname": lambda switch, text: switch.bus.hostname,  # fs_cli's prompt
    "reloadxml": lambda switch, text: "+OK [Success]\n",
    "echo": lambda switch, text: text,
    "eval": lambda switch, text: text or "-ERR no reply\n",
}

_SLOW: dict[str, SlowCommand] = {"originate": outgoing.originate}
