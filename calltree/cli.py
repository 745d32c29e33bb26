"""`flask --app wsgi …`: what the administrator does on the command line."""

from __future__ import annotations

import secrets

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import select

from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import settings, store
from calltree.locale import sentence
from calltree.models import Role, User
from calltree.services import people, setup
from calltree.text.folding import fold_name

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
        user_id = session.scalar(
            select(User.id).where(User.login_key == fold_name(login_id), User.deleted_at.is_(None))
        )
        if user_id is None:
            raise click.ClickException(f"there is no user {login_id}")
        try:
            people.set_password(
                session, viewer=None, user_id=user_id, password_hash=hashed, now=utcnow()
            )
        except Refused as refusal:
            raise click.ClickException(sentence(refusal.code, **refusal.values)) from None
    click.echo(f"{login_id}  {password}")


def init_app(app: Flask) -> None:
    """Register the groups of commands."""
    app.cli.add_command(user_commands)
