"""What the switch says about itself: show, status, sofia, uuid_dump."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

from calltree.practice.channels import Channel
from calltree.practice.switch import MAX_SESSIONS, VERSION, Gateway, Switch

_RULE = "=" * 97


def version(switch: Switch, text: str) -> str:
    return (
        f"FreeSWITCH Version {VERSION}+practice~64bit "
        f"(git a88d069 2024-08-02 21:02:27Z 64bit, calltree practice switch)\n"
    )


def status(switch: Switch, text: str) -> str:
    micros = switch.clock.now_us() - switch.started_us
    seconds = micros // 1_000_000
    return (
        f"UP 0 years, {seconds // 86400} days, {seconds // 3600 % 24} hours, "
        f"{seconds // 60 % 60} minutes, {seconds % 60} seconds, "
        f"{micros // 1000 % 1000} milliseconds, {micros % 1000} microseconds\n"
        f"FreeSWITCH (Version {VERSION} practice 64bit) is ready\n"
        f"{switch.session_count} session(s) since startup\n"
        f"{len(switch.channels)} session(s) - peak {switch.peak}, last 5min {switch.peak} \n"
        f"{switch.per_second()} session(s) per Sec out of max 200, peak 0, last 5min 0 \n"
        f"{MAX_SESSIONS} session(s) max\nmin idle cpu 0.00/90.00\n"
        "Current Stack Size/Max 240K/8192K\n"
    )


def uptime(switch: Switch, text: str) -> str:
    return f"{(switch.clock.now_us() - switch.started_us) // 1_000_000}\n"


def show(switch: Switch, text: str) -> str:
    """`show channels|calls|bridged_calls|registrations|tasks [like TEXT] [as json|count]`."""
    what, _, form = text.strip().partition(" ")
    rows: list[dict[str, str]]
    if what == "channels":
        rows = [_channel_row(channel) for channel in switch.channels.values()]
    elif what in ("calls", "bridged_calls"):
        rows = _calls(switch, bridged_only=what == "bridged_calls")
    elif what == "registrations":
        rows = []
    elif what == "tasks":
        rows = [
            {"task_id": str(task), "task_group": uuid}
            for task, (uuid, _) in switch.scheduled.items()
        ]
    else:
        return "-USAGE: channels|calls|bridged_calls|registrations [as json|count]\n"
    verb, _, rest = form.partition(" ")
    if verb == "like":
        wanted, _, form = rest.partition(" ")
        rows = [row for row in rows if any(wanted in value for value in row.values())]
    if form == "count":
        return f"\n{len(rows)} total.\n"
    if form == "as json":
        found: dict[str, object] = {"row_count": len(rows)}
        return json.dumps(
            found | {"rows": rows} if rows else found, ensure_ascii=False, separators=(",", ":")
        )
    lines = [",".join(rows[0])] if rows else []
    lines += [",".join(row.values()) for row in rows]
    return "\n".join([*lines, "", f"{len(rows)} total.", ""])


def _stamp(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _short_row(channel: Channel) -> dict[str, str]:
    caller, callee = channel.caller_id()
    return {
        "uuid": channel.uuid,
        "direction": channel.direction,
        "created": _stamp(channel.times.created),
        "created_epoch": str(channel.times.created // 1_000_000),
        "name": channel.name,
        "state": channel.state,
        "cid_name": caller,
        "cid_num": caller,
        "ip_addr": "127.0.0.1" if channel.direction == "inbound" else "",
        "dest": channel.number,
        "presence_id": "",
        "presence_data": "",
        "accountcode": "",
        "callstate": "HELD" if channel.held else channel.callstate,
        "callee_name": callee,
        "callee_num": callee,
        "callee_direction": "SEND",
        "sent_callee_name": callee,
        "sent_callee_num": callee,
    }


def _channel_row(channel: Channel) -> dict[str, str]:
    short = _short_row(channel)
    heard = channel.answered or channel.times.progress_media
    codec = {
        f"{way}_{part}": value if heard else ""
        for way in ("read", "write")
        for part, value in (("codec", "PCMU"), ("rate", "8000"), ("bit_rate", "64000"))
    }
    return {
        **short,
        "application": channel.application,
        "application_data": channel.application_data,
        "dialplan": "XML",
        "context": channel.context,
        **codec,
        "secure": "",
        "hostname": "practice",
        # It joins the legs of a call, and stays at the last call on a parked leg.
        "call_uuid": channel.call_uuid,
        "initial_cid_name": channel.caller,
        "initial_cid_num": channel.caller,
        "initial_dest": channel.number,
        "initial_context": channel.context,
    }


def _calls(switch: Switch, *, bridged_only: bool) -> list[dict[str, str]]:
    rows = []
    for channel in switch.channels.values():
        partner = channel.partner
        if partner is None and bridged_only:
            continue
        if partner is not None and not channel.first:
            continue
        row = _short_row(channel) | {"call_uuid": channel.call_uuid, "hostname": "practice"}
        other = (
            _short_row(partner) if partner is not None else dict.fromkeys(_short_row(channel), "")
        )
        row |= {f"b_{name}": value for name, value in other.items()}
        row["call_created_epoch"] = str(channel.times.bridged // 1_000_000 or "")
        rows.append(row)
    return rows


def dump(switch: Switch, channel: Channel, form: str) -> str:
    """`uuid_dump`: every header and variable, as a CHANNEL_DATA event or as JSON."""
    headers = switch.bus.common("CHANNEL_DATA") | channel.headers()
    if form == "json":
        return json.dumps(headers, ensure_ascii=False, separators=(",", ":"))

    return "".join(f"{name}: {quote(value, safe=_SAFE)}\n" for name, value in headers.items())


_SAFE = "!$'()*,/-._~"


def sofia(switch: Switch, text: str) -> str:
    """`sofia status [gateway NAME]`, `sofia xmlstatus gateway NAME`."""
    parts = text.split()
    if parts[:2] in (["status", "gateway"], ["xmlstatus", "gateway"]) and len(parts) > 2:
        gateway = switch.gateways.get(parts[2])
        if gateway is None:
            return "Invalid Gateway!\n"
        return _gateway_xml(gateway) if parts[0] == "xmlstatus" else _gateway(switch, gateway)
    if parts[:1] == ["status"]:
        return _sofia_status(switch)
    return "+OK\n" if parts[:1] in (["profile"], ["loglevel"]) else "-USAGE: sofia status\n"


def _sofia_status(switch: Switch) -> str:
    rows = [("external", "profile", "sip:mod_sofia@127.0.0.1:5080", "RUNNING (0)")]
    for gateway in switch.gateways.values():
        state = "NOREG" if gateway.up else "NOREG (DOWN)"
        rows.append((f"external::{gateway.name}", "gateway", "sip:u@127.0.0.1:5090", state))
    rows.append(("internal", "profile", "sip:mod_sofia@127.0.0.1:5060", "RUNNING (0)"))
    lines = [f"{'Name':>25}\t{'Type':>7}\t{'Data':>42}\tState", _RULE]
    lines += [f"{name:>25}\t{kind:>7}\t{data:>42}\t{state}" for name, kind, data, state in rows]
    return "\n".join([*lines, _RULE, "2 profiles 0 aliases", ""])


def _gateway(switch: Switch, gateway: Gateway) -> str:
    up = (switch.clock.now_us() - switch.started_us) // 1_000_000
    fields = {
        "Name": gateway.name,
        "Profile": "external",
        "Scheme": "Digest",
        "Realm": "127.0.0.1:5090",
        "Username": "u",
        "Password": "yes",
        "From": "<sip:u@127.0.0.1:5090>",
        "Contact": f"<sip:gw+{gateway.name}@127.0.0.1:5080;transport=udp;gw={gateway.name}>",
        "Exten": "u",
        "To": "sip:u@127.0.0.1:5090",
        "Proxy": "sip:127.0.0.1:5090",
        "Context": "public",
        "Expires": "3600",
        "Freq": "3600",
        "Ping": "0",
        "PingFreq": "0",
        "PingTime": "0.00",
        "PingState": "0/0/0" if gateway.up else "1/0/1",
        "State": "NOREG",
        "Status": "UP" if gateway.up else "DOWN",
        "Uptime": f"{up}s" if gateway.up else "0s",
        "CallsIN": "0",
        "CallsOUT": str(gateway.calls_out),
        "FailedCallsIN": "0",
        "FailedCallsOUT": str(gateway.failed_out),
    }
    lines = [f"{name:<8}\t{value}" for name, value in fields.items()]
    return "\n".join([_RULE, *lines, _RULE, ""])


def _gateway_xml(gateway: Gateway) -> str:
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n  <gateway>\n'
        f"    <name>{gateway.name}</name>\n    <profile>external</profile>\n"
        f"    <state>NOREG</state>\n    <status>{'UP' if gateway.up else 'DOWN'}</status>\n"
        f"    <calls-out>{gateway.calls_out}</calls-out>\n"
        f"    <failed-calls-out>{gateway.failed_out}</failed-calls-out>\n  </gateway>\n"
    )
