"""`flask --app wsgi …`: what the administrator does on the command line."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import settings, store
from calltree.locale import sentence
from calltree.models import Role, User
from calltree.services import (
    leaving_practice,
    people,
    practice_callers,
    practice_site,
    recordings,
    second_factor,
    setup,
)
from calltree.telephony import inspection, trunk_loading
from calltree.telephony.care import wanted_gateways
from calltree.telephony.config.wanted import ConfigError, Wanted
from calltree.telephony.config.writing import needs_restart, write
from calltree.telephony.esl import Link, LinkDown
from calltree.telephony.nodes import nodes
from calltree.text.folding import fold_name
from calltree.upkeep import switch_state
from calltree.upkeep.findings import Light
from calltree.upkeep.switch_sentences import PARTS, say

user_commands = AppGroup("user", help="Users, when nobody can sign in.")


@user_commands.command("create")
@click.argument("login_id")
@click.option("--name", required=True, help="The name that the screens show.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="MGR")
def create_user(login_id: str, name: str, role: str) -> None:
    """Create a user and print the password."""
    password = secrets.token_urlsafe(9)
    hashed = people.hash_password(password)
    with store().write() as session:
        setup.found(session, practice=settings().practice, now=utcnow())
        taken = session.scalar(select(User.id).where(User.login_key == fold_name(login_id)))
        if taken:
            raise click.ClickException(sentence("login_id_taken", login_id=login_id))
        session.add(
            User(
                login_id=login_id,
                login_key=fold_name(login_id),
                name=name,
                role=Role(role),
                password_hash=hashed,
                created_at=utcnow(),
            )
        )
    click.echo(f"{login_id}  {password}")


@user_commands.command("reset-password")
@click.argument("login_id")
def reset_password(login_id: str) -> None:
    """Give a user a new password and print it (R-US-2: all managers are locked out)."""
    password = secrets.token_urlsafe(9)
    hashed = people.hash_password(password)
    with store().write() as session:
        try:
            people.set_password(
                session,
                viewer=None,
                user_id=_user_id(session, login_id),
                password_hash=hashed,
                now=utcnow(),
            )
        except Refused as refusal:
            raise click.ClickException(sentence(refusal.code, **refusal.values)) from None
    click.echo(f"{login_id}  {password}")


@user_commands.command("reset-factor")
@click.argument("login_id")
def reset_factor(login_id: str) -> None:
    """Forget a user's second factor (all managers have lost theirs, or SECRET_KEY is another)."""
    with store().write() as session:
        second_factor.reset(session, viewer=None, user_id=_user_id(session, login_id), now=utcnow())


def _user_id(session: Session, login_id: str) -> int:
    user_id = session.scalar(
        select(User.id).where(User.login_key == fold_name(login_id), User.deleted_at.is_(None))
    )
    if user_id is None:
        raise click.ClickException(f"there is no user {login_id}")
    return user_id


switch_commands = AppGroup("switch", help="The telephone switch, real or for practice.")


@switch_commands.command("practice")
@click.option("--password", envvar="PRACTICE_PASSWORD", help="Of all practice accounts.")
@click.option("--set-password", is_flag=True, help="Give it to accounts that exist already, too.")
@click.option("--leave", is_flag=True, help="Make the practice database a real one.")
@click.option("--keep-lists", is_flag=True, help="With --leave: keep projects, lists and settings.")
@click.option("--empty", is_flag=True, help="With --leave: keep nothing but the audit log.")
def practice(
    password: str | None, set_password: bool, leave: bool, keep_lists: bool, empty: bool
) -> None:
    """Fill an empty database with practice accounts, a project and a list; or leave practice."""
    if leave:
        _leave_practice(keep_lists=keep_lists, empty=empty)
    elif keep_lists or empty:
        raise click.UsageError("--keep-lists and --empty belong to --leave")
    elif not settings().practice:
        raise click.ClickException("ESL_URL names a real switch; practice data stay away from it")
    else:
        _fill(password or secrets.token_urlsafe(9), set_password=set_password)


@switch_commands.command("call-in")
@click.option("--from", "caller", default="", help="Who calls; without it the number is withheld.")
@click.option("--to", "number", required=True, help="Which of our numbers.")
def call_in(caller: str, number: str) -> None:
    """Have somebody call one of our numbers, on the practice switch."""
    try:
        with store().write() as session:
            practice_callers.call_in(session, caller=caller, number=number, now=utcnow())
    except Refused as refused:
        raise click.ClickException(sentence(refused.code, **refused.values)) from None


def _fill(password: str, *, set_password: bool) -> None:
    # of any length: these accounts guard nothing
    hashed = generate_password_hash(password)
    with store().write() as session:
        filled = practice_site.fill(session, password_hash=hashed, now=utcnow())
    if filled:
        click.echo(" ".join(login_id for login_id, *_ in practice_site.ACCOUNTS))
    elif set_password:
        with store().read() as session:
            others = practice_site.with_other_password(session, password=password)
        with store().write() as session:
            for user_id in others:
                people.set_password(
                    session, viewer=None, user_id=user_id, password_hash=hashed, now=utcnow()
                )


