"""Code of a refusal or failure → its plain English sentence, which is the message id.

Rules raise codes; pages say sentences: one each, what happened and what to do. `locale.sentence`
translates them. Values fill `%(name)s`.
"""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogue without translating it."""
    return message


SENTENCES: dict[str, str] = {
    "lines_range": N_("The number of lines is at least 1."),
    "reserved_range": N_("Fewer lines than the site has can be kept for inbound calls."),
    "bound_too_wide": N_("Consumers are called between 08:00 and 21:00 at most."),
    "prefix_emergency": N_("%(prefix)s begins an emergency number. It can never be dialled."),
    "prefix_unreadable": N_("%(prefix)s is not a prefix. Write digits only, such as 0570."),
    "name_reserved": N_(
        "%(name)s is a name that the system and its exports use. Choose another name."
    ),
    "name_clash_status": N_(
        "%(name)s is also the result status %(other)s of the project %(project)s. "
        "Choose another name."
    ),
    "name_clash_item": N_(
        "%(name)s is also the attribute item %(other)s of the project %(project)s. "
        "Choose another name."
    ),
    "name_clash_column": N_(
        "%(name)s is also the column %(other)s of the list %(list)s in the project %(project)s. "
        "Choose another name."
    ),
    "pattern_name_taken": N_("There is already a result pattern called %(name)s."),
    "status_name_taken": N_("There is already a result status called %(name)s."),
    "item_name_taken": N_("There is already an attribute item called %(name)s."),
    "choices_missing": N_("Enter the choices, one in each line."),
    "project_name_taken": N_("There is already a project called %(name)s."),
    "ring_time_range": N_("The ring time is between 15 and 60 seconds."),
    "auto_dial_range": N_("The wait before the next dial is between 0 and 5 seconds."),
    "hours_reversed": N_("The closing time must be later than the opening time."),
    "hours_beyond_bound": N_(
        "Projects that call consumers call between %(opens)s and %(closes)s only."
    ),
    "number_not_usable": N_("This number cannot be shown to customers. Choose another."),
    "number_unreadable": N_("This is not a phone number. Write it as 03-1234-5678."),
    "number_taken": N_("This number is already registered."),
    "number_is_main": N_(
        "This is the main number of the running project %(project)s. Change that first."
    ),
    "line_cap_range": N_("The number of lines is at least 1. Leave it empty for no limit."),
    "password_short": N_("A password needs at least %(least)s characters."),
    "password_missing": N_("Give the new user a password."),
    "password_wrong": N_("The present password is wrong."),
    "login_id_missing": N_("Enter a login ID."),
    "login_id_taken": N_("The login ID %(login_id)s is or was in use. Choose another one."),
    "name_missing": N_("Enter a name."),
    "no_seat": N_("All %(seats)s seats are taken. Delete a user who no longer works here first."),
    "user_in_call": N_("%(name)s is in a call. Delete the user after it has ended."),
    "last_manager": N_("This is the last manager. Make another user a manager first."),
    "group_name_taken": N_("There is already a group called %(name)s."),
    "not_found": N_("There is no such page, or you have no permission to see it."),
    "not_allowed": N_("You have no permission for this. Ask a manager."),
    "telephony_down": N_("The telephone system cannot be reached. Wait a moment and try again."),
    "stale_form": N_("This page is too old to be saved. Reload it and try again."),
    "http_400": N_("The request could not be understood. Reload the page and try again."),
    "http_404": N_("There is no such page, or you have no permission to see it."),
    "http_405": N_("The request could not be understood. Reload the page and try again."),
    "http_413": N_("The file is too large. Files up to 64 MB can be taken."),
    "http_429": N_("Too many requests in a short time. Wait a moment and try again."),
    "http_500": N_("Something went wrong on our side. Nothing was saved; please try again."),
    "failed": N_("It could not be done. Reload the page and try again."),
}
