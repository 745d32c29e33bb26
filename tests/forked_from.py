"""What the process has imported from which those of `tests.forked` are forked; nothing runs."""

import gc

import gunicorn.app.wsgiapp
import gunicorn.workers.gthread
from sqlalchemy.orm import configure_mappers

import calltree.practice.server
import tests.forked
from calltree import blueprints, cli, doorbells, extensions, locale, logs, runtime
from calltree.jobs import worker
from calltree.services import leaving_practice
from calltree.telephony import calls_worker, switch, withdrawing
from tests import kept

LOADED = (
    gunicorn, calltree, tests, blueprints, cli, doorbells, extensions, locale, logs, runtime,
    worker, leaving_practice, calls_worker, switch, withdrawing,
)  # fmt: skip

kept.keep_templates()
configure_mappers()
gc.collect()
gc.freeze()  # the forks share these pages as long as nobody writes to them
