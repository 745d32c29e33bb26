"""Calls the switch makes: from the text of an originate to its outcome."""

import asyncio
import uuid as uuids

from calltree.practice import calls
from calltree.practice.carrier import CAUSES, Step, device, script
from calltree.practice.channels import Channel, Doing
from calltree.practice.originate import DialError, Request, Target, parse
from calltree.practice.switch import Switch

SET_UP_SECONDS = 0.004
TICK_SECONDS = 0.018


async def originate(switch: Switch, text: str) -> str:
    """Run one originate to its reply: `+OK <uuid>` or `-ERR <cause>`.

    +OK comes at the 183 already unless `ignore_early_media` is set: it does not mean answered.
    """
    try:
        request = parse(text)
    except DialError as error:
        reason = str(error)
        return reason if reason.startswith("-USAGE") else f"-ERR {reason}\n"
    switch.dialled.update(_asked_for(request))
    if switch.ordered.refusals:
        return f"-ERR {switch.ordered.refusals.popleft()}\n"
    channel, outcome = await race(switch, request)
    if channel is not None:
        begin(switch, channel, request)
        return f"+OK {channel.uuid}\n"
    return f"-ERR {outcome}\n"


def _asked_for(request: Request) -> set[str]:
    own = [request.variables, *(target.variables for target in request.targets)]
    return {one["origination_uuid"] for one in own if "origination_uuid" in one}


async def race(
    switch: Switch, request: Request, *, caller: Channel | None = None
) -> tuple[Channel | None, str]:
    """Dial every target at once; the first that can be heard wins, the others lose the race.

    `caller` is the leg that they are dialled for, where an application of its chain does it.
    """
    dials = [asyncio.ensure_future(dial(switch, request, t, caller)) for t in request.targets]
    winner: Channel | None = None
    outcome = "NORMAL_TEMPORARY_FAILURE"
    try:
        for finished in asyncio.as_completed(dials):
            channel, outcome = await finished
            if channel is not None and outcome in ("answer", "early"):
                winner = channel
                break
    finally:
        for waiting in dials:
            if not waiting.cancel() and not waiting.cancelled():
                second, late = waiting.result()
                if second is not None and second is not winner and late in ("answer", "early"):
                    calls.hangup(switch, second, "LOSE_RACE")
    return winner, outcome


def begin(switch: Switch, channel: Channel, request: Request) -> None:
    """Let an answered (or early) leg run what the originate asked for."""

    def start() -> None:
        if not channel.alive or channel.doing is not Doing.DIALLING:
            return
        if not request.apps:
            calls.transfer(switch, channel, request.extension, request.dialplan, request.context)
            return
        switch.run_apps(channel, request.apps, request.context)

    switch.clock.later(switch.random.uniform(0.001, TICK_SECONDS), start)


async def dial(
    switch: Switch, request: Request, target: Target, caller: Channel | None = None
) -> tuple[Channel | None, str]:
    """Make one leg and wait for its outcome: answer, early, or a hangup cause."""
    variables = request.variables | target.variables
    uuid = variables.get("origination_uuid") or str(uuids.uuid4())
    if uuid in switch.channels:
        return None, "DESTINATION_OUT_OF_ORDER"
    channel = _leg(uuid, target, variables, request.context)
    channel.other = caller
    refused = _gateway_refusal(switch, target)
    if refused:
        _stillborn(switch, channel)
        return None, refused
    _announce(switch, channel, target)
    channel.outcome = asyncio.get_running_loop().create_future()
    channel.far_end = switch.spawn(play(switch, channel, _steps(switch, target)))
    try:
        return channel, await _outcome(switch, channel, request.timeout)
    except asyncio.CancelledError:  # another target won, or whoever wanted the leg is gone
        calls.hangup(switch, channel, "LOSE_RACE")
        raise


