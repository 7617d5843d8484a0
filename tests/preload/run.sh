#!/usr/bin/env bash
# goallocctl run --preload: what processes leave, to the object; who was killed; exit statuses.
#
#   run.sh BIN_DIR LEAVER
set -euo pipefail

bin=${1:?usage: run.sh BIN_DIR LEAVER}
leaver=${2:?}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
export TMPDIR=$dir/accounts
mkdir "$TMPDIR"
unset GOALLOC_PROFILE_RATE LD_PRELOAD

fail() {
    echo "$0: $*; it said:" >&2
    cat "$dir/said" >&2
    exit 1
}

# run STATUS OPTIONS... -- PROGRAM...: what goallocctl says goes to said.
run() {
    local expected=$1 status=0
    shift
    "$bin/goallocctl" run --preload "$@" 2>"$dir/said" >"$dir/out" || status=$?
    [ "$status" = "$expected" ] || fail "status $status, not $expected, of: $*"
    [ -z "$(ls -A "$TMPDIR")" ] || fail "a folder has stayed"
}

says() {
    grep -Eq -- "$1" "$dir/said" || fail "nothing like '$1'"
}

says_not() {
    ! grep -Eq -- "$1" "$dir/said" || fail "something like '$1'"
}

run 0 -- "$leaver"
says '^goallocctl: 1 process had a heap of its own; all of it is freed$'
[ "$(wc -l <"$dir/said")" = 1 ] || fail "more than that"

# To the object, and by site: what exit handlers and destructors free is not left.
run 0 --leak-check -- "$leaver"
says_not 'left at its end'
run 9 --leak-check --error-exitcode 9 -- "$leaver" lose
says 'in 102 objects left at its end by process [0-9]+ \(preload_leaver\)'
says '^  lost .* in 100 objects: no pointer'
says '^  reachable .* in 2 objects$'
says '^  102,400 bytes in 100 objects are lost, allocated by process [0-9]+ \(preload_leaver\) at:$'
says '^    lose \(preload_leaver\)$'
says '^    keep \(preload_leaver\)$'
run 0 --leak-check -- "$leaver" thread
says '^  lost +0 B in 0 objects$'
says '^  8,192 bytes in 1 object is reachable'

# Of a family each process tells its own; what a copy has from its parent is its own too.
run 4 --leak-check -- "$leaver" child
says '^  lost .* in 7 objects'
says '^goallocctl: 2 processes had a heap of their own; all of it is freed$'
run 0 --leak-check -- "$leaver" mapped
says '^  4,096 bytes in 4 objects are reachable'
says_not '^  lost .* in [1-9]'

# Who cannot tell.
run 137 --leak-check -- "$leaver" killed
says "was killed by SIGKILL"
says '^goallocctl: killed, or ended without exit\(3\), and not looked at: [0-9]+ \(preload_leaver\)$'
says_not 'left at its end'
run 5 --leak-check -- "$leaver" _exit
says 'not looked at: [0-9]+ \(preload_leaver\)$'
run 0 --leak-check --quiet -- "$leaver"
[ ! -s "$dir/said" ] || fail "it is not quiet"

# Accounts that are damaged, or were never any: what can be told is, and nothing goes wrong.
# shellcheck disable=SC2016 # for the shell inside
damage='
    "$1" lose; cd "$GOALLOC_MALLOC_ACCOUNT"
    lost=$(echo *.meta | tr " " "\n" | head -1); lost=${lost%.meta}
    case $2 in
    short) truncate -s 100000 "$lost.meta" ;;
    none) rm "$lost.bits" ;;
    link) ln -sf /dev/zero "$lost.meta" ;;
    *) for at in 0 1 2 3 4 8 64; do
        head -c 4000 /dev/urandom | dd of="$lost.$2" bs=4096 seek=$at conv=notrunc status=none
    done ;;
    esac
    for name in x.began 0.began 99999999999999999999.began 12345.account; do echo nothing >"$name"; done
    head -c 3000 /dev/urandom >77.account; : >77.began'
for what in short none link meta bits account began; do
    run 0 --leak-check -- sh -c "$damage" sh "$leaver" "$what"
    says 'processes had a heap of their own'
    run 0 --leak-check --json -- sh -c "$damage" sh "$leaver" "$what"
    says '"processes": '
done

# As JSON; to programs that are preloaded with something else as well.
run 0 --leak-check --json --output "$dir/json" -- "$leaver" lose
mv "$dir/json" "$dir/said"
says '"lost_objects": 100, "lost_bytes": 102400'
says '"function": "lose"'
# shellcheck disable=SC2016 # for the shell inside
LD_PRELOAD=libm.so.6 run 0 -- sh -c 'echo "$LD_PRELOAD"'
grep -Eq '/libgoalloc-malloc\.so:libm\.so\.6$' "$dir/out" || fail "LD_PRELOAD is $(cat "$dir/out")"
GOALLOC_MALLOC=/nonexistent run 125 -- true
says 'libgoalloc-malloc\.so: it is not installed'
echo "all is told"
