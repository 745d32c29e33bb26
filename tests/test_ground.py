"""The ground: what make offers, what the locks name, how the rooms may import."""

import gettext
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from calltree import catalogues
from scripts import messages
from tests.page_checks import check_page

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 500


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def ours(room: str, *patterns: str) -> list[Path]:
    """The files of a room and its rooms; a machine that runs the tests need not have git."""
    found = [path for pattern in patterns for path in (ROOT / room).rglob(pattern)]
    assert found
    return found


def test_make_help_lists_every_target():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
    shown = set(re.findall(r"^ +make ([a-z-]+) ", run("make", "help").stdout, re.M))
    assert {"run", "test", "bench", "help", "setup", "lint", "messages", "vendor", "lock"} <= shown
    assert shown == targets


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_names_versions_and_digests_but_no_place(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"https?:|file:|--(index|extra|find|trusted)|\s/\w+/", text)
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.M)
    blocks = re.split(r"^(?=[a-z0-9][a-z0-9._-]*==)", text, flags=re.M)[1:]
    assert len(pins) == len(blocks) > 30
    assert all("--hash=sha256:" in block for block in blocks)


def test_both_locks_agree():
    pins = [
        dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.M))
        for name in ("requirements.txt", "requirements-dev.txt")
    ]
    assert pins[0].items() <= pins[1].items()


def test_every_direct_requirement_is_locked():
    for kind in ("requirements", "requirements-dev"):
        asked = re.findall(r"^([A-Za-z][\w-]*)", (ROOT / f"{kind}.in").read_text(), re.M)
        locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / f"{kind}.txt").read_text(), re.M))
        assert {name.lower() for name in asked} <= locked


@pytest.mark.parametrize(
    ("rooms", "web"),
    [
        ("calltree.models, calltree.text, calltree.services, calltree.db", "flask rq redis"),
        ("calltree.telephony.calls_worker, calltree.telephony.switch", "flask werkzeug"),
        ("calltree.jobs.worker, calltree.practice.__main__", "flask werkzeug"),
    ],
)
def test_rooms_below_the_web_load_no_web(rooms, web):
    code = f"import sys, {rooms}; print([name for name in {web.split()} if name in sys.modules])"
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"


