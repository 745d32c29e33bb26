"""Code of a refusal or failure → its plain English sentence, which is the message id.

Rules raise codes; pages say sentences: one each, what happened and what to do. `locale.sentence`
translates them. Values fill `%(name)s`.
"""

from __future__ import annotations

from calltree.pacing.words import SENTENCES as PACING
from calltree.services.campaign_words import SENTENCES as CAMPAIGNS


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogue without translating it."""
    return message


SENTENCES: dict[str, str] = {
    "not_practice": N_("This database holds no practice site; there is nothing to leave."),
    "still_running": N_(
        "CALLTREE still runs on this database. Stop it (Ctrl-C), wait 5 s and try again."
    ),
    "recordings_away": N_("Recordings cannot be reached now. Try again in a few minutes."),
    "factor_missing": N_("You have no second factor yet."),
    "factor_wrong": N_(
        "This code is not right. Type the one that the app shows now; "
        "the clock of the telephone must be set automatically."
    ),
    "factor_used": N_("This code has been used already. Wait for the next one."),
    "closed_day_past": N_("This day has passed. Enter today or a later day."),
    "days_reversed": N_("The last day is before the first. Exchange them."),
    "closed_days_many": N_("At most %(most)s days at once. Check the year."),
    "zip_nothing": N_("The search finds no recording."),
    "call_taken": N_("%(name)s has this call."),
    "call_gone": N_("The caller is gone, or rings here no more."),
    "not_standing_by": N_("Be ready to take calls first, then answer."),
    "practice_only": N_("Callers can be ordered from the practice switch alone."),
    "number_not_ours": N_("This is no number of ours that takes calls."),
    "call_missed": N_("A call came in and was not answered."),
    "nothing_open": N_("No customer is open. Choose one from a list."),
    "ask_long_no_answer": N_(
        "You talked for %(seconds)s seconds. This result does not keep the recording. "
        "Press again to save it anyway."
    ),
    "ask_callback_time": N_(
        "%(name)s asks for the callback time. Enter it, or press again to save without one."
    ),
    "network_unreadable": N_("%(network)s is no network. Write it as 203.0.113.0/24."),
    "network_without_you": N_(
        "Your own address (%(address)s) is in none of them. You would be locked out."
    ),
    "ask_recount": N_(
        "%(count)s call records have the result %(name)s. Connects, conversions and rates of past "
        "days will be recomputed. Press Save again to do it."
    ),
    "ask_leave_blank": N_("No result is saved yet. Press again to go on; the record stays blank."),
    "customer_changed": N_("Another customer is open by now. Reload the page."),
    "no_other_number": N_("This customer has no further number."),
    "callback_unreadable": N_("Enter the callback time as a date and a time."),
    "page_in_use": N_("Your operator screen is in use in another window."),
    "number_not_allowed": N_(
        "This number cannot be dialled. Emergency, special and international numbers are refused."
    ),
    "customer_gone": N_("This customer has been deleted."),
    "list_unavailable": N_("This list can no longer be used."),
    "project_stopped": N_("The project %(project)s is stopped. Ask a manager."),
    "number_banned": N_("This number is on do-not-call and is never dialled."),
    "customer_held": N_("%(name)s has this customer open."),
    "no_caller_number": N_("The project has no caller number that can be used. Ask a manager."),
    "caller_number_foreign": N_("This caller number cannot be used here. Choose another."),
    "outside_site_hours": N_("Consumers are called between %(opens)s and %(closes)s only."),
    "outside_hours": N_("It is outside the project's hours (%(opens)s to %(closes)s)."),
    "ask_hours": N_("It is outside the project's hours (%(opens)s to %(closes)s). Call anyway?"),
    "ask_gap": N_("%(name)s called this number %(minutes)s minutes ago. Call anyway?"),
    "too_soon": N_("This number was dialled %(minutes)s minutes ago."),
    "own_call": N_("This is yourself."),
    "nobody_talks": N_("Nobody is talking there by now."),
    "monitor_no_leg": N_("Connect your telephone first."),
    "monitor_elsewhere": N_("This operator's telephone is on another telephone system."),
    "monitoring": N_("You are in somebody's call. End that first."),
    "not_at_work": N_("This operator has signed out by now."),
    "notice_empty": N_("Write the notice."),
    "notice_long": N_("A notice has at most %(most)s characters."),
    "notice_nobody": N_("Nobody would read this notice. Choose others."),
    "in_a_call": N_("This cannot be done during a call. Hang up first."),
    "mic_denied": N_(
        "The microphone is not allowed. Allow it at the left of the address bar and reload."
    ),
    "mic_missing": N_("No microphone was found. Connect the headset."),
    "mic_unplugged": N_("The headset was unplugged. Connect it again."),
    "mic_silent": N_("The microphone is silent. Check the mute switch and the chosen microphone."),
    "no_path": N_(
        "Sound does not get through to the telephone system. A firewall may stop UDP: ask your "
        "administrator."
    ),
    "mic_unknown": N_("The microphone is still being checked. Wait a moment and try again."),
    "no_inbound_number": N_("No number takes calls. Register one for inbound calls first."),
    "no_practice_customer": N_("There is no customer in your lists who could call."),
    "no_inbound_call": N_("This call is over."),
    "result_saved": N_("A result is saved already. Correct it in the call history."),
    "number_withheld": N_("The caller withheld the number and cannot be called back."),
    "device_leg": N_("Your telephone is not in the browser. Reload the page."),
    "extension_unreadable": N_("An extension has letters, digits, dots and hyphens only."),
    "extension_taken": N_("The extension %(extension)s belongs to another user."),
    "no_leg": N_("Your telephone is not connected. Connect it first."),
    "wrap_up_open": N_("The last call's result is not saved yet. Save it first."),
    "switch_down": N_(
        "The telephone system cannot be reached, so nothing is dialled. Wait a moment."
    ),
    "switch_works": N_("The telephone system can be reached again. Nothing was changed."),
    "no_other_switch": N_("No other telephone system can be reached. Wait a moment."),
    "number_in_call": N_("%(name)s is in a call with this number."),
    "no_lines": N_("All %(lines)s lines are in use. Wait until one is free."),
    "no_lines_number": N_("All %(lines)s lines of the caller number %(label)s are in use."),
    "no_lines_predictive": N_("All %(lines)s lines for predictive dialling are in use."),
    "no_call": N_("There is no call."),
    "not_talking": N_("This can be done while talking only."),
    "transfer_under_way": N_("Finish the transfer first."),
    "transfer_to_oneself": N_("This is yourself."),
    "transfer_colleague_busy": N_("%(name)s cannot be asked right now. Choose somebody else."),
    "transfer_gone": N_("The transfer is over by now."),
    "transfer_not_answered": N_("Nobody has answered there yet."),
    "not_recorded": N_("This call is not being recorded."),
    "dtmf_wrong": N_("Only digits, * and # can be sent."),
    "nothing_dialled": N_(
        "This customer has not been called yet. Use Add entry to record without a call."
    ),
    "status_missing": N_("Choose a result."),
    "status_unknown": N_("This result can no longer be chosen. Reload the page."),
    "attribute_missing": N_("Enter %(name)s."),
    "attribute_wrong": N_("%(name)s cannot be read. Check what was entered."),
    "level_unknown": N_("This level can no longer be chosen. Reload the page."),
    "callback_past": N_("The callback time is in the past. Choose a later one."),
    "task_user_without_list": N_(
        "This user does not see the customer's list. Grant them the list, or choose another."
    ),
    "task_user_unknown": N_("The task cannot be given to this user. Choose another."),
    "task_done": N_("This task has been done already. Reload the page."),
    "line_error_record": N_("The call failed on our side and needs no result."),
    "manual_record": N_("A hand-dialled call has a memo only."),
    "ask_withdraw_ban": N_(
        "This result entered %(count)s numbers into do-not-call. Release them too?"
    ),
    "reason_required": N_("Enter the reason for the release."),
    "ban_over": N_("This entry is no longer in force. Reload the page."),
    "count_differs": N_("It is about %(count)s. Type exactly this number to confirm."),
    "nothing_known": N_("Nothing is known of this number."),
    "too_much_known": N_(
        "More than %(most)s customers have this number. Delete some of them in their lists first."
    ),
    "search_name_missing": N_("Enter a name for the search."),
    "search_asks_nothing": N_("Search for something first, then save the search."),
    "searches_full": N_("You have %(most)s saved searches. Remove one first."),
    "no_duplicates": N_("There are no duplicates."),
    "nobody_chosen": N_("No customer was chosen."),
    "assignee_missing": N_("Choose to whom the customers are given."),
    "assignee_unknown": N_(
        "Customers of this list cannot be given to this user. Grant the list first, then reload."
    ),
    "assign_each_range": N_("Give each at least 1 customer, or leave the box empty."),
    "move_target": N_("Customers cannot be moved to this list. Choose another."),
    "bulk_not_ready": N_("The file has not been checked yet, or it cannot be taken in."),
    "bulk_nothing": N_("There is nothing to do in this file."),
    "ban_expiry_past": N_("The expiry is in the past. Choose a later day or leave it empty."),
    "no_queue": N_("Search for customers first."),
    "call_elsewhere": N_("You are in a call on another machine. Use this page after it has ended."),
    "skipped_gone": N_("deleted %(count)s"),
    "skipped_out_of_grant": N_("moved away %(count)s"),
    "skipped_banned": N_("do-not-call %(count)s"),
    "skipped_assigned": N_("assigned to others %(count)s"),
    "skipped_held": N_("open elsewhere %(count)s"),
    "skipped_done": N_("already called %(count)s"),
    "skipped_changed": N_("no longer matching %(count)s"),
    "call_ended": N_("The call has ended."),
    "call_abandoned": N_("The customer hung up before anybody was connected."),
    "call_lost": N_("The call was lost. No result is needed."),
    "call_not_sent": N_("The call was not sent. Press CALL again."),
    "call_busy": N_("Busy."),
    "call_no_answer": N_("No answer."),
    "call_out_of_reach": N_("Out of reach or switched off."),
    "call_cancelled": N_("Hung up before an answer."),
    "call_rejected": N_("The call was rejected."),
    "call_not_in_use": N_("This number is not in use."),
    "call_line_error": N_("The call failed on the line. No result is needed."),
    "call_trunk_refused": N_("The carrier refused our line. Tell the administrator."),
    "call_gateway_down": N_("The line to the carrier is down. Tell the administrator."),
    "call_no_trunk": N_("No trunk takes calls to this number. Tell the administrator."),
    "call_trunk_down": N_(
        "The line to the carrier has a fault and is tried again by itself in a moment."
    ),
    "trunk_down": N_(
        "The line to the carrier has failed again and again. The next call may be tried in "
        "%(seconds)s seconds."
    ),
    "call_trunk_full": N_("All lines of the trunk are in use. Wait until one is free."),
    "call_queue_down": N_(
        "Not dialled: a part of the system (Redis) is down. Hanging up and saving work. "
        "Tell the administrator."
    ),
    "call_switch_down": N_("The telephone system was stopped. Wait a moment."),
    "lines_range": N_("The number of lines is at least 1."),
    "reserved_range": N_("Fewer lines than the site has can be kept for inbound calls."),
    "bound_too_wide": N_("Consumers are called between 08:00 and 21:00 at most."),
    "opening_unreadable": N_("“%(text)s” cannot be read. Write hours as 9:00-18:00."),
    "opening_reversed": N_("“%(text)s” ends before it begins. Write midnight as 24:00."),
    "opening_overlap": N_("The hours in “%(text)s” overlap."),
    "route_never_open": N_("Enter the hours of at least one day."),
    "group_gone": N_("This group cannot be used. Choose another."),
    "closed_day_unreadable": N_(
        "“%(text)s” cannot be read. Write 2026-12-29 or 2026-12-29 - 2027-01-03, then the name."
    ),
    "inbound_action": N_("This cannot be done here. Choose something else."),
    "guidance_missing": N_("Choose the guidance that is played."),
    "guidance_gone": N_("This guidance cannot be used any more. Choose another."),
    "guidance_in_use": N_(
        "The number %(number)s plays this guidance. Choose another one there first."
    ),
    "guidance_in_campaign": N_(
        "The campaign %(name)s plays this guidance. Choose another there first."
    ),
    "guidance_in_sounds": N_(
        "The telephone system plays this guidance. Choose another under “Sounds” first."
    ),
    "guidance_name_taken": N_("There is already a guidance called %(name)s."),
    "queue_place_taken": N_("%(name)s is said at this place already."),
    "guidance_unreadable": N_(
        "This file cannot be read as a sound. Choose a WAV, MP3 or M4A file, or record it here."
    ),
    "guidance_silent": N_("Nothing can be heard in this file. Choose another or record it again."),
    "guidance_long": N_("A guidance lasts %(most)s seconds at most. This one has %(found)s."),
    "guidance_file_missing": N_("Choose a file or record the guidance."),
    "forward_missing": N_("Enter the number to forward to, as 03-1234-5678."),
    "forward_own": N_("This is a number of ours; the call would come in again. Enter another."),
    "seconds_range": N_("Enter between %(least)s and %(most)s seconds."),
    "refusal_known": N_("This number is on the list already."),
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
    "status_key_taken": N_("The key %(key)s is that of %(name)s."),
    "status_key_of_page": N_(
        "The key %(key)s cannot be a result's. Take another letter or digit, or leave it empty."
    ),
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
    "trunk_name": N_("A trunk's name has 64 characters at most, in one line."),
    "trunk_name_taken": N_("There is already a trunk of this name."),
    "trunk_proxy": N_("Write the carrier's server as sip.example.jp or sip.example.jp:5060."),
    "trunk_realm": N_("Write the SIP domain as example.jp."),
    "trunk_user": N_("The user name has letters, digits and . _ ~ + - only."),
    "trunk_password": N_("The password has visible ASCII characters only, without spaces."),
    "trunk_password_missing": N_("Enter the password that the carrier gave you."),
    "trunk_prefix": N_("%(prefix)s is no prefix. Write digits only, one prefix in each line."),
    "trunk_in_use": N_("A caller number uses this trunk. Choose another trunk for it first."),
    "trunk_gone": N_("This trunk cannot be used. Choose another."),
    "import_not_ended": N_("This import is not over yet. Wait for its end, or cancel it first."),
    "group_is_rung": N_(
        "Incoming calls to %(number)s ring the group %(name)s. Choose whom they ring first."
    ),
    "group_name_taken": N_("There is already a group called %(name)s."),
    "list_name_missing": N_("Enter a name for the list."),
    "list_name_long": N_("A list's name has %(most)s characters at most."),
    "list_name_taken": N_("This project already has a list called %(name)s."),
    "project_not_ready": N_(
        "The project %(project)s has no result pattern or no caller number yet. Set them first."
    ),
    "column_twice": N_("The column %(name)s is there twice. Give one of them another name."),
    "too_many_columns": N_("%(found)s columns are too many. A list has %(most)s at most."),
    "user_gone": N_("A user or group has been deleted meanwhile. Reload the page."),
    "list_full": N_("A list holds %(most)s customers at most. Make a new list."),
    "number_in_list": N_("This number is already in the list."),
    "number_twice": N_("This customer already has this number."),
    "extra_numbers_full": N_("A customer has %(most)s extra numbers at most."),
    "cell_long": N_("%(name)s is too long. %(most)s characters are possible."),
    "note_long": N_("The short note has %(most)s characters at most."),
    "number_empty": N_("Enter a phone number."),
    "number_two_or_more": N_("There are two or more numbers. Enter one."),
    "number_no_area_code": N_("The area code is missing. Write it as 03-1234-5678."),
    "number_wrong_length": N_("The number has too few or too many digits."),
    "number_exponent": N_("Excel has lost digits of this number. Enter the whole number."),
    "number_extension": N_("Leave out the extension."),
    "time_unreadable": N_("The date and time cannot be read. Choose them again."),
    "import_no_pattern": N_(
        "The project %(project)s has no result pattern. Choose one in the project first."
    ),
    "import_no_caller_number": N_(
        "The project %(project)s has no caller number. Choose one in the project first."
    ),
    "import_started": N_("This import has been started already. Reload the page."),
    "import_not_ready": N_("The file has not been checked to the end. Reload the page."),
    "import_nothing": N_("No row of this file can be taken in."),
    "import_list_busy": N_(
        "Another import is at work on the list %(list)s. Start this one when it is done."
    ),
    "import_dialled": N_(
        "Customers of this import have been called already, so it cannot be undone."
    ),
    "token_name_missing": N_("Enter a name for the token."),
    "token_scopes_missing": N_("Choose at least one thing that the token may do."),
    "token_scope_beyond": N_("%(name)s may not do %(scope)s, so a token in that name may not."),
    "token_expiry_past": N_("The expiry is in the past. Choose a later day or leave it empty."),
    "token_rate_range": N_("Between 1 and %(most)s requests a minute are possible."),
    "api_token_missing": N_(
        "Send a token: Authorization: Bearer ct_… A manager makes one on the page API tokens."
    ),
    "api_token_unknown": N_(
        "This token does not let in: it is wrong, revoked or expired, or its user was deleted."
    ),
    "api_scope_missing": N_("The token lacks the scope %(scope)s. Have one made that has it."),
    "api_right_missing": N_(
        "The user in whose name the token acts no longer has the right for %(scope)s."
    ),
    "api_network": N_("Requests from this address are not taken. Ask a manager."),
    "api_invalid": N_("The request has not the form that openapi.json asks for. See errors."),
    "api_media_type": N_("Send the body as JSON, with Content-Type: application/json."),
    "api_not_found": N_("It does not exist, or this token's user may not see it."),
    "api_method": N_("This address does not take this method. See the header Allow."),
    "api_bad": N_("The request could not be understood. Compare it with openapi.json."),
    "api_large": N_("The body is too large. Send it in parts."),
    "column_unknown": N_("The list has no column %(name)s. Take its name from the list."),
    "attribute_unknown": N_("The project has no customer attribute %(name)s."),
    "project_unknown": N_("There is no project %(id)s."),
    "operator_unknown": N_("There is no user %(name)s who could call."),
    "operator_signed_out": N_("%(name)s is not signed in to the operator screen."),
    "operator_away": N_("%(name)s is away. Try again when they are back."),
    "operator_busy": N_("%(name)s has another customer open. Try again when it is closed."),
    "request_id_used": N_("This request_id belongs to another call. Send a new one."),
    "webhook_name_missing": N_("Enter a name for the webhook."),
    "webhook_events_missing": N_("Choose at least one event."),
    "webhook_url": N_("Write the address as https://example.jp/path, without user and password."),
    "webhook_off": N_("The webhook is not in use. Switch it on under Edit, then send again."),
    "webhooks_full": N_("%(most)s webhooks are possible. Remove one first."),
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
    **PACING,
    **CAMPAIGNS,
}
