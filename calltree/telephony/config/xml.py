"""Writing FreeSWITCH's XML. Nothing that a person typed can leave its attribute.

FreeSWITCH expands `$${name}` in the text of a file before it reads it as XML, and drops a line that
holds the word of its own instructions, so these two are broken up by character references in a
value; `Own` marks text of ours that means what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MADE_BY = (
    "Made by CALLTREE (the command: switch config). "
    "What is changed here by hand is lost when it is made again."
)
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "$": "&#36;"}
)
_INSTRUCTION = re.compile("x-(?=pre-process)", re.IGNORECASE)
_OWN_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


class Own(str):
    """Text of ours, in which `${name}` and `$${name}` are FreeSWITCH's variables."""

    __slots__ = ()


def attribute(value: str | int | bool) -> str:
    """Quote a value. Raises ValueError for control characters, which have no place in any."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = str(value)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("a control character in a value of the configuration")
    text = text.translate(_OWN_ESCAPES if isinstance(value, Own) else _ESCAPES)
    text = _INSTRUCTION.sub(lambda found: f"{found[0][0]}&#45;", text)
    return f'"{text}"'


def empty(tag: str, /, **attributes: str | int | bool) -> str:
    """An element without content."""
    listed = "".join(f" {key}={attribute(value)}" for key, value in attributes.items())
    return f"<{tag}{listed}/>"


def param(name: str, value: str | int | bool) -> str:
    return empty("param", name=name, value=value)


def action(application: str, data: str = "") -> str:
    """One step of a dialplan; its data are ours."""
    return empty("action", application=application, **({"data": Own(data)} if data else {}))


def include(pattern: str) -> str:
    """Take in other files here, before the XML is read."""
    return f'<X-PRE-PROCESS cmd="include" data="{pattern}"/>'


def comment(text: str) -> str:
    """A remark; what could end it or be expanded in it is left out."""
    kept = "".join(letter for letter in text if letter.isprintable() and letter not in "<>&$")
    while "--" in kept:
        kept = kept.replace("--", "-")
    return f"<!-- {kept.strip('-')} -->"


def element(tag: str, lines: Iterable[str], /, **attributes: str | int | bool) -> list[str]:
    """An element with content, as lines."""
    listed = "".join(f" {key}={attribute(value)}" for key, value in attributes.items())
    return [f"<{tag}{listed}>", *(f"  {line}" for line in lines), f"</{tag}>"]


def document(lines: Iterable[str], *, about: str) -> bytes:
    """One file to be included: what it is for, then its elements."""
    head = ["<include>", f"  {comment(about)}", f"  {comment(MADE_BY)}"]
    return "\n".join([*head, *(f"  {line}" for line in lines), "</include>", ""]).encode()
