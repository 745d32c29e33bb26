#!/usr/bin/env bash
# Makes .venv and installs what is locked: `scripts/setup.sh run` for running, `dev` for working on it.
# Does nothing when the lock has not changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-run}
case "$kind" in
  run) lock=requirements.txt ;;
  dev) lock=requirements-dev.txt ;;
  *) echo "setup: say run or dev" >&2; exit 2 ;;
esac
venv=.venv
new_enough='import sys; raise SystemExit(sys.version_info < (3, 11))'

missing() {
  echo "CALLTREE needs Python 3.11 or newer with venv; $1: apt-get install python3 python3-venv" >&2
  exit 1
}

if ! "$venv/bin/python" -c "$new_enough" 2>/dev/null; then
  python=
  for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c "$new_enough" 2>/dev/null; then python=$name; break; fi
  done
  [ -n "$python" ] || missing "python3 is missing or too old"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing "python3-venv is missing"
  echo "Making the virtual environment $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" || missing "python3-venv is missing"
fi

# the development lock contains the other one, so either stamp may stand for "run"
want="$(sha256sum "$lock" | cut -d' ' -f1) $("$venv/bin/python" -V)"
run_want="$(sha256sum requirements.txt | cut -d' ' -f1)"
if [ "$kind" = run ] && [ "$(cat "$venv/installed-dev-holds" 2>/dev/null)" = "$run_want" ]; then
  :
elif [ "$(cat "$venv/installed-$kind" 2>/dev/null)" != "$want" ]; then
  echo "Installing $(grep -c '^[a-z0-9].*==' "$lock") packages of $lock into $venv (once, about a minute)"
  # compiling all takes longer than all the rest, and the tests use a small part of it; a site's user
  # may not write there, so an installation is compiled now
  if [ "$kind" = dev ]; then compile=--no-compile; else compile=--compile; fi
  PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
    "$compile" --require-hashes -r "$lock" | sed -u -n -e 's/^Collecting \([^ ]*\).*/  \1/p' -e 's/^Installing collected.*/  unpacking/p'
  echo "$want" > "$venv/installed-$kind"
  [ "$kind" = dev ] && echo "$run_want" > "$venv/installed-dev-holds"
fi

"$venv/bin/python" -m scripts.messages compile
