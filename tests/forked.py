"""The site's processes, forked from one that has imported everything: to import takes seconds.

Each is a process of its own all the same: `kill -9` leaves nothing of it, and what it shares with
the others goes by the database, Redis and sockets. How programs start is tested in tests/launch.
"""

import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.forked_from"])


class Forked:
    """A program that runs in a fork, with what `subprocess.Popen` offers for it.

    `arguments` begin with a script of the project (worker.py) or the name of a module; the log
    takes what it says. `announce` is the end of a pipe that it finds as `--announce-fd`.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        env: Mapping[str, str],
        log: Path | str = os.devnull,
        announce: Connection | None = None,
    ) -> None:
        self._process = FORKS.Process(
            target=_become, args=(arguments, dict(env), str(log), announce), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its code, negative for a signal. TimeoutExpired when it goes on."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code


def _become(
    arguments: list[str], env: dict[str, str], log: str, announce: Connection | None
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    told = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(told, stream)
    os.close(told)
    faulthandler.enable()  # a role that hangs is made to say where, by SIGABRT
    sys.argv = list(arguments)
    if announce is not None:
        sys.argv += ["--announce-fd", str(os.dup(announce.fileno()))]
        announce.close()
    program = arguments[0]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
