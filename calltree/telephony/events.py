"""What we hear from a switch: a raw event becomes a small frozen object that has all its fields.

`read` gives the object, None for events that nobody here asked for, and raises `InvalidEvent` for
an event that lacks what it must have. Nothing here decides anything. Texts such as causes are the
switch's own words, stored raw with the call.

Headers were measured on FreeSWITCH 1.10.12. Only `Unique-ID` is certain: a leg that never became a
channel (a gateway that is down) sends a CHANNEL_DESTROY without numbers and without our variables.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from calltree.telephony.pings import PING_SUBCLASS
from calltree.telephony.wire import Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOREVER_US = 4_102_444_800_000_000  # 2100: a clock beyond it is broken

_E = TypeVar("_E", bound="SwitchEvent")


class InvalidEvent(ValueError):
    """A known event without a field it must have, or with one of the wrong form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchEvent:
    """What every event has. `at` is the switch's clock (20 ms steps), aware UTC."""

    core_uuid: str
    sequence: int
    at: datetime

    @property
    def event_id(self) -> str:
        """Unique for the life of the switch's process; a repeated delivery has the same."""
        return f"{self.core_uuid}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent(SwitchEvent):
    """Something happened to one leg."""

    unique_id: str
    attempt_id: int | None
    """Our `calltree_attempt`; None on legs that are not a customer we dialled."""
    site_id: str | None
    user_id: int | None
    """Our `calltree_user_id`: the operator whose leg this is."""
    pressed_by: int | None = None
    """Our `calltree_for`: the operator whose press dialled this customer."""
    transfer_id: int | None = None
    """Our `calltree_transfer`: the leg of whom a call is handed on to."""
    direction: str
    """'inbound', 'outbound' or ''. An operator's browser leg is inbound."""
    context: str
    caller_number: str
    destination_number: str
    answered: bool
    """The leg had been answered when this happened."""
    other_unique_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCreated(ChannelEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(ChannelEvent):
    """It rings (180)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyMedia(ChannelEvent):
    """There is sound before an answer (183): ringing, or an announcement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(ChannelEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked(ChannelEvent):
    """Alive and unjoined. For an operator's leg this does not mean free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed(ChannelEvent):
    """The leg began an application of the dialplan."""

    application: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged(ChannelEvent):
    """Joined: `unique_id` is the first leg of uuid_bridge (the customer), `peer_id` the second."""

    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbridged(ChannelEvent):
    peer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp(ChannelEvent):
    """The leg's end with everything that is known about it (CHANNEL_HANGUP_COMPLETE)."""

    cause: str
    sip_status: str
    """'486'; '' when no SIP answer ended it."""
    q850: str
    disposition: str
    """recv_bye they, send_bye we, send_cancel we gave up ringing, recv_refuse the carrier."""
    bill_ms: int
    """From the answer to the end; 0 when never answered."""
    answered_at: datetime | None
    record_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed(ChannelEvent):
    """The leg is gone. The only event of a leg that a dead gateway refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted(ChannelEvent):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStarted(ChannelEvent):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStopped(ChannelEvent):
    path: str
    record_ms: int | None
    completion_cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDone(SwitchEvent):
    """The result of a bgapi. For originate, `ok` does not mean answered."""

    job_uuid: str
    command: str
    ok: bool
    text: str
    """What followed +OK or -ERR: a uuid, a cause such as GATEWAY_DOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(SwitchEvent):
    """Every 20 s."""

    sessions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState(SwitchEvent):
    gateway: str
    state: str
    """REGED, NOREG, TRYING, FAILED, DOWN…"""
    ping_status: str
    """UP or DOWN by OPTIONS; '' when not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(SwitchEvent):
    """A telephone came (`registered`) or went: by itself, or because its time ran out."""

    user: str
    domain: str
    registered: bool
    user_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(SwitchEvent):
    """Our own sign of life came back."""

    token: str


def read(event: Event) -> SwitchEvent | None:
    """The event as an object; None when it is of a kind that we do not use.

    Raises `InvalidEvent`, with the event's name and the field, never the values.
    """
    kind = event.name
    if kind == "CUSTOM":
        kind = event.get("Event-Subclass", "")
    reader = _READERS.get(kind)
    if reader is None:
        return None
    try:
        return reader(event)
    except InvalidEvent as error:
        raise InvalidEvent(f"{kind}: {error}") from None


def _common(event: Event) -> dict[str, Any]:
    return {
        "core_uuid": _text(event, "Core-UUID"),
        "sequence": _number(event, "Event-Sequence"),
        "at": _moment(event, "Event-Date-Timestamp"),
    }


def _channel(event: Event) -> dict[str, Any]:
    answered_us = _count(event, "Caller-Channel-Answered-Time")
    return {
        **_common(event),
        "unique_id": _text(event, "Unique-ID"),
        "attempt_id": _count(event, "variable_calltree_attempt"),
        "site_id": event.get("variable_calltree_site"),
        "user_id": _count(event, "variable_calltree_user_id"),
        "pressed_by": _count(event, "variable_calltree_for"),
        "transfer_id": _count(event, "variable_calltree_transfer"),
        "direction": event.get("Call-Direction", ""),
        "context": event.get("Caller-Context", ""),
        "caller_number": event.get("Caller-Caller-ID-Number", ""),
        "destination_number": event.get("Caller-Destination-Number", ""),
        "answered": bool(answered_us) or event.get("Answer-State") == "answered",
        "other_unique_id": event.get("Other-Leg-Unique-ID"),
    }


def _plain(cls: type[_E]) -> Callable[[Event], _E]:
    return lambda event: cls(**_channel(event))


def _executed(event: Event) -> Executed:
    return Executed(
        **_channel(event),
        application=_text(event, "Application"),
        data=event.get("Application-Data", ""),
    )


def _bridged(event: Event) -> Bridged:
    peer_id = event.get("Other-Leg-Unique-ID") or _text(event, "Bridge-B-Unique-ID")
    return Bridged(**_channel(event), peer_id=peer_id)


def _unbridged(event: Event) -> Unbridged:
    peer_id = event.get("Other-Leg-Unique-ID") or event.get("Bridge-B-Unique-ID")
    return Unbridged(**_channel(event), peer_id=peer_id)


def _hung_up(event: Event) -> HungUp:
    return HungUp(
        **_channel(event),
        cause=_text(event, "Hangup-Cause"),
        sip_status=event.get("variable_sip_term_status", ""),
        q850=event.get("variable_hangup_cause_q850", ""),
        disposition=event.get("variable_sip_hangup_disposition", ""),
        bill_ms=_count(event, "variable_billmsec") or 0,
        answered_at=_moment_or_none(event, "Caller-Channel-Answered-Time"),
        record_ms=_count(event, "variable_record_ms"),
    )


def _playback_started(event: Event) -> PlaybackStarted:
    return PlaybackStarted(**_channel(event), path=_text(event, "Playback-File-Path"))


def _record_started(event: Event) -> RecordStarted:
    return RecordStarted(**_channel(event), path=_text(event, "Record-File-Path"))


def _record_stopped(event: Event) -> RecordStopped:
    return RecordStopped(
        **_channel(event),
        path=_text(event, "Record-File-Path"),
        record_ms=_count(event, "variable_record_ms"),
        completion_cause=event.get("Record-Completion-Cause", ""),
    )


def _job_done(event: Event) -> JobDone:
    body = event.body.decode("utf-8", "replace").strip()
    ok = not body.startswith(("-ERR", "-USAGE"))
    return JobDone(
        **_common(event),
        job_uuid=_text(event, "Job-UUID"),
        command=event.get("Job-Command", ""),
        ok=ok,
        text=re.sub(r"^(\+OK|-ERR|-USAGE:?)\s*", "", body),
    )


def _heartbeat(event: Event) -> Heartbeat:
    return Heartbeat(**_common(event), sessions=_count(event, "Session-Count"))


def _gateway_state(event: Event) -> GatewayState:
    return GatewayState(
        **_common(event),
        gateway=_text(event, "Gateway"),
        state=_text(event, "State"),
        ping_status=event.get("Ping-Status", ""),
    )


def _registration(registered: bool) -> Callable[[Event], Registration]:
    def build(event: Event) -> Registration:
        user = event.get("username") or event.get("from-user") or event.get("user")
        if not user:
            raise InvalidEvent("no user")
        return Registration(
            **_common(event),
            user=user,
            domain=event.get("realm") or event.get("from-host") or event.get("host", ""),
            registered=registered,
            user_id=_count(event, "calltree_user_id"),
        )

    return build


def _ping(event: Event) -> Ping:
    return Ping(**_common(event), token=_text(event, "Calltree-Ping"))


_READERS: dict[str, Callable[[Event], SwitchEvent]] = {
    "CHANNEL_CREATE": _plain(ChannelCreated),
    "CHANNEL_PROGRESS": _plain(Progress),
    "CHANNEL_PROGRESS_MEDIA": _plain(EarlyMedia),
    "CHANNEL_ANSWER": _plain(Answered),
    "CHANNEL_PARK": _plain(Parked),
    "CHANNEL_EXECUTE": _executed,
    "CHANNEL_BRIDGE": _bridged,
    "CHANNEL_UNBRIDGE": _unbridged,
    "CHANNEL_HANGUP_COMPLETE": _hung_up,
    "CHANNEL_DESTROY": _plain(Destroyed),
    "PLAYBACK_START": _playback_started,
    "RECORD_START": _record_started,
    "RECORD_STOP": _record_stopped,
    "BACKGROUND_JOB": _job_done,
    "HEARTBEAT": _heartbeat,
    "sofia::gateway_state": _gateway_state,
    "sofia::register": _registration(True),
    "sofia::unregister": _registration(False),
    "sofia::expire": _registration(False),
    PING_SUBCLASS: _ping,
}


def _text(event: Event, name: str) -> str:
    value = event.get(name)
    if not value:
        raise InvalidEvent(f"no {name}")
    return value


def _count(event: Event, name: str) -> int | None:
    """A whole number, or None when absent."""
    value = event.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise InvalidEvent(f"{name} is not a number")
    return int(value)


def _number(event: Event, name: str) -> int:
    number = _count(event, name)
    if number is None:
        raise InvalidEvent(f"no {name}")
    return number


def _moment_or_none(event: Event, name: str) -> datetime | None:
    """Microseconds since 1970 as an aware moment; FreeSWITCH writes 0 for "not yet"."""
    microseconds = _count(event, name)
    if not microseconds:
        return None
    if microseconds > _FOREVER_US:
        raise InvalidEvent(f"{name} is no moment")
    return _EPOCH + timedelta(microseconds=microseconds)


def _moment(event: Event, name: str) -> datetime:
    moment = _moment_or_none(event, name)
    if moment is None:
        raise InvalidEvent(f"no {name}")
    return moment
