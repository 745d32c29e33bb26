"""Our event socket client against genesis and greenswitch: events a second over loopback.

Work: the recorded events of tests/telephony/transcripts (`event plain`; the two others do not read
`event json`), repeated to 100,000, streamed by a feeder of ours; every contestant, connected and
subscribed as its documentation shows, reads each header of `esl_contestants/task.py` as text in its
handler. The feeder never has more than 5,000 events on the way, so nobody gains by hoarding.

`value` is our events a second, `floor` that of the faster of the two, **`ratio` = value / floor:
more is better, 1.5 is wanted**. `extra` has everybody's figures, the same for the bare parsers over
a stream in memory, and what each gets wrong, probed in the same run over a real socket. The
contestants live in a virtual environment of their own under var/, made at the first run; genesis
is left out, and that is said, on a Python that it does not support.
"""

import itertools
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import NotHere, Options, Result
from calltree.telephony.wire import (
    Command,
    CommandReader,
    Framer,
    encode_event_json,
    encode_event_plain,
    encode_frame,
)

PINNED = {"genesis": "genesis==2026.10.18", "greenswitch": "greenswitch==0.0.19"}
ROOT = Path(__file__).parent.parent
CLIENTS = Path(__file__).parent / "esl_contestants"
TRANSCRIPTS = ROOT / "tests" / "telephony" / "transcripts"
VENV = ROOT / "var" / "bench" / "esl-venv"
EVENTS = 100_000
ROUNDS = 2
BATCH = 1000
WINDOW_BATCHES = 5
TIMEOUT_S = 0.3

Send = Callable[[bytes], None]
Say = Callable[[Command, Send], None]


