#!/usr/bin/env bash
# Run robust_lock with a server of its own, as a test; leaves nothing behind.
#
#   robust_lock.sh BIN_DIR    where goallocd, goallocctl and robust_lock are
set -euo pipefail

bin=${1:?usage: robust_lock.sh BIN_DIR}
dir=$(mktemp -d)
name=robust.$$
server=
export GOALLOC_SOCKET=$dir/socket

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf -- "$dir" /dev/shm/goalloc."$name".*
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$bin/goallocd" --name "$name" --socket "$GOALLOC_SOCKET" --limit 64M --ephemeral --log-level warning &
server=$!
for _ in {1..100}; do
    ! "$bin/goallocctl" status >/dev/null 2>&1 || break
    kill -0 "$server"
    sleep 0.1
done
"$bin/robust_lock"
objects=$("$bin/goallocctl" --json stats | sed -n 's/^  "heap_objects": \([0-9]*\),\{0,1\}$/\1/p')
[ "$objects" = 0 ] || { echo "robust_lock.sh: '$objects' objects are left" >&2 && exit 1; }
kill -TERM "$server"
wait "$server"
server=
left=$(find /dev/shm -maxdepth 1 -name "goalloc.$name.*")
[ -z "$left" ] || { echo "robust_lock.sh: left behind in /dev/shm: $left" >&2 && exit 1; }
