"""`flask --app wsgi doctor`: is all as it should be, and what to do if not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from redis import Redis, RedisError
from rq import Worker
from sqlalchemy.exc import SQLAlchemyError

from calltree import doorbells
from calltree.config import Settings
from calltree.db import Store
from calltree.launch import checks, own_redis
from calltree.services import backups, leases
from calltree.telephony import trunk_loading
from calltree.telephony.config.wanted import ConfigError
from calltree.telephony.esl import EslUrl
from calltree.upkeep import backup, database_checks, machine_checks
from calltree.upkeep.findings import Finding, green, red, yellow
from calltree.upkeep.words import UpkeepError, _

log = structlog.get_logger(__name__)

SHORT_SECRET = 16


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at."""

    settings: Settings
    store: Store
    now: datetime


def examine(settings: Settings, store: Store, *, now: datetime) -> list[Finding]:
    """Look at everything; a check that cannot be made is a red finding, never an exception."""
    patient = Patient(settings, store, now)
    found: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            found += check(patient)
        except (SQLAlchemyError, RedisError, OSError, UpkeepError, ValueError) as error:
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            found.append(
                red(name, _("Cannot be looked at: %s") % said, _("Mend this, then ask again."))
            )
    return found


def _settings(patient: Patient) -> Iterator[Finding]:
    settings, part = patient.settings, "settings"
    if len(settings.secret_key) < SHORT_SECRET:
        yield red(
            part,
            _("SECRET_KEY is short: sessions could be forged."),
            _("Leave it out; a good one is made and kept in DATA_DIR."),
        )
    if not settings.practice and settings.clock_rate != 1:
        yield red(part, _("CLOCK_RATE is set on a real switch."), _("Leave it out."))
    if not settings.practice and settings.trusted_proxies == 0:
        yield yellow(
            part,
            _("No proxy is told of: cookies also travel without TLS."),
            _("Put Caddy in front and set TRUSTED_PROXIES=1 (docs/how-to/install.md)."),
        )
    if settings.host not in {"127.0.0.1", "::1", "localhost"} and settings.trusted_proxies:
        yield yellow(
            part,
            _("HOST opens the web server itself to the network, past the proxy."),
            _("HOST=127.0.0.1, or close PORT in the firewall."),
        )
    for url in settings.esl_urls:
        if EslUrl.parse(url).password == "ClueCon":  # noqa: S105 - FreeSWITCH's known default
            yield red(
                part,
                _("The event socket has the password that everybody knows."),
                _("Choose another in event_socket.conf.xml and ESL_URL."),
            )
    mode = _("practice switch") if settings.practice else ", ".join(settings.node_names)
    yield green(part, _("Read; telephone: %s") % mode)


def _redis(patient: Patient) -> Iterator[Finding]:
    url = patient.settings.redis_url or own_redis.url(patient.settings.data_dir)
    try:
        with doorbells.connect(url) as link:
            information: dict[str, Any] = dict(link.info())
            yield _lanes(patient, link)
    except RedisError:
        yield red(
            "redis",
            _("It does not answer: calls can be ended and saved, but none can be made."),
            _("Start it, or correct REDIS_URL; without REDIS_URL the launcher starts one."),
        )
        return
    policy = information.get("maxmemory_policy", "noeviction")
    if information.get("maxmemory") and policy != "noeviction":
        yield red(
            "redis",
            _("It throws keys away when it is full (maxmemory-policy %s).") % policy,
            "maxmemory-policy noeviction",
        )
    else:
        yield green("redis", _("Answers, version %s") % information.get("redis_version", "?"))


def _lanes(patient: Patient, link: Redis) -> Finding:
    key = doorbells.site_key(patient.store)
    served = {queue for worker in Worker.all(connection=link) for queue in worker.queue_names()}
    missing = [lane for lane in doorbells.LANES if doorbells.lane_name(key, lane) not in served]
    if missing:
        return red(
            "jobs",
            _("Nobody works on the lane %s.") % ", ".join(missing),
            "worker.py jobs (systemctl start calltree.target)",
        )
    return green("jobs", _("Both lanes are worked on"))


