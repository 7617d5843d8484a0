#!/usr/bin/env bash
# Where no heap can be, the system's malloc serves, and one line says so: not in the children.
#
#   aside.sh BIN_DIR LIBRARY WHICH
set -euo pipefail

bin=${1:?usage: aside.sh BIN_DIR LIBRARY WHICH}
library=${2:?}
which=${3:?}
here=$(dirname "$0")
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT

fail() {
    echo "$0: $*; it said:" >&2
    cat "$dir/out" "$dir/err" >&2
    exit 1
}

# The words of standard output, and how many lines of the other.
expect() {
    [ "$(xargs <"$dir/out")" = "$1" ] || fail "not '$1'"
    [ "$(wc -l <"$dir/err")" = "$2" ] || fail "not $2 lines on standard error"
}

alone() {
    env -u GOALLOC_MALLOC_STANDS_ASIDE GOALLOC_SOCKET="$dir/none" LD_PRELOAD="$library" "$@" \
        >"$dir/out" 2>"$dir/err" || fail "status $?: $*"
}

served() {
    "$here/preload.sh" "$bin" "$library" "$@" >"$dir/out" 2>"$dir/err" || fail "status $?: $*"
}

served "$which" fork "$which"
expect "goalloc goalloc goalloc" 0

# No server; neither in what is forked then, nor in what that becomes, is it said again.
alone "$which" fork "$which"
expect "system system system" 1
grep -q "^goalloc: the system's malloc serves: $dir/none: " "$dir/err" || fail "no reason is given"
alone sh -c "$which; $which fork"
expect "system system system" 1

# A socket that one may not connect to, and one that nobody reads.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$dir"
    cp "$library" "$which" "$dir"
    # shellcheck disable=SC2016 # for the shell inside
    served sh -c 'chmod 600 "$GOALLOC_SOCKET"; chmod 755 "${GOALLOC_SOCKET%/*}"
        LD_PRELOAD=$1/libgoalloc-malloc.so setpriv --reuid 65534 --regid 65534 --clear-groups \
            "$1/preload_which"' sh "$dir"
    expect "system" 1
    # Who runs with more rights than its caller is not even given the library.
    chown 65534 "$dir/preload_which"
    chmod u+s "$dir/preload_which"
    served "$dir/preload_which"
    expect "system" 0
fi

# Address space: less of it is a smaller heap, and too little none, as libgoalloc-malloc(7) says. What else the
# program has mapped counts as well, so that its limits are met by a MiB or two.
served sh -c "ulimit -v 500000; exec $which"
expect "goalloc" 0
served sh -c "ulimit -v $((293 * 1024)); exec $which"
expect "goalloc" 0
served sh -c "ulimit -v $((289 * 1024)); exec $which"
expect "system" 1
grep -q "no address space" "$dir/err" || fail "no reason is given"
served bash -c "ulimit -d $((275 * 1024)); exec $which"
expect "goalloc" 0
served bash -c "ulimit -d $((271 * 1024)); exec $which"
expect "system" 1

# /dev/shm is no part of it, nor are descriptors.
served sh -c "exec 0<&-; exec $which"
expect "goalloc" 0
echo "it stands aside where it must"
