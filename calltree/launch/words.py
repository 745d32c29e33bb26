"""The launcher's own sentences, in the language of the terminal (English ids, as everywhere)."""

import gettext
import os
from pathlib import Path

CATALOGUES = Path(__file__).resolve().parents[1] / "translations"


def _language() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ja" if value.startswith("ja") else "en"
    return "en"


def translate(message: str) -> str:
    """The sentence in the terminal's language; Japanese where the locale is Japanese."""
    catalogue = gettext.translation("messages", CATALOGUES, [_language()], fallback=True)
    return catalogue.gettext(message)


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a sentence for the catalogue without translating it."""
    return message
