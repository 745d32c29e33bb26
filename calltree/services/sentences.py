"""Code of a refusal or failure → its plain English sentence, which is the message id.

Rules raise codes; pages say sentences: one each, what happened and what to do. `locale.sentence`
translates them. Values fill `%(name)s`.
"""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogue without translating it."""
    return message


SENTENCES: dict[str, str] = {
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
