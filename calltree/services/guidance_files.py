"""Guidances as files: where the switch finds what a caller hears.

The database has the sound, the switch plays files: each version of a guidance is one below the
recordings, the directory that both see, under a name of its own, so that a caller who hears the
former one is not disturbed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Guidance
from calltree.services import guidances

DIRECTORY = "guidances"


def name_of(session: Session, guidance_id: int) -> str:
    """Name a guidance's file, relative to the recordings root; empty when there is none."""
    made_at = session.scalar(
        select(Guidance.created_at).where(Guidance.id == guidance_id, Guidance.retired_at.is_(None))
    )
    if made_at is None:
        return ""
    return f"{DIRECTORY}/guidance-{guidance_id}-{int(made_at.timestamp())}.wav"


def put(session: Session, *, guidance_id: int, name: str, root: Path) -> bool:
    """Write the file if it is not there yet; True when it is there now. Raises OSError."""
    path = root / name
    if path.is_file():
        return True
    sound = guidances.sound_of(session, guidance_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(sound)
    Path(temporary).chmod(0o644)  # the switch may be another user
    Path(temporary).replace(path)
    return True
