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
  refresh "$before"
  systemctl start calltree.target
  if grep -q '^SWITCH_CONFIG_DIR=.' "$ENV_FILE"; then
    # FreeSWITCH reads it while calls go on; what needs a restart is named
    calltree switch load || say "FreeSWITCH did not take its configuration: calltree switch load"
  fi
  wait_ready
}

calltree() { bash deploy/calltree "$@"; }
say() { echo "upgrade: $*"; }
fail() { say "$*" >&2; exit 1; }

# Brings what the installation copied to its places to the new version, unless it was changed there.
refresh() {
  local before=$1 root=${CALLTREE_ROOT:-} file
  for file in deploy/systemd/calltree*; do
    replace "$before" "$file" "$root/etc/systemd/system/${file##*/}" 644
  done
  file=freeswitch.service.d/calltree.conf
  replace "$before" "deploy/systemd/$file" "$root/etc/systemd/system/$file" 644
  replace "$before" deploy/calltree "$root/usr/local/bin/calltree" 755
  replace "$before" deploy/tmpfiles.conf "$root/etc/tmpfiles.d/calltree.conf" 644
  replace "$before" deploy/journald.conf "$root/etc/systemd/journald.conf.d/calltree.conf" 644
  replace "$before" deploy/logrotate.conf "$root/etc/logrotate.d/calltree" 644
  [ -n "$root" ] || systemd-tmpfiles --create /etc/tmpfiles.d/calltree.conf
  systemctl daemon-reload
}

replace() {
  local before=$1 ours=$2 there=$3 mode=$4
  if [ ! -f "$there" ]; then
    # new in this version; what was left out on purpose stays out
    git cat-file -e "$before:$ours" 2>/dev/null || install -D -m "$mode" "$ours" "$there"
    return
  fi
  if cmp -s "$ours" "$there"; then return; fi
  if git show "$before:$ours" 2>/dev/null | cmp -s - "$there"; then
    install -m "$mode" "$ours" "$there"
    say "renewed $there"
  else
    say "left $there, which differs from the version before: compare it with $ours"
  fi
}

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
