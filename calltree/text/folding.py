"""Forms of text for comparing and searching; what a person typed is never replaced by them."""

import unicodedata
from collections.abc import Iterable
from operator import add
from typing import Final

# Characters that show nothing: format characters (zero-width space, BOM, direction marks, soft
# hyphen, tags) and variation selectors. Spreadsheets from city halls are full of them.
_VARIATION_SELECTORS: Final = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
# Planes 2 to 13 are ideographs or nothing, 15 and 16 private: a look there costs each start 0.4 s.
_WITH_FORMAT: Final = (*range(0x20000), *range(0xE0000, 0xF0000))
INVISIBLE: Final[dict[int, None]] = dict.fromkeys(
    [
        code
        for code in _WITH_FORMAT
        if unicodedata.category(chr(code)) == "Cf" or code in (0x115F, 0x1160, 0x3164, 0xFFA0)
    ]
    + list(_VARIATION_SELECTORS)
)

# ァ..ヶ stand 0x60 above ぁ..ゖ; ヽヾ likewise. ヷヸヹヺ have no hiragana and stay.
_TO_HIRAGANA: Final[dict[int, int]] = {
    code: code - 0x60 for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)
}
SEARCH_TABLE: Final[dict[int, int | None]] = {**_TO_HIRAGANA, **INVISIBLE}


def strip_invisible(text: str) -> str:
    """The text without characters that show nothing; the very same object when there are none."""
    if text.isascii():
        return text
    return text.translate(INVISIBLE)


def fold(text: str) -> str:
    """The form in which text is searched.

    NFKC, case-folded, hiragana for katakana, no invisible characters. Blanks stay blanks (NFKC
    turns the full-width one into a plain one). Folding twice changes nothing.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold().translate(SEARCH_TABLE)
    # Case-folding or the loss of a joiner can leave a composable pair (R-LS-10: がぎ from か + ゛).
    return unicodedata.normalize("NFKC", folded)


def fold_name(text: str) -> str:
    """The form in which names of statuses, attribute items and columns collide (R-ST-3).

    NFKC, trimmed, case-folded, invisible characters gone; hiragana and katakana stay different.
    """
    visible = strip_invisible(unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFKC", visible.casefold()).strip()


def words(text: str) -> tuple[str, ...]:
    """The folded words of a search, each once, in the order typed; all of them must be found."""
    return tuple(dict.fromkeys(fold(text).split()))


def bigrams(folded: str) -> list[str]:
    """Every two neighbouring characters of already folded text, each once, in no order, blanks out.

    For an index: a text that contains a word of two or more characters has all bigrams of the
    word. A word of one character has none, it must be looked for in the text itself.
    """
    pairs: set[str] = set()
    for word in folded.split():
        pairs.update(map(add, word, word[1:]))
    return list(pairs)


CELL_SEPARATOR: Final = "\x1f"


def fold_cells(cells: Iterable[str]) -> str:
    """Fold a row for search: its cells joined by U+001F, which no cell keeps.

    What `Customer.folded` holds, by whichever path the row comes.
    """
    return CELL_SEPARATOR.join(fold(cell).replace(CELL_SEPARATOR, " ") for cell in cells)
