"""Everything we ask of a switch, each command built from checked parts.

**No free text ever goes into a command.** In the lab a crafted telephone number ran a second
command, and another ran a program as the switch's user. So a number is digits, an id is an id, a
path is built from ids, and whatever is not raises `UnsafePartError` before anything is sent. The
forms, the order of arguments and the reasons were measured on FreeSWITCH 1.10.12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from calltree.models.supervision import MonitorMode
from calltree.models.trunks import CallerIdForm, NumberForm
from calltree.telephony.safe_parts import (
    APPLICATION,
    DIGITS,
    SITE,
    SwitchPath,
    UnsafePartError,
    as_name,
    as_number,
    as_path,
    as_positive,
    as_seconds,
    as_uuid,
    match,
)

ApiCommand = NewType("ApiCommand", str)
"""A command that one of the builders here has made; a link takes nothing else."""


_RECORDED = {
    "RECORD_STEREO": "true",
    "RECORD_STEREO_SWAP": "true",  # left the operator, right the customer
    # A thread of its own holds a leg that hangs up in the moment it begins, and for ever.
    "RECORD_USE_THREAD": "false",
}

# Where a customer waits whose partner went away: music, an apology, the end, with no application.
ORPHAN_EXTENSION = "orphan"
ORPHAN_CONTEXT = "calltree"

# Where a customer waits who answered a campaign's dial: guidance, a wait, an apology, the end.
ANSWERED_EXTENSION = "answered"
APOLOGY_EXTENSION = "answered-end"
WAIT_VARIABLE = "calltree_wait_ms"
# What they hear there, by the file's name below `sounds/`.
GUIDANCE_VARIABLE = "calltree_guidance"
APOLOGY_VARIABLE = "calltree_apology"

# Where a caller is sent when nobody of ours says what follows: a word, and the end.
AWAY_EXTENSION = "inbound-away"

HOLD_MUSIC = "local_stream://default"

# Japan's ringing tone: 400 Hz, 1 s on, 2 s off, until a bridge or `stop_playing` ends it.
RINGBACK = "tone_stream://L=-1;%(1000,2000,400,16)"


# What the gateway's own setting does not say: P-Asserted-Identity, and whether it may be shown.
CALLER_ID = {
    CallerIdForm.FROM: {},
    CallerIdForm.ASSERTED: {"sip_cid_type": "pid"},
    CallerIdForm.ANONYMOUS: {
        "sip_cid_type": "pid",
        "origination_privacy": "screen:hide_name:hide_number",
    },
}
"""Variables of a leg that tell the carrier our number."""

_HEARD_BY = {
    MonitorMode.LISTEN: ("false", "false"),
    MonitorMode.WHISPER: ("false", "true"),
    MonitorMode.BARGE: ("true", "true"),
}
"""Whether the customer, and whether the operator hears a supervisor."""

_PARK_GRACE_S = 5


class Cause(StrEnum):
    """The hangup causes that we give ourselves."""

    NORMAL_CLEARING = "NORMAL_CLEARING"
    ORIGINATOR_CANCEL = "ORIGINATOR_CANCEL"
    NO_ANSWER = "NO_ANSWER"
    USER_BUSY = "USER_BUSY"
    ALLOTTED_TIMEOUT = "ALLOTTED_TIMEOUT"
    MANAGER_REQUEST = "MANAGER_REQUEST"


@dataclass(frozen=True, slots=True)
class OutsideCall:
    """One customer's leg, as the gate allowed it. Every part is checked when it is made.

    `uuid` is chosen by us, so that every event can be matched from the first one on; `ring_s` is
    how long it may ring. Numbers are national digits; the two forms are the trunk's.
    """

    uuid: str
    number: str
    caller_number: str
    gateway: str
    attempt_id: int
    site_id: str
    ring_s: int
    user_id: int | None = None
    """Whose press it was: told with every event of this leg, so that their page can be at once."""
    number_form: NumberForm = NumberForm.NATIONAL
    caller_id_form: CallerIdForm = CallerIdForm.FROM

    def __post_init__(self) -> None:
        as_uuid(self.uuid)
        as_number(self.number)
        as_number(self.caller_number)
        as_name(self.gateway)
        as_positive(self.attempt_id)
        match(SITE, self.site_id, "a site id")
        as_seconds(self.ring_s, limit=600)
        if self.user_id is not None:
            as_positive(self.user_id)

    def _variables(self) -> dict[str, str]:
        caller = self._in_form(self.caller_number)
        pressed = {} if self.user_id is None else {"calltree_for": str(self.user_id)}
        return {
            "origination_uuid": self.uuid,
            # Whole seconds, and it fires up to 0.7 s early: ask for one more.
            "originate_timeout": str(self.ring_s + 1),
            "origination_caller_id_number": caller,
            "origination_caller_id_name": caller,
            **CALLER_ID[self.caller_id_form],
            "calltree_attempt": str(self.attempt_id),
            "calltree_site": self.site_id,
            **pressed,
            **_RECORDED,
            "transfer_after_bridge": f"{ORPHAN_EXTENSION}:XML:{ORPHAN_CONTEXT}",
        }

    def _dial_string(self) -> str:
        return f"sofia/gateway/{self.gateway}/{self._in_form(self.number)}"

    def _in_form(self, number: str) -> str:
        if self.number_form is NumberForm.E164 and number.startswith("0"):
            return f"+81{number[1:]}"
        return number


def originate_manual(call: OutsideCall, *, recording: SwitchPath | None) -> ApiCommand:
    """Dial and park, so that ringing and announcements can be heard once bridged.

    `park_timeout` ends a leg that nobody joins: without us `&park` is silence for ever. It records
    from the answer on however late the join comes; joined before, `record_start` has begun already.
    """
    variables = call._variables() | _recorded_from_answer(recording)
    variables["park_timeout"] = str(call.ring_s + _PARK_GRACE_S)
    return _originate(variables, call._dial_string(), "&park")


def originate_predictive(
    call: OutsideCall,
    *,
    recording: SwitchPath | None,
    wait_s: int,
    guidance: int | None = None,
    apology: int | None = None,
) -> ApiCommand:
    """Dial, and if the application is away let the customer hear the guidance and be released.

    Joined on its first CHANNEL_EXECUTE; the bridge leaves the extension at any point. `wait_s` is
    how long the customer may wait after the guidance when nobody releases them before. `guidance`
    and `apology` are ids of guidances that the switch has as files (`said_file`); None: the site's.
    """
    variables = call._variables()
    variables["ignore_early_media"] = "true"
    variables[WAIT_VARIABLE] = str(as_seconds(wait_s, limit=60) * 1000)
    variables[GUIDANCE_VARIABLE] = said_file(guidance) if guidance else "guidance.wav"
    variables[APOLOGY_VARIABLE] = said_file(apology) if apology else "apology.wav"
    variables |= _recorded_from_answer(recording)
    then = f"{ANSWERED_EXTENSION} XML {ORPHAN_CONTEXT}"
    return _originate(variables, call._dial_string(), then)


def _recorded_from_answer(file: SwitchPath | None) -> dict[str, str]:
    return {} if file is None else {"execute_on_answer": f"'record_session {as_path(file)}'"}


def originate_transfer(call: OutsideCall, *, transfer_id: int, heard_ringing: bool) -> ApiCommand:
    """Dial whom a call is to be handed on to, and park the leg until it is joined.

    `heard_ringing`: joined with the first operator already in early media. The leg ends with
    whomever it was joined with last, so nothing of a customer's own leg is set on it.
    """
    variables = call._variables()
    for own in ("calltree_attempt", *_RECORDED, "transfer_after_bridge"):
        del variables[own]
    variables["calltree_transfer"] = str(as_positive(transfer_id))
    # or the far end is offered what an operator's browser speaks, and refuses it (488)
    variables["absolute_codec_string"] = "PCMU"
    variables["park_timeout"] = str(call.ring_s + _PARK_GRACE_S)
    if not heard_ringing:
        variables["ignore_early_media"] = "true"
    return _originate(variables, call._dial_string(), "&park")


def said_file(guidance_id: int) -> str:
    """Give the name below `sounds/` under which a switch has a guidance."""
    return f"said-{int(guidance_id)}.wav"


def originate_operator_device(
    *, uuid: str, extension: str, domain: str, user_id: int, site_id: str, ring_s: int
) -> ApiCommand:
    """Ring an operator's desk phone and park its leg for the whole shift."""
    variables = {
        "origination_uuid": as_uuid(uuid),
        "originate_timeout": str(as_seconds(ring_s, limit=600) + 1),
        "calltree_user_id": str(as_positive(user_id)),
        "calltree_site": match(SITE, site_id, "a site id"),
        "calltree_leg": "agent",
        "absolute_codec_string": "PCMU",  # no transcoding
        # ms; a phone whose plug was pulled is noticed. Patient: a telephone may save on silence
        "media_timeout": "60000",
        "park_after_bridge": "true",  # the leg outlives the customer
        "hangup_after_bridge": "false",
    }
    return _originate(variables, f"user/{as_name(extension)}@{as_name(domain)}", "&park")


