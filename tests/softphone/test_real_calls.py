"""Calls with sound: a real browser on a real FreeSWITCH."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.softphone.real import RealSite

pytestmark = [pytest.mark.freeswitch, pytest.mark.browser]


def test_a_browsers_leg_parks_and_a_customer_is_heard(
    site: RealSite, listener: Callable[..., Browser], voice: Path
) -> None:
    seat = site.seat(listener(voice), "0312345670")
    seat.connected()
    seat.opens()
    seat.call()
    seat.page.wait_for_timeout(2000)
    seat.hang_up()