def run(options: Options) -> Result:
    events = max((options.rows or EVENTS) // (ROUNDS * BATCH), 1) * BATCH
    pythons, missing = interpreters()
    frames = recorded()
    streamed: dict[str, dict[str, float]] = {name: {} for name in pythons}
    for _ in range(ROUNDS):
        for name, python in pythons.items():
            add(streamed[name], stream(name, python, frames, events))
    parsed = parse_only(pythons, frames, min(events, 20 * BATCH))
    speed = {name: figures["events"] / figures["seconds"] for name, figures in streamed.items()}
    floor = max(speed[name] for name in pythons if name != "calltree")
    return Result(
        value=speed["calltree"],
        unit="events/s",
        floor=floor,
        ratio=speed["calltree"] / floor,
        n=events * ROUNDS,
        extra={
            "whole path": {name: told(figures) for name, figures in streamed.items()},
            "parser alone": {name: told(figures) for name, figures in parsed.items()},
            "probes": probes(pythons),
            "left out": missing,
            "pinned": PINNED,
        },
    )


def told(figures: dict[str, float]) -> dict[str, float]:
    events = figures["events"]
    return {
        "events_per_s": round(events / figures["seconds"]),
        "cpu_us_per_event": round(figures["cpu"] / events * 1e6, 1),
        "characters": figures["characters"],
        "values_not_text": figures["not_text"],
    }


def add(total: dict[str, float], figures: dict[str, float]) -> None:
    for key, value in figures.items():
        total[key] = total.get(key, 0) + value


def recorded() -> list[bytes]:
    """The plain events of every transcript, each a whole frame, in the order of the files."""
    frames = []
    for file in sorted(TRANSCRIPTS.glob("*.txt")):
        if file.stem.endswith(".sent"):
            continue
        for frame in Framer().feed(file.read_bytes()):
            if frame.content_type == "text/event-plain":
                frames.append(encode_frame(frame.content_type, frame.body))
    return frames


def interpreters() -> tuple[dict[str, Path], dict[str, str]]:
    """Who can take part, each with its Python; and why the others cannot."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    taking_part, missing = {"calltree": Path(sys.executable)}, {}
    for name, requirement in PINNED.items():
        package, version = requirement.split("==")
        ask = f"import importlib.metadata as m; assert m.version({package!r}) == {version!r}"
        if subprocess.run([python, "-c", ask], capture_output=True).returncode != 0:
            install = [python, "-m", "pip", "install", "--quiet", requirement]
            done = subprocess.run(install, capture_output=True, text=True)
            if done.returncode != 0:
                missing[name] = (done.stderr.strip().splitlines() or ["not installed"])[-1]
                continue
        taking_part[name] = python
    if len(taking_part) < 2:
        raise NotHere(f"neither contestant could be installed: {missing}")
    return taking_part, missing


@contextmanager
def contestant(name: str, python: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [str(python), str(CLIENTS / f"with_{name}.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)} if name == "calltree" else {},
    )
    try:
        yield process
        process.wait(30)
    finally:
        process.kill()
        process.communicate()


def stream(name: str, python: Path, frames: list[bytes], events: int) -> dict[str, float]:
    """One contestant's run over a real socket."""
    batches = list(cycle(frames, events))
    window = threading.Semaphore(WINDOW_BATCHES)
    fed = threading.Event()

    def feed(command: Command, send: Send) -> None:
        if command.verb != "event":
            return
        send(ok())
        for batch in batches:
            window.acquire()
            if fed.is_set():
                return
            send(batch)

    last = ""
    with peer(feed) as port, contestant(name, python, "stream", str(port), str(events)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line
            window.release()
        fed.set()
        window.release()
        errors = process.stderr.read() if process.stderr else ""
    return figures_of(name, last, errors)


def parse_only(
    pythons: dict[str, Path], frames: list[bytes], events: int
) -> dict[str, dict[str, float]]:
    figures = {}
    with tempfile.NamedTemporaryFile() as file:
        for batch in cycle(frames, events):
            file.write(batch)
        file.flush()
        for name, python in pythons.items():
            with contestant(name, python, "parse", file.name, str(events)) as process:
                out, errors = process.communicate(timeout=600)
            figures[name] = figures_of(name, out.strip().splitlines()[-1] if out else "", errors)
    return figures


def figures_of(name: str, line: str, errors: str) -> dict[str, float]:
    try:
        figures: dict[str, float] = json.loads(line)
    except ValueError:
        raise SystemExit(f"{name} did not finish:\n{errors}") from None
    return figures


def cycle(frames: list[bytes], events: int) -> Iterator[bytes]:
    """`events` frames in batches of a thousand, round and round."""
    place = 0
    for _ in range(events // BATCH):
        chosen = [frames[(place + i) % len(frames)] for i in range(BATCH)]
        place += BATCH
        yield b"".join(chosen)


@contextmanager
def peer(say: Say) -> Iterator[int]:
    """A switch on loopback that signs the client in and leaves the rest to `say`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        reader = CommandReader()
        with connection:
            connection.sendall(encode_frame("auth/request"))
            while data := connection.recv(65536):
                for command in reader.feed(data):
                    if command.verb == "auth":
                        connection.sendall(ok("+OK accepted"))
                    else:
                        say(command, connection.sendall)

    def quietly() -> None:
        try:
            serve()
        except OSError:
            return  # the contestant left, or the probe hung up on it

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    with listener:
        yield int(listener.getsockname()[1])
    thread.join(5)


def ok(text: str = "+OK") -> bytes:
    return encode_frame("command/reply", headers={"Reply-Text": text})


def api(text: str) -> bytes:
    return encode_frame("api/response", text.encode())


def probes(pythons: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Each probe's outcome for each contestant: 'right', or what it did instead."""
    return {
        probe.__name__: {name: probe(name, python) for name, python in pythons.items()}
        for probe in (
            encoded_line_feed,
            encoded_percent,
            body_as_sent,
            repeated_header_is_text,
            character_cut_in_two,
            json_event,
            events_in_order,
            late_reply,
            line_feed_in_a_command,
            end_of_stream_frees_the_waiter,
            backlog_is_bounded,
        )
    }


def answer(name: str, python: Path, say: Say, *words: str) -> Any:
    """Run one task against `say`; what the contestant printed, or None."""
    with peer(say) as port:
        process = [str(python), str(CLIENTS / f"with_{name}.py"), words[0], str(port), *words[1:]]
        env = {"PYTHONPATH": str(ROOT)} if name == "calltree" else {}
        try:
            done = subprocess.run(process, capture_output=True, text=True, timeout=60, env=env)
            return json.loads(done.stdout.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            return None


def collected(name: str, python: Path, *pieces: bytes) -> dict[str, Any]:
    """The one event that the contestant makes of these pieces, sent a moment apart."""

    def say(command: Command, send: Send) -> None:
        if command.verb == "event":
            send(ok())
            for piece in pieces:
                send(piece)
                time.sleep(0.05)

    events = answer(name, python, say, "collect", "1")
    return dict(events[0]) if events else {}


def verdict(right: bool, otherwise: object) -> str:
    return "right" if right else f"wrong: {otherwise}"


def encoded_line_feed(name: str, python: Path) -> str:
    note = "a\nInjected: 1"
    got = collected(name, python, encode_event_plain({"Event-Name": "PROBE", "Note": note}))
    return verdict(got.get("Note") == note and "Injected" not in got, sorted(got))


def encoded_percent(name: str, python: Path) -> str:
    got = collected(name, python, encode_event_plain({"Event-Name": "PROBE", "Note": "100%25"}))
    return verdict(got.get("Note") == "100%25", got.get("Note"))


def body_as_sent(name: str, python: Path) -> str:
    body = "+OK 50%25 of it\n\nb: c"
    frame = encode_event_plain({"Event-Name": "BACKGROUND_JOB"}, body.encode())
    got = collected(name, python, frame)
    return verdict(got.get("_body") == body and "b" not in got, got)


def repeated_header_is_text(name: str, python: Path) -> str:
    """FreeSWITCH writes Hangup-Cause twice in CHANNEL_HANGUP_COMPLETE."""
    body = b"Event-Name: PROBE\nHangup-Cause: A\nHangup-Cause: A\n\n"
    got = collected(name, python, encode_frame("text/event-plain", body))
    return verdict(got.get("Hangup-Cause") == "A", got.get("Hangup-Cause"))


def character_cut_in_two(name: str, python: Path) -> str:
    frame = encode_event_plain({"Event-Name": "BACKGROUND_JOB"}, "+OK 日本".encode())
    got = collected(name, python, frame[:-2], frame[-2:])
    said = json.dumps(got, ensure_ascii=False)
    return verdict("+OK 日本" in said, said)


def json_event(name: str, python: Path) -> str:
    frame = encode_event_json({"Event-Name": "PROBE", "Note": "日本\n"}, b"+OK")
    got = collected(name, python, frame)
    return verdict(got.get("Note") == "日本\n", got or "never came to the handler")


def events_in_order(name: str, python: Path) -> str:
    """The handler of every tenth event waits 2 ms, as one that writes to a database does."""
    numbers = [str(n) for n in range(300)]
    frames = [encode_event_plain({"Event-Name": "PROBE", "Event-Sequence": n}) for n in numbers]

    def say(command: Command, send: Send) -> None:
        if command.verb == "event":
            send(ok() + b"".join(frames))

    got = answer(name, python, say, "order", str(len(numbers)))
    if not got or sorted(got, key=int) != numbers:
        return verdict(False, f"{len(got or [])} of {len(numbers)} came")
    newest = itertools.accumulate((int(n) for n in got), max)
    late = sum(1 for n, top in zip(got, newest, strict=True) if int(n) < top)
    return verdict(got == numbers, f"{late} of {len(numbers)} were overtaken by a later one")


def late_reply(name: str, python: Path) -> str:
    """The first reply comes after its caller gave up; whose is it then?"""

    def say(command: Command, send: Send) -> None:
        if command.argument == "first":
            time.sleep(TIMEOUT_S * 1.5)
        send(api(f"reply to {command.argument}") if command.verb == "api" else ok())

    got = answer(name, python, say, "ask", str(TIMEOUT_S), "first", "second", "third")
    wrong = [
        f"{asked} got '{reply}'"
        for asked, reply in zip(("first", "second", "third"), got or [], strict=False)
        if reply.startswith("reply") and reply != f"reply to {asked}"
    ]
    return verdict(bool(got) and not wrong, wrong or "no answer at all")


def line_feed_in_a_command(name: str, python: Path) -> str:
    heard: list[str] = []

    def say(command: Command, send: Send) -> None:
        heard.append(command.line)
        send(api("+OK"))

    answer(name, python, say, "ask", str(TIMEOUT_S), "status\n\napi shutdown")
    return verdict("api shutdown" not in heard, f"the switch heard {heard}")


def end_of_stream_frees_the_waiter(name: str, python: Path) -> str:
    def say(command: Command, _send: Send) -> None:
        if command.verb == "api":
            raise OSError  # hangs up

    got = answer(name, python, say, "ask", "2", "status")
    said = got[0] if got else "no answer at all"
    return verdict(said.startswith("error") and "Timeout" not in said, said)


def backlog_is_bounded(name: str, python: Path) -> str:
    """Twelve thousand events for a handler that is stuck."""
    events = encode_event_plain({"Event-Name": "PROBE", "Filler": "x" * 500}) * 12_000

    def say(command: Command, send: Send) -> None:
        if command.verb == "event":
            send(ok() + events)

    hoards = answer(name, python, say, "ignore", "3")
    return verdict(hoards is False, "hoards without limit" if hoards else "no answer at all")
