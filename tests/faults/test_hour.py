"""Two minutes of `make soak`: a campaign with twenty operators while each role is killed once."""

import pytest

from bench.hour import Plan, practice_site, worked

RATE = 2.0
"""Half the pace of the whole: at four times a dial may be 0.75 s old, little for a busy machine."""


@pytest.mark.one_database
def test_R_DL_3_two_minutes_of_the_hour_lose_double_and_silence_nobody(database_url: str) -> None:
    """Silence is counted in real seconds: a machine may stand still for one."""
    asked = Plan(minutes=2, rate=RATE, kills=1, silence_rate=1.0)
    with practice_site(database_url, RATE) as site:
        result = worked(site, site.practice_url, asked)
    assert not {name: count for name, count in result.extra["wrong"].items() if count}
    assert result.extra["killed"] == {"web": 1, "jobs": 1, "calls": 1, "switch": 1}
    assert result.extra["joined"] > 0
