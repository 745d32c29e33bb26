"""`deploy/upgrade.sh` as a whole: git, bash and the script are real; what it commands takes notes.

A site is a clone whose origin is one version ahead. systemctl, curl, CALLTREE's own command and
the set-up of its environment write down that they were called.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTES = '#!/bin/bash\necho "{name} $*" >> "$NOTED"\n{then}\n'
VERSION = "of the next version"


@dataclass
class Installation:
    """A site at the older version, with what was copied from it in `root`."""

    site: Path
    root: Path
    env: dict[str, str]

    def upgrade(self, *version: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "deploy/upgrade.sh", *version],
            cwd=self.site, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def noted(self) -> list[str]:
        path = Path(self.env["NOTED"])
        return path.read_text().splitlines() if path.is_file() else []

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system/calltree-web.service"


def note(path: Path, name: str, then: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(NOTES.format(name=name, then=then))
    path.chmod(0o755)


def git(*arguments: str, at: Path) -> str:
    named = ("-c", "user.name=x", "-c", "user.email=x@example.jp", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *named, *arguments], cwd=at, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    origin, site, root = (tmp_path / name for name in ("origin", "site", "root"))
    shutil.copytree(ROOT / "deploy", origin / "deploy")
    note(origin / "deploy/calltree", "calltree", '[ "$1" != "$FAILS" ]')
    note(origin / "scripts/setup.sh", "setup", "git rev-parse HEAD >> $NOTED")
    git("init", "--quiet", at=origin)
    git("add", "--all", at=origin)
    git("commit", "--quiet", "--message", "before", at=origin)
    git("tag", "v1", at=origin)
    git("clone", "--quiet", str(origin), str(site), at=tmp_path)
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(origin / "deploy/systemd/calltree-web.service", units)
    with (origin / "deploy/systemd/calltree-web.service").open("a") as file:
        file.write(f"# {VERSION}\n")
    git("commit", "--quiet", "--all", "--message", "next", at=origin)
    (tmp_path / "calltree.env").write_text("PORT=8000\nSWITCH_CONFIG_DIR=/etc/freeswitch\n")
    for name, then in (("systemctl", ""), ("curl", ""), ("id", "echo 0")):
        note(tmp_path / "bin" / name, name, then)
    env = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "ENV_FILE": str(tmp_path / "calltree.env"),
        "CALLTREE_ROOT": str(root),
        "NOTED": str(tmp_path / "noted"),
        "FAILS": "",
    }
    return Installation(site, root, env)


def test_an_upgrade_goes_from_the_backup_to_a_site_that_answers(installed: Installation) -> None:
    done = installed.upgrade()
    assert done.returncode == 0, done.stderr
    newest = git("rev-parse", "origin/main", at=installed.site)
    assert installed.noted() == [
        "id -u",
        "calltree backup",
        "setup run",
        newest,
        "systemctl stop calltree.target calltree-*.service",
        "calltree upgrade --no-backup",
        "systemctl daemon-reload",
        "systemctl start calltree.target",
        "calltree switch load",
        "curl -fsS --max-time 3 http://127.0.0.1:8000/readyz",
    ]
    assert VERSION in installed.unit.read_text()
    assert done.stdout.splitlines()[-1] == "upgrade: done"


def test_an_upgrade_may_name_the_version(installed: Installation) -> None:
    assert installed.upgrade("v1").returncode == 0
    assert git("rev-parse", "v1^{commit}", at=installed.site) in installed.noted()
    assert VERSION not in installed.unit.read_text()


def test_tables_that_cannot_be_upgraded_leave_the_site_stopped_and_tell_the_way_back(
    installed: Installation,
) -> None:
    before = git("rev-parse", "--short", "HEAD", at=installed.site)
    installed.env["FAILS"] = "upgrade"
    done = installed.upgrade()
    assert done.returncode == 1
    assert installed.noted()[-1] == "calltree upgrade --no-backup", "nothing is started on it"
    assert VERSION not in installed.unit.read_text()
    assert f"git checkout {before}" in done.stdout
    assert "restore --yes FILE" in done.stderr


@pytest.mark.parametrize("why", ["no backup", "changed by hand", "not root"])
def test_an_upgrade_that_may_not_begin_leaves_everything_as_it_was(
    installed: Installation, why: str
) -> None:
    before = git("rev-parse", "HEAD", at=installed.site)
    if why == "no backup":
        installed.env["FAILS"] = "backup"
    elif why == "changed by hand":
        (installed.site / "deploy/Caddyfile").write_text("# ours\n")
    else:
        note(Path(installed.env["NOTED"]).parent / "bin/id", "id", "echo 1000")
    done = installed.upgrade()
    assert done.returncode == 1
    assert git("rev-parse", "HEAD", at=installed.site) == before
    assert {"id -u", "calltree backup"} >= {*installed.noted()}
