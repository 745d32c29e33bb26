"""Every end that was measured on a real switch is told as what it was."""

import pytest

from calltree.models.projects import BuiltIn
from calltree.services.breaker import Sign
from calltree.services.outcomes import judge, trunk_sign


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


@pytest.mark.parametrize(
    ("cause", "sip", "q850", "sentence"),
    [
        ("UNWANTED", "607", "21", "call_rejected"),
        ("NORMAL_UNSPECIFIED", "600", "31", "call_busy"),
        ("NORMAL_UNSPECIFIED", "", "17", "call_busy"),
        ("NORMAL_UNSPECIFIED", "", "1", "call_not_in_use"),
        ("INTERWORKING", "", "20", "call_out_of_reach"),
        ("NORMAL_UNSPECIFIED", "", "31", "call_line_error"),
        ("NO_ROUTE_DESTINATION", "604", "3", "call_not_in_use"),
        ("NO_ROUTE_DESTINATION", "", "3", "call_line_error"),  # our own switch knew no way
        ("CALL_REJECTED", "407", "21", "call_trunk_refused"),
    ],
)
def test_the_cause_speaks_first_then_sip_then_q850(cause, sip, q850, sentence):
    assert judge(cause=cause, sip_status=sip, q850=q850, answered=False).sentence == sentence


def test_a_carriers_time_out_after_a_ring_is_nobody_who_answered():
    late = {"cause": "RECOVERY_ON_TIMER_EXPIRE", "sip_status": "408", "answered": False}
    assert judge(**late, rang=True).sentence == "call_no_answer"
    assert judge(**late).line_error


@pytest.mark.parametrize(
    ("cause", "sip", "rang", "sign"),
    [
        ("USER_BUSY", "486", False, Sign.WORKED),
        ("CALL_REJECTED", "603", False, Sign.WORKED),
        ("CALL_REJECTED", "403", False, Sign.FAULT),
        ("NORMAL_TEMPORARY_FAILURE", "503", False, Sign.FAULT),
        ("NORMAL_TEMPORARY_FAILURE", "503", True, Sign.WORKED),
        ("INCOMPATIBLE_DESTINATION", "488", False, Sign.FAULT),
        ("GATEWAY_DOWN", "", False, Sign.DOWN),
        ("INVALID_GATEWAY", "", False, Sign.DOWN),
        ("DESTINATION_OUT_OF_ORDER", "", False, Sign.NOTHING),  # the leg's uuid was there already
        ("ORIGINATOR_CANCEL", "487", False, Sign.NOTHING),
        ("NO_ANSWER", "", False, Sign.NOTHING),
        ("NO_ANSWER", "", True, Sign.WORKED),
        ("", "", False, Sign.NOTHING),
        ("SYSTEM_SHUTDOWN", "", False, Sign.NOTHING),
        ("TRUNK_FULL", "", False, Sign.NOTHING),
    ],
)
def test_what_an_end_tells_of_the_trunk(cause, sip, rang, sign):
    outcome = judge(cause=cause, sip_status=sip, answered=False, rang=rang)
    assert trunk_sign(outcome, cause=cause, rang=rang) is sign
