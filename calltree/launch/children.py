"""Child processes: started, watched, started again, stopped; one thread, one selector.

One thread on purpose. PR_SET_PDEATHSIG fires when the *thread* that forked ends, and code between
fork and exec is only safe while no other thread can hold a lock.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO

PR_SET_PDEATHSIG = 1
BACKOFF_S = (0.5, 1, 2, 4, 8, 16, 30)
SETTLED_S = 60  # a child that lived this long starts again at the shortest wait
STOP_S = 10  # from SIGTERM to SIGKILL
POLL_S = 0.05
KEPT_LINES = 20
MAX_LINE = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, signal_number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process a signal when its parent dies, kill -9 included.

    Meant to run between fork and exec; `parent` is the pid before the fork, because the parent
    may have died before the kernel was asked.
    """
    _libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def start_process(
    command: Sequence[str], *, env: Mapping[str, str], pass_output: bool = True
) -> "subprocess.Popen[bytes]":
    """Start a program in a process group of its own that ends when this process does."""
    parent = os.getpid()
    return subprocess.Popen(
        list(command),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if pass_output else subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=lambda: die_with_parent(parent),
    )


class Child:
    """One program that should be running. `ready()` answers whether it does its work by now."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        ready: Callable[[], bool] = lambda: True,
        quiet: bool = False,
    ) -> None:
        """`quiet`: its lines are kept, and shown only when it ends by itself."""
        self.name = name
        self.command = list(command)
        self.env = dict(env)
        self.ready = ready
        self.quiet = quiet
        self.process: subprocess.Popen[bytes] | None = None
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.started_at = 0.0
        self.start_again_at: float | None = None
        self.failures = 0
        self.unfinished = b""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Children:
    """All of them, in the order of their start."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        """`write(name, line)` shows one line of a child's output."""
        self._write = write
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._wake = os.pipe()
        self.stop_asked = 0
        for end in (self._wakeup, self._wake):
            os.set_blocking(end, False)
        self._selector.register(self._wakeup, selectors.EVENT_READ, None)

    def listen_to_signals(self) -> None:
        """SIGINT, SIGTERM and SIGHUP ask for a stop; the second one for a quick one."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked)

    def _asked(self, *_: object) -> None:
        self.stop_asked += 1

    def start(self, child: Child) -> None:
        """Start it and watch it from now on."""
        if child not in self._children:
            self._children.append(child)
        child.process = start_process(child.command, env=child.env)
        child.started_at = time.monotonic()
        child.start_again_at = None
        output = child.process.stdout
        assert output is not None  # noqa: S101 - asked for two lines above
        os.set_blocking(output.fileno(), False)
        self._selector.register(output, selectors.EVENT_READ, child)

    def wait_ready(self, child: Child, timeout_s: float) -> bool:
        """True when it is ready; False when it ended, when time is up or a stop was asked for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self.stop_asked:
            self.look()
            if not child.running:
                return False
            if child.ready():
                return True
        return False

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """True once it holds; False when time is up or a stop was asked for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self.stop_asked:
            self.look()
            if condition():
                return True
        return False

    def wait_end(self, child: Child) -> int | None:
        """Run a child to its end; its exit code, None when a stop came first."""
        while child.running and not self.stop_asked:
            self.look()
        if child.running or child.process is None:
            return None
        self._drain(child)
        self._children.remove(child)
        return child.process.returncode

    def look(self) -> None:
        """Show what was written meanwhile, for POLL_S at most."""
        for key, _ in self._selector.select(POLL_S):
            if key.data is None:
                os.read(self._wakeup, 4096)
            else:
                self._read(key.data, key.fileobj)  # type: ignore[arg-type]  # what start() registered

    def _read(self, child: Child, output: IO[bytes]) -> bool:
        try:
            data = os.read(output.fileno(), MAX_LINE)
        except BlockingIOError:
            return False
        *lines, child.unfinished = (child.unfinished + data).split(b"\n")
        if not data or len(child.unfinished) > MAX_LINE:
            lines.append(child.unfinished)
            child.unfinished = b""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                child.last_lines.append(text)
                if not child.quiet:
                    self._write(child.name, text)
        if not data:
            self._selector.unregister(output)
            output.close()
        return bool(data)

    def show_kept(self, child: Child) -> None:
        """Show the last lines of a quiet child, because it went wrong."""
        for line in child.last_lines if child.quiet else ():
            self._write(child.name, line)

    def _drain(self, child: Child) -> None:
        output = child.process.stdout if child.process else None
        while output is not None and not output.closed and self._read(child, output):
            pass
        if output is not None and not output.closed:
            # a grandchild still holds the other end
            self._selector.unregister(output)
            output.close()

    def keep_running(self, say_ended: Callable[[Child, int, float], None]) -> None:
        """Start again what ends, with growing waits, until a stop is asked for."""
        while not self.stop_asked:
            self.look()
            for child in self._children:
                self._mend(child, say_ended)

    def _mend(self, child: Child, say_ended: Callable[[Child, int, float], None]) -> None:
        now = time.monotonic()
        if child.running or child.process is None:
            return
        if child.start_again_at is None:
            self._drain(child)
            self.show_kept(child)
            _kill_group(child.process.pid)  # what it left behind would be in the way of the next
            child.failures = 0 if now - child.started_at > SETTLED_S else child.failures
            wait_s = BACKOFF_S[min(child.failures, len(BACKOFF_S) - 1)]
            child.failures += 1
            child.start_again_at = now + wait_s
            say_ended(child, child.process.returncode, wait_s)
        elif now >= child.start_again_at:
            self.start(child)

    def stop(self, say_stopping: Callable[[Child], None]) -> None:
        """Stop all in reverse order; what does not end in STOP_S is killed, with its group."""
        asked = self.stop_asked
        for child in reversed(self._children):
            if child.process is None:
                continue
            if child.running:
                say_stopping(child)
                child.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            while child.running and time.monotonic() < deadline and self.stop_asked <= asked + 1:
                self.look()
            _kill_group(child.process.pid)
            child.process.wait()
            self._drain(child)
        self._children.clear()


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def show(name: str, line: str) -> None:
    """One line of a child on the terminal, its name in front."""
    sys.stdout.write(f"{name:<8}| {line}\n")
    sys.stdout.flush()
