"""What a caller hears in one step: a chain of the switch's own applications.

Each chain ends by itself in something sensible, so that whatever process of ours dies, nobody
waits in silence: behind every ring, tone and music stands the switch's own time-out, which leads
to the extension `inbound-away`. Before the answer the caller's carrier makes the ringing tone and
the call costs nothing; once answered, we make every sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calltree.models import InboundAction
from calltree.services.inbound_queue import LAST_PLACE
from calltree.telephony import commands
from calltree.telephony.commands import (
    AWAY_EXTENSION,
    HOLD_MUSIC,
    ORPHAN_CONTEXT,
    ORPHAN_EXTENSION,
    RINGBACK,
    ApiCommand,
    Cause,
    OutsideCall,
)
from calltree.telephony.safe_parts import SwitchPath

GRACE_S = 10
"""So much later than the leader's clock the switch goes on by itself."""
RINGING_TONE_S = 3
"""One round of it: 1 s on, 2 s off."""
STILL_ROUNDS = 7
BUSY_TONE = "tone_stream://L=5;%(500,500,400)"
MESSAGE_TONE = "tone_stream://%(500,300,1000)"
PLACE_TONES = "tone_stream://L={};%(200,300,800)"
"""As many as callers wait, with oneself."""
FAR_BACK = "tone_stream://L=1;%(2000,300,800)"
"""From the place on that nobody counts any more."""
SILENCE_LEVEL = 200
"""Below it nobody speaks."""
SILENCE_S = 5
"""So long a silence ends a message, once something was said."""
_FRAMES_S = 50
_SPOKEN_FRAMES = 10

