"""What is written is for this user and group alone: customers, recordings and secrets."""

import logging
import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from calltree.config import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "start",
    [
        "import worker; worker.main(['jobs', 'nothing', 'at all'])",
        "import sys; sys.argv = ['x']; import calltree.launch.__main__ as launch; launch.main()",
    ],
)
def test_every_start_closes_new_files_to_others(tmp_path: Path, start: str) -> None:
    code = f"import os\n{start}\nprint('umask', os.umask(0))"
    environment = {**os.environ, "DATABASE_URL": "mysql://x", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert f"umask {0o027}" in done.stdout, done.stderr


def test_the_web_server_closes_new_files_to_others() -> None:
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["umask"] == 0o027


def test_the_web_servers_other_warnings_are_said(caplog: pytest.LogCaptureFixture) -> None:
    runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    log = logging.getLogger("gunicorn.error")
    log.addHandler(caplog.handler)
    try:
        log.warning("No keepalived connections can be handled. Check the number of threads.")
        log.warning("Invalid request from ip=%s", "192.0.2.1")
    finally:
        log.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {
        "Invalid request from ip=192.0.2.1"
    }


def test_the_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    first = Settings.from_env({"DATA_DIR": str(tmp_path)})
    mode = stat.S_IMODE((tmp_path / "secret_key").stat().st_mode)
    assert mode == 0o600
    assert len(first.secret_key) >= 48
    assert Settings.from_env({"DATA_DIR": str(tmp_path)}).secret_key == first.secret_key
    assert first.secret_key not in repr(first)


def test_settings_never_show_their_secrets(tmp_path: Path) -> None:
    """A dataclass that is logged or stands in a traceback prints itself."""
    given = Settings.from_env(
        {
            "DATA_DIR": str(tmp_path),
            "SECRET_KEY": "of-the-site",
            "ESL_URL": "esl://:word@host",
            "PRACTICE_PASSWORD": "for-practice",
            "DATABASE_URL": "postgresql://u:dbword@h/d",
        }
    )
    for secret in ("of-the-site", "word@", "for-practice", "dbword"):
        assert secret not in repr(given)
