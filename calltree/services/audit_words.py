"""What the audit log's codes mean, as English message ids (R-US-7).

One table each for actions, things, the names of details and the values that are codes. A line
stays for ever: a code that is not used any more keeps its words.
"""

from __future__ import annotations

from calltree.models import BulkKind, LegKind, ProjectState, Role
from calltree.services.sentences import N_

ACTIONS: dict[str, str] = {
    "audit.exported": N_("Exported the audit log"),
    "backup.restored": N_("Restored a backup"),
    "customer.added": N_("Added a customer"),
    "customer.edited": N_("Edited a customer"),
    "customer.number_added": N_("Added a number to a customer"),
    "customer.number_removed": N_("Removed a number from a customer"),
    "do_not_call.added": N_("Entered do-not-call numbers"),
    "do_not_call.changed": N_("Changed a do-not-call number"),
    "do_not_call.released": N_("Released a do-not-call number"),
    "export.started": N_("Began an export"),
    "export.finished": N_("Finished an export"),
    "export.broken_off": N_("An export broke off"),
    "figures.exported": N_("Exported figures"),
    "group.saved": N_("Saved a group"),
    "hold.freed": N_("Freed a customer that somebody held"),
    "import.uploaded": N_("Uploaded a list file"),
    "import.started": N_("Began an import"),
    "import.undone": N_("Undid an import"),
    "import.downloaded": N_("Downloaded an import's file"),
    "import.rejects_downloaded": N_("Downloaded the rows an import rejected"),
    "item.saved": N_("Saved an attribute item"),
    "item.retired": N_("Took an attribute item out of use"),
    "list.created": N_("Created a list"),
    "list.renamed": N_("Renamed a list"),
    "list.enabled": N_("Enabled a list"),
    "list.disabled": N_("Disabled a list"),
    "list.granted": N_("Changed who may call a list"),
    "list.shown": N_("Changed what a list shows"),
    "lists.exported": N_("Exported the overview of lists"),
    "number.saved": N_("Saved a caller number"),
    "number.retired": N_("Took a caller number out of use"),
    "pattern.saved": N_("Saved a result pattern"),
    "project.reporting_saved": N_("Set what a project reports and to whom"),
    "project.saved": N_("Saved a project"),
    "record.deleted": N_("Deleted a call record"),
    "recording.played": N_("Played a recording"),
    "recording.downloaded": N_("Downloaded a recording"),
    "recording.problem_checked": N_("Ticked off a problem of a recording"),
    "settings.changed": N_("Changed the site settings"),
    "site.practice_left": N_("Left practice"),
    "status.saved": N_("Saved a result status"),
    "status.retired": N_("Took a result status out of use"),
    "status.deleted": N_("Deleted a result status"),
    "trunk.saved": N_("Saved a trunk"),
    "trunk.retired": N_("Took a trunk out of use"),
    "user.created": N_("Added a user"),
    "user.changed": N_("Changed a user"),
    "user.deleted": N_("Deleted a user"),
    "user.password_set": N_("Set a user's password"),
    "user.telephone": N_("Changed a user's telephone"),
    "user.telephone_secret": N_("Gave a desk phone a new password"),
}
BULK_WORK: dict[str, str] = {
    BulkKind.BAN_ADD.value: N_("Do-not-call from a file"),
    BulkKind.BAN_RELEASE.value: N_("Do-not-call release from a file"),
    BulkKind.BAN_RELEASE_FOUND.value: N_("Do-not-call release of what was found"),
    BulkKind.RECORD_DELETE.value: N_("Deletion of call records"),
}
BULK_STEPS: dict[str, str] = {
    "uploaded": N_("file uploaded"),
    "started": N_("started"),
    "done": N_("finished"),
    "cancelled": N_("cancelled"),
    "failed": N_("failed"),
    "downloaded": N_("file downloaded"),
    "rejects_downloaded": N_("rejected rows downloaded"),
}
"""What stands behind the kind in bulk.<kind>.<step>."""
THINGS: dict[str, str] = {
    "bulk": N_("Bulk work"),
    "caller_number": N_("Caller number"),
    "customer": N_("Customer"),
    "customers": N_("Export, per list"),
    "do-not-call": N_("Export of do-not-call numbers"),
    "do_not_call": N_("Do-not-call number"),
    "figures": N_("Summary"),
    "group": N_("Group of users"),
    "import": N_("List file"),
    "item": N_("Attribute item"),
    "list": N_("List"),
    "pattern": N_("Result pattern"),
    "project": N_("Project"),
    "record": N_("Call record"),
    "records": N_("Export, per record"),
    "recording": N_("Recording"),
    "reports": N_("Export of reported records"),
    "site": N_("Whole site"),
    "status": N_("Result status"),
    "trunk": N_("Trunk"),
    "user": N_("User"),
}
DETAILS: dict[str, str] = {
    "absent": N_("Not entered before"),
    "added": N_("Newly entered"),
    "before": N_("Earlier"),
    "changed": N_("Changed"),
    "columns": N_("Columns"),
    "count": N_("Number of entries"),
    "deleted": N_("Deleted"),
    "enabled": N_("Enabled"),
    "encoding": N_("Encoding"),
    "existing": N_("Entered already"),
    "extension": N_("Extension"),
    "failure": N_("Reason of the failure"),
    "file": N_("File"),
    "form": N_("File format"),
    "groups": N_("Groups by number"),
    "holder": N_("Held by user number"),
    "kept": N_("Kept"),
    "left": N_("Left alone"),
    "leg_kind": N_("Telephone"),
    "list_id": N_("List number"),
    "login_id": N_("Login ID"),
    "made_at": N_("Made at"),
    "members": N_("Number of members"),
    "name": N_("Name"),
    "password_changed": N_("New password"),
    "project_id": N_("Project number"),
    "projects": N_("Projects by number"),
    "reason": N_("Reason"),
    "recordings": N_("Recordings"),
    "released": N_("Released"),
    "replaced": N_("Replaced by 〓"),
    "result": N_("Result"),
    "role": N_("Role"),
    "rows": N_("Rows"),
    "search": N_("Search"),
    "skipped": N_("Skipped"),
    "started_at": N_("Call began"),
    "state": N_("State"),
    "statuses": N_("Results by number"),
    "title": N_("Named"),
    "users": N_("Users by number"),
}
NOT_SHOWN = frozenset({"player"})
"""Details that only the program reads."""
VALUES: dict[str, dict[str, str]] = {
    "changed": {
        "away_reasons": N_("Reasons for being away"),
        "b2c_closes": N_("Consumers are called until"),
        "b2c_opens": N_("Consumers are called from"),
        "extra_prefixes": N_("Further prefixes that may be dialled"),
        "lines": N_("Lines"),
        "lines_max_predictive": N_("Most lines of predictive dialling"),
        "lines_reserved_inbound": N_("Lines kept for inbound calls"),
        "login_id": N_("Login ID"),
        "min_gap_min": N_("Minimum gap to the last dial of a number (minutes)"),
        "name": N_("Name"),
        "password": N_("Password"),
        "recordings_capacity_gb": N_("Space for recordings (GB)"),
        "role": N_("Role"),
        "seats": N_("Seats"),
        "wrap_up_limit_s": N_("Wrap-up turns red after (seconds)"),
    },
    "kept": {"lists": N_("Lists and settings"), "nothing": N_("Nothing")},
    "leg_kind": {LegKind.BROWSER.value: N_("Browser"), LegKind.DEVICE.value: N_("Desk phone")},
    "role": {
        Role.MANAGER.value: N_("Manager"),
        Role.SUPERVISOR.value: N_("Supervisor"),
        Role.OPERATOR.value: N_("Operator"),
        Role.BUSINESS.value: N_("Business"),
        Role.BACKYARD.value: N_("Backyard"),
    },
    "state": {
        ProjectState.RUNNING.value: N_("Running"),
        ProjectState.STOPPED.value: N_("Stopped"),
    },
}


def said_of(action: str) -> tuple[str, ...]:
    """Return the messages that together name an action; nothing where it is not known."""
    bulk = action.split(".")
    if bulk[0] == "bulk" and len(bulk) == 3 and bulk[1] in BULK_WORK and bulk[2] in BULK_STEPS:
        return BULK_WORK[bulk[1]], BULK_STEPS[bulk[2]]
    return (ACTIONS[action],) if action in ACTIONS else ()
