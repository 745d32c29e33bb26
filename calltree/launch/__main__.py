"""`python -m calltree.launch`: Redis, tables, practice, worker, web; Ctrl-C ends all of it."""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from calltree.config import Settings, SettingsError
from calltree.launch import checks, own_redis
from calltree.launch.children import Child, Children, die_with_parent, show
from calltree.launch.words import N_
from calltree.launch.words import translate as _

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0  # after which it says that it still waits: a busy machine is no fault
ALL_PARTS_S = 20.0
ROLES = ("jobs", "calls", "switch")
ACCOUNTS = ("mgr", "sv", "op1", "op2", "op3", "op4", "op5", "biz", "by")
FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")
CHECK_FAILED = N_("The database could not be checked; the lines above say why.")
WRONG_DATABASE = {
    "practice_records": N_(
        "This database holds practice records and ESL_URL names a real switch: run "
        "`flask --app wsgi switch practice --leave --keep-lists` (or --empty), or unset ESL_URL."
    ),
    "real_records": N_(
        "This database holds real records and there is no ESL_URL: set ESL_URL, "
        "or practise beside it: DATA_DIR=practice make run"
    ),
}


class CannotStartError(Exception):
    """One plain sentence: what is in the way and what to do."""


def say(line: str) -> None:
    """One line of our own on the terminal."""
    show("calltree", line)