def bridge(customer: str, operator: str) -> ApiCommand:
    """Join the two. **Customer first**: the other order destroys the operator's leg after a 404.

    The operator must be locked before: a second bridge would hang up the first customer, +OK.
    """
    if customer == operator:
        raise UnsafePartError("a leg is not joined with itself; the switch would say +OK")
    return ApiCommand(f"uuid_bridge {as_uuid(customer)} {as_uuid(operator)}")


def answer(caller: str) -> ApiCommand:
    """Answer a call that came in; once more does nothing."""
    return ApiCommand(f"uuid_answer {as_uuid(caller)}")


def practice_call_in(caller: str, number: str) -> ApiCommand:
    """Order a call from the practice switch; a real one knows no such command."""
    shown = caller if caller == "anonymous" else as_number(caller)
    return ApiCommand(f"practice inbound {shown} {as_number(number)}")


def prepare_caller(caller: str, attempt_id: int) -> list[ApiCommand]:
    """Give a call that came in what a dialled one has from its beginning."""
    values = {
        **_RECORDED,
        "transfer_after_bridge": f"{ORPHAN_EXTENSION}:XML:{ORPHAN_CONTEXT}",
    }
    return [
        set_attempt(caller, attempt_id),
        *(ApiCommand(f"uuid_setvar {as_uuid(caller)} {name} {it}") for name, it in values.items()),
    ]


