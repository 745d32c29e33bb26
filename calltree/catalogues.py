"""The catalogues of words: parts/*.po hold the Japanese of each room, the rest is made from them.

A message's id is its English text, so the English catalogue follows from the ids alone, and a
missing Japanese text is found by `make messages` instead of reading as a stray English word.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).resolve().parent / "translations"

Key = tuple[str | None, str]


def sources(folder: Path = FOLDER) -> list[Path]:
    """The parts, in a fixed order: of two texts for one id the first one counts."""
    return sorted((folder / "parts").glob("*.po"))


def messages(folder: Path = FOLDER) -> Iterator[tuple[Path, Message]]:
    """Every message of every part, with the file it stands in. Raises PoFileError when broken."""
    for path in sources(folder):
        with path.open("rb") as file:
            catalogue = read_po(file, locale="ja", charset="utf-8", abort_invalid=True)
        for message in catalogue:
            if message.id:
                yield path, message


def key_of(message: Message) -> Key:
    """What makes a message one of its own: its context and its (singular) id."""
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def japanese(found: Iterable[Message]) -> Catalog:
    """The Japanese catalogue; what has no text yet stays out and reads as its English id."""
    catalogue = Catalog(locale="ja")
    taken: set[Key] = set()
    for message in found:
        if key_of(message) not in taken and message.string and not message.fuzzy:
            taken.add(key_of(message))
            catalogue.add(message.id, message.string, context=message.context)
    return catalogue


def english(found: Iterable[Message]) -> Catalog:
    """The English catalogue: every id says itself."""
    catalogue = Catalog(locale="en")
    for message in found:
        text = message.id if isinstance(message.id, str) else tuple(message.id)
        catalogue.add(message.id, text, context=message.context)
    return catalogue


def compiled(folder: Path, language: str) -> Path:
    """Where gettext looks for a language."""
    return folder / language / "LC_MESSAGES" / "messages.mo"


def compile_all(folder: Path = FOLDER) -> None:
    """Write both compiled catalogues; each appears whole, whoever else writes it meanwhile."""
    found = [message for _, message in messages(folder)]
    for language, catalogue in (("ja", japanese(found)), ("en", english(found))):
        target = compiled(folder, language)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".new")
        with os.fdopen(descriptor, "wb") as file:
            write_mo(file, catalogue)
        Path(name).chmod(0o644)
        Path(name).replace(target)


def ensure_compiled(folder: Path = FOLDER) -> None:
    """Compile when a part is newer than what was compiled, or nothing was.

    Where the program's files are not ours (an installed one was changed without scripts/setup.sh)
    the words of before are better than none. Raises PermissionError when there are none.
    """
    newest = max((path.stat().st_mtime for path in sources(folder)), default=0.0)
    targets = [compiled(folder, language) for language in ("ja", "en")]
    if not all(target.exists() for target in targets):
        compile_all(folder)
    elif any(target.stat().st_mtime < newest for target in targets):
        with suppress(PermissionError):
            compile_all(folder)
