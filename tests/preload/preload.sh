#!/usr/bin/env bash
# Run a program with libgoalloc-malloc preloaded, and a server of its own to be known to.
#
#   preload.sh BIN_DIR LIBRARY PROGRAM [ARGUMENT...]
set -euo pipefail

bin=${1:?usage: preload.sh BIN_DIR LIBRARY PROGRAM [ARGUMENT...]}
library=${2?}
shift 2
name=preload.$$
dir=$(mktemp -d)
server=
cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -f -- /dev/shm/goalloc."$name".{meta,bits,heap}
    rm -rf -- "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

export GOALLOC_SOCKET=$dir/socket
mkfifo "$dir/ready"
"$bin/goallocd" --name "$name" --reserve 64M --ephemeral --ready-fd 9 9>"$dir/ready" 2>"$dir/log" &
server=$!
read -r _ <"$dir/ready" || { cat "$dir/log" >&2 && exit 1; }

LD_PRELOAD=$library "$@"