def _leg(uuid: str, target: Target, variables: dict[str, str], context: str) -> Channel:
    caller = variables.get("origination_caller_id_number", "0000000000")
    profile = "internal" if target.kind == "user" else "external"
    host = "@127.0.0.1" if target.kind == "user" else ""
    own = {"originate_early_media": "true", "originate_endpoint": "sofia"}
    if target.gateway:
        own["sip_gateway_name"] = target.gateway
    own["sip_req_uri"] = f"{target.number}@127.0.0.1"
    own["sofia_profile_name"] = profile
    return Channel(
        uuid=uuid,
        name=f"sofia/{profile}/{target.number}{host}",
        direction="outbound",
        number=target.number,
        caller=caller,
        context=context,
        gateway=target.gateway,
        variables=variables | own,
    )


def _gateway_refusal(switch: Switch, target: Target) -> str:
    if target.kind != "gateway":
        return ""
    gateway = switch.gateways.get(target.gateway)
    if gateway is None:
        return "INVALID_GATEWAY"
    return "" if gateway.up else "GATEWAY_DOWN"


def _stillborn(switch: Switch, channel: Channel) -> None:
    """A dead gateway gives one CHANNEL_DESTROY and no HANGUP_COMPLETE."""
    channel.variables = {}
    switch.add(channel)
    switch.channels.pop(channel.uuid)
    channel.state, channel.name = "CS_NEW", "N/A"
    switch.tell("CHANNEL_DESTROY", channel)


def _announce(switch: Switch, channel: Channel, target: Target) -> None:
    switch.add(channel)
    if target.kind == "gateway":
        switch.gateways[target.gateway].calls_out += 1
    switch.tell("CHANNEL_OUTGOING", channel)
    channel.state = "CS_INIT"
    switch.tell("CHANNEL_CREATE", channel)
    switch.tell("CHANNEL_ORIGINATE", channel)


def _steps(switch: Switch, target: Target) -> list[Step]:
    if target.kind == "user":
        return device()
    attempt = switch.attempts.get(target.number, 0)
    switch.attempts[target.number] = attempt + 1
    return script(
        target.number,
        switch.options.seed,
        attempt,
        early_ringback=switch.ordered.early_ringback,
    )


async def play(switch: Switch, channel: Channel, steps: list[Step]) -> None:
    """Act the far end of a line."""
    for step in steps:
        await switch.clock.sleep(step.wait)
        if not channel.alive:
            return
        if step.what == "ring":
            calls.mark_ringing(switch, channel)
        elif step.what == "early":
            calls.mark_early(switch, channel, step.value)
            _report(channel, "early")
        elif step.what == "answer":
            calls.mark_answered(switch, channel, step.value)
            _report(channel, "answer")
        elif step.what == "say":
            calls.say(switch, channel, step.value)
        elif step.what == "refuse":
            gateway = switch.gateways.get(channel.gateway)
            if gateway is not None:
                gateway.failed_out += 1
            calls.hangup(
                switch,
                channel,
                CAUSES[step.value],
                disposition="recv_refuse",
                sip_status=step.value,
            )
        else:
            calls.hangup(switch, channel, "NORMAL_CLEARING", disposition="recv_bye")


def _report(channel: Channel, outcome: str) -> None:
    waiting = channel.outcome
    if waiting is None or waiting.done():
        return
    if outcome == "early" and channel.flag("ignore_early_media"):
        return
    waiting.set_result(outcome)


async def _outcome(switch: Switch, channel: Channel, timeout: int) -> str:
    """Wait for answer, early media or the end; the time-out counts whole seconds."""
    waiting = channel.outcome
    assert waiting is not None  # noqa: S101 - set by the only caller
    allowed = switch.clock.whole_seconds(timeout) / switch.clock.rate
    try:
        outcome = await asyncio.wait_for(asyncio.shield(waiting), allowed)
    except TimeoutError:
        calls.hangup(switch, channel, "NO_ANSWER")
        outcome = "NO_ANSWER"
    # The reply of the originate comes in any place among the last events.
    await switch.clock.sleep(switch.random.uniform(0.0, TICK_SECONDS))
    return outcome
