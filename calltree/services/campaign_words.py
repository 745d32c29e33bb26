"""What is said of campaigns: why nothing is dialled, what went wrong, and what is refused."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogue without translating it."""
    return message


WHY: dict[str, str] = {
    "campaign_stopped": N_("The campaign is stopped. Press Start to dial."),
    "campaign_paused": N_("The campaign is paused. Press Start to go on."),
    "campaign_project_stopped": N_("The project %(project)s is stopped, so nothing is dialled."),
    "campaign_no_lists": N_(
        "The campaign has no enabled list. Add a list, or enable it in the overview of lists."
    ),
    "campaign_no_caller_number": N_(
        "The project has no caller number that can be used, so nothing is dialled."
    ),
    "campaign_outside_hours": N_(
        "It is outside the project's hours. Dialling goes on at %(opens_at)s."
    ),
    "campaign_never_open": N_("The project's hours and days leave no time for calling."),
    "campaign_loop_dead": N_(
        "The dialler does not report, so nothing is dialled. Tell the administrator."
    ),
    "campaign_switch_down": N_(
        "The telephone system cannot be reached, so nothing is dialled. Wait a moment."
    ),
    "campaign_trunk_down": N_(
        "The trunk is left alone for %(seconds)s more seconds after faults in a row."
    ),
    "campaign_lines_full": N_("All %(lines)s lines are in use. Dialling goes on when one is free."),
    "campaign_numbers_later": N_("Every number left has its time. The next is due at %(due_at)s."),
    "campaign_no_numbers": N_("No number is left to dial in these lists."),
}
"""Besides those of `pacing.words`: the reasons for which the loop does not come to pacing."""

ALARMS: dict[str, str] = {
    "alarm_idle": N_(
        "%(name)s: %(ready)s operators have waited %(seconds)s seconds without a dial, "
        "though numbers and lines are free."
    ),
    "alarm_leaked": N_("%(name)s: %(count)s calls have not ended as they should have."),
    "alarm_duplicate": N_("%(name)s: a number was dialled twice at once (%(count)s)."),
    "alarm_improper": N_(
        "%(name)s: %(count)s customers were abandoned today though an operator was free."
    ),
    "alarm_trunk": N_("The trunk %(trunk)s is left alone after faults in a row (%(cause)s)."),
    "alarm_loop": N_("The dialler does not report, so no campaign is dialled."),
}
"""What the dialler finds wrong with itself."""

REFUSALS: dict[str, str] = {
    "campaign_name_missing": N_("Enter a name for the campaign."),
    "campaign_name_taken": N_("There is a campaign of this name already. Choose another name."),
    "campaign_range": N_("Enter a number from %(least)s to %(most)s."),
    "campaign_multiplier_missing": N_("Enter the multiplier."),
    "campaign_list_foreign": N_("This list belongs to another project."),
    "campaign_runs": N_("Stop the campaign first."),
    "campaign_gone": N_("This campaign is not in use any more."),
    "campaign_not_running": N_("This campaign does not run now. Choose another."),
    "campaign_not_granted": N_("A list of this campaign is not granted to you. Ask a manager."),
    "abandoned_lately": N_(
        "This customer was abandoned less than 24 hours ago and is not dialled by itself."
    ),
    "needs_operator": N_(
        "This customer was abandoned before and is dialled with an operator kept free only."
    ),
    "preview_only": N_("This customer was abandoned twice and is left to people who press CALL."),
}

SENTENCES = WHY | ALARMS | REFUSALS