def run_inline(caller: str, *applications: str) -> ApiCommand:
    """Take a leg out of what it does and let it run these, one after the other.

    Each is `name:data`, made of constants, ids, seconds and paths. A separator of its own: a comma
    stands in the tones and would end an application.
    """
    for one in applications:
        match(APPLICATION, one, "an application of a chain")
    return ApiCommand(f"uuid_transfer {as_uuid(caller)} 'm:^:{'^'.join(applications)}' inline")


def forward_dial_string(call: OutsideCall) -> str:
    """Give what `bridge` dials for a caller who is forwarded; the leg has nothing of a customer's.

    `call.uuid` is the new leg's.
    """
    variables = call._variables()
    for own in (
        *("calltree_attempt", "calltree_site", "calltree_for", "originate_timeout"),
        *(*_RECORDED, "transfer_after_bridge"),
    ):
        variables.pop(own, None)
    listed = ",".join(f"{name}={value}" for name, value in variables.items())
    return f"{{{listed}}}{call._dial_string()}"


def kill(uuid: str, cause: Cause = Cause.NORMAL_CLEARING) -> ApiCommand:
    return ApiCommand(f"uuid_kill {as_uuid(uuid)} {Cause(cause)}")


def hold(customer: str) -> ApiCommand:
    """Music for the customer; the operator's leg parks by itself. `bridge` takes him back."""
    return ApiCommand(f"uuid_transfer {as_uuid(customer)} endless_playback:{HOLD_MUSIC} inline")


def apologise(customer: str) -> ApiCommand:
    """Play the apology to a customer for whom nobody is free, then hang up."""
    return ApiCommand(f"uuid_transfer {as_uuid(customer)} {APOLOGY_EXTENSION} XML {ORPHAN_CONTEXT}")


