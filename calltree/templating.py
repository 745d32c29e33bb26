"""The environment of the templates."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from flask.templating import Environment as FlaskEnvironment


class Environment(FlaskEnvironment):
    """Flask's own, whose templates all have the same globals.

    Jinja gives each template a chain of its own for globals that it might be loaded with, and looks
    it through for every drawing and every import: half of the time of a small fragment.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Give the application's globals, for no template of ours is loaded with others."""
        return super().make_globals(d) if d else self.globals
