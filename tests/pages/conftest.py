"""An operator at a desk, for pages of those who call: they ask for the fixtures by name."""

import pytest
from flask import Flask

from calltree.db import Store
from calltree.models import CustomerHold
from tests.browser import Browser
from tests.services.desks import Desk, furnish

PAGE = {"X-Page-Id": "aaaaaaaa-0000-4000-8000-000000000001"}
"""The page in which the customer is open."""


@pytest.fixture
def desk(app: Flask, store: Store) -> Desk:
    desk = furnish(store)
    desk.change(CustomerHold, desk.customer_id, page_id=PAGE["X-Page-Id"])
    return desk


@pytest.fixture
def op(desk: Desk, app: Flask) -> Browser:
    browser = Browser(app)
    browser.sign_in_as(desk.user_id)
    return browser
