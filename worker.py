"""The workers: `worker.py` runs every role on this machine, `worker.py ROLE` one of them.

    worker.py                every role, as supervised children
    worker.py jobs           files and waiting people (lane soon), imports and exports (lane bulk)
    worker.py jobs LANE      one lane
    worker.py calls [NODE]   commands to the switch
    worker.py switch         the ledger's writer: one leads, others stand by

SIGTERM ends all of it cleanly; a child never outlives its parent.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from sqlalchemy.orm import configure_mappers

ROOT = Path(__file__).resolve().parent
USAGE = __doc__.split("\n\n")[1]


def main(arguments: list[str]) -> int:
    """Run what was asked for; the exit code."""
    os.chdir(ROOT)
    os.umask(0o027)  # recordings, uploads and the database are nobody else's on this machine
    from calltree import runtime

    runtime.configure_logging()
    if arguments[:1] != ["jobs"] and (why := _wrong_database()):
        print(why, file=sys.stderr)  # noqa: T201 - for the terminal
        return 1
    match arguments:
        case []:
            return _supervise([["jobs", "soon"], ["jobs", "bulk"], *_calls(), ["switch"]])
        case ["jobs"]:
            return _supervise([["jobs", "soon"], ["jobs", "bulk"]])
        case ["jobs", ("soon" | "bulk") as lane]:
            return _jobs(lane)
        case ["calls"] if len(_calls()) > 1:
            return _supervise(_calls())
        case ["calls", *node]:
            return _serve(*node)
        case ["switch"]:
            return _switch()
    print(USAGE, file=sys.stderr)  # noqa: T201 - for the terminal
    return 2


def _wrong_database() -> str:
    """Why nothing may be dialled with this database and this ESL_URL; empty: it may (R-AR-5)."""
    from calltree import runtime
    from calltree.services import leaving_practice

    with runtime.store().read() as session:
        why = leaving_practice.mismatch(session, practice=runtime.settings().practice)
    return {
        "": "",
        "practice_records": "This database holds practice records and ESL_URL names a real switch: "
        "run `flask --app wsgi switch practice --leave --keep-lists` (or --empty).",
        "real_records": "This database holds real records and there is no ESL_URL: set ESL_URL.",
    }[why]


def _calls() -> list[list[str]]:
    from calltree import runtime

    return [["calls", name] for name in runtime.settings().node_names]


def _supervise(roles: list[list[str]]) -> int:
    from calltree.launch.children import Child, Children, show

    children = Children(show)
    children.listen_to_signals()
    for role in roles:
        command = [sys.executable, str(ROOT / "worker.py"), *role]
        children.start(Child(" ".join(role), command, env=os.environ))
    try:
        children.keep_running(
            lambda child, code, wait_s: show(
                "worker", f"{child.name} ended (code {code}); again in {wait_s} s"
            )
        )
    finally:
        children.stop(lambda child: show("worker", f"stopping {child.name}"))
    return 0


def _jobs(lane: str) -> int:
    from calltree.jobs import worker

    _keep_what_is_loaded()
    worker.run(lane)
    return 0


def _serve(node: str | None = None) -> int:
    from calltree.telephony import calls_worker

    _keep_what_is_loaded()
    calls_worker.run(node)
    return 0


def _switch() -> int:
    from calltree import runtime
    from calltree.telephony import switch

    _keep_what_is_loaded()
    switch.run(runtime.settings(), runtime.store(), runtime.stop_on_signals())
    return 0


def _keep_what_is_loaded() -> None:
    """Code stays for good: no full collection walks through it again, in the middle of a call."""
    configure_mappers()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