def send_to_orphanage(customer: str) -> ApiCommand:
    """Hand a customer in silence to the dialplan that looks after him without us."""
    return ApiCommand(f"uuid_transfer {as_uuid(customer)} {ORPHAN_EXTENSION} XML {ORPHAN_CONTEXT}")


def record_start(customer: str, file: SwitchPath) -> ApiCommand:
    """Its +OK proves nothing; RECORD_START does."""
    return _record(customer, "start", file)


def record_stop(customer: str, file: SwitchPath) -> ApiCommand:
    return _record(customer, "stop", file)


def record_mask(customer: str, file: SwitchPath) -> ApiCommand:
    """Silence in the file, on both sides, until `record_unmask`."""
    return _record(customer, "mask", file)


def record_unmask(customer: str, file: SwitchPath) -> ApiCommand:
    return _record(customer, "unmask", file)


def play_ringback(operator: str) -> ApiCommand:
    """A ringing tone for the operator while the carrier sends none (180)."""
    return ApiCommand(f"uuid_broadcast {as_uuid(operator)} {RINGBACK} aleg")


def stop_playing(uuid: str) -> ApiCommand:
    return ApiCommand(f"uuid_break {as_uuid(uuid)} all")


def mute(operator: str) -> ApiCommand:
    """Silence what the operator says, at the switch."""
    return ApiCommand(f"uuid_audio {as_uuid(operator)} start read mute -1")


def unmute(operator: str) -> ApiCommand:
    return ApiCommand(f"uuid_audio {as_uuid(operator)} stop")


def send_dtmf(customer: str, digits: str) -> ApiCommand:
    return ApiCommand(f"uuid_send_dtmf {as_uuid(customer)} {match(DIGITS, digits, 'push tones')}")


def monitor(supervisor: str, operator: str, mode: MonitorMode) -> ApiCommand:
    """Put a supervisor's leg into an operator's call, or change who hears it there.

    **The operator's leg is named**, never the customer's, and both switches are set each time:
    they stay on the leg, and `whisper_aleg` alone is heard by the customer. When the operator's
    leg is gone the supervisor's parks again.
    """
    if supervisor == operator:
        raise UnsafePartError("a leg does not listen to itself")
    heard_by_customer, heard_by_operator = _HEARD_BY[MonitorMode(mode)]
    chain = (
        f"set:eavesdrop_whisper_aleg={heard_by_customer},"
        f"set:eavesdrop_whisper_bleg={heard_by_operator},"
        # a key on a telephone must not let the customer hear
        f"set:eavesdrop_enable_dtmf=false,eavesdrop:{as_uuid(operator)},park:"
    )
    return ApiCommand(f"uuid_transfer {as_uuid(supervisor)} '{chain}' inline")


def park(leg: str) -> ApiCommand:
    """Take a supervisor's leg out of whatever it listens to."""
    return ApiCommand(f"uuid_transfer {as_uuid(leg)} park: inline")


def hang_up_in(seconds: int, uuid: str, cause: Cause = Cause.NO_ANSWER) -> ApiCommand:
    """The switch's own timer: early media never ends by itself."""
    return ApiCommand(
        f"sched_hangup +{as_seconds(seconds, limit=86_400)} {as_uuid(uuid)} {Cause(cause)}"
    )


def orphan_in(seconds: int, customer: str) -> ApiCommand:
    """The switch's own timer for a held customer, should we not come back; up to 0.5 s early."""
    return ApiCommand(
        f"sched_transfer +{as_seconds(seconds, limit=86_400)} {as_uuid(customer)}"
        f" {ORPHAN_EXTENSION} XML {ORPHAN_CONTEXT}"
    )


def cancel_timers(uuid: str) -> ApiCommand:
    """Forget every `hang_up_in` and `orphan_in` of this leg."""
    return ApiCommand(f"sched_del {as_uuid(uuid)}")