class Launch:
    """One run on one DATA_DIR, from the first check to the last child's end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children = Children(show)
        self.env = {
            **os.environ,
            "DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url,
            "HOST": settings.host,
            "PORT": str(settings.port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",  # a server's locale may well be C; our words are not
        }

    def run(self) -> int:
        """Start all, keep all running, stop all. Returns the exit code."""
        self.children.listen_to_signals()
        try:
            if self._start():
                self.children.keep_running(_say_ended)
            return 0
        except CannotStartError as error:
            say(str(error))
            return 1
        finally:
            self.children.stop(lambda child: say(_("Stopping %s") % child.name))
            say(_("Everything has stopped."))

    def _start(self) -> bool:
        """True when everything runs; False when a stop was asked for meanwhile."""
        steps: list[Callable[[], None]] = [self._redis, self._tables, self._right_database]
        if self.settings.practice:
            steps += [self._practice_data, self._practice_switch]
        steps += [self._workers, self._web, self._all_parts]
        for step in steps:
            step()
            if self.children.stop_asked:
                return False
        self._welcome()
        return True

    def _redis(self) -> None:
        if self.settings.redis_url:
            say(_("Using the Redis of REDIS_URL"))
            return
        data_dir = self.settings.data_dir
        if own_redis.answers(data_dir):
            raise CannotStartError(
                _("A Redis of an earlier run still uses %s; stop it first (kill its process).")
                % own_redis.socket_path(data_dir)
            )
        try:
            command = own_redis.command(data_dir)
        except own_redis.RedisProgramMissingError:
            raise CannotStartError(
                _("There is no Redis for this machine: apt-get install redis-server")
            ) from None
        self.env["REDIS_URL"] = own_redis.url(data_dir)
        say(_("Starting our own Redis (%s)") % command[0])
        self._await("redis", command, lambda: own_redis.answers(data_dir), quiet=True)

    def _tables(self) -> None:
        say(_("Bringing the database's tables up to date"))
        self._once("tables", [*FLASK, "db", "upgrade"])

    def _right_database(self) -> None:
        """Practice records and real calls never meet in one database (R-AR-5)."""
        child = Child("check", [*FLASK, "switch", "suits"], env=self.env, quiet=True)
        self.children.start(child)
        if self.children.wait_end(child):
            why = child.last_lines[-1] if child.last_lines else ""
            if why not in WRONG_DATABASE:
                self.children.show_kept(child)
            raise CannotStartError(_(WRONG_DATABASE.get(why, CHECK_FAILED)))

    def _practice_data(self) -> None:
        kept = self.settings.data_dir / "practice_password"
        command = [*FLASK, "switch", "practice"]
        if given := self.settings.practice_password:
            checks.write_private(kept, given)
            command.append("--set-password")
        self.env["PRACTICE_PASSWORD"] = checks.kept_secret(kept)
        say(_("Filling an empty database with a practice project"))
        self._once("seed", command)

    def _practice_switch(self) -> None:
        port = checks.free_port()
        password = checks.kept_secret(self.settings.data_dir / "run" / "practice_esl", 18)
        self.env["PRACTICE_ESL_URL"] = f"esl://:{password}@127.0.0.1:{port}"
        # what is started by hand beside us finds the same switch
        checks.write_private(
            self.settings.data_dir / "run" / "practice_url", self.env["PRACTICE_ESL_URL"]
        )
        say(_("Starting the practice switch (nothing is really dialled)"))
        self.env["ESL_PASSWORD"] = password  # not on the command line, which everybody may read
        command = [
            *(sys.executable, "-m", "calltree.practice", "--host", "127.0.0.1"),
            *("--port", str(port), "--recordings", str(self.settings.recordings_dir)),
        ]
        self._await("practice", command, lambda: checks.listens("127.0.0.1", port))

    def _workers(self) -> None:
        for role in ROLES:
            say(_("Starting the worker: %s") % role)
            self._await(role, [sys.executable, "worker.py", role], lambda: True)

    def _web(self) -> None:
        if not checks.port_is_free(self.settings.host, self.settings.port):
            raise _port_busy(self.settings)
        say(_("Starting the web server"))
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
        host = _reachable(self.settings.host)
        self._await(
            "web", command, lambda: checks.get(host, self.settings.port, "/healthz")[0] == 200
        )

    def _all_parts(self) -> None:
        """Wait until every part says it is ready; say which one does not, and go on."""
        host = _reachable(self.settings.host)
        port = self.settings.port
        ready = self.children.wait_until(
            lambda: checks.get(host, port, "/readyz")[0] == 200, ALL_PARTS_S
        )
        if not ready and not self.children.stop_asked:
            say(_("Not every part is ready yet: %s") % checks.get(host, port, "/readyz")[1])

    def _welcome(self) -> None:
        host = _reachable(self.settings.host)
        shown = f"[{host}]" if ":" in host else host
        say("")
        say(_("Ready: %s") % f"http://{shown}:{self.settings.port}/")
        if self.settings.practice:
            say(_("Practice accounts: %s") % " ".join(ACCOUNTS))
            say(_("Password of all practice accounts: %s") % self.env["PRACTICE_PASSWORD"])
        say(_("Ctrl-C stops everything."))
        say("")

    def _await(
        self, name: str, command: list[str], ready: Callable[[], bool], *, quiet: bool = False
    ) -> None:
        child = Child(name, command, env=self.env, ready=ready, quiet=quiet)
        self.children.start(child)
        while not self.children.wait_ready(child, READY_S) and not self.children.stop_asked:
            if not child.running:
                self.children.show_kept(child)
                raise CannotStartError(
                    _("%s did not start; the lines above with its name say why.") % name
                )
            words = {"name": name, "seconds": round(time.monotonic() - child.started_at)}
            say(_("%(name)s is not ready after %(seconds)s seconds; still waiting") % words)

    def _once(self, name: str, command: list[str]) -> None:
        child = Child(name, command, env=self.env)
        self.children.start(child)
        code = self.children.wait_end(child)
        if code:
            raise CannotStartError(_("%s failed; the lines above with its name say why.") % name)


def _say_ended(child: Child, code: int, wait_s: float) -> None:
    words = {"name": child.name, "code": code, "wait_s": wait_s}
    say(_("%(name)s ended (code %(code)s); it starts again in %(wait_s)s seconds") % words)


def _port_busy(settings: Settings) -> CannotStartError:
    words = {"port": settings.port, "host": settings.host, "other": settings.port + 1}
    return CannotStartError(
        _(
            "Port %(port)s on %(host)s is used by another program: stop that one, "
            "or choose another port: PORT=%(other)s make run"
        )
        % words
    )


def _reachable(host: str) -> str:
    """The address to ask our own web process at; "every address" is none to connect to."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - told, not bound


def main() -> int:
    """Read the settings, take DATA_DIR and run. Each refusal is one sentence."""
    parser = ArgumentParser(prog="calltree.launch", description=__doc__)
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the starting process (make) ends"
    )
    if parser.parse_args().with_parent:
        die_with_parent(os.getppid())
    os.chdir(ROOT)
    os.umask(0o027)  # what the children write is nobody else's on this machine
    try:
        settings = Settings.from_env(os.environ)
        lock = checks.hold_data_dir(settings.data_dir)
    except SettingsError as error:
        say(str(error))
        return 1
    except checks.AlreadyRunningError as error:
        words = {"data_dir": os.environ.get("DATA_DIR") or "var", "pid": error.pid}
        say(
            _(
                "CALLTREE already runs on %(data_dir)s (process %(pid)s): use that one, "
                "or stop it there with Ctrl-C."
            )
            % words
        )
        return 1
    with lock:
        try:
            free = checks.port_is_free(settings.host, settings.port)
        except OSError:
            say(_("HOST: %s is no address of this machine; 0.0.0.0 is all of them") % settings.host)
            return 1
        if not free:
            say(str(_port_busy(settings)))
            return 1
        return Launch(settings).run()


if __name__ == "__main__":
    sys.exit(main())
