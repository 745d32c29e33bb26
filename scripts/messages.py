"""Words: `python -m scripts.messages compile|check|update` (see calltree/catalogues.py).

check fails on a message without Japanese, on two different Japanese texts for one message and on
a text that lost or gained a placeholder; update does that and compiles.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from calltree import catalogues

PACKAGE = Path(catalogues.__file__).resolve().parent
METHODS = [("static/**", "ignore"), ("**.py", "python"), ("**.html", "jinja2")]
OPTIONS = {"**.html": {"extensions": "jinja2.ext.do", "silent": "false", "trimmed": "true"}}
KEYWORDS = {**DEFAULT_KEYWORDS, "_l": None, "lazy_gettext": None, "translate": None}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")


def used() -> dict[catalogues.Key, str]:
    """Every message in the code and templates, with one place where it stands."""
    found: dict[catalogues.Key, str] = {}
    # Babel leaves out directories that begin with _; ours hold macros.
    walk = extract_from_dir(
        PACKAGE, METHODS, OPTIONS, KEYWORDS, directory_filter=lambda _path: True
    )
    for name, line, message, _comments, context in walk:
        singular = message if isinstance(message, str) else message[0]
        found.setdefault((context, singular), f"calltree/{name}:{line}")
    return found


def _texts(message: Message) -> list[str]:
    if not message.string:
        return []
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


def faults(said: dict[catalogues.Key, str], folder: Path = catalogues.FOLDER) -> Iterator[str]:
    """One line for each thing that has to be mended, with where."""
    known: dict[catalogues.Key, tuple[str, list[str]]] = {}
    for path, message in catalogues.messages(folder):
        key, texts = catalogues.key_of(message), _texts(message)
        where = f"parts/{path.name}:{message.lineno}"
        if not all(texts) or not texts or message.fuzzy:
            yield f"{where}: no Japanese for: {key[1]}"
            continue
        wanted = _placeholders(key[1])
        if isinstance(message.id, tuple | list):
            wanted |= _placeholders(message.id[1])
        if any(_placeholders(text) != wanted for text in texts):
            yield f"{where}: other placeholders than in: {key[1]}"
        other_where, other = known.setdefault(key, (where, texts))
        if other != texts:
            yield f"{where}: {texts[0]} but {other_where}: {other[0]} for: {key[1]}"
    for key, where in said.items():
        if key not in known:
            yield f"{where}: no Japanese for: {key[1]}"


def unused(said: dict[catalogues.Key, str]) -> list[str]:
    """Ids of the parts that no code or template says any more."""
    return [
        key[1]
        for _, message in catalogues.messages()
        if (key := catalogues.key_of(message)) not in said
    ]


def main(task: str) -> int:
    """Do one of compile, check and update; the number of faults decides the exit code."""
    if task not in {"compile", "check", "update"}:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    if task == "compile":
        catalogues.ensure_compiled()
        return 0
    said = used()
    found = list(faults(said))
    for fault in found:
        sys.stdout.write(f"{fault}\n")
    for message in unused(said):
        sys.stdout.write(f"note: no longer used: {message}\n")
    if task == "update":
        catalogues.compile_all()
    sys.stdout.write(f"messages: {len(said)} used, {len(found)} to mend\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
