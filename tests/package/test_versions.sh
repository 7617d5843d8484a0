#!/usr/bin/env bash
# An old library with a new server, and the reverse: whoever meets another version is told so, with
# both numbers, by an exit status of its own, and what is there stays as it is.
#
#   test_versions.sh BIN_DIR CONSUMER
#
# BIN_DIR/other_protocol and BIN_DIR/other_layout have a server, a goallocctl and a library of a version
# that is newer or older, as one likes: neither side knows the other's.
set -euo pipefail
export LC_ALL=C

bin=${1:?usage: test_versions.sh BIN_DIR CONSUMER}
consumer=${2:?}
dir=$(mktemp -d)
name=versions.$$
server=
export GOALLOC_SOCKET=$dir/socket

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf -- "$dir"
    rm -f -- "/dev/shm/goalloc.$name".{meta,bits,heap}
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# start WHOSE: the goallocd in that folder; nobody serves meanwhile.
start() {
    local ready=
    rm -f "$dir/ready"
    mkfifo "$dir/ready"
    "$bin/$1/goallocd" --name "$name" --limit 64M --ready-fd 4 4>"$dir/ready" 2>"$dir/log" &
    server=$!
    read -r -t 60 ready <"$dir/ready" || true
    [ "$ready" = READY ] || fail "$1/goallocd did not become ready: $(cat "$dir/log")"
}
stop() {
    kill -TERM "$server"
    wait "$server" || fail "goallocd exited with $?"
    server=
}

# expect STATUS TEXT COMMAND...: it exits so, and says that.
expect() {
    local expected=$1 text=$2 status=0
    shift 2
    "$@" >"$dir/said" 2>&1 || status=$?
    [ "$status" = "$expected" ] || fail "'$*' exited with $status, not $expected: $(cat "$dir/said")"
    [ -z "$text" ] || grep -qF -- "$text" "$dir/said" || fail "'$*' does not say '$text': $(cat "$dir/said")"
}
with_library() { # WHOSE CONSUMER-ARGUMENT
    LD_LIBRARY_PATH=$bin/$1 "$consumer" "$2"
}

# The header and the sizes: to read the holes would fill them.
look() {
    head -c 8192 "/dev/shm/goalloc.$name.meta" | sha256sum
    stat -c '%n %s %b' "/dev/shm/goalloc.$name".{meta,bits,heap}
}

number() { # WHOSE
    "$bin/$1/goallocd" --version | sed -n 's/.*(layout \([0-9]*\))$/\1/p'
}
ours=$(number .)
other=$(number other_layout)
[ "${ours:-none}" != "${other:-none}" ] || fail "both have layout '$ours'"

# ---- the protocol: who connects is refused ----

start .
expect 1 "the server speaks protocol versions 1..1, the client 7..8" with_library other_protocol text
expect 7 "the server speaks protocol versions 1..1, the client 7..8" "$bin/other_protocol/goallocctl" status
expect 0 "" "$bin/goallocctl" status
stop
"$bin/goallocctl" destroy "$name" >/dev/null
start other_protocol
expect 1 "the server speaks protocol versions 7..8, the client 1..1" with_library . text
expect 7 "the server speaks protocol versions 7..8, the client 1..1" "$bin/goallocctl" status
expect 0 "" "$bin/other_protocol/goallocctl" status
expect 0 "" with_library other_protocol text
stop
"$bin/goallocctl" destroy "$name" >/dev/null

# ---- the layout: who attaches is refused, and who would take a heap over ----

refused() { # WHO ITS-NUMBER WHOM THEIR-NUMBER: the one's library, server and tool, with a heap of the other's
    local who=$1 knows=$2 whom=$3 has=$4
    start "$whom"
    expect 1 "the heap has layout version $has, the client knows $knows" with_library "$who" text
    expect 0 "" with_library "$whom" text
    stop
    look >"$dir/before"
    expect 7 "heap '$name' is there already, with layout version $has, and this server knows version $knows" \
        timeout 60 "$bin/$who/goallocd" --name "$name"
    expect 7 "version is $has, known here is $knows" "$bin/$who/goallocctl" --shm "$name" status
    expect 7 "version is $has, known here is $knows" "$bin/$who/goallocctl" destroy "$name"
    look | diff "$dir/before" - >&2 || fail "the heap was changed"
    start "$whom" # its own takes it over, with its object
    expect 0 '"roots": 1' "$bin/$whom/goallocctl" --json status
    expect 0 "" with_library "$whom" text
    expect 0 '"roots": 0' "$bin/$whom/goallocctl" --json status
    stop
    "$bin/$whom/goallocctl" destroy "$name" >/dev/null
}
refused . "$ours" other_layout "$other"
refused other_layout "$other" . "$ours"
