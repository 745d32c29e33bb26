"""SIP: the operators' side, the carriers' side, and each trunk."""

from __future__ import annotations

from calltree.models.trunks import CallerIdForm, Transport
from calltree.switch_place import AUTO
from calltree.telephony.config.wanted import Gateway, Wanted
from calltree.telephony.config.xml import Own, comment, element, include, param
from calltree.telephony.nodes import DOMAIN

INTERNAL = "internal"
EXTERNAL = "external"
TEST_CARRIER = "testcarrier"
PING_S = 25
CODEC = "PCMU"  # the network's own: no transcoding, a fifth of the processor time


def sofia() -> list[str]:
    profiles = element("profiles", [include("../sip_profiles/*.xml")])
    settings = element("global_settings", [param("log-level", 0)])
    return [
        comment("one file for each side in sip_profiles"),
        *element("configuration", [*settings, *profiles], name="sofia.conf"),
    ]


def _address(wanted: Wanted) -> str:
    return Own("$${local_ip_v4}") if wanted.place.address == AUTO else wanted.place.address


def _common(wanted: Wanted, *, context: str, port: int) -> list[str]:
    address = _address(wanted)
    external = wanted.place.external
    return [
        param("context", context),
        param("dialplan", "XML"),
        param("user-agent-string", "CALLTREE"),
        param("sip-ip", address),
        param("rtp-ip", address),
        param("sip-port", port),
        *([param("ext-sip-ip", external), param("ext-rtp-ip", external)] if external else []),
        param("inbound-codec-prefs", CODEC),
        param("outbound-codec-prefs", CODEC),
        param("inbound-late-negotiation", value=True),
        param("dtmf-type", "rfc2833"),
        param("rtp-timer-name", "soft"),
        param("manage-presence", value=False),
    ]


def internal(wanted: Wanted) -> list[str]:
    """Browsers and desk phones of operators."""
    place = wanted.place
    browsers = [comment("browsers, through the proxy that ends TLS"), param("ws-binding", place.ws)]
    if place.wss:
        browsers += [
            comment("browsers, directly: wss.pem holds certificate, chain and key"),
            param("wss-binding", place.wss),
            param("tls-cert-dir", place.certs),
        ]
    settings = [
        *_common(wanted, context="agents", port=place.sip_port),
        *browsers,
        comment("without these, a browser's address of any kind is refused as a place for sound"),
        *(
            param("apply-candidate-acl", acl)
            for acl in ("localnet.auto", "loopback.auto", "wan_v4.auto", "any_v4.auto")
        ),
        comment(
            "one domain, whatever address the browser came to: the credentials are made for it"
        ),
        param("challenge-realm", DOMAIN),
        param("force-register-domain", DOMAIN),
        param("force-register-db-domain", DOMAIN),
        param("auth-calls", value=True),
        param("accept-blind-reg", value=False),
        param("accept-blind-auth", value=False),
    ]
    return element("profile", element("settings", settings), name=INTERNAL)


def external(wanted: Wanted) -> list[str]:
    """Carriers. Whoever calls here reaches the context `public` and nothing that costs money."""
    settings = [
        *_common(wanted, context="public", port=wanted.place.trunk_port),
        param("auth-calls", value=False),
        comment("which header tells our number is said by each trunk"),
        param("caller-id-type", "none"),
    ]
    gateways = element("gateways", [include("external/*.xml")])
    return element("profile", [*gateways, *element("settings", settings)], name=EXTERNAL)


def gateway(trunk: Gateway) -> list[str]:
    """One trunk."""
    return [
        comment(trunk.title),
        *element(
            "gateway",
            [
                *_whom(trunk),
                *_who(trunk),
                comment("a dead carrier is noticed, and refused in 2 ms instead of 32 s"),
                param("ping", PING_S),
                param("context", "public"),
                comment("an inbound call's number is the one that was dialled"),
                param("extension", "auto_to_user"),
            ],
            name=trunk.name,
        ),
    ]


def _whom(trunk: Gateway) -> list[str]:
    tcp = trunk.transport is Transport.TCP
    lines = [param("proxy", f"{trunk.proxy};transport=tcp" if tcp else trunk.proxy)]
    if tcp:
        lines.append(param("register-transport", "tcp"))
    if trunk.realm:
        lines += [param("realm", trunk.realm), param("from-domain", trunk.realm)]
    return lines


def _who(trunk: Gateway) -> list[str]:
    # FreeSWITCH wants a user and a password even where nobody asks for them
    lines = [
        param("username", trunk.username or "calltree"),
        param("password", trunk.password or "none"),
        param("register", value=trunk.registers),
        param("caller-id-in-from", value=trunk.caller_id_form is CallerIdForm.FROM),
    ]
    if trunk.registers:
        lines += [param("expire-seconds", 600), param("retry-seconds", 30)]
    if trunk.caller_id_form is CallerIdForm.ANONYMOUS:
        lines = [*lines, param("from-user", "anonymous")]
    return lines


def test_carrier(wanted: Wanted) -> list[str]:
    """The other end of `carrier`: a side of its own, so that no trunk is needed."""
    port = test_carrier_port(wanted)
    settings = [*_common(wanted, context=TEST_CARRIER, port=port), param("auth-calls", value=False)]
    return element("profile", element("settings", settings), name=TEST_CARRIER)


def test_gateway(wanted: Wanted, name: str) -> list[str]:
    proxy = f"{_address(wanted)}:{test_carrier_port(wanted)}"
    lines = [
        param("proxy", Own(proxy)),
        param("username", "calltree"),
        param("password", "none"),
        param("register", value=False),
        param("caller-id-in-from", value=True),
        param("ping", PING_S),
    ]
    return [
        comment("the test carrier, see dialplan/testcarrier.xml"),
        *element("gateway", lines, name=name),
    ]


def test_carrier_port(wanted: Wanted) -> int:
    return wanted.place.trunk_port + 10
