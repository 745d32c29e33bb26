"""R-PJ-5: the site's own days without calls, by several managers at once."""

from datetime import date

from calltree.db import Store
from calltree.models import ClosedDay, Role
from calltree.services import closed_days
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads

DAY = date(2026, 12, 30)
AT_ONCE = 6


def closes(store: Store, viewer: Viewer) -> int:
    with store.write() as session:
        return closed_days.add(
            session,
            viewer=viewer,
            first=DAY,
            last=None,
            name=viewer.name,
            today=date(2026, 11, 22),
            now=NOW,
        )


def test_R_PJ_5_a_day_that_many_close_at_once_is_closed_once(
    store: Store, database_url: str
) -> None:
    with store.write() as session:
        make.make_site(session)
        managers = [Viewer.of(make.make_user(session, Role.MANAGER)) for _ in range(AT_ONCE)]
    assert by_threads(database_url, closes, managers) == [1] * AT_ONCE
    with store.read() as session:
        assert session.query(ClosedDay).count() == 1
