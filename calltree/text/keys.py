"""Every key of the operator's screen in one place: none of them clashes (R-CL-5).

A letter or digit alone is a result, but for two fields. What the page does has a function key, or
Shift with a letter; so a project may fill every letter with results. Shift with a digit is a sign
whose place differs from keyboard to keyboard, and Ctrl or Alt with a letter is the browser's own.
"""

from typing import Final

BUILT_IN: Final = "123456"
"""Results that every pattern has."""

OWN: Final = "7890ABDEGHIJKLMOQRTUVWXYZ"
"""Keys of own results, in the order given out."""

FIELDS: Final = {"C": "Callback time", "N": "Memo"}

PAGE: Final = {
    "F1": "Answer; take a call that a colleague hands on",
    "Shift+F1": "Hold a caller for the others",
    "F2": "CALL",
    "Shift+F2": "Stand by; back to work",
    "F3": "Next",
    "Shift+F3": "Pass, or decline what a colleague hands on",
    "F4": "Dial pad",
    "F6": "SKIP; finish after this call",
    "Shift+F6": "Ask for help",
    "F7": "Mute",
    "Shift+F7": "Telephone",
    "F8": "Hold",
    "Shift+F8": "Move to another telephone system",
    "F9": "Hang up",
    "Shift+F9": "Change state",
    "F10": "Save, other number",
    "Ctrl+Enter": "Save and next; save and stand by",
    "Ctrl+S": "Save only; save and go away",
    "Shift+Enter": "Transfer to the number that was typed",
    "Ctrl+Shift+Enter": "Talk first with the number that was typed",
    "Escape": "Stop; close",
    "Shift+B": "Back to the customer; call a transfer off; leave a consultation",
    "Shift+C": "Choose a colleague for a transfer (arrow keys, then Enter)",
    "Shift+E": "Edit the customer",
    "Shift+G": "Choose the number",
    "Shift+K": "Short note",
    "Shift+L": "My last call",
    "Shift+N": "Type a number for a transfer",
    "Shift+P": "Hold the customer for whoever is free",
    "Shift+R": "Pause the recording; record again",
    "Shift+T": "Add or edit telephone numbers",
    "Shift+V": "Prospect level",
    "Shift+W": "Three-way call",
    "Shift+X": "Transfer",
    "Shift+Y": "Hand over; leave the two alone",
    "?": "Key list",
}


def of_result(key: str) -> str:
    """Give a result's key as it may be drawn: "" for one that is the page's."""
    return key if key and key in BUILT_IN + OWN else ""