def set_attempt(uuid: str, attempt_id: int) -> ApiCommand:
    return ApiCommand(f"uuid_setvar {as_uuid(uuid)} calltree_attempt {as_positive(attempt_id)}")


def set_site(uuid: str, site_id: str) -> ApiCommand:
    site = match(SITE, site_id, "a site id")
    return ApiCommand(f"uuid_setvar {as_uuid(uuid)} calltree_site {site}")


def clear_transfer_after_bridge(customer: str) -> ApiCommand:
    """Before an outside transfer: or the customer goes to the orphanage when the target leaves."""
    return ApiCommand(f"uuid_setvar {as_uuid(customer)} transfer_after_bridge")


def set_transfer_after_bridge(customer: str) -> ApiCommand:
    """The customer is ours again: music and a word, should their operator go."""
    return ApiCommand(
        f"uuid_setvar {as_uuid(customer)} transfer_after_bridge"
        f" {ORPHAN_EXTENSION}:XML:{ORPHAN_CONTEXT}"
    )


def exists(uuid: str) -> ApiCommand:
    """Answers `true` or `false`."""
    return ApiCommand(f"uuid_exists {as_uuid(uuid)}")


def dump(uuid: str) -> ApiCommand:
    """Every header of a living channel, as one JSON object."""
    return ApiCommand(f"uuid_dump {as_uuid(uuid)} json")


def show_channels() -> ApiCommand:
    """JSON: `{"row_count": 2, "rows": [{"uuid": …}]}`, no `rows` when there are none. It lags."""
    return ApiCommand("show channels as json")


def status() -> ApiCommand:
    return ApiCommand("status")


def version() -> ApiCommand:
    return ApiCommand("version")


def module_exists(module: str) -> ApiCommand:
    """Answers `true` or `false`; `show modules` lags behind, as all tables that it shows."""
    return ApiCommand(f"module_exists {as_name(module)}")


def originate_nowhere(uuid: str) -> ApiCommand:
    """A leg without anybody at its end, to try out what needs one; gone after a minute."""
    variables = {"origination_uuid": as_uuid(uuid), "park_timeout": "60"}
    return _originate(variables, "null/check", "&park")


def file_exists(file: SwitchPath) -> ApiCommand:
    """Answers `true` or `false`."""
    return ApiCommand(f"file_exists {as_path(file)}")


def epoch() -> ApiCommand:
    """Answers the switch's own clock, in seconds."""
    return ApiCommand("strepoch")


def profile_status(profile: str) -> ApiCommand:
    return ApiCommand(f"sofia xmlstatus profile {as_name(profile)}")


def reload_xml() -> ApiCommand:
    """Let the switch read its configuration files anew; running calls are not touched."""
    return ApiCommand("reloadxml")


def rescan(profile: str) -> ApiCommand:
    """Take gateways that are new in the configuration. One that is there stays as it is."""
    return ApiCommand(f"sofia profile {as_name(profile)} rescan")


def restart_music() -> ApiCommand:
    """Let the music begin anew, from the file that is there now."""
    return ApiCommand(f"local_stream hup {HOLD_MUSIC.rpartition('/')[2]}")


def kill_gateway(profile: str, gateway: str) -> ApiCommand:
    """Forget a gateway, a moment later; its calls go on. `rescan` then takes it as changed."""
    return ApiCommand(f"sofia profile {as_name(profile)} killgw {as_name(gateway)}")


def gateway_xml(gateway: str) -> ApiCommand:
    """One XML element, or `Invalid Gateway!`."""
    return ApiCommand(f"sofia xmlstatus gateway {as_name(gateway)}")


def gateway_status(gateway: str) -> ApiCommand:
    return ApiCommand(f"sofia status gateway {as_name(gateway)}")


def _originate(variables: Mapping[str, str], dial_string: str, then: str) -> ApiCommand:
    listed = ",".join(f"{name}={value}" for name, value in variables.items())
    return ApiCommand(f"originate {{{listed}}}{dial_string} {then}")


def _record(customer: str, action: str, file: SwitchPath) -> ApiCommand:
    return ApiCommand(f"uuid_record {as_uuid(customer)} {action} {as_path(file)}")
