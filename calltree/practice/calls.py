"""What can happen to a leg: answered, parked, joined, parted, ended.

The order of events in here is the order recorded from FreeSWITCH 1.10.12; the commands say +OK
before anything happened, and the events tell what did.
"""

import asyncio

from calltree.practice import monitoring
from calltree.practice.channels import Channel, Doing, closing_variables, sip_variables
from calltree.practice.heard import ANSWERED, ENDED, SILENCE
from calltree.practice.recording import Recording
from calltree.practice.switch import Switch

JOIN_SECONDS = 0.04
"""uuid_bridge to CHANNEL_BRIDGE: 40 ms measured."""

LATE_REPORT = 0.8
"""How often the second leg of a bridge reports its end only while its partner ends: 7 of 8."""


def mark_ringing(switch: Switch, channel: Channel) -> None:
    """180: it rings, nothing is heard."""
    channel.state = "CS_CONSUME_MEDIA"
    channel.times.progress = switch.clock.now_us()
    switch.tell("CHANNEL_PROGRESS", channel)
    channel.callstate = "RINGING"


def mark_early(switch: Switch, channel: Channel, voice: str) -> None:
    """183: something is heard before anybody answered."""
    channel.state = "CS_CONSUME_MEDIA"
    channel.times.progress_media = switch.clock.now_us()
    channel.answer_state = "early"
    say(switch, channel, voice)
    switch.tell("CHANNEL_PROGRESS_MEDIA", channel)
    channel.callstate = "EARLY"


def mark_answered(switch: Switch, channel: Channel, voice: str) -> None:
    """200: answered. `execute_on_answer='record_session F'` starts here."""
    if channel.answered or not channel.alive:
        return
    if channel.state in ("CS_NONE", "CS_INIT"):
        channel.state = "CS_CONSUME_MEDIA"
    channel.times.answered = switch.clock.now_us()
    channel.answer_state = "answered"
    channel.variables["endpoint_disposition"] = "ANSWER"
    switch.hears(channel, ANSWERED)
    say(switch, channel, voice)
    switch.tell("CHANNEL_ANSWER", channel)
    channel.callstate = "ACTIVE"
    app, _, data = channel.variables.get("execute_on_answer", "").partition(" ")
    if app == "record_session":
        start_recording(switch, channel, data)


def say(switch: Switch, channel: Channel, voice: str) -> None:
    """Change what this side says."""
    switch.recordings.sound_changes(channel)
    channel.voice = voice


def start_recording(switch: Switch, channel: Channel, name: str) -> bool:
    """Begin to record; False where the file may not be written. Twice is once, without an error."""
    try:
        recording = switch.recordings.start(channel, name)
    except OSError:
        return False
    if recording is not None:
        switch.tell("RECORD_START", channel, {"Record-File-Path": name})
        switch.tell("MEDIA_BUG_START", channel, _bug(name))
    return True


def stop_recording(switch: Switch, channel: Channel, name: str) -> bool:
    recording = switch.recordings.stop(channel, name)
    if recording is None:
        return False
    _note_length(channel, recording)
    cause = {"Record-File-Path": name, "Record-Completion-Cause": _completion(channel)}
    switch.tell("RECORD_STOP", channel, cause)
    switch.tell("MEDIA_BUG_STOP", channel, _bug(name))
    return True


