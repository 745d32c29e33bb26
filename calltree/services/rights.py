"""The rights table (spec §2): who may do what, in one place.

A right here answers "may this role do such a thing at all". Which lists, customers, records and
recordings it may do it to is `services.scope`; both are asked on the server for every route,
object and live channel (R-US-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from calltree.models import Role, User


class Right(StrEnum):
    """Something a role may or may not do. One line of the table each."""

    ADMIN_SCREEN = "admin_screen"
    OPERATOR_SCREEN = "operator_screen"
    SWITCH_SCREEN = "switch_screen"
    OWN_ACCOUNT = "own_account"
    CREATE_MASTER_DATA = "create_master_data"
    EDIT_MASTER_DATA = "edit_master_data"
    CREATE_LISTS = "create_lists"
    GRANT_LISTS = "grant_lists"
    IMPORT = "import"
    BULK_WORK = "bulk_work"
    SEE_LISTS = "see_lists"
    SEE_USERS = "see_users"
    CREATE_USERS = "create_users"
    EDIT_USERS = "edit_users"
    SEE_CUSTOMERS = "see_customers"
    EDIT_CUSTOMERS = "edit_customers"
    SEE_RECORDS = "see_records"
    SEE_REPORTS = "see_reports"
    ADD_RECORDS = "add_records"
    CORRECT_ANY_RECORD = "correct_any_record"
    DELETE_RECORDS = "delete_records"
    DIAL = "dial"
    DIAL_MANUALLY = "dial_manually"
    ANSWER_INBOUND = "answer_inbound"
    SEE_TASKS = "see_tasks"
    ASSIGN_TASKS = "assign_tasks"
    SEE_BANS = "see_bans"
    ADD_BANS = "add_bans"
    RELEASE_BANS = "release_bans"
    PLAY_RECORDINGS = "play_recordings"
    DOWNLOAD_RECORDINGS = "download_recordings"
    PROTECT_RECORDINGS = "protect_recordings"
    EXPORT = "export"
    FREE_HOLDS = "free_holds"
    RUN_CAMPAIGNS = "run_campaigns"
    EDIT_CAMPAIGNS = "edit_campaigns"
    WATCH = "watch"
    LISTEN = "listen"
    SEE_FIGURES = "see_figures"
    SEE_SETTINGS = "see_settings"
    EDIT_SETTINGS = "edit_settings"
    READ_AUDIT = "read_audit"


_EVERYONE = frozenset(Role)
_MGR = frozenset({Role.MANAGER})
_MGR_SV = frozenset({Role.MANAGER, Role.SUPERVISOR})
_CALLERS = _MGR_SV | {Role.OPERATOR}
_WRITERS = _CALLERS | {Role.BACKYARD}

ROLES_OF: dict[Right, frozenset[Role]] = {
    Right.ADMIN_SCREEN: _MGR_SV,
    Right.OPERATOR_SCREEN: _EVERYONE,
    Right.SWITCH_SCREEN: _MGR_SV,
    Right.OWN_ACCOUNT: _EVERYONE,
    Right.CREATE_MASTER_DATA: _MGR,
    Right.EDIT_MASTER_DATA: _MGR,
    Right.CREATE_LISTS: _MGR_SV,
    Right.GRANT_LISTS: _MGR_SV,
    Right.IMPORT: _MGR_SV,
    Right.BULK_WORK: _MGR,
    Right.SEE_LISTS: _MGR_SV,
    Right.SEE_USERS: _MGR_SV,
    Right.CREATE_USERS: _MGR_SV,  # a supervisor creates operators only
    Right.EDIT_USERS: _MGR,
    Right.SEE_CUSTOMERS: _EVERYONE,
    Right.EDIT_CUSTOMERS: _WRITERS,
    Right.SEE_RECORDS: _WRITERS,
    Right.SEE_REPORTS: _MGR_SV | {Role.BUSINESS},
    Right.ADD_RECORDS: _WRITERS,
    Right.CORRECT_ANY_RECORD: _MGR,
    Right.DELETE_RECORDS: _MGR,
    Right.DIAL: _CALLERS,
    Right.DIAL_MANUALLY: _CALLERS,
    Right.ANSWER_INBOUND: _CALLERS,
    Right.SEE_TASKS: _WRITERS,
    Right.ASSIGN_TASKS: _MGR_SV,
    Right.SEE_BANS: _MGR_SV,
    Right.ADD_BANS: _MGR_SV,
    Right.RELEASE_BANS: _MGR,
    Right.PLAY_RECORDINGS: _EVERYONE,
    Right.DOWNLOAD_RECORDINGS: _MGR_SV,
    Right.PROTECT_RECORDINGS: _MGR,
    Right.EXPORT: _MGR_SV,
    Right.FREE_HOLDS: _MGR_SV,
    Right.RUN_CAMPAIGNS: _MGR_SV,  # see, start, pause, stop, multiplier
    Right.EDIT_CAMPAIGNS: _MGR,
    Right.WATCH: _MGR_SV,
    Right.LISTEN: _CALLERS,  # an operator if granted
    Right.SEE_FIGURES: _CALLERS,  # an operator their own
    Right.SEE_SETTINGS: _MGR_SV,
    Right.EDIT_SETTINGS: _MGR,
    Right.READ_AUDIT: _MGR_SV,
}

RESTRICTED_BY: dict[Right, str] = {
    Right.DIAL_MANUALLY: "may_dial_manually",
    Right.ANSWER_INBOUND: "may_answer_inbound",
    Right.EDIT_CUSTOMERS: "may_edit_customers",
    Right.PLAY_RECORDINGS: "may_play_recordings",
    Right.LISTEN: "may_monitor",
}
"""機能制限 (R-US-5): a right that can be taken from one operator."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, as the rules need it: no row, no session, safe to keep over transactions."""

    user_id: int
    name: str
    role: Role
    locale: str
    restricted: frozenset[Right] = frozenset()
    searches_others_prospects: bool = True
    token: str = ""
    """Name of the API token that acts in the user's name; the audit log says so."""

    @classmethod
    def of(cls, user: User) -> Viewer:
        """Take a user's rights as they are now."""
        taken = {right for right, column in RESTRICTED_BY.items() if not getattr(user, column)}
        managing = user.role in _MGR_SV
        return cls(
            user_id=user.id,
            name=user.name,
            role=user.role,
            locale=user.locale,
            restricted=frozenset() if managing else frozenset(taken),
            searches_others_prospects=managing or user.may_search_others_prospects,
        )

    def may(self, right: Right) -> bool:
        """Whether the role has the right and nothing took it from this user."""
        return self.role in ROLES_OF[right] and right not in self.restricted

    @property
    def manages(self) -> bool:
        """MGR or SV: sees every list, customer and record."""
        return self.role in _MGR_SV


def landing(role: Role) -> str:
    """Name the endpoint where a role starts (spec §2, "lands on")."""
    return {
        Role.MANAGER: "admin.home",
        Role.SUPERVISOR: "admin.home",
        Role.OPERATOR: "operator.home",
        Role.BUSINESS: "reports.index",
        Role.BACKYARD: "customers.search",
    }[role]
