#!/usr/bin/env bash
# Try phone_book, each run of it a process of its own, in the heap at $GOALLOC_SOCKET.
#
#   phone_book.sh PROGRAM
set -euo pipefail

phone_book=${1:?usage: phone_book.sh PROGRAM}
fail() {
    echo "phone_book.sh: $*" >&2
    exit 1
}

"$phone_book" add "Ada Lovelace, London" "+44 20 7946 0815" 2
"$phone_book" add "Grace" 3
for i in {1..100}; do # makes it grow, in another process each time
    "$phone_book" add "somebody with a name that is long, number $i" "$i"
done
"$phone_book" add "Ada Lovelace, London" "one more number of hers, which is long"
"$phone_book" remove "Grace"
! "$phone_book" remove "Grace" 2>/dev/null || fail "what is not there can be removed"
list=$("$phone_book" list)
[ "${list%%$'\n'*}" = \
    "Ada Lovelace, London: +44 20 7946 0815 2 one more number of hers, which is long" ] ||
    fail "Ada has other numbers: ${list%%$'\n'*}"
[ "$(wc -l <<<"$list")" = 101 ] || fail "the list has $(wc -l <<<"$list") lines"
grep -qx 'somebody with a name that is long, number 50: 50' <<<"$list" || fail "somebody is lost"
"$phone_book" drop
