"""Logs: one logfmt line an event; never a local variable, a whole number or a memo."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_DETAIL = re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE)  # Postgres quotes the row there
_NUMBER = re.compile(r"(?<![0-9a-fA-F-])\+?[0-9]{6,11}([0-9]{4})(?![0-9a-fA-F-])")


def configure(level: int = logging.INFO) -> None:
    """Set up structlog once for a process.

    structlog's own default prints local variables with every traceback: passwords and the secret
    key among them.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            without_data,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], drop_missing=True
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Asked for each time: a stderr that was replaced may be closed by now.
        logger_factory=lambda *_args: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def without_data(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Any:
    """Take rows and telephone numbers out of a traceback: libraries quote what they were given."""
    if isinstance(text := event.get("exception"), str):
        event["exception"] = _NUMBER.sub(r"…\1", _DETAIL.sub(r"\1: …", text))
    return event


def masked(number: str) -> str:
    """Return a phone number as a log may show it: its last four digits."""
    return f"…{number[-4:]}"
