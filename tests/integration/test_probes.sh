#!/usr/bin/env bash
# The USDT probes: that they are in the programs, and in the manuals; and, with `fire`, that one of
# each is seen when it should be, by bpftrace, which takes root and tracefs: where these are missing
# it says so and ends with 77.
#
#   test_probes.sh BIN_DIR LIB [fire]
set -euo pipefail
export LC_ALL=C

bin=${1:?usage: test_probes.sh BIN_DIR LIB [fire]}
lib=${2:?usage: test_probes.sh BIN_DIR LIB [fire]}
source_dir=$(dirname "$(readlink -f "$0")")/../..
failed=0
wrong() {
    echo "FAILED: $*" >&2
    failed=1
}

probes_of() { # FILE PROVIDER
    readelf -n "$1" | awk -v provider="$2" '
        $1 == "Provider:" { ours = $2 == provider }
        $1 == "Name:" && ours { print $2 }' | sort -u
}

# In the section PROBES of a page: lines such as .It Fn name arguments...
documented_in() { # PAGE
    sed -n '/^\.Sh PROBES/,/^\.Sh [^P]/s/^\.It Fn \([a-z_]*\).*/\1/p' "$source_dir/$1" | sort
}

compare() { # FILE PROVIDER PAGE
    diff <(probes_of "$1" "$2") <(documented_in "$3") >&2 ||
        wrong "$1 (<) has other probes than $3 (>) tells"
    [ "$(probes_of "$1" "$2" | wc -l)" -ge 6 ] || wrong "$1 has too few probes"
}

if [ "${3:-}" != fire ]; then
    compare "$bin/goallocd" goallocd server/goallocd.8
    compare "$lib" goalloc client/goalloc.3
    exit $failed
fi

skip() {
    echo "skipped: $*"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "only root may trace"
command -v bpftrace >/dev/null || skip "bpftrace is not installed"
if [ -z "${GOALLOC_IN_NAMESPACE:-}" ]; then
    GOALLOC_IN_NAMESPACE=1 exec unshare --mount "$0" "$@" || skip "no mount namespace is to be had"
fi
[ -e /sys/kernel/tracing/uprobe_events ] || mount -t tracefs none /sys/kernel/tracing 2>/dev/null ||
    skip "tracefs cannot be mounted"
timeout 60 bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1 || skip "bpftrace cannot trace here"

dir=$(mktemp -d)
server='' tracer=''
# shellcheck disable=SC2317 # by the trap
clean_up() {
    [ -z "$tracer" ] || kill "$tracer" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait
    rm -rf -- "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

await() { # COMMAND...: until it succeeds
    local try
    for ((try = 0; try < 600; try++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

"$bin/goallocd" --name "probes.$$" --socket "$dir/s" --reserve 64M --ephemeral 2>"$dir/log" &
server=$!
await test -S "$dir/s" || wrong "no server: $(cat "$dir/log")"
cat >"$dir/trace.bt" <<EOF
BEGIN { printf("ready\n"); }
usdt:$bin/goallocd:goallocd:attach { printf("server attach %d %s\n", arg1, str(arg2)); }
usdt:$bin/goallocd:goallocd:detach { printf("server detach %d\n", arg1); }
usdt:$bin/goallocd:goallocd:lease { printf("server lease %d %d %d\n", arg1, arg4, arg5); }
usdt:$lib:goalloc:lease { printf("client lease %d %d\n", pid, arg3 > 0); }
EOF
bpftrace "$dir/trace.bt" >"$dir/out" 2>"$dir/err" &
tracer=$!
await grep -q ready "$dir/out" || wrong "bpftrace does not begin: $(cat "$dir/err")"
printf 'one two three two\n' >"$dir/text"
GOALLOC_SOCKET=$dir/s "$bin/word_index" build "$dir/text" >/dev/null &
client=$!
wait $client || wrong "the client failed"
await grep -q "server detach $client\$" "$dir/out" || wrong "no detach was seen"
for line in "server attach $client word_index" "server lease $client 1 8192" \
    "client lease $client 1"; do
    grep -qxF "$line" "$dir/out" || wrong "not seen: $line; but: $(cat "$dir/out")"
done
[ $failed = 0 ]
