"""The catalogues of words: parts/*.po hold the Japanese of each room, the rest is made from them.

A message's id is its English text, so the English catalogue follows from the ids alone, and a
missing Japanese text is found by `make messages` instead of reading as a stray English word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

FOLDER = Path(__file__).resolve().parent / "translations"


def sources(folder: Path = FOLDER) -> list[Path]:
    """The parts, in a fixed order: of two texts for one id the first one counts."""
    return sorted((folder / "parts").glob("*.po"))


def read_part(path: Path) -> Catalog:
    """One part. A part may have no header of its own; Japanese has one plural form."""
    catalogue = Catalog(locale="ja")
    with path.open("rb") as file:
        for message in read_po(file, locale="ja", charset="utf-8"):
            if message.id:
                catalogue[_key(message)] = message
    return catalogue


def _key(message: Message) -> str:
    # Catalog's own key; a context makes another message of the same words
    return message.id if isinstance(message.id, str) else message.id[0]


def messages(folder: Path = FOLDER) -> Iterator[tuple[Path, Message]]:
    """Every message of every part, with the file it stands in."""
    for path in sources(folder):
        with path.open("rb") as file:
            for message in read_po(file, locale="ja", charset="utf-8"):
                if message.id:
                    yield path, message
