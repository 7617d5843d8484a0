#!/usr/bin/env bash
# A hundred programs at one server: each is listed by its name, can be looked into with every command,
# and is forgotten when it has ended; another user may not look, and a wrong number is told. So is a child
# of fork that lives.
#
#   visible.sh BIN_DIR LIBRARY HOLDER    (by preload.sh, which has a server)
set -euo pipefail

bin=${1:?usage: visible.sh BIN_DIR LIBRARY HOLDER}
library=${2:?}
holder=${3:?}
many=100
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
unset LD_PRELOAD

ctl() {
    "$bin/goallocctl" "$@" >"$dir/out" 2>"$dir/err"
}

fail() {
    echo "$0: $*; it said:" >&2
    cat "$dir/out" "$dir/err" >&2
    exit 1
}

says() {
    grep -Eq -- "$1" "$dir/out" "$dir/err" || fail "nothing like '$1'"
}

mkfifo "$dir/end" "$dir/held"
exec 8<>"$dir/held"
pids=()
for ((i = 0; i < many; i++)); do
    GOALLOC_PROFILE_RATE=8K LD_PRELOAD=$library "$holder" <"$dir/end" >&8 &
    pids+=($!)
done
exec 9>"$dir/end"
timeout 60 head -c "$many" <&8 >/dev/null

# They wait for no answer of the server's.
for ((i = 0; i < 1000; i++)); do
    ctl clients || fail "clients ended with $?"
    [ "$(grep -Ec "^ *[0-9]+  preload_holder +[0-9]+  .*(KiB|MiB) " "$dir/out")" -lt "$many" ] || break
    sleep 0.01
done
for pid in "${pids[@]}"; do
    grep -Eq "^ *$pid  preload_holder" "$dir/out" || fail "$pid is not listed"
done
ctl clients --json || fail "clients --json ended with $?"
[ "$(grep -o '"name": "preload_holder"' "$dir/out" | wc -l)" = "$many" ] || fail "not all are in the document"
"$bin/goallocctl" __complete --process '' >"$dir/out"
[ "$(grep -c preload_holder "$dir/out")" = "$many" ] || fail "not all are offered"

pid=${pids[$((many / 2))]}
for command in status stats classes arenas spans clients roots map profile sharing; do
    case $command in
    map | profile) ctl --process "$pid" "$command" -o "$dir/$command" || fail "$command ended with $?" ;;
    *) ctl --process "$pid" "$command" || fail "$command ended with $?" ;;
    esac
done
ctl --process "$pid" stats --json || fail "stats ended with $?"
objects=$(grep -Eo '"heap_objects": [0-9]+' "$dir/out" | grep -Eo '[0-9]+')
((objects >= 3000 && objects < 3200)) || fail "it has $objects objects"
grep -q '<svg' "$dir/map" || fail "the map is no picture"
if command -v go >/dev/null; then
    HOME=$dir PPROF_TMPDIR=$dir go tool pprof -top -nodefraction=0 "$dir/profile" >"$dir/out" 2>"$dir/err" || fail "pprof ended with $?"
    says ' hold_much'
fi

# What is no such process, what has gone, and what is another's.
! ctl --process 1 stats || fail "process 1 has a heap"
says 'knows of no process 1 that has a heap of its own'
! ctl --process 0 stats || fail "0 is a process"
! ctl --process "$pid" scavenge || fail "it can be told to scavenge"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 711 "${GOALLOC_SOCKET%/*}"
    chmod 666 "$GOALLOC_SOCKET"
    cp "$bin/goallocctl" "$dir/goallocctl"
    chmod 755 "$dir" "$dir/goallocctl"
    ! setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/goallocctl" --socket "$GOALLOC_SOCKET" \
        --process "$pid" stats >"$dir/out" 2>"$dir/err" || fail "another user may look"
    says "cannot be read: only its user, or root, may|not accept|not this user"
fi

exec 9>&-
for pid in "${pids[@]}"; do
    wait "$pid" || fail "a program ended with $?"
done
for ((i = 0; i < 1000; i++)); do
    ctl clients
    grep -q preload_holder "$dir/out" || break
    sleep 0.01
done
! grep -q preload_holder "$dir/out" || fail "the server knows of who has ended"
ctl status || fail "the server has ended"

# A child of fork, too, once it has needed the core for a while; and not before.
for kind in soon often late; do
    mkfifo "$dir/$kind"
    LD_PRELOAD=$library "$holder" "$kind" <"$dir/$kind" >&8 &
    parent=$!
    exec 9>"$dir/$kind"
    said=$(timeout 60 head -c 1 <&8)
    read -r child _ < <(cat "/proc/$parent/task/$parent/children" && echo)
    tries=$([ "$kind" = soon ] && echo 10 || echo 1000)
    for ((i = 0; i < tries; i++)); do
        ctl clients
        ! grep -Eq "^ *$child  preload_holder" "$dir/out" || break
        sleep 0.01
    done
    if [ "$kind" != soon ]; then
        ((i < tries)) || fail "the child $child, $kind, is not listed"
        ctl --process "$child" stats || fail "stats of the child ended with $?"
    elif [ "$said" = . ] && ((i < tries)); then
        fail "the child $child has told the server at once"
    fi
    exec 9>&-
    wait "$parent" || fail "the parent, $kind, ended with $?"
done
echo "all are seen"