def _note_length(channel: Channel, recording: Recording) -> None:
    channel.variables |= {
        "record_file_size": str(recording.file.size),
        "record_samples": str(recording.file.samples),
        "record_seconds": str(recording.milliseconds // 1000),
        "record_ms": str(recording.milliseconds),
        "record_completion_cause": _completion(channel),
    }


def _completion(channel: Channel) -> str:
    return "success-maxtime" if channel.alive else "success-silence"


def _bug(name: str) -> dict[str, str]:
    return {"Media-Bug-Function": "session_record", "Media-Bug-Target": name}


def start_playback(switch: Switch, channel: Channel, path: str) -> None:
    switch.recordings.sound_changes(channel)
    channel.playing = path
    switch.hears(channel, path)
    switch.tell("PLAYBACK_START", channel, {"Playback-File-Path": path})


def stop_playback(switch: Switch, channel: Channel, status: str = "done") -> bool:
    """End what is being played to a leg; False when nothing was."""
    if channel.playback_timer is not None:
        channel.playback_timer.cancel()
        channel.playback_timer = None
    path = channel.playing
    if not path:
        return False
    switch.recordings.sound_changes(channel)
    channel.playing = ""
    switch.hears(channel, SILENCE)
    switch.tell("PLAYBACK_STOP", channel, {"Playback-File-Path": path, "Playback-Status": status})
    return True


def park(switch: Switch, channel: Channel, *, application: bool = False) -> None:
    """Park a leg; `application` is the first time, by `park` as an application."""
    if not channel.alive:
        return
    channel.doing = Doing.PARKED
    channel.runs_park = application
    channel.state = "CS_EXECUTE" if application else "CS_PARK"
    channel.application, channel.application_data = "park", ""
    timeout = channel.variables.pop("park_timeout", "")
    if timeout:
        # FreeSWITCH drops both, and so a second park would end the call (measured).
        channel.variables.pop("park_after_bridge", None)
        seconds, _, cause = timeout.partition(":")
        if seconds.isdecimal():
            _park_timer(switch, channel, int(seconds), cause or "NORMAL_CLEARING")
    switch.tell("CHANNEL_PARK", channel)


def _park_timer(switch: Switch, channel: Channel, seconds: int, cause: str) -> None:
    def expire() -> None:
        if channel.doing is Doing.PARKED:
            hangup(switch, channel, cause)

    channel.timers.append(switch.clock.later(switch.clock.whole_seconds(seconds), expire))


def release(switch: Switch, channel: Channel) -> None:
    """Take a leg out of whatever it does, so that something else can begin."""
    _cancel(channel.work)
    channel.work = None
    for timer in channel.timers:
        timer.cancel()
    channel.timers.clear()
    if channel.partner is not None:
        part(switch, channel)
    stop_playback(switch, channel)
    if channel.doing is Doing.PARKED:
        _unpark(switch, channel)


def _unpark(switch: Switch, channel: Channel) -> None:
    switch.tell("CHANNEL_UNPARK", channel)
    if channel.runs_park:
        channel.runs_park = False
        switch.tell("CHANNEL_EXECUTE_COMPLETE", channel, {"Application": "park"})


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None and task is not asyncio.current_task():
        task.cancel()


def bridge(switch: Switch, first: Channel, second: Channel) -> None:
    """Join two legs as `uuid_bridge first second` does.

    A leg that only rings is taken from its originate and both hang in limbo; a leg that is in a
    call leaves it, and its partner of that call goes where its variables send it, or ends. Two
    that are joined already are parted and joined again.
    """
    if first is second:
        if first.doing is Doing.PARKED:
            switch.tell("CHANNEL_UNPARK", first)
            first.doing = Doing.LIMBO
        return
    if Doing.DIALLING in (first.doing, second.doing):
        for channel in (first, second):
            _into_limbo(switch, channel)
        return
    if first.partner is second:
        take_apart(switch, first)
    for channel in (first, second):
        release(switch, channel)
    if not (first.alive and second.alive):
        for channel in (first, second):
            settle(switch, channel)
        return
    for channel, other in ((first, second), (second, first)):
        channel.doing = Doing.JOINING
        channel.other = other
        channel.first = channel is first
        channel.transfers += 1
        channel.variables |= {
            "bridge_channel": other.name,
            "bridge_uuid": other.uuid,
            "signal_bond": other.uuid,
        }
    switch.clock.later(JOIN_SECONDS, lambda: _join(switch, first, second))


def _into_limbo(switch: Switch, channel: Channel) -> None:
    if channel.doing is Doing.DIALLING:
        if channel.outcome is not None and not channel.outcome.done():
            channel.outcome.set_result("ORIGINATOR_CANCEL")
    else:
        release(switch, channel)
    channel.doing = Doing.LIMBO
    channel.state = Doing.LIMBO.value


def _join(switch: Switch, first: Channel, second: Channel) -> None:
    ready = [c for c in (first, second) if c.doing is Doing.JOINING]
    if len(ready) < 2 or first.other is not second or second.other is not first:
        for channel in ready:
            if channel.other in (first, second):
                settle(switch, channel)
        return
    link(switch, first, second)
    first.state = "CS_SOFT_EXECUTE"
    switch.tell("CHANNEL_BRIDGE", first, _sides(first, second))


def link(switch: Switch, first: Channel, second: Channel) -> None:
    """Make two legs hear each other; the caller tells of it."""
    switch.recordings.sound_changes(first, second)
    now = switch.clock.now_us()
    for channel, other in ((first, second), (second, first)):
        channel.partner = channel.other = other
        channel.first = channel is first
        channel.doing = Doing.BRIDGED
        channel.state = "CS_EXCHANGE_MEDIA"
        channel.times.bridged = now
        channel.call_uuid = first.uuid
        channel.variables |= {"bridge_uuid": other.uuid, "last_bridge_to": other.uuid}
        switch.hears(channel, f"joined {other.uuid}")
        channel.variables["last_bridge_role"] = "originator" if channel.first else "originatee"


def _sides(first: Channel, second: Channel) -> dict[str, str]:
    return {"Bridge-A-Unique-ID": first.uuid, "Bridge-B-Unique-ID": second.uuid}


def unlink(switch: Switch, channel: Channel) -> Channel | None:
    """Part two legs silently; returns the other one."""
    other = channel.partner
    if other is None:
        return None
    switch.recordings.sound_changes(channel, other)
    channel.partner = other.partner = None
    channel.held = other.held = False
    for side in (channel, other):
        switch.hears(side, SILENCE)
    return other


def take_apart(switch: Switch, channel: Channel) -> None:
    """Part two legs that both go elsewhere: nobody is left behind to be settled."""
    other = unlink(switch, channel)
    if other is not None:
        first, second = (channel, other) if channel.first else (other, channel)
        switch.tell("CHANNEL_UNBRIDGE", first, _sides(first, second))


def part(switch: Switch, leaver: Channel) -> None:
    """A leg leaves its bridge; the one left behind is settled."""
    other = unlink(switch, leaver)
    if other is None:
        return
    if leaver.first and other.flag("park_after_bridge"):
        settle(switch, other)
        switch.tell("CHANNEL_UNBRIDGE", leaver, _sides(leaver, other))
    elif leaver.first:
        switch.tell("CHANNEL_UNBRIDGE", leaver, _sides(leaver, other))
        settle(switch, other)
    else:
        switch.tell("CHANNEL_UNBRIDGE", other, _sides(other, leaver))
        settle(switch, other)


def settle(switch: Switch, channel: Channel, cause: str = "NORMAL_CLEARING") -> None:
    """Where a leg goes when its partner is gone: on in its chain, to park, elsewhere, or away."""
    if not channel.alive:
        return
    after = channel.variables.get("transfer_after_bridge", "")
    if channel.bridge_over is not None and not channel.bridge_over.done():
        channel.doing = Doing.EXECUTING
        channel.state = "CS_EXECUTE"
        channel.bridge_over.set_result(cause)
    elif channel.flag("park_after_bridge"):
        park(switch, channel)
    elif after:
        extension, _, rest = after.partition(":")
        dialplan, _, context = rest.partition(":")
        transfer(switch, channel, extension, dialplan or "XML", context or channel.context)
    else:
        hangup(switch, channel, cause)


def transfer(switch: Switch, channel: Channel, extension: str, dialplan: str, context: str) -> None:
    """Send a leg into a chain of applications (`inline`) or an extension (`XML`)."""
    release(switch, channel)
    if channel.alive:
        channel.transfers += 1
        channel.variables["max_forwards"] = "70"
        switch.run_extension(channel, extension, dialplan, context)


def hangup(
    switch: Switch, channel: Channel, cause: str, *, disposition: str = "", sip_status: str = ""
) -> None:
    """End a leg. CHANNEL_HANGUP now; the rest within a tick of 20 ms, as FreeSWITCH does it."""
    if not channel.alive:
        return
    was = channel.doing
    channel.doing = Doing.ENDING
    channel.cause = cause
    channel.answer_state = "hangup"
    channel.disposition = disposition or ("send_bye" if channel.answered else "send_cancel")
    # The far end's BYE of an answered leg tells 200; a leg that we end has no SIP answer.
    theirs = "200" if disposition == "recv_bye" and channel.answered else ""
    channel.sip_status = sip_status or theirs
    channel.variables |= sip_variables(channel)
    _cancel(channel.work)
    _cancel(channel.far_end)
    for timer in channel.timers:
        timer.cancel()
    switch.hears(channel, f"{ENDED} {cause}")
    switch.tell("CHANNEL_HANGUP", channel)
    monitoring.end_of(channel)
    if channel.outcome is not None and not channel.outcome.done():
        channel.outcome.set_result(cause)
    if was is Doing.JOINING and channel.other is not None and channel.other.doing is Doing.JOINING:
        settle(switch, channel.other)
    switch.clock.later(switch.random.uniform(0.001, 0.02), lambda: _finish(switch, channel, was))


def _finish(switch: Switch, channel: Channel, was: Doing) -> None:
    other = channel.partner
    if was is Doing.PARKED:
        _unpark(switch, channel)
    stop_playback(switch, channel)
    if other is not None and channel.first:
        part(switch, channel)
        _complete(switch, channel)
    elif other is not None:
        unlink(switch, channel)
        late = switch.random.random() < LATE_REPORT
        if not late:
            _complete(switch, channel)
        switch.tell("CHANNEL_UNBRIDGE", other, _sides(other, channel))
        if not channel.answered and other.bridge_over is None:
            # Operator first, customer second, refused in early media: both were destroyed.
            hangup(switch, other, channel.cause)
        else:
            settle(switch, other, channel.cause)
        if late:
            switch.clock.later(switch.random.uniform(0.0, 0.04), lambda: _report(switch, channel))
            return
    else:
        _complete(switch, channel)
    switch.clock.later(switch.random.uniform(0.0, 0.02), lambda: _destroy(switch, channel))


def _report(switch: Switch, channel: Channel) -> None:
    """The end of a leg whose partner was quicker to end than it was to report."""
    _complete(switch, channel)
    _destroy(switch, channel)


def _complete(switch: Switch, channel: Channel) -> None:
    for name in switch.recordings.of(channel):
        stop_recording(switch, channel, name)
    channel.state = "CS_REPORTING"
    channel.callstate = "HANGUP"
    channel.times.hangup = switch.clock.now_us()
    channel.variables |= closing_variables(channel)
    switch.tell("CHANNEL_HANGUP_COMPLETE", channel)


def _destroy(switch: Switch, channel: Channel) -> None:
    switch.channels.pop(channel.uuid, None)
    switch.tell("CHANNEL_DESTROY", channel)


def shut_down(switch: Switch) -> None:
    """End every leg at once with SYSTEM_SHUTDOWN."""
    for channel in list(switch.channels.values()):
        channel.variables.pop("park_after_bridge", None)
        channel.variables.pop("transfer_after_bridge", None)
    for channel in list(switch.channels.values()):
        hangup(switch, channel, "SYSTEM_SHUTDOWN")