def test_templates_hold_no_code_that_the_policy_blocks():
    blocked = re.compile(r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son[a-z]+=|\shx-on|['\"]js:")
    for path in ours("calltree/templates", "*.html"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not blocked.search(line), f"{path.name}:{number}: {line.strip()}"


def test_no_file_outgrows_its_room():
    scripts = ours("calltree/static/js", "*.js")
    for path in [*ours("calltree", "*.py", "*.html"), *scripts]:
        assert len(path.read_text().splitlines()) <= LONGEST_FILE, path


def test_names_say_what_they_hold():
    vague = {"manager", "managers", "helper", "helpers", "util", "utils", "common", "misc"}
    rooms = ("bench", "calltree", "migrations", "scripts", "tests")
    assert not [path for room in rooms for path in ours(room, "*.py") if path.stem in vague]


def test_every_message_has_its_japanese():
    assert list(messages.faults(messages.used())) == []


def test_a_message_without_japanese_is_found(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "room.po").write_text(
        'msgid "Save"\nmsgstr "保存"\n\nmsgid "Close"\nmsgstr ""\n\n'
        'msgid "%(n)s lists"\nmsgstr "リスト"\n\n'
    )
    (parts / "second.po").write_text('msgid "Save"\nmsgstr "記録"\n')
    faults = list(messages.faults({(None, "Undo"): "calltree/x.py:1"}, tmp_path))
    assert len(faults) == 4
    assert "no Japanese for: Close" in faults[0]
    assert "other placeholders" in faults[1]
    assert "記録" in faults[2]
    assert faults[3] == "calltree/x.py:1: no Japanese for: Undo"


def test_catalogues_are_compiled_when_a_part_is_newer(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "room.po").write_text('msgid "Save"\nmsgstr "保存"\n')
    catalogues.ensure_compiled(tmp_path)
    assert [said(tmp_path, language) for language in ("ja", "en")] == ["保存", "Save"]
    (parts / "room.po").write_text('msgid "Save"\nmsgstr "保存する"\n')
    later = catalogues.compiled(tmp_path, "ja").stat().st_mtime + 1
    os.utime(parts / "room.po", (later, later))
    catalogues.ensure_compiled(tmp_path)
    assert said(tmp_path, "ja") == "保存する"


def test_an_older_catalogue_is_used_where_the_programs_files_are_not_ours(tmp_path, monkeypatch):
    def forbidden(**_asked):
        raise PermissionError

    (tmp_path / "parts").mkdir()
    part = tmp_path / "parts" / "room.po"
    part.write_text('msgid "Save"\nmsgstr "保存"\n')
    with monkeypatch.context() as installed:
        installed.setattr("tempfile.mkstemp", forbidden)
        with pytest.raises(PermissionError):
            catalogues.ensure_compiled(tmp_path)
    catalogues.ensure_compiled(tmp_path)
    later = catalogues.compiled(tmp_path, "ja").stat().st_mtime + 1
    os.utime(part, (later, later))
    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    catalogues.ensure_compiled(tmp_path)
    assert said(tmp_path, "ja") == "保存"


def said(folder: Path, language: str) -> str:
    with catalogues.compiled(folder, language).open("rb") as file:
        return gettext.GNUTranslations(file).gettext("Save")


GOOD = (
    '<!doctype html><html lang="ja"><head><title>受付 – CALLTREE</title></head>'
    '<body hx-headers:inherited=\'{"X-CSRFToken": "t"}\'><main>%s</main></body></html>'
)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; connect-src 'self' wss:; object-src 'none'; base-uri 'self'; "
        "frame-ancestors 'none'; form-action 'self'"
    )
}


def test_the_page_check_takes_a_good_page():
    check_page(GOOD % "<p>山田</p>", HEADERS, "ja")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("<p>値</p>", "<p>\x01</p>"),
        ("<p>A&amp;B</p>", "<p>A&nosuch;B</p>"),
        ('<p title="A&amp;B"></p>', '<p title="A&nosuch;B"></p>'),
    ],
)
def test_a_page_is_read_although_one_like_it_was_good(good, bad):
    check_page(GOOD % good, HEADERS, "ja")
    with pytest.raises(AssertionError, match="invalid HTML"):
        check_page(GOOD % bad, HEADERS, "ja")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("<p id=a></p><p id=a></p>", "2 times"),
        ("<input name=q>", "no label"),
        ("<button></button>", "nothing to read out"),
        ("<script>1</script>", "inline script"),
        ('<p style="color:red"></p>', "blocks style"),
        ('<p hx-get="/" hx-trigger="click[ctrlKey]"></p>', "blocks hx-trigger"),
        ('<form method="post"></form>', "no CSRF token"),
        ("<p>Ctrl-C stops everything.</p>", "not in ja"),
        ("<p>説明: Ctrl-C stops everything.</p>", "not in ja"),
        ('<p title="Stopping web now"></p>', "not in ja"),
        ("<p>%(name)s</p>", "not filled in"),
        ("<p><div></div></p>", "invalid HTML"),
        ('<label for="x">x</label>', "not there"),
        ("</span>", "invalid HTML"),
    ],
)
def test_the_page_check_refuses(part, said):
    with pytest.raises(AssertionError, match=said):
        check_page(GOOD.replace("%s", part), HEADERS, "ja")


def test_the_page_check_refuses_another_policy_or_language():
    with pytest.raises(AssertionError):
        check_page(GOOD % "", {"Content-Security-Policy": "default-src *"}, "ja")
    with pytest.raises(AssertionError, match="lang"):
        check_page(GOOD % "", HEADERS, "en")


def test_health_answers_signed_out(client):
    assert client.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize("locale", ["ja", "en"])
def test_the_sign_in_page_is_whole_in_both_languages(client, locale):
    client.locale = locale
    client.client.set_cookie("locale", locale)
    client.get("/sign-in")


def test_each_test_has_a_database_of_its_own(store):
    from calltree.models import Site

    with store.write() as session:
        assert session.get(Site, 1) is None
        session.add(Site(id=1, site_key="a", practice=True, away_reasons=[], extra_prefixes=[]))
    with store.read() as session:
        assert session.get(Site, 1) is not None


def test_the_next_one_finds_it_empty_again(store):
    from calltree.models import Site

    with store.read() as session:
        assert session.get(Site, 1) is None
