"""音声: the page on which a manager chooses what the telephone system plays."""

import pytest

from calltree.db import Store
from calltree.models import Guidance, Role
from calltree.services import site_sounds
from calltree.services.site_sounds import SiteSound
from tests.factories import NOW, make_site, make_user

pytestmark = pytest.mark.one_database


def test_R_IN_1_a_manager_chooses_the_hold_music_and_hears_it_there(
    store: Store, browser_of
) -> None:
    with store.write() as session:
        make_site(session)
        manager, supervisor = make_user(session, Role.MANAGER), make_user(session, Role.SUPERVISOR)
        row = Guidance(name="春の曲", sound=b"RIFF", length_ms=1000, size_bytes=4, created_at=NOW)
        session.add(row)
        session.flush()
        music = row.id
    browser = browser_of(manager)
    page = browser.get("/admin/settings/sounds/")
    assert [box.option.text for box in page.soup.select("main select")] == ["標準の音"] * 3
    saved = browser.post("/admin/settings/sounds/", {"hold_music_id": str(music)})
    assert saved.status == 303
    page = browser.get("/admin/settings/sounds/")
    assert page.soup.select_one("#hold_music_id option[selected]").text == "春の曲"
    assert page.soup.select_one("main audio")["src"].endswith(f"/{music}/sound")
    with store.read() as session:
        assert site_sounds.chosen(session) == {SiteSound.HOLD_MUSIC: music}
    browser.post("/admin/settings/sounds/", {"hold_music_id": "999"}, status=422)
    browser_of(supervisor).post("/admin/settings/sounds/", {}, status=403)
