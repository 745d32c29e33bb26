"""Asked at the start: is this DATA_DIR ours, is the port free, who answers."""

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import socket
from pathlib import Path
from typing import IO


class AlreadyRunningError(Exception):
    """Another launcher holds this DATA_DIR; `pid` is its process (0 when it did not say)."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


def hold_data_dir(data_dir: Path) -> IO[str]:
    """Take DATA_DIR for this process; keep the answer open as long as it is to be held.

    The kernel drops the lock when the process ends, however it ends, so no stale file ever has to
    be removed. Raises AlreadyRunningError.
    """
    run_dir = data_dir / "run"
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (run_dir / "launch.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise AlreadyRunningError(int(pid) if pid.isdigit() else 0) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def port_is_free(host: str, port: int) -> bool:
    """True when a server could listen there now. Raises OSError for an address not ours."""
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, proto) as trial:
        # as gunicorn does: connections of the last run that linger are no other program
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            if error.errno in {98, 13}:  # in use, not permitted
                return False
            raise
    return True


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def listens(host: str, port: int) -> bool:
    """True when something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def get(host: str, port: int, path: str) -> tuple[int, dict[str, object]]:
    """Ask our own web process; (0, {}) while it does not answer, {} for what is not JSON."""
    link = http.client.HTTPConnection(host, port, timeout=5)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        link.close()
    with contextlib.suppress(ValueError):
        parts = json.loads(body)
        if isinstance(parts, dict):
            return answer.status, parts
    return answer.status, {}


def kept_secret(path: Path, length: int = 9) -> str:
    """A random word made once and kept in this file, readable by its owner alone."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    word = secrets.token_urlsafe(length)
    write_private(path, word)
    return word


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
