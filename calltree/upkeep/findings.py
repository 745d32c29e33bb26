"""What `doctor` says: one finding a thing looked at, green, yellow or red, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Light(StrEnum):
    """Red is an error and makes the exit code 1; yellow is worth a look."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    part: str
    """A stable name for programs: 'database', 'redis', …"""
    light: Light
    says: str
    todo: str = ""
    """What to do about it; empty when green."""


def green(part: str, says: str) -> Finding:
    """All is well."""
    return Finding(part, Light.GREEN, says)


def yellow(part: str, says: str, todo: str) -> Finding:
    """Worth a look."""
    return Finding(part, Light.YELLOW, says, todo)


def red(part: str, says: str, todo: str) -> Finding:
    """Has to be mended."""
    return Finding(part, Light.RED, says, todo)
