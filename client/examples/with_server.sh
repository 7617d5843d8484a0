#!/usr/bin/env bash
# Run an example with a server of its own, as a test; neither may leave anything behind.
#
#   with_server.sh BIN_DIR COMMAND...    BIN_DIR is where goallocd and goallocctl are
set -euo pipefail

bin=${1:?usage: with_server.sh BIN_DIR COMMAND...}
shift
dir=$(mktemp -d)
name=example.$$
server=
export GOALLOC_SOCKET=$dir/socket

fail() {
    echo "with_server.sh: $*" >&2
    exit 1
}
cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf -- "$dir" /dev/shm/goalloc."$name".{meta,bits,heap}
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

mkfifo "$dir/ready"
"$bin/goallocd" --name "$name" --socket "$GOALLOC_SOCKET" --limit 64M --ephemeral --log-level warning \
    --ready-fd 4 4>"$dir/ready" &
server=$!
ready=
read -r -t 60 ready <"$dir/ready" || true
[ "$ready" = READY ] || fail "goallocd did not become ready"

"$@"

objects=$("$bin/goallocctl" --json stats | sed -n 's/^  "heap_objects": \([0-9]*\),\{0,1\}$/\1/p')
[ "$objects" = 0 ] || fail "'$objects' objects are left"
kill -TERM "$server"
wait "$server" || fail "goallocd ended with $?"
server=
left=$(find /dev/shm -maxdepth 1 -name "goalloc.$name.*")
[ -z "$left" ] || fail "left behind in /dev/shm: $left"
