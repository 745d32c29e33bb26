"""`python -m bench NAME [--json] [--rows N] [--seed N] [--database URL]`.

`pacing` also takes `--scenario FILE`.

The last line of the output is one JSON object; `--json` leaves out everything before it. `all` runs
every bench in turn; one whose FreeSWITCH, browser or program is not here is passed over, and named
at the end. Clauses that a bench names as missed are said, and the command fails.
"""

import argparse
import importlib
import keyword
import sys
from pathlib import Path

from bench import NotHere, Options, Result


def names() -> list[str]:
    """A module of this package is a bench unless its name begins with `_`."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem.rstrip("_") for file in files if not file.stem.startswith("_"))


def module(name: str) -> str:
    """A bench whose name is a word of Python's has a module with a _ behind it."""
    return f"bench.{name}_" if keyword.iskeyword(name) else f"bench.{name}"


def show(result: Result) -> None:
    for key, value in result.extra.items():
        if isinstance(value, dict):
            print(f"  {key}")
            for name, item in value.items():
                print(f"    {name}: {item}")
        else:
            print(f"  {key}: {value}")
    print(f"  {result.value:g} against {result.floor:g} {result.unit}: {result.ratio:.2f}")


def measure(name: str, options: Options, *, json_only: bool) -> bool:
    """Run one bench and print what it found; whether all its clauses are kept. Raises `NotHere`."""
    if not json_only:
        print(f"{name} …", flush=True)
    result: Result = importlib.import_module(module(name)).run(options)
    if not json_only:
        show(result)
    print(result.line(name), flush=True)
    for clause in result.missed:
        print(f"{name}: missed: {clause}", file=sys.stderr)
    return not result.missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=[*names(), "all"])
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    parser.add_argument("--rows", type=int, help="units of work (each bench has its default)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="sqlite:///… or postgresql://…")
    parser.add_argument("--scenario", help="pacing: a day as JSON, instead of its own days")
    given = parser.parse_args()
    options = Options(
        rows=given.rows, seed=given.seed, database=given.database, scenario=given.scenario
    )
    if given.name != "all":
        return 0 if measure(given.name, options, json_only=given.json) else 1
    passed_over, kept = {}, True
    for name in names():
        try:
            kept &= measure(name, options, json_only=given.json)
        except NotHere as why:
            passed_over[name] = str(why)
    for name, reason in passed_over.items():
        print(f"{name}: not measured: {reason}", file=sys.stderr)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
