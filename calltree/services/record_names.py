"""What stands beside a call record besides names from the database: 種別, and who is named in
nobody's place.

Files for spreadsheets carry the names, which are the same whoever takes them (R-HS-4); pages say
the words, in the reader's language.
"""

from __future__ import annotations

from calltree.models import RecordKind
from calltree.services.sentences import N_

KIND_NAMES = {
    RecordKind.OUTBOUND: "発信",
    RecordKind.INBOUND: "受電",
    RecordKind.ENTRY: "手入力",
    RecordKind.PREDICTIVE: "プレディコール",
}
"""種別 in files, in the order in which they are offered."""
MANUAL_NAME = "手動発信"
"""Stands where the result does: a number that was dialled by hand has none."""
AUTOMATIC_NAME = "自動発信"
UNANSWERED_NAME = "応答なし"
"""Of a call that came in and reached nobody of ours."""

KIND_WORDS = {
    RecordKind.OUTBOUND: N_("Outgoing call"),
    RecordKind.INBOUND: N_("Received call"),
    RecordKind.ENTRY: N_("Entered by hand"),
    RecordKind.PREDICTIVE: N_("Predictive dialling"),
    RecordKind.MANUAL: N_("Manual dialling"),
}
AUTOMATIC_WORD = N_("Automatic dialling")
UNANSWERED_WORD = N_("Nobody answered")


def nobody_name(kind: RecordKind) -> str:
    """Name who stands in the user's place of a record that has none, in a file."""
    return UNANSWERED_NAME if kind is RecordKind.INBOUND else AUTOMATIC_NAME


def nobody_word(kind: RecordKind) -> str:
    """The same as a message, for pages."""
    return UNANSWERED_WORD if kind is RecordKind.INBOUND else AUTOMATIC_WORD