_AWAY = f"transfer:{AWAY_EXTENSION} XML {ORPHAN_CONTEXT}"
_PREPARED = (
    "set:RECORD_STEREO=true",
    "set:RECORD_STEREO_SWAP=true",  # left the operator, right the customer
    "set:RECORD_USE_THREAD=false",
    f"set:transfer_after_bridge={ORPHAN_EXTENSION}:XML:{ORPHAN_CONTEXT}",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one caller should hear now."""

    caller: str
    attempt_id: int
    site_id: str
    action: InboundAction
    answered: bool
    """The leg is answered already: it cannot ring any more, and can be told busy by a tone."""
    seconds: int
    """How long the step lasts yet; of a voicemail its longest message."""
    parked: bool = False
    guidance: SwitchPath | None = None
    place: int = 0
    """In the queue, to be told now; 0: nothing is told."""
    place_sound: SwitchPath | None = None
    """What says the place; None: tones."""
    message: SwitchPath | None = None
    """Where a voicemail or the talk of a forwarded call is recorded."""
    forward: OutsideCall | None = None


def commands_for(wanted: Wanted) -> list[ApiCommand]:
    """Give what is sent to the switch, in order: the step before and its timers end with it."""
    if wanted.action is InboundAction.REFUSE and not wanted.answered:
        return [commands.kill(wanted.caller, Cause.USER_BUSY)]
    chain = [*_marked(wanted), *_CHAINS[wanted.action](wanted)]
    if wanted.parked:
        chain = [*_marked(wanted), *_music(wanted)]
    return [commands.cancel_timers(wanted.caller), commands.run_inline(wanted.caller, *chain)]


def joining(
    *, caller: str, operator: str, attempt_id: int, recording: SwitchPath
) -> list[ApiCommand]:
    """Answer a caller, record from the first second, and join them with who took the call.

    The timers are forgotten last: should this stop in between, they let nobody wait for ever.
    """
    return [
        *commands.prepare_caller(caller, attempt_id),
        commands.answer(caller),
        commands.record_start(caller, recording),
        commands.bridge(caller, operator),
        commands.cancel_timers(caller),
    ]


def _marked(wanted: Wanted) -> list[str]:
    marks = [f"set:calltree_attempt={wanted.attempt_id}", f"set:calltree_site={wanted.site_id}"]
    if wanted.action is InboundAction.FORWARD and not wanted.parked:
        return [*marks, "unset:transfer_after_bridge"]
    return [*marks, *_PREPARED]


def _said(wanted: Wanted) -> list[str]:
    return [f"playback:{wanted.guidance}"] if wanted.guidance else []


def _rings(wanted: Wanted) -> Sequence[str]:
    lasts = wanted.seconds + GRACE_S
    if not wanted.answered and not wanted.guidance:
        # Answered, the leg makes a tone of its own until it is joined: should we die in between,
        # nobody hears silence, and after the tone comes the apology.
        tone = RINGBACK.replace("L=-1", f"L={-(-GRACE_S // RINGING_TONE_S)}")
        return ["ring_ready:", _away_in(lasts), "wait_for_answer:", f"playback:{tone}", _AWAY]
    rounds = -(-lasts // RINGING_TONE_S)
    tone = RINGBACK.replace("L=-1", f"L={rounds}")
    return ["answer:", *_said(wanted), f"playback:{tone}", _AWAY]


def _away_in(seconds: int) -> str:
    return f"sched_transfer:+{seconds} {_AWAY.partition(':')[2]}"


def _music(wanted: Wanted) -> Sequence[str]:
    said = [] if wanted.parked else [*_said(wanted), *_place(wanted)]
    return ["answer:", _away_in(wanted.seconds + GRACE_S), *said, f"endless_playback:{HOLD_MUSIC}"]


def _place(wanted: Wanted) -> list[str]:
    if not wanted.place:
        return []
    tones = PLACE_TONES.format(wanted.place) if wanted.place < LAST_PLACE else FAR_BACK
    return [f"playback:{wanted.place_sound or tones}"]


def _guidance(wanted: Wanted) -> Sequence[str]:
    if wanted.guidance is None:
        return [_AWAY]
    return ["answer:", *_said(wanted), f"hangup:{Cause.NORMAL_CLEARING}"]


def _voicemail(wanted: Wanted) -> Sequence[str]:
    if wanted.message is None:
        return [_AWAY]
    tone, path = f"playback:{MESSAGE_TONE}", wanted.message
    # not `record`, which refuses a directory that is not there yet (measured)
    silence = f"{SILENCE_LEVEL} {SILENCE_S * _FRAMES_S} {_SPOKEN_FRAMES} {wanted.seconds * 1000}"
    return [
        *("answer:", *_said(wanted), tone),
        *(f"record_session:{path}", f"wait_for_silence:{silence}", f"stop_record_session:{path}"),
        *(tone, f"hangup:{Cause.NORMAL_CLEARING}"),
    ]


def _forwarded(wanted: Wanted) -> Sequence[str]:
    if wanted.forward is None:
        return [_AWAY]
    said = ["answer:", *_said(wanted)] if wanted.guidance else ["ring_ready:"]
    return [
        *said,
        *_recorded_once_joined(wanted),
        "set:hangup_after_bridge=true",
        "set:continue_on_fail=true",
        f"set:ringback={RINGBACK.partition(';')[2]}",
        # Whole seconds, and it fires up to 0.7 s early: ask for one more.
        f"set:call_timeout={wanted.forward.ring_s + 1}",
        f"bridge:{commands.forward_dial_string(wanted.forward)}",
        f"playback:{RINGBACK.replace('L=-1', f'L={STILL_ROUNDS}')}",  # until we say what follows
        _AWAY,
    ]


def _recorded_once_joined(wanted: Wanted) -> list[str]:
    """By the switch alone: neither the ringing before nor a target who is busy is recorded."""
    if wanted.message is None:
        return []
    return [
        "set:RECORD_STEREO=true",
        "set:RECORD_STEREO_SWAP=true",
        "set:RECORD_USE_THREAD=false",
        "set:bridge_pre_execute_aleg_app=record_session",
        f"set:bridge_pre_execute_aleg_data={wanted.message}",
    ]


def _refused(_wanted: Wanted) -> Sequence[str]:
    return [f"playback:{BUSY_TONE}", f"hangup:{Cause.USER_BUSY}"]


_CHAINS = {
    InboundAction.RING_ALL: _rings,
    InboundAction.RING_IDLE: _rings,
    InboundAction.QUEUE: _music,
    InboundAction.GUIDANCE: _guidance,
    InboundAction.VOICEMAIL: _voicemail,
    InboundAction.FORWARD: _forwarded,
    InboundAction.REFUSE: _refused,
    InboundAction.ACCEPT: _rings,
}
