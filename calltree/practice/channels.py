"""One leg of a call: its state and the headers that describe it."""

import asyncio
import enum
from dataclasses import dataclass, field

Q850 = {
    "UNALLOCATED_NUMBER": 1,
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_USER_RESPONSE": 18,
    "NO_ANSWER": 19,
    "CALL_REJECTED": 21,
    "NUMBER_CHANGED": 22,
    "DESTINATION_OUT_OF_ORDER": 27,
    "INVALID_NUMBER_FORMAT": 28,
    "NORMAL_UNSPECIFIED": 31,
    "NORMAL_CIRCUIT_CONGESTION": 34,
    "NETWORK_OUT_OF_ORDER": 38,
    "NORMAL_TEMPORARY_FAILURE": 41,
    "SWITCH_CONGESTION": 42,
    "INCOMPATIBLE_DESTINATION": 88,
    "RECOVERY_ON_TIMER_EXPIRE": 102,
    "ORIGINATOR_CANCEL": 16,
    "LOSE_RACE": 16,
    "ALLOTTED_TIMEOUT": 16,
    "MEDIA_TIMEOUT": 16,
    "SYSTEM_SHUTDOWN": 16,
}
"""Hangup cause → ITU-T Q.850 number; FreeSWITCH's own causes count as 16."""


class Doing(enum.Enum):
    """What a leg is occupied with; the channel states of FreeSWITCH as far as they matter."""

    DIALLING = "CS_CONSUME_MEDIA"
    EXECUTING = "CS_EXECUTE"
    PARKED = "CS_PARK"
    JOINING = "CS_SOFT_EXECUTE"
    BRIDGED = "CS_EXCHANGE_MEDIA"
    LIMBO = "CS_HIBERNATE"
    ENDING = "CS_HANGUP"


_STATE_NUMBERS = {
    "CS_NEW": "0",
    "CS_NONE": "1",
    "CS_INIT": "2",
    "CS_SOFT_EXECUTE": "3",
    "CS_EXECUTE": "4",
    "CS_EXCHANGE_MEDIA": "5",
    "CS_PARK": "6",
    "CS_CONSUME_MEDIA": "7",
    "CS_HIBERNATE": "8",
    "CS_HANGUP": "10",
    "CS_REPORTING": "11",
    "CS_DESTROY": "12",
}


@dataclass
class Times:
    """Moments in microseconds since 1970; 0 where the thing has not happened."""

    created: int = 0
    progress: int = 0
    progress_media: int = 0
    answered: int = 0
    bridged: int = 0
    hangup: int = 0


