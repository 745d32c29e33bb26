"""A file's columns go where they went last time: a project's lists come from the same hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Import, ImportState
from calltree.services.import_check import Choices
from calltree.text.folding import fold_name

LOOKED_THROUGH = 20
"""Imports of the project, the newest first."""
TAKEN_IN = (ImportState.PUBLISHED, ImportState.UPDATING, ImportState.DONE)
NOT_WANTED = 0
"""In `Choices.recalled`: the manager did not want what was remembered."""


def recall(session: Session, *, given: Import, header: Sequence[str], choices: Choices) -> Choices:
    """Give the choices with the columns of the project's last import of the same headers.

    The headers may stand in another order, unless some are alike. As they are, once anything has
    been decided about this file's columns, or where none was taken in before.
    """
    if choices.recalled is not None or choices.targets or choices.names or choices.number_headers:
        return choices
    earlier = session.execute(
        select(Import.id, Import.choices, Import.findings)
        .where(
            Import.project_id == given.project_id,
            Import.state.in_(TAKEN_IN),
            Import.id != given.id,
        )
        .order_by(Import.id.desc())
        .limit(LOOKED_THROUGH)
    )
    for import_id, stored, findings in earlier:
        places = _places(findings.get("header") or (), header)
        if places is None:
            continue
        kept = Choices.read(stored)
        if not (kept.targets or kept.names or kept.number_headers):
            return choices  # nothing had to be said about them
        return replace(
            choices,
            number_headers=kept.number_headers,
            targets={places[place]: target for place, target in kept.targets.items()},
            names={places[place]: name for place, name in kept.names.items()},
            recalled=import_id,
        )
    return choices


def _places(before: Sequence[str], header: Sequence[str]) -> dict[int, int] | None:
    """Where each column of the earlier file stands in this one; None: other headers."""
    old, new = ([fold_name(name) for name in names] for names in (before, header))
    if old == new:
        return {place: place for place in range(len(new))}
    if sorted(old) != sorted(new) or len(set(new)) < len(new):
        return None
    return {place: new.index(name) for place, name in enumerate(old)}
