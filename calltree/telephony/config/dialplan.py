"""What the switch does by itself: little, and all of it still right while CALLTREE is away."""

from __future__ import annotations

from collections.abc import Iterable

from calltree.services.inbound_fallbacks import Fallback
from calltree.telephony.commands import (
    ANSWERED_EXTENSION,
    APOLOGY_EXTENSION,
    APOLOGY_VARIABLE,
    AWAY_EXTENSION,
    CALLER_ID,
    GUIDANCE_VARIABLE,
    HOLD_MUSIC,
    ORPHAN_CONTEXT,
    ORPHAN_EXTENSION,
    RINGBACK,
    WAIT_VARIABLE,
)
from calltree.telephony.config.xml import Own, action, comment, element

SOUNDS = "$${conf_dir}/sounds/"
GUIDANCE = f"{SOUNDS}guidance.wav"
APOLOGY = f"{SOUNDS}apology.wav"

# Japan's tones: 400 Hz, ringing 1 s on 2 s off with a 16 Hz waver, busy 0.5 s on 0.5 s off.
RINGING = RINGBACK.partition(";")[2]
BUSY = "%(500,500,400)"

ORPHAN_S = 20
BEFORE_GUIDANCE_MS = 400
"""A campaign's customer is joined within these, or hears the guidance."""


def extension(name: str, number: str, *actions: str, uuid: str = "") -> list[str]:
    """One extension; `uuid` matches the leg's own id too, which makes a draw."""
    conditions = element("condition", actions, field="destination_number", expression=Own(number))
    if uuid:
        first = element("condition", [], field=Own("${uuid}"), expression=Own(uuid))
        conditions = [*first, *conditions]
    return element("extension", conditions, name=name)


def context(name: str, *extensions: list[str]) -> list[str]:
    return element("context", [line for lines in extensions for line in lines], name=name)


def agents() -> list[str]:
    """Where operators' telephones arrive: one extension, which parks them for the shift."""
    return context(
        "agents",
        [comment("an operator's leg: answered, parked, and parked again after each customer")],
        extension(
            "agent",
            "^agent$",
            action("set", "absolute_codec_string=PCMU"),
            comment("ms; a browser that vanished without a word is noticed"),
            action("set", "media_timeout=15000"),
            action("set", "park_after_bridge=true"),
            action("set", "hangup_after_bridge=false"),
            action("set", f"hold_music={HOLD_MUSIC}"),
            action("set", f"ringback={RINGING}"),
            action("set", "calltree_leg=agent"),
            action("answer"),
            action("park"),
        ),
    )


def orphanage() -> list[str]:
    """Where a customer waits whose operator went away."""
    return context(
        ORPHAN_CONTEXT,
        [comment("music, then an apology and the end; CALLTREE may take him back at any moment")],
        extension(
            ORPHAN_EXTENSION,
            f"^{ORPHAN_EXTENSION}$",
            action("set", "orphaned=true"),
            action("sched_transfer", f"+{ORPHAN_S} {ORPHAN_EXTENSION}-end XML {ORPHAN_CONTEXT}"),
            action("endless_playback", HOLD_MUSIC),
        ),
        extension(
            f"{ORPHAN_EXTENSION}-end",
            f"^{ORPHAN_EXTENSION}-end$",
            action("playback", APOLOGY),
            action("hangup", "NORMAL_CLEARING"),
        ),
        [comment("who answers a campaign's dial and for whom nobody is free yet")],
        extension(
            ANSWERED_EXTENSION,
            f"^{ANSWERED_EXTENSION}$",
            action("sleep", str(BEFORE_GUIDANCE_MS)),
            action("playback", f"{SOUNDS}${{{GUIDANCE_VARIABLE}}}"),
            action("sleep", Own(f"${{{WAIT_VARIABLE}}}")),
            action("playback", f"{SOUNDS}${{{APOLOGY_VARIABLE}}}"),
            action("hangup", "NORMAL_CLEARING"),
        ),
        extension(
            APOLOGY_EXTENSION,
            f"^{APOLOGY_EXTENSION}$",
            action("playback", f"{SOUNDS}${{{APOLOGY_VARIABLE}}}"),
            action("hangup", "NORMAL_CLEARING"),
        ),
        [comment("a caller whose time is up while CALLTREE does not say what follows")],
        extension(
            AWAY_EXTENSION,
            f"^{AWAY_EXTENSION}$",
            action("answer"),
            action("playback", APOLOGY),
            action("hangup", "NORMAL_CLEARING"),
        ),
    )


FALLBACK_MS = 2000
"""So long a call that comes in waits for CALLTREE."""


