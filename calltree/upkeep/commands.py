"""`flask --app wsgi backup | restore | doctor | upgrade`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import flask_migrate
from flask import Flask
from flask.cli import with_appcontext

from calltree.db import utcnow
from calltree.extensions import settings, store
from calltree.upkeep import backup, doctor
from calltree.upkeep import restore as restoring
from calltree.upkeep.counting import told
from calltree.upkeep.findings import Light
from calltree.upkeep.routine import back_up
from calltree.upkeep.words import UpkeepError, _

FOLDER = click.Path(file_okay=False, path_type=Path)
MARKS = {
    Light.GREEN: ("green ", "green"),
    Light.YELLOW: ("yellow", "yellow"),
    Light.RED: ("RED   ", "red"),
}


@click.command("backup")
@click.option("--out", type=FOLDER, help="Where to; BACKUP_DIR, else DATA_DIR/backups.")
@click.option("--files", is_flag=True, help="With the recordings and uploads themselves.")
@with_appcontext
def backup_command(out: Path | None, files: bool) -> None:
    """Write a backup, read it through again, and say where it is."""
    try:
        path, manifest = back_up(settings(), store(), out=out, files=files)
    except UpkeepError as error:
        raise click.ClickException(str(error)) from None
    click.echo(path)
    click.echo(_("Verified: %s") % told(manifest.counts))
    if not files:
        click.echo(_("Recordings are listed in it, not contained: copy them too, or say --files."))


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Also when the present database is not empty.")
@with_appcontext
def restore_command(file: Path, yes: bool) -> None:
    """Replace the database by a backup's; the present one is left beside."""
    try:
        manifest, aside = restoring.restore(
            settings(), store(), file.resolve(), sure=yes, upgrade=_tables, now=utcnow()
        )
    except UpkeepError as error:
        raise click.ClickException(str(error)) from None
    click.echo(_("Restored: %(counts)s; made at %(at)s") % {
        "counts": told(manifest.counts), "at": manifest.made_at,
    })  # fmt: skip
    if aside:
        click.echo(_("The database that was there is kept as %s.") % aside)
    if manifest.variables:
        click.echo(
            _("These variables were set when it was made: %s") % " ".join(manifest.variables)
        )
    click.echo(_("Start CALLTREE again, then: flask --app wsgi doctor"))


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_appcontext
def doctor_command(as_json: bool) -> None:
    """Look at every part; exit code 1 when one is red."""
    found = doctor.examine(settings(), store(), now=utcnow())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1))
    else:
        for finding in found:
            mark, colour = MARKS[finding.light]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.part:<12} {finding.says}")
            if finding.todo:
                click.echo(f"{'':>21}-> {finding.todo}")
    if any(finding.light is Light.RED for finding in found):
        raise SystemExit(1)


@click.command("upgrade")
@click.option("--no-backup", is_flag=True, help="When one was made a moment ago.")
@with_appcontext
def upgrade_command(no_backup: bool) -> None:
    """Back up, then bring the tables up to this version; restart the services afterwards."""
    there = restoring.present(settings())
    if there and not no_backup:
        try:
            path, _manifest = back_up(settings(), store(), out=None)
        except UpkeepError as error:
            raise click.ClickException(str(error)) from None
        click.echo(_("Backup: %s") % path)
    _tables()
    click.echo(_("The tables are up to date: %s") % backup.revision_of(store()))


def _tables() -> None:
    flask_migrate.upgrade(directory=str(restoring.MIGRATIONS))


def init_app(app: Flask) -> None:
    """Register the commands."""
    for command in (backup_command, restore_command, doctor_command, upgrade_command):
        app.cli.add_command(command)
