"""Fixtures of the calling rules: an operator at a desk with an open customer, and recordings."""

import pytest

from calltree.config import Settings
from calltree.db import Announcement, Store
from tests.services.archive import Archive
from tests.services.desks import Desk, furnish


@pytest.fixture
def desk(store: Store) -> Desk:
    """An operator (山田太郎) with a parked leg, a granted list and its first customer open."""
    return furnish(store)


@pytest.fixture
def archive(desk: Desk, settings: Settings) -> Archive:
    """That desk's calls leave recordings; nothing rings but for the test's own ears."""
    told: list[Announcement] = []
    desk.store.publisher = told.extend
    settings.recordings_dir.mkdir()
    return Archive(desk, settings.recordings_dir, told)