def public(fallbacks: Iterable[Fallback] = ()) -> list[str]:
    """Where calls from outside arrive."""
    return context(
        "public",
        [
            comment("CALLTREE takes a call within two seconds; if it is away, the switch goes on"),
            comment("nothing here dials out but what a manager has set as a number's target"),
        ],
        *(_fallback(one) for one in fallbacks if one.file or one.forward_to),
        extension(
            "inbound",
            # digits alone: what a stranger writes there would be expanded by `set`
            r"^(\+?[0-9]{2,20})$",
            action("set", "calltree_did=$1"),
            *_waiting(),
            action("answer"),
            action("playback", GUIDANCE),
            action("hangup", "NORMAL_CLEARING"),
        ),
        extension("nothing", "^.*$", action("respond", "404")),
    )


def _waiting() -> tuple[str, ...]:
    return (
        action("set", f"ringback={RINGING}"),
        action("ring_ready"),
        action("sleep", str(FALLBACK_MS)),
    )


def _fallback(one: Fallback) -> list[str]:
    """One number's own: the guidance of its closed hours, or its target."""
    said = f"$${{conf_dir}}/sounds/{one.file}" if one.file else APOLOGY
    forward: tuple[str, ...] = ()
    if one.forward_to:
        variables = {
            "origination_caller_id_number": one.caller_id,
            "origination_caller_id_name": one.caller_id,
            **CALLER_ID[one.caller_id_form],
        }
        shown = ",".join(f"{name}={value}" for name, value in variables.items())
        forward = (
            action("set", "hangup_after_bridge=true"),
            action("set", "continue_on_fail=true"),
            action("set", f"call_timeout={one.seconds + 1}"),
            action("bridge", f"{{{shown}}}sofia/gateway/{one.gateway}/{one.forward_to}"),
        )
    return extension(
        f"inbound-{one.number}",
        rf"^((?:\+81|0){one.number[1:]})$",
        action("set", "calltree_did=$1"),
        *_waiting(),
        *forward,
        action("answer"),
        action("playback", said),
        action("hangup", "NORMAL_CLEARING"),
    )


def test_carrier() -> list[str]:
    """The carrier that decides by the number's last digit, as the practice switch does."""
    ring, answer = action("ring_ready"), action("answer")
    customer = "tone_stream://L=-1;%(500,500,440)"
    return context(
        "testcarrier",
        [comment("98: congestion")],
        extension("congested", "98$", action("respond", "503")),
        [comment("0: rings 1 s, answers, stays")],
        extension("stays", "0$", ring, wait(1.0), answer, play_on(customer)),
        [comment("1: busy")],
        extension("busy", "1$", action("respond", "486")),
        [comment("2: rings for ever")],
        extension("rings", "2$", ring, wait(600)),
        [comment("3: an announcement before anything is answered, then 404")],
        extension(
            "announcement", "3$",
            action("pre_answer"), play("tone_stream://L=4;%(700,300,350)"),
            action("respond", "404"),
        ),
        [comment("4: rings 0.5 s, answers, hangs up after 1 s")],
        extension("leaves", "4$", ring, wait(0.5), answer, wait(1.0), action("hangup")),
        [comment("5: a fax")],
        extension(
            "fax", "5$", answer, play("tone_stream://L=20;%(500,1500,1100)"), action("hangup"),
        ),
        [comment("6: voicemail: greeting, beep, a minute of silence")],
        extension(
            "voicemail", "6$", ring, wait(1.0), answer,
            play("tone_stream://L=5;%(800,200,500)"), play("tone_stream://%(500,0,1000)"),
            wait(60), action("hangup"),
        ),
        [comment("7: refuses")],
        extension("refuses", "7$", ring, wait(0.5), action("respond", "603")),
        [comment("8: out of reach")],
        extension("unavailable", "8$", action("respond", "480")),
        [comment("9: a person; the leg's id is the draw")],
        _person("quick", "^[0-3]", ring, wait(2), answer, *_talk(20)),
        _person("slow", "^[4-7]", ring, wait(6), answer, *_talk(60)),
        _person("out", "^[89a-d]", ring, wait(600)),
        _person("engaged", "^e", action("respond", "486")),
        _person("unwilling", "^f", ring, wait(4), action("respond", "603")),
    )  # fmt: skip


def _person(name: str, uuid: str, *actions: str) -> list[str]:
    return extension(f"person-{name}", "9$", *actions, uuid=uuid)


def _talk(seconds: int) -> tuple[str, str]:
    return play(f"tone_stream://L={seconds};%(500,500,440)"), action("hangup")


def wait(seconds: float) -> str:
    return action("sleep", str(int(seconds * 1000)))


def play(sound: str) -> str:
    return action("playback", sound)


def play_on(sound: str) -> str:
    return action("endless_playback", sound)