def _switch(patient: Patient) -> Iterator[Finding]:
    for url, name in zip(patient.settings.switch_urls, patient.settings.node_names, strict=False):
        parsed = EslUrl.parse(url)
        if not checks.listens(parsed.host, parsed.port):
            yield red(
                "switch",
                _("%(name)s does not answer on port %(port)s.")
                % {"name": name, "port": parsed.port},
                _("Start FreeSWITCH; then flask --app wsgi switch check says more."),
            )
            continue
        with patient.store.read() as session:
            heard = leases.link_is_up(session, node=name)
        if heard:
            yield green("switch", _("%s is heard") % name)
            yield from _configuration(patient, name)
        else:
            yield red(
                "switch",
                _("Nobody listens to %s: nothing is dialled.") % name,
                "worker.py switch (systemctl start calltree.target)",
            )


def _configuration(patient: Patient, node: str) -> Iterator[Finding]:
    try:
        with patient.store.read() as session:
            names = trunk_loading.outdated(session, patient.settings, node=node)
    except (ConfigError, OSError) as error:
        yield yellow("switch", str(error), "flask --app wsgi switch config")
        return
    if names:
        yield yellow(
            "switch",
            _("Its configuration is not what this version and these settings would write: %s")
            % " ".join(names[:5]),
            "flask --app wsgi switch load",
        )


def _web(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    if checks.get(host, settings.port, "/healthz")[0] == 200:
        yield green("web", _("Answers on port %s") % settings.port)
    elif checks.listens(host, settings.port):
        yield red(
            "web",
            _("Port %s is used by another program.") % settings.port,
            _("Stop that one, or choose another PORT."),
        )
    else:
        yield red(
            "web",
            _("Nobody answers on port %s.") % settings.port,
            "make run (systemctl start calltree.target)",
        )


def _backup(patient: Patient) -> Iterator[Finding]:
    with patient.store.read() as session:
        state = backups.state(session, now=patient.now)
    newest = backup.list_of(patient.settings.backups_dir)[:1]
    if state.problem:
        yield red("backup", _("The last try failed: %s") % state.problem, "flask --app wsgi backup")
    elif state.late:
        yield red(
            "backup",
            _("The last good backup is older than 26 hours, or there is none."),
            _("flask --app wsgi backup; is the jobs role running at night?"),
        )
    elif state.good_at is None:
        yield yellow("backup", _("There is none yet."), "flask --app wsgi backup")
    elif not newest:
        yield red(
            "backup",
            _("There is none in %s any more.") % patient.settings.backups_dir,
            "flask --app wsgi backup",
        )
    else:
        made = state.good_at.astimezone(patient.settings.timezone)
        yield green("backup", f"{made:%Y-%m-%d %H:%M} {newest[0]}")
    if patient.settings.data_dir.stat().st_dev == _device(patient.settings):
        yield yellow(
            "backup",
            _("Backups lie on the same disk as the data."),
            _("BACKUP_DIR on another disk, or copy them to another machine."),
        )


def _device(settings: Settings) -> int:
    folder = settings.backups_dir
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev


Check = Callable[[Patient], Iterator[Finding]]
CHECKS: dict[str, Check] = {
    "settings": _settings,
    "versions": lambda _patient: machine_checks.versions(),
    "database": lambda p: database_checks.look(p.settings, p.store),
    "redis": _redis,
    "switch": _switch,
    "web": _web,
    "disk": lambda p: machine_checks.disk(p.settings),
    "permissions": lambda p: machine_checks.permissions(p.settings),
    "clock": lambda p: machine_checks.clock(p.settings, p.store),
    "recordings": lambda p: database_checks.recordings(p.settings, p.store),
    "backup": _backup,
}
"""In the order in which they are told."""
