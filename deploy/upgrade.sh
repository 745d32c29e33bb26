#!/usr/bin/env bash
# Brings an installed CALLTREE to another version, in one command, as root:
#   deploy/upgrade.sh           what is newest on the branch that is checked out
#   deploy/upgrade.sh v1.4.0    that tag or commit
# A backup comes first. FreeSWITCH keeps running: a call that is in progress goes on, and the
# operators' pages say that there is a new version.
set -euo pipefail

main() {
  cd "$(dirname "$0")/.."
  export CALLTREE_HOME=$PWD ENV_FILE=${ENV_FILE:-/etc/calltree.env}
  local version=${1:-} before
  [ "$(id -u)" = 0 ] || fail "run this as root"
  [ -r "$ENV_FILE" ] || fail "$ENV_FILE is missing"
  [ -z "$(git status --porcelain --untracked-files=no)" ] ||
    fail "files here were changed by hand: look with git status, then commit or restore them"

  before=$(git rev-parse --short HEAD)
  say "backing up $before"
  calltree backup

  say "fetching ${version:-the newest}"
  git fetch --quiet --tags
  if [ -n "$version" ]; then git checkout --quiet "$version"; else git pull --quiet --ff-only; fi
  bash scripts/setup.sh run

  say "restarting on $(git rev-parse --short HEAD)"
  systemctl stop calltree.target 'calltree-*.service'
  if ! calltree upgrade --no-backup; then
    say "the tables could not be brought up to date. Back to $before:"
    say "  git checkout $before && bash scripts/setup.sh run"
    fail "  deploy/calltree restore --yes FILE (named above) && systemctl start calltree.target"
  fi
  systemctl start calltree.target
  wait_ready
}

calltree() { bash deploy/calltree "$@"; }
say() { echo "upgrade: $*"; }
fail() { say "$*" >&2; exit 1; }

wait_ready() {
  local port
  port=$(sed -n 's/^PORT=//p' "$ENV_FILE")
  for _ in $(seq 30); do
    if curl -fsS --max-time 3 "http://127.0.0.1:${port:-8000}/readyz" >/dev/null 2>&1; then
      say "done"
      return
    fi
    sleep 1
  done
  say "it runs, but not every part is ready:"
  calltree doctor || exit 1
}

# read to its end before anything runs: the upgrade replaces this very file
main "$@"
exit
