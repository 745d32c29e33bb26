"""The form of one number's inbound route, and how its values go in and out."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import Length, Optional

from calltree.blueprints.formats import WEEKDAY_IDS
from calltree.blueprints.forms import optional_id
from calltree.extensions import reading
from calltree.locale import lazy
from calltree.models import HolidayHours, InboundAction, Situation
from calltree.services import guidances, inbound_words, people
from calltree.services.inbound_days import read_closed_days, write_closed_days
from calltree.services.inbound_routes import RouteDetails
from calltree.services.inbound_rules import POSSIBLE, USUAL_S, Step
from calltree.services.sentences import N_

DAYS = (*WEEKDAY_IDS, N_("Public holidays"))


class RouteForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """When a number takes calls and what it does with them; its repeated fields stand below."""

    holidays = RadioField(lazy(N_("Public holidays")), coerce=HolidayHours)
    observes_closed_days = BooleanField(
        lazy(N_("Closed on the site's closed days")),
        description=lazy(N_("Those of the page Closed days.")),
    )
    closed_days = TextAreaField(
        lazy(N_("Closed days of this number alone")),
        description=lazy(
            N_("One in each line, as 2026-12-29 - 2027-01-03, then a name. Empty: none.")
        ),
    )
    group_id = SelectField(lazy(N_("Who is rung")), coerce=optional_id)

    def offer(self) -> None:
        """Fill the choices."""
        self.holidays.choices = [
            (key.value, _(name)) for key, name in inbound_words.HOLIDAYS.items()
        ]
        groups = people.group_names(reading())
        self.group_id.choices = [("", _("Everybody who is ready")), *groups]
        sounds = [(one.id, one.name) for one in guidances.all_guidances(reading())]
        for situation in inbound_words.SITUATIONS:
            self[f"{situation}_action"].choices = [
                (action.value, _(inbound_words.ACTIONS[action])) for action in POSSIBLE[situation]
            ]
            self[f"{situation}_guidance_id"].choices = [("", _("None")), *sounds]

    def show(self, given: RouteDetails) -> None:
        """Put a number's settings into the fields."""
        for place, text in enumerate(given.hours):
            self[f"hours_{place}"].data = text
        for name in ("holidays", "observes_closed_days", "group_id"):
            self[name].data = getattr(given, name)
        self.closed_days.data = write_closed_days(given.closed_days)
        for situation, step in given.steps.items():
            for column in Step.__slots__:
                self[f"{situation}_{column}"].data = getattr(step, column)
            self[f"{situation}_seconds"].data = step.seconds or None

    def details(self) -> RouteDetails:
        """Return what was typed. Raises Refused 'closed_day_unreadable', 'days_reversed'."""
        return RouteDetails(
            hours=tuple(self[f"hours_{place}"].data or "" for place in range(len(DAYS))),
            holidays=self.holidays.data,
            observes_closed_days=bool(self.observes_closed_days.data),
            group_id=self.group_id.data,
            closed_days=read_closed_days(self.closed_days.data or ""),
            steps={situation: self._step(situation) for situation in Situation},
        )

    def _step(self, situation: Situation) -> Step:
        field = {column: self[f"{situation}_{column}"].data for column in Step.__slots__}
        seconds = field["seconds"]
        return Step(
            field["action"],
            field["guidance_id"],
            field["forward_to"] or "",
            # Left empty where it had another meaning before: what is usual, not an error.
            seconds if seconds is not None else USUAL_S.get(field["action"], 0),
            bool(field["tells_position"]),
        )


def _add_repeated() -> None:
    for place, name in enumerate(DAYS):
        setattr(RouteForm, f"hours_{place}", StringField(lazy(name), validators=[Length(max=64)]))
    for situation in Situation:
        fields = {
            "action": SelectField(lazy(N_("What is done with the call")), coerce=InboundAction),
            "guidance_id": SelectField(lazy(N_("Guidance")), coerce=optional_id),
            "forward_to": StringField(lazy(N_("Forwarded to")), validators=[Length(max=20)]),
            "seconds": IntegerField(lazy(N_("Seconds")), validators=[Optional()]),
            "tells_position": BooleanField(
                lazy(N_("Tell the position in the queue")),
                description=lazy(
                    N_("By the guidance chosen for each place; without one, as many short tones.")
                ),
            ),
        }
        for column, field in fields.items():
            setattr(RouteForm, f"{situation}_{column}", field)


_add_repeated()
