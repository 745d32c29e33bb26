"""`python -m calltree.practice`: run the practice switch until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from calltree.practice.server import Server
from calltree.practice.switch import Options

BESIDE_A_REAL_ONE = (
    "ESL_URL names a real switch, and the practice switch does not run beside one: unset ESL_URL."
)


def main() -> int:
    arguments = _arguments()
    if os.environ.get("ESL_URL"):
        print(BESIDE_A_REAL_ONE, file=sys.stderr)  # noqa: T201 - a command - for the terminal
        return 2
    options = Options(
        password=arguments.password or os.environ.get("ESL_PASSWORD", "ClueCon"),
        recordings=arguments.recordings,
        rate=arguments.rate,
        seed=arguments.seed,
        gateways=tuple(arguments.gateways.split(",")),
    )
    try:
        return asyncio.run(_run(options, arguments))
    except OSError as error:
        print(f"The practice switch cannot listen: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m calltree.practice", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8021, help="0 takes a free one")
    parser.add_argument("--password", help="default: $ESL_PASSWORD, else ClueCon")
    parser.add_argument("--recordings", type=Path, default=Path("recordings"))
    parser.add_argument(
        "--rate",
        type=float,
        default=float(os.environ.get("CLOCK_RATE") or 1),
        help="4: everybody is four times as quick; default: $CLOCK_RATE, else 1",
    )
    parser.add_argument("--seed", type=int, default=1, help="for the people of last digit 9")
    parser.add_argument("--gateways", default="carrier", help="names of trunks, with commas")
    parser.add_argument("--announce-fd", type=int, help="write the port here when ready")
    parser.add_argument("--port-file", type=Path, help="write the port here when ready")
    return parser.parse_args()


async def _run(options: Options, arguments: argparse.Namespace) -> int:
    server = Server(options)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    port = await server.start(arguments.host, arguments.port)
    _announce(port, arguments)
    await stopping.wait()
    await server.stop()
    return 0


def _announce(port: int, arguments: argparse.Namespace) -> None:
    print(f"practice switch listening on {arguments.host}:{port}", flush=True)  # noqa: T201 - a command
    if arguments.announce_fd is not None:
        os.write(arguments.announce_fd, f"{port}\n".encode())
        os.close(arguments.announce_fd)
    if arguments.port_file is not None:
        waiting = arguments.port_file.with_suffix(".new")
        waiting.write_text(f"{port}\n")
        waiting.replace(arguments.port_file)


if __name__ == "__main__":
    sys.exit(main())