def _leave_practice(*, keep_lists: bool, empty: bool) -> None:
    if keep_lists == empty:
        raise click.UsageError("say either --keep-lists or --empty")
    try:
        with store().write() as session:
            left = leaving_practice.leave(session, keep_lists=keep_lists, now=utcnow())
    except Refused as refusal:
        raise click.ClickException(sentence(refusal.code, **refusal.values)) from None
    for root, names in (
        (settings().recordings_dir, left.recordings),
        (settings().uploads_dir, left.uploads),
    ):
        for name in names:
            recordings.path_below(root, name).unlink(missing_ok=True)
    click.echo("Practice is over. Next: flask --app wsgi user create LOGIN --name NAME --role MGR")
    if keep_lists:
        click.echo("Every list is disabled and the practice caller number is retired:")
        click.echo("give the projects a real caller number, look at each list, then enable it.")


@switch_commands.command("config")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; SWITCH_CONFIG_DIR.")
@click.option("--node", default="", help="For which switch of ESL_URL; the first.")
@click.option("--test-carrier", is_flag=True, help="With a carrier that decides by the last digit.")
@click.option("--group", default="", help="Who reads it when not the same user; SWITCH_GROUP.")
def config(out: Path | None, node: str, test_carrier: bool, group: str) -> None:
    """Write a complete FreeSWITCH configuration from the settings and the trunks."""
    try:
        with store().read() as session:
            wanted = Wanted.read(session, settings(), node=node, test_carrier=test_carrier)
        place = wanted.place
        target = out or place.config_dir_of(wanted.node)
        if target is None:
            raise click.UsageError("say --out DIR, or set SWITCH_CONFIG_DIR")
        written = write(target, wanted, group=group or place.group)
    except (ConfigError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for word, names in (("wrote", written.changed), ("removed", written.removed)):
        for name in names:
            click.echo(f"{word}   {name}")
    for name in written.kept:
        click.echo(f"kept    {name} (your own)")
    click.echo(f"{target}: {len(wanted.gateways)} trunks, {len(written.changed)} files changed")
    click.echo(f"FreeSWITCH reads it with: freeswitch -conf {target.resolve()}")


@switch_commands.command("load")
def load() -> None:
    """Write every switch's configuration anew and let it read that; calls go on."""
    if settings().practice or not settings().switch_place.config_dir:
        raise click.ClickException("ESL_URL and SWITCH_CONFIG_DIR say what to write and where")
    for node in nodes(settings()):
        try:
            with store().read() as session:
                names = trunk_loading.outdated(session, settings(), node=node.name)
                wanted = Wanted.read(session, settings(), node=node.name)
            with Link.connect(node.url) as link:
                failure = trunk_loading.load(link, wanted, settings())
        except (ConfigError, OSError, LinkDown) as error:
            raise click.ClickException(f"{node.name}: {error}") from None
        if failure:
            raise click.ClickException(f"{node.name}: {failure}")
        click.echo(f"{node.name}: {len(names)} files changed")
        for name in filter(needs_restart, names):
            click.echo(f"  {name}: read when FreeSWITCH is restarted (that ends calls)")


@switch_commands.command("check")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(as_json: bool) -> None:
    """Say what of the telephone is as it should be, and what to do; exit code 1 for a red part."""
    if not settings().switch_urls:
        raise click.ClickException("No switch is running: make run starts the practice switch.")
    with store().read() as session:
        gateways = wanted_gateways(session, settings())
    red = False
    for node in nodes(settings()):
        reading = inspection.inspect(node.url, node.name, settings(), gateways, now=utcnow())
        judged = switch_state.judge(reading, now=utcnow())
        red = red or any(one.light is Light.RED for one in judged)
        if as_json:
            click.echo(json.dumps({"node": node.name, "found": [asdict(one) for one in judged]}))
            continue
        click.echo(node.name)
        for one in judged:
            says, todo = say(one, _)
            light = click.style(f"{one.light.upper():6}", fg=one.light)
            click.echo(f"  {light}  {_(PARTS[one.part])}: {says}")
            if todo:
                click.echo(f"          -> {todo}")
    raise SystemExit(1 if red else 0)


@switch_commands.command("suits", hidden=True)
def suits() -> None:
    """Say whether this database suits these settings; exit code 1 and one word when not."""
    with store().read() as session:
        why = leaving_practice.mismatch(session, practice=settings().practice)
    if why:
        click.echo(why)
        raise SystemExit(1)


def init_app(app: Flask) -> None:
    """Register the groups of commands."""
    from calltree.upkeep import commands  # heavier than what a page needs at the start

    commands.init_app(app)
    app.cli.add_command(user_commands)
    app.cli.add_command(switch_commands)
