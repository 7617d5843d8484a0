#!/usr/bin/env bash
# Try scores, each run of it a process of its own, in the heap at $GOALLOC_SOCKET.
#
#   scores.sh PROGRAM
set -euo pipefail

scores=${1:?usage: scores.sh PROGRAM}
fail() {
    echo "scores.sh: $*" >&2
    exit 1
}

for player in {1..50} {50..1}; do
    "$scores" add "$player" "$((player * 3))"
done
for player in {1..50}; do
    echo "$player $((player * 6))"
done | diff - <("$scores" list) >&2 || fail "the table is another"
for wrong in "ada 3" "1 three" "1 3x"; do
    # shellcheck disable=SC2086 # two words
    ! "$scores" add $wrong 2>/dev/null || fail "'$wrong' is taken for two numbers"
done
"$scores" drop
