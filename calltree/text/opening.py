"""Opening hours of one day as people write them: ``9:00-12:00, 13:00～18:00``, empty for closed.

Pure. Minutes count from the day's midnight, 0–1440; a span begins inclusive and ends exclusive.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final

Spans = tuple[tuple[int, int], ...]
"""A day's spans in minutes, in order, none touching the one before."""

DAY_MIN: Final = 24 * 60
ALL_DAY: Final[Spans] = ((0, DAY_MIN),)
MOST_SPANS: Final = 4
_CLOSED_WORDS: Final = {"", "休", "休み", "休業", "closed", "-"}
_ALL_DAY_WORDS: Final = {"24時間", "終日", "24h"}
_DASHES: Final = re.compile(r"\s*(?:[-‐-―−ー~〜～]|から)\s*")
_CLOCK: Final = r"(\d{1,2})(?::(\d{2})|時(?:(\d{1,2})分?)?)?"
_SPAN: Final = re.compile(f"{_CLOCK}-{_CLOCK}")


class OpeningError(ValueError):
    """The hours cannot be read; `code` is 'opening_unreadable', '…_reversed' or '…_overlap'."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code, self.text = code, text


def read_opening(text: str) -> Spans:
    """Read one day's hours. Raises OpeningError with the piece that is wrong."""
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    if plain in _CLOSED_WORDS:
        return ()
    if plain in _ALL_DAY_WORDS:
        return ALL_DAY
    pieces = re.split(r"[\s,、/・]+", _DASHES.sub("-", plain).replace("まで", ""))
    pieces = [piece for piece in pieces if piece]
    if len(pieces) > MOST_SPANS:
        raise OpeningError("opening_unreadable", text.strip())
    spans = sorted(_span(piece) for piece in pieces)
    for (_start, end), (start, _end) in pairwise(spans):
        if start < end:
            raise OpeningError("opening_overlap", text.strip())
    return tuple(spans)


def _span(piece: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(piece)
    if found is None:
        raise OpeningError("opening_unreadable", piece)
    parts = found.groups(default="0")
    start = int(parts[0]) * 60 + int(parts[1]) + int(parts[2])
    end = int(parts[3]) * 60 + int(parts[4]) + int(parts[5])
    if max(int(part) for part in (parts[1], parts[2], parts[4], parts[5])) > 59 or end > DAY_MIN:
        raise OpeningError("opening_unreadable", piece)
    if start >= end:
        raise OpeningError("opening_reversed", piece)
    return start, end


def write_opening(spans: Spans) -> str:
    """Write spans so that `read_opening` reads them back: ``09:00-12:00 13:00-18:00``."""
    return " ".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
