"""Webhook: which addresses are told of what, and the log of it (R-AR-3)."""

from __future__ import annotations

import secrets

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField
from wtforms.validators import InputRequired, Length

from calltree.blueprints import shown_once
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, put_error, saved
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import Webhook
from calltree.services import outbox, webhooks
from calltree.services import settings as site_settings
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.services.webhooks import Event, WebhookDetails

bp = Blueprint("webhooks", __name__, url_prefix="/admin/webhooks")

EVENT_NAMES = {
    Event.CALL_ENDED: N_("A call has ended"),
    Event.STATUS_SAVED: N_("A result was saved or changed"),
    Event.TASK_DUE: N_("A task has become due"),
}
LOGGED_NAMES = {**{event.value: name for event, name in EVENT_NAMES.items()}, "ping": N_("Test")}
FAILURES = {
    "address": N_("The address is in a network that may not be reached (WEBHOOK_NETWORKS)."),
    "name": N_("The server's name is not known."),
    "certificate": N_("The server's certificate is not valid."),
    "timeout": N_("No answer in time."),
    "connection": N_("The connection failed."),
    "redirect": N_("The server sends elsewhere; that is not followed."),
    "status": N_("The server did not accept it."),
    "secret": N_("SECRET_KEY is another one by now. Make a new secret."),
    "stopped": N_("Given up when the webhook was switched off."),
    "removed": N_("Given up when the webhook was removed."),
}


class WebhookForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A webhook."""

    name = StringField(lazy(N_("Name")), validators=[InputRequired(), Length(max=64)])
    url = StringField(
        lazy(N_("Address (URL)")),
        description=lazy(
            N_("https. Networks of your own must be allowed by the administrator first.")
        ),
        validators=[InputRequired(), Length(max=512)],
    )
    events = CheckListField(lazy(N_("Events")), coerce=Event)
    enabled = BooleanField(lazy(N_("In use")), default=True)

    def offer(self) -> None:
        """Fill the choices."""
        self.events.choices = [
            (event.value, f"{_(name)} ({event.value})") for event, name in EVENT_NAMES.items()
        ]

    def details(self) -> WebhookDetails:
        """Return what was typed."""
        return WebhookDetails(
            name=self.name.data or "",
            url=self.url.data or "",
            events=tuple(self.events.data or ()),
            enabled=bool(self.enabled.data),
        )


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the webhooks and how they are."""
    return render_template(
        "webhooks/index.html",
        webhooks=webhooks.all_webhooks(reading()),
        waiting=webhooks.waiting(reading()),
        event_names={event.value: name for event, name in EVENT_NAMES.items()},
    )


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def create() -> ResponseReturnValue:
    """Add a webhook; the page that follows shows its secret, once."""
    form = WebhookForm()
    form.offer()
    if form.validate_on_submit():
        try:
            with writing() as session:
                row, secret = webhooks.create(
                    session,
                    viewer=viewer(),
                    details=form.details(),
                    key=settings().secret_key,
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            return _secret_made(row, secret)
    return _form(form, None)


@bp.route("/<int:webhook_id>/edit", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def edit(webhook_id: int) -> ResponseReturnValue:
    """Change a webhook."""
    row = webhooks.get(reading(), webhook_id)
    form = WebhookForm(obj=None if request.method == "POST" else row)
    form.offer()
    done = saved(
        form,
        lambda session: webhooks.change(
            session, viewer=viewer(), webhook_id=webhook_id, details=form.details(), now=utcnow()
        ),
    )
    return go(url_for("webhooks.show", webhook_id=webhook_id)) if done else _form(form, row)


def _form(form: WebhookForm, row: Webhook | None) -> ResponseReturnValue:
    page = render_template("webhooks/form.html", form=form, webhook=row)
    return page, 422 if form.errors or form.form_errors else 200


@bp.get("/<int:webhook_id>")
@requires(Right.SEE_SETTINGS)
def show(webhook_id: int) -> ResponseReturnValue:
    """Show one webhook with its log, newest first."""
    row = webhooks.get(reading(), webhook_id)
    before_id = request.args.get("before", type=int)
    deliveries = webhooks.log(reading(), webhook_id=webhook_id, before_id=before_id)
    older = deliveries[-1].id if len(deliveries) == webhooks.LOG_PAGE else None
    return render_template(
        "webhooks/show.html",
        webhook=row,
        deliveries=deliveries,
        event_names=LOGGED_NAMES,
        failures=FAILURES,
        next_url=url_for(".show", webhook_id=webhook_id, before=older) if older else None,
        first_url=url_for(".show", webhook_id=webhook_id) if before_id else None,
    )


@bp.post("/<int:webhook_id>/test")
@requires(Right.EDIT_SETTINGS)
def test(webhook_id: int) -> ResponseReturnValue:
    """Send a delivery that only tries the way."""
    now, key = utcnow(), f"ping-{secrets.token_hex(8)}"
    with writing() as session:
        practice = site_settings.get(session).practice
        webhooks.ping(
            session,
            viewer=viewer(),
            webhook_id=webhook_id,
            event_key=key,
            body=outbox.body_of(webhooks.PING, key, {}, practice=practice, now=now),
            now=now,
        )
    flash(_("A test was sent. Its result stands in the log in a moment."), "ok")
    return go(url_for("webhooks.show", webhook_id=webhook_id))


@bp.post("/<int:webhook_id>/deliveries/<int:delivery_id>/send")
@requires(Right.EDIT_SETTINGS)
def send_again(webhook_id: int, delivery_id: int) -> ResponseReturnValue:
    """Send one delivery once more."""
    with writing() as session:
        webhooks.send_again(
            session,
            viewer=viewer(),
            webhook_id=webhook_id,
            delivery_id=delivery_id,
            now=utcnow(),
        )
    flash(_("It is sent again. Its result stands in the log in a moment."), "ok")
    return go(url_for("webhooks.show", webhook_id=webhook_id))


@bp.post("/<int:webhook_id>/secret")
@requires(Right.EDIT_SETTINGS)
def renew_secret(webhook_id: int) -> ResponseReturnValue:
    """Make another secret; the page that follows shows it, once."""
    with writing() as session:
        row, secret = webhooks.renew_secret(
            session,
            viewer=viewer(),
            webhook_id=webhook_id,
            key=settings().secret_key,
            now=utcnow(),
        )
    return _secret_made(row, secret)


def _secret_made(row: Webhook, secret: str) -> ResponseReturnValue:
    shown_once.keep(secret, of=f"webhook-{row.id}")
    return go(url_for("webhooks.secret", webhook_id=row.id))


@bp.get("/<int:webhook_id>/secret")
@requires(Right.EDIT_SETTINGS)
def secret(webhook_id: int) -> ResponseReturnValue:
    """Show the secret just made; loaded anew the page says that it was shown."""
    row = webhooks.get(reading(), webhook_id)
    made = shown_once.take(f"webhook-{webhook_id}")
    return render_template("webhooks/secret.html", webhook=row, secret=made)


@bp.post("/<int:webhook_id>/remove")
@requires(Right.EDIT_SETTINGS)
def remove(webhook_id: int) -> ResponseReturnValue:
    """Remove a webhook."""
    with writing() as session:
        webhooks.remove(session, viewer=viewer(), webhook_id=webhook_id, now=utcnow())
    flash(_("The webhook was removed."), "ok")
    return go(url_for("webhooks.index"))
