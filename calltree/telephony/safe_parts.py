"""Parts of commands, each of the one form that it may have: nothing else gets into a command."""

import re
from typing import NewType

SwitchPath = NewType("SwitchPath", str)
"""An absolute file name on the switch's machine, made by `switch_path`."""
NUMBER = re.compile(r"[0-9]{3,15}")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
SITE = re.compile(r"[A-Za-z0-9-]{1,36}")
DIGITS = re.compile(r"[0-9*#]{1,32}")
PATH_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
APPLICATION = re.compile(r"[a-z_]+:[A-Za-z0-9 _./:;=+%(),{}\-]*")


class UnsafePartError(ValueError):
    """Refused: a part of a command is not of the form that part must have."""


def switch_path(root: str, *parts: str | int) -> SwitchPath:
    """A file name under the switch's own root, from ids: `switch_path("/rec", 12, "ab.wav")`.

    Each part is one directory or file name. Raises `UnsafePartError` for anything else: spaces
    and quotes would end the argument, a comma would start the next application.
    """
    pieces = [*root.split("/")[1:], *(str(part) for part in parts)]
    if not root.startswith("/") or not parts:
        raise UnsafePartError("a path on the switch is absolute")
    for piece in pieces:
        match(PATH_PART, piece, "a part of a path on the switch")
    return SwitchPath("/" + "/".join(pieces))


def match(form: re.Pattern[str], text: str, what: str) -> str:
    # fullmatch, because $ would allow a line feed at the end; the value stays out of the log
    if not isinstance(text, str) or not form.fullmatch(text):
        raise UnsafePartError(f"not {what}")
    return text


def as_uuid(text: str) -> str:
    return match(UUID, text, "a channel's uuid")


def as_number(text: str) -> str:
    return match(NUMBER, text, "a telephone number of 3 to 15 digits")


def as_name(text: str) -> str:
    return match(NAME, text, "a name in the switch's configuration")


def as_path(path: SwitchPath) -> str:
    """Check again: a NewType is only a promise."""
    pieces = path.split("/")
    if pieces[0] or len(pieces) < 2:
        raise UnsafePartError("a path on the switch is absolute")
    for piece in pieces[1:]:
        match(PATH_PART, piece, "a part of a path on the switch")
    return path


def as_positive(number: int) -> int:
    if type(number) is not int or not 0 < number < 2**63:
        raise UnsafePartError("not an id")
    return number


def as_seconds(number: int, *, limit: int) -> int:
    if type(number) is not int or not 0 < number <= limit:
        raise UnsafePartError(f"not a number of seconds from 1 to {limit}")
    return number
