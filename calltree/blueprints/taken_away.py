"""What leaves by a download is in the audit log, with who took it and from where (R-US-7)."""

from __future__ import annotations

from typing import Any

from flask import request

from calltree.blueprints.access import viewer
from calltree.db import utcnow
from calltree.extensions import writing
from calltree.services import audit


def note(*, action: str, kind: str = "", object_id: object = "", **detail: Any) -> None:
    """Write the line, in a transaction of its own: a download may break off, the line stays."""
    with writing() as session:
        audit.note(
            session,
            viewer=viewer(),
            action=action,
            kind=kind,
            object_id=object_id,
            address=request.remote_addr or "",
            now=utcnow(),
            **detail,
        )
