"""Every end that was measured on a real switch is told as what it was."""

import pytest

from calltree.models.projects import BuiltIn
from calltree.services.outcomes import judge


@pytest.mark.parametrize(
    ("cause", "sip", "sentence", "proposed"),
    [
        ("USER_BUSY", "486", "call_busy", BuiltIn.NO_ANSWER),
        ("NO_ANSWER", "", "call_no_answer", BuiltIn.NO_ANSWER),
        ("NO_USER_RESPONSE", "480", "call_out_of_reach", BuiltIn.NO_ANSWER),
        ("CALL_REJECTED", "603", "call_rejected", BuiltIn.NO_ANSWER),
        ("ORIGINATOR_CANCEL", "", "call_cancelled", BuiltIn.NO_ANSWER),
        ("NORMAL_CLEARING", "", "call_cancelled", BuiltIn.NO_ANSWER),
        ("UNALLOCATED_NUMBER", "404", "call_not_in_use", BuiltIn.NOT_IN_USE),
        ("NUMBER_CHANGED", "410", "call_not_in_use", BuiltIn.NOT_IN_USE),
        ("INVALID_NUMBER_FORMAT", "484", "call_not_in_use", BuiltIn.NOT_IN_USE),
    ],
)
def test_R_CL_10_the_customers_end_is_shown_neutrally(cause, sip, sentence, proposed):
    outcome = judge(cause=cause, sip_status=sip, answered=False)
    assert (outcome.sentence, outcome.proposed, outcome.line_error) == (sentence, proposed, False)


@pytest.mark.parametrize(
    ("cause", "sip"),
    [
        ("NORMAL_TEMPORARY_FAILURE", "503"),
        ("NETWORK_OUT_OF_ORDER", "502"),
        ("RECOVERY_ON_TIMER_EXPIRE", "408"),
        ("CALL_REJECTED", "403"),
        ("GATEWAY_DOWN", ""),
        ("CHAN_NOT_IMPLEMENTED", ""),
        ("INCOMPATIBLE_DESTINATION", "488"),
        ("A_CAUSE_NOBODY_KNOWS", ""),
        ("", ""),
    ],
)
def test_our_own_failures_are_line_errors_and_propose_nothing(cause, sip):
    outcome = judge(cause=cause, sip_status=sip, answered=False)
    assert (outcome.line_error, outcome.proposed) == (True, None)


def test_an_answered_call_is_the_operators_to_judge():
    assert judge(cause="NORMAL_CLEARING", sip_status="200", answered=True).proposed is None


def test_answered_with_nobody_of_ours_is_abandoned():
    outcome = judge(cause="NORMAL_CLEARING", sip_status="200", answered=True, ours_joined=False)
    assert outcome.abandoned
