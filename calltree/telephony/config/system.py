"""The switch itself: modules, event socket, log, directory look-ups, music."""

from __future__ import annotations

import ipaddress

from calltree.telephony.config.wanted import ConfigError, Wanted
from calltree.telephony.config.xml import MADE_BY, Own, comment, element, empty, include, param

MODULES = (
    ("mod_logfile", "log file"),
    ("mod_event_socket", "the link to CALLTREE"),
    ("mod_xml_curl", "asks CALLTREE for operators' credentials"),
    ("mod_commands", "api commands"),
    ("mod_dptools", "dialplan applications"),
    ("mod_dialplan_xml", "dialplan"),
    ("mod_sofia", "SIP"),
    ("mod_loopback", "a leg to nowhere, by which the check tries out the recordings directory"),
    ("mod_sndfile", "WAV files"),
    ("mod_tone_stream", "tones"),
    ("mod_local_stream", "music on hold"),
)
DOMAIN_ACL = "loopback.auto"


def top() -> bytes:
    """freeswitch.xml: takes in all other files."""
    sections = [
        *element("section", [include("autoload_configs/*.xml")], name="configuration"),
        *element("section", [include("dialplan/*.xml")], name="dialplan"),
        comment("operators are asked for at CALLTREE, see autoload_configs/xml_curl.conf.xml"),
        *element("section", [], name="directory"),
        *element("section", [], name="languages"),
    ]
    lines = element("document", [comment(MADE_BY), *sections], type="freeswitch/xml")
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, ""]).encode()


def settings_of(name: str, about: str, params: list[str]) -> list[str]:
    """A `configuration` element that has one block of settings."""
    return [comment(about), *element("configuration", element("settings", params), name=name)]


def core(wanted: Wanted) -> list[str]:
    low, high = wanted.place.rtp_ports
    return settings_of(
        "switch.conf",
        "sizes and ports",
        [
            param("switchname", wanted.node),
            param("max-sessions", 2000),
            param("sessions-per-second", 100),
            param("loglevel", "warning"),
            comment("sound: open these UDP ports to operators and carriers"),
            param("rtp-start-port", low),
            param("rtp-end-port", high),
        ],
    )


def modules() -> list[str]:
    lines = [f"{empty('load', module=name)} {comment(why)}" for name, why in MODULES]
    return [
        comment("what is not listed is not needed"),
        *element("configuration", element("modules", lines), name="modules.conf"),
    ]


def log_file() -> list[str]:
    """Warnings and worse: below that, lines hold whole telephone numbers."""
    levels = empty("map", name="all", value="warning,err,crit,alert")
    rotate = [param("rollover", 10_485_760), param("maximum-rotate", 20)]
    profile = element(
        "profile",
        [*element("settings", rotate), *element("mappings", [levels])],
        name="default",
    )
    return [
        comment("warnings and worse: below that, lines hold whole telephone numbers"),
        *element("configuration", element("profiles", profile), name="logfile.conf"),
    ]


def event_socket(wanted: Wanted) -> list[str]:
    """Where CALLTREE links to; only there."""
    if wanted.esl.password == "ClueCon":  # noqa: S105 - the one everybody knows
        raise ConfigError("ESL_URL: ClueCon is known to everybody. Choose another password.")
    host = "127.0.0.1" if wanted.esl.host == "localhost" else wanted.esl.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(
            f"ESL_URL: write the address of {host}, so that FreeSWITCH listens there alone."
        ) from None
    allowed = "loopback.auto" if address.is_loopback else "rfc1918.auto"
    return settings_of(
        "event_socket.conf",
        "whoever signs in here commands the switch",
        [
            param("nat-map", value=False),
            param("listen-ip", str(address)),
            param("listen-port", wanted.esl.port),
            param("password", wanted.esl.password),
            param("apply-inbound-acl", allowed),
            param("stop-on-bind-error", value=True),
        ],
    )


def directory(wanted: Wanted) -> list[str]:
    binding = element(
        "binding",
        [
            # not an attribute of `param`'s usual two: mod_xml_curl reads bindings from here
            empty("param", name="gateway-url", value=wanted.directory_url, bindings="directory"),
            param("gateway-credentials", f"switch:{wanted.secret}"),
            param("auth-scheme", "basic"),
            param("method", "POST"),
            param("timeout", 2),
            param("disable-100-continue", value=True),
            param("enable-cacert-check", value=wanted.directory_url.startswith("https:")),
            param("enable-ssl-verifyhost", value=wanted.directory_url.startswith("https:")),
        ],
        name="operators",
    )
    return [
        comment("operators' credentials live as long as their session; only CALLTREE knows them"),
        *element("configuration", element("bindings", binding), name="xml_curl.conf"),
    ]


def music() -> list[str]:
    directory = element(
        "directory",
        [
            param("rate", 8000),
            param("shuffle", value=False),
            param("channels", 1),
            param("interval", 20),
            param("timer-name", "soft"),
        ],
        name="default",
        path=Own("$${conf_dir}/sounds/music"),
    )
    return [
        comment("music on hold; put your own 8 kHz mono WAV files into this directory"),
        *element("configuration", directory, name="local_stream.conf"),
    ]


def access() -> list[str]:
    return [
        comment("the lists that FreeSWITCH makes by itself are enough"),
        *element("configuration", element("network-lists", []), name="acl.conf"),
    ]
