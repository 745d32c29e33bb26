"""What each finding about a switch says, and what to do about it; English is the message id."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from calltree.services.sentences import N_
from calltree.upkeep.switch_state import Judged


class Says(NamedTuple):
    """What is so, and what to do."""

    says: str
    todo: str = ""


PARTS = {
    "practice": N_("Mode"),
    "link": N_("Link"),
    "version": N_("Version"),
    "clock": N_("Clock"),
    "modules": N_("Modules"),
    "sip": N_("Telephones of operators"),
    "trunk": N_("Trunk"),
    "certificate": N_("Certificate"),
    "disk": N_("Disk"),
    "recordings": N_("Recordings directory"),
}
SAYS = {
    "practice": Says(
        N_("This is the practice switch. Nobody outside is called."),
        N_("For real calls set ESL_URL and follow the installation guide."),
    ),
    "link_up": Says(N_("FreeSWITCH answers.")),
    "link_down": Says(
        N_("FreeSWITCH does not answer."),
        N_("Start FreeSWITCH, and compare ESL_URL with event_socket.conf.xml."),
    ),
    "practice_down": Says(
        N_("The practice switch does not answer."), N_("Start CALLTREE again (make run).")
    ),
    "link_refused": Says(
        N_("FreeSWITCH refuses the password."),
        N_("Make the configuration again (switch config) and restart FreeSWITCH."),
    ),
    "version": Says(N_("FreeSWITCH %(version)s")),
    "version_old": Says(
        N_("FreeSWITCH %(version)s is too old or unknown."), N_("Install FreeSWITCH 1.10.")
    ),
    "clock": Says(N_("Both clocks agree.")),
    "clock_off": Says(
        N_("The clocks of FreeSWITCH and CALLTREE differ by %(seconds)s seconds."),
        N_("Let both machines set their clocks by NTP."),
    ),
    "modules": Says(N_("All modules that are needed are loaded.")),
    "modules_missing": Says(
        N_("Modules are missing: %(names)s"),
        N_("Install these modules of FreeSWITCH and restart it."),
    ),
    "sip": Says(N_("Browsers are listened for at %(address)s.")),
    "sip_missing": Says(
        N_("A side of SIP does not run: %(names)s"),
        N_("Look into freeswitch.log; another program may use its port."),
    ),
    "sip_no_browsers": Says(
        N_("Browsers are not listened for."),
        N_("Set SWITCH_WS_LISTEN or SWITCH_WSS_LISTEN and make the configuration again."),
    ),
    "trunk_up": Says(N_("%(name)s can be used (%(state)s).")),
    "trunk_unknown": Says(
        N_("FreeSWITCH does not know %(name)s."),
        N_("Press “Send to FreeSWITCH” on the page of trunks."),
    ),
    "trunk_down": Says(
        N_("The carrier of %(name)s does not answer."),
        N_("Look at the network and the firewall, then ask the carrier."),
    ),
    "trunk_not_registered": Says(
        N_("%(name)s is not registered (%(state)s)."),
        N_("Compare the server, user name and password with the carrier's letter."),
    ),
    "trunk_none": Says(N_("There is no trunk."), N_("Register a trunk.")),
    "certificate": Says(N_("The certificate is valid for %(days)s days.")),
    "certificate_ends": Says(
        N_("The certificate ends in %(days)s days."),
        N_("Renew it, then restart what shows it (Caddy or FreeSWITCH)."),
    ),
    "certificate_expired": Says(
        N_("The certificate has expired: browsers do not connect."),
        N_("Renew it, then restart what shows it (Caddy or FreeSWITCH)."),
    ),
    "certificate_refused": Says(
        N_("Browsers do not accept the certificate: %(why)s"),
        N_("Install a certificate of the site's name that is valid."),
    ),
    "certificate_unknown": Says(
        N_("The certificate could not be looked at."),
        N_("Set CALLTREE_HOST to the host name that browsers use and look whether it answers."),
    ),
    "disk": Says(N_("%(gb)s GB are free for recordings.")),
    "disk_low": Says(
        N_("Only %(gb)s GB are free for recordings."), N_("Make room before it is full.")
    ),
    "disk_full": Says(
        N_("The disk for recordings is full (%(gb)s GB free)."),
        N_("Make room now: calls go on, but are no longer recorded."),
    ),
    "we_write": Says(N_("CALLTREE can write there.")),
    "we_do_not_write": Says(
        N_("CALLTREE cannot write there."),
        N_("Give the directory to CALLTREE's user (chown), with mode 2770."),
    ),
    "switch_writes": Says(N_("FreeSWITCH writes there, and CALLTREE sees it.")),
    "switch_does_not_write": Says(
        N_("FreeSWITCH cannot write there."),
        N_(
            "Put both users into the group calltree-switch, the directory to mode 2770, "
            "UMask to 0007, and restart FreeSWITCH."
        ),
    ),
    "switch_writes_elsewhere": Says(
        N_("FreeSWITCH writes, but CALLTREE does not see the file."),
        N_("Set SWITCH_RECORDINGS to the same directory as FreeSWITCH sees it."),
    ),
    "switch_not_tried": Says(
        N_("Whether FreeSWITCH writes there was not tried."), N_("Check again.")
    ),
}


def say(one: Judged, translate: Callable[[str], str]) -> tuple[str, str]:
    """Say a finding and what to do about it, '' when nothing."""
    says, todo = SAYS[one.code]
    return translate(says) % one.values, translate(todo) if todo else ""
