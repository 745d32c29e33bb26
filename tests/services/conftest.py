"""Fixtures of the calling rules: an operator at a desk with an open customer."""

import pytest

from calltree.db import Store
from tests.services.desks import Desk, furnish


@pytest.fixture
def desk(store: Store) -> Desk:
    """An operator (山田太郎) with a parked leg, a granted list and its first customer open."""
    return furnish(store)