@dataclass(eq=False)
class Channel:
    """A leg. `number` is what was dialled, `caller` what it shows."""

    uuid: str
    name: str
    direction: str
    number: str
    caller: str
    context: str = "default"
    gateway: str = ""
    session_id: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    times: Times = field(default_factory=Times)

    doing: Doing = Doing.DIALLING
    state: str = "CS_NONE"
    callstate: str = "DOWN"
    answer_state: str = "ringing"
    flipped: bool = False
    hit_dialplan: bool = False
    application: str = ""
    application_data: str = ""
    transfers: int = 0

    partner: "Channel | None" = None
    other: "Channel | None" = None
    """The last leg it was joined with, or dialled for; told about after the parting too."""
    first: bool = False
    """It was the first argument of the bridge, so BRIDGE and UNBRIDGE are its events."""
    runs_park: bool = False
    """Parked by an application of its chain, which is over when the leg is unparked."""
    call_uuid: str = ""

    voice: str = "silence"
    """What this side is saying: the name of a sound in `audio`."""
    held: bool = False
    muted: bool = False
    playing: str = ""
    cause: str = ""
    sip_status: str = ""
    disposition: str = ""

    listens_to: "Channel | None" = None
    """The leg whose call it is in, by eavesdrop."""
    listeners: "list[Channel]" = field(default_factory=list)
    """The legs that are in its call."""
    listening_over: asyncio.Event | None = None

    work: asyncio.Task[None] | None = None
    """The chain of applications it executes."""
    far_end: asyncio.Task[None] | None = None
    """The carrier or device at the other end of the line."""
    outcome: asyncio.Future[str] | None = None
    """What the originate that made it is waiting for."""
    bridge_over: asyncio.Future[str] | None = None
    """Set while a `bridge` application waits for the end of its bridge."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    playback_timer: asyncio.TimerHandle | None = None

    @property
    def alive(self) -> bool:
        return self.doing is not Doing.ENDING

    @property
    def answered(self) -> bool:
        return self.times.answered > 0

    def flag(self, name: str) -> bool:
        return self.variables.get(name, "").lower() in ("true", "yes", "on", "1")

    def caller_id(self) -> tuple[str, str]:
        """The (caller, callee) numbers as shown; they change places when the leg is executed."""
        pair = (self.caller, self.number)
        return (pair[1], pair[0]) if self.flipped else pair

    def state_headers(self) -> dict[str, str]:
        headers = {
            "Channel-State": self.state,
            "Channel-Call-State": self.callstate,
            "Channel-State-Number": _STATE_NUMBERS.get(self.state, "0"),
            "Channel-Name": self.name,
            "Unique-ID": self.uuid,
            "Call-Direction": self.direction,
            "Presence-Call-Direction": self.direction,
            "Channel-HIT-Dialplan": "true" if self.hit_dialplan else "false",
            "Channel-Call-UUID": self.call_uuid or self.uuid,
            "Answer-State": self.answer_state,
        }
        if self.cause:
            headers["Hangup-Cause"] = self.cause
        if self.times.progress_media or self.times.answered:
            for side in ("Read", "Write"):
                headers[f"Channel-{side}-Codec-Name"] = "PCMU"
                headers[f"Channel-{side}-Codec-Rate"] = "8000"
                headers[f"Channel-{side}-Codec-Bit-Rate"] = "64000"
        return headers

    def profile_headers(self, prefix: str) -> dict[str, str]:
        """The caller profile, as `Caller-…` or, for the other leg, `Other-Leg-…`."""
        caller, callee = self.caller_id()
        times = self.times
        return {
            f"{prefix}-Direction": self.direction,
            f"{prefix}-Logical-Direction": self.direction,
            f"{prefix}-Caller-ID-Name": caller,
            f"{prefix}-Caller-ID-Number": caller,
            f"{prefix}-Orig-Caller-ID-Name": self.caller,
            f"{prefix}-Orig-Caller-ID-Number": self.caller,
            f"{prefix}-Callee-ID-Name": callee
            if times.progress or times.answered
            else "Outbound Call",
            f"{prefix}-Callee-ID-Number": callee,
            f"{prefix}-Network-Addr": "127.0.0.1",
            f"{prefix}-ANI": self.caller,
            f"{prefix}-Destination-Number": self.number,
            f"{prefix}-Unique-ID": self.uuid,
            f"{prefix}-Source": (
                "mod_sofia" if self.direction == "inbound" else "src/switch_ivr_originate.c"
            ),
            f"{prefix}-Context": self.context,
            f"{prefix}-Channel-Name": self.name,
            f"{prefix}-Profile-Index": str(1 + self.transfers),
            f"{prefix}-Profile-Created-Time": str(times.created),
            f"{prefix}-Channel-Created-Time": str(times.created),
            f"{prefix}-Channel-Answered-Time": str(times.answered),
            f"{prefix}-Channel-Progress-Time": str(times.progress),
            f"{prefix}-Channel-Progress-Media-Time": str(times.progress_media),
            f"{prefix}-Channel-Hangup-Time": str(times.hangup),
            f"{prefix}-Channel-Transfer-Time": "0",
            f"{prefix}-Channel-Resurrect-Time": "0",
            f"{prefix}-Channel-Bridged-Time": str(times.bridged),
            f"{prefix}-Channel-Last-Hold": "0",
            f"{prefix}-Channel-Hold-Accum": "0",
            f"{prefix}-Screen-Bit": "true",
            f"{prefix}-Privacy-Hide-Name": "false",
            f"{prefix}-Privacy-Hide-Number": "false",
        }

    def variable_headers(self) -> dict[str, str]:
        shown = {f"variable_{name}": value for name, value in self.variables.items()}
        if self.application:
            shown["variable_current_application"] = self.application
            if self.application_data:
                shown["variable_current_application_data"] = self.application_data
        return shown

    def headers(self) -> dict[str, str]:
        """Everything an event of this leg says about it."""
        headers = self.state_headers()
        if self.state == "CS_NEW":  # a dead gateway: the leg is gone before it has a profile
            return headers | self.variable_headers()
        headers |= self.profile_headers("Caller")
        if self.other is not None:
            headers["Other-Type"] = "originatee" if self.first else "originator"
            headers |= self.other.profile_headers("Other-Leg")
        if self.state != "CS_NONE":
            headers |= self.variable_headers()
        return headers


def sip_variables(channel: Channel) -> dict[str, str]:
    """How SIP ended the leg: told from CHANNEL_HANGUP on."""
    values = {"sip_hangup_disposition": channel.disposition}
    if channel.sip_status:
        values["sip_term_status"] = channel.sip_status
        values["proto_specific_hangup_cause"] = f"sip:{channel.sip_status}"
        values["sip_term_cause"] = str(Q850.get(channel.cause, 16))
        if channel.sip_status != "200":
            values["sip_invite_failure_status"] = channel.sip_status
    return values


def closing_variables(channel: Channel) -> dict[str, str]:
    """What HANGUP_COMPLETE adds: cause, stamps and lengths of the whole leg."""
    times = channel.times
    end = times.hangup
    values = {
        "hangup_cause": channel.cause,
        "hangup_cause_q850": str(Q850.get(channel.cause, 16)),
        "digits_dialed": "none",
    }
    if channel.application:
        values["last_app"] = channel.application
    moments = {
        "start": times.created,
        "answer": times.answered,
        "bridge": times.bridged,
        "progress": times.progress,
        "progress_media": times.progress_media,
        "end": end,
    }
    for name, moment in moments.items():
        values[f"{name}_epoch"] = str(moment // 1_000_000)
        values[f"{name}_uepoch"] = str(moment)
    lengths = {
        "duration": end - times.created,
        "billsec": end - times.answered if times.answered else 0,
        "progresssec": times.progress - times.created if times.progress else 0,
        "answersec": times.answered - times.created if times.answered else 0,
        "waitsec": times.bridged - times.created if times.bridged else 0,
        "progress_mediasec": times.progress_media - times.created if times.progress_media else 0,
    }
    for name, length in lengths.items():
        values[name] = str(length // 1_000_000)
        if name == "duration":
            values["mduration"], values["uduration"] = str(length // 1000), str(length)
        else:
            stem = name.removesuffix("sec")
            values[f"{stem}msec"], values[f"{stem}usec"] = str(length // 1000), str(length)
    return values
