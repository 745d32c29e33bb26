"""What states of operators, calls and telephones are called on screen."""

from calltree.models import LegState, OperatorState
from calltree.services.sentences import N_

STATE_WORDS = {
    OperatorState.SIGNED_OUT: N_("Signed out"),
    OperatorState.AWAY: N_("Away"),
    OperatorState.BROWSING: N_("Browsing"),
    OperatorState.READY: N_("Standing by"),
    OperatorState.OFFERED: N_("Being joined"),
    OperatorState.DIALLING: N_("Dialling out"),
    OperatorState.TALKING: N_("Talking"),
    OperatorState.WRAP_UP: N_("Wrap-up"),
}
LEG_KINDS = {LegState.PARKED: "ok", LegState.JOINED: "ok", LegState.LOST: "bad"}
CALL_WORDS = {
    "idle": N_("Not dialled"),
    "countdown": N_("Dialling soon"),
    "dialling": N_("Dialling out"),
    "ringing": N_("Ringing"),
    "early": N_("Ringing"),
    "answered": N_("Answered"),
    "talking": N_("Talking"),
    "held": N_("On hold"),
    "ended": N_("Call ended"),
}
LEG_WORDS = {
    LegState.NONE: N_("connecting"),
    LegState.CONNECTING: N_("connecting"),
    LegState.PARKED: N_("connected"),
    LegState.JOINED: N_("connected"),
    LegState.LOST: N_("reconnecting"),
}
