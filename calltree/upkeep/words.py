"""Failures of upkeep: one plain sentence each, in the terminal's language."""

from __future__ import annotations

from calltree.launch.words import N_
from calltree.launch.words import translate as _

__all__ = ["N_", "UpkeepError", "_"]


class UpkeepError(Exception):
    """One plain sentence: what is in the way and what to do."""
