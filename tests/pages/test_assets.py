"""R-AR-6: assets carry their version in their name, so nobody ever has to clear a cache."""

import re

import pytest

from calltree.blueprints import assets
from tests.factories import make_site

pytestmark = pytest.mark.one_database


def test_R_AR_6_every_asset_of_a_page_has_the_version_in_its_address(app, client):
    with app.extensions["calltree.store"].write() as session:
        make_site(session)
    soup = client.get("/sign-in").soup
    addresses = [tag["src"] for tag in soup.find_all("script")]
    addresses += [tag["href"] for tag in soup.find_all("link")]
    assert len(addresses) > 5
    for address in addresses:
        assert address.startswith(f"/assets/{assets.version()}/"), address
        with app.test_client().get(address) as answer:
            assert answer.status_code == 200, address
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_R_AR_6_an_address_of_another_version_is_answered_and_never_kept(app):
    with app.test_client().get("/assets/000000000000/css/app.css") as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
    with app.test_client().get("/assets/000000000000/css/none.css") as answer:
        assert answer.status_code == 404


def test_R_AR_6_the_version_follows_the_content_of_every_file(tmp_path, monkeypatch):
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "a.css").write_text("a {}")
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    fresh = assets.version.__wrapped__
    first = fresh()
    (tmp_path / "css" / "a.css").write_text("b {}")
    second = fresh()
    (tmp_path / "css" / "a.css").rename(tmp_path / "css" / "b.css")
    assert len({first, second, fresh()}) == 3
    monkeypatch.setattr(assets, "PACKAGE", tmp_path)
    without = fresh()
    (tmp_path / "page.html").write_text("new words")
    assert fresh() != without, "an upgrade of pages alone is told too"
    assert re.fullmatch(r"[0-9a-f]{12}", first)
