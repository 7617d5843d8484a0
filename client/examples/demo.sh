#!/usr/bin/env bash
# The demo: one server, one process that builds an index in the shared heap, others that read it and
# take it apart, and a kill in between. Every answer is compared with grep's, so that this is a test
# as well: it exits non-zero with a sentence on the first mismatch, and leaves nothing behind.
#
#   demo.sh BIN_DIR    where goallocd, goallocctl and word_index are
set -euo pipefail
export LC_ALL=C

bin=${1:?usage: demo.sh BIN_DIR}
folder=/usr/share/common-licenses
forgotten_words=(the GNU warranty)
words_a=(license warranty copyright 2 the)
words_b=(license GNU patent ___ freedom goalloc)
kept_words=(license copyright 2 patent ___ freedom goalloc)

dir=$(mktemp -d)
name=demo.$$
server=
writer=
export GOALLOC_SOCKET=$dir/socket

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$writer" ] || { kill -KILL "$writer" && wait "$writer"; } 2>/dev/null || true
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    for _ in {1..50}; do
        [ -n "$(jobs -r)" ] || break
        sleep 0.1
    done
    for pid in $(jobs -p); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf -- "$dir" /dev/shm/goalloc."$name".*
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    printf '\ndemo: FAILED: %s\n' "$*" >&2
    [ ! -s "$dir/log" ] || { echo "demo: the server's log:" && cat "$dir/log"; } >&2
    exit 1
}

# ---- how it is told ----

bold=
plain=
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi
step_number=0
step() {
    step_number=$((step_number + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$*" "$plain"
}
# One paragraph from all arguments, 76 columns wide.
say() { printf '%s ' "$@" | fold -s -w 74 | sed 's/ *$//; s/^/   /'; echo; }
# A command as one would type it, and what it prints.
show() {
    printf '\n   %s$ %s%s\n' "$bold" "$*" "$plain"
    "$bin/$1" "${@:2}" >"$dir/shown" || fail "'$*' exited with $?"
    sed 's/^./   &/' "$dir/shown"
}

# ---- what is checked ----

# The number that `goallocctl --json COMMAND` has under KEY.
number_of() { # COMMAND KEY
    local value
    "$bin/goallocctl" --json "$1" >"$dir/json" || fail "goallocctl $1 exited with $?"
    value=$(sed -n 's/^  "'"$2"'": \([0-9]*\),\{0,1\}$/\1/p' "$dir/json")
    [ -n "$value" ] || fail "goallocctl --json $1 has no number $2"
    echo "$value"
}

# What grep says of each word in $files, as lines "WORD COUNT" and "WORD FILE:LINE", sorted.
ask_grep() { # WORD...
    local word
    for word in "${@,,}"; do
        grep -a -H -n -i -w -e "$word" -- "${files[@]}" >"$dir/grep" || [ $? -eq 1 ] ||
            fail "grep $word failed"
        sed "s/^\([^:]*:[0-9]*\):.*/$word \1/" "$dir/grep"
        echo "$word $(wc -l <"$dir/grep")"
    done | sort
}

# The same lines from the output of `word_index query --all`.
read_answer() { # FILE
    sed -n -e '1d' -e 's/^\([a-z0-9_]*\): \([0-9]*\) lines.*/\1 \2/p' -e '/^  /p' "$1" |
        awk '/^  / { print word, $1; next } { word = $1; print }' | sort
}

# Fail unless an answer of word_index is grep's. Prints how many places were compared.
compare() { # FILE WORD...
    read_answer "$1" >"$dir/answer"
    ask_grep "${@:2}" >"$dir/expected"
    diff "$dir/expected" "$dir/answer" >"$dir/diff" ||
        fail "word_index and grep differ (< grep, > word_index):" $'\n'"$(head -20 "$dir/diff")"
    grep -c : "$dir/answer"
}

# Ask word_index in a process of its own, and compare.
check() { # WORD...
    "$bin/word_index" query --all "$@" >"$dir/check" || fail "word_index query exited with $?"
    compare "$dir/check" "$@"
}

pid_in() { sed -n '1s/.* by process \([0-9]*\):.*/\1/p' "$1"; }
pointer_in() { sed -n 's/^'"$2"': .* at \(0x[0-9a-f]*\)$/\1/p' "$1"; }
freed_in() { awk '/ objects freed by process / { n += $(NF - 5) } END { print n }' "$1"; }

# ---- the demo ----

for program in goallocd goallocctl word_index; do
    [ -x "$bin/$program" ] || fail "there is no $program in $bin: build the project first"
done
mapfile -t files < <(find "$folder" -maxdepth 1 -type f 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || fail "there are no files in $folder to index"

printf '%sgoalloc: one heap, many processes%s\n' "$bold" "$plain"

step "A server sets up a heap"
mkfifo "$dir/ready"
"$bin/goallocd" --name "$name" --socket "$GOALLOC_SOCKET" --limit 256M --ephemeral --ready-fd 4 \
    4>"$dir/ready" 2>"$dir/log" &
server=$!
ready=
read -r -t 20 ready <"$dir/ready" || true
[ "$ready" = READY ] || fail "goallocd did not become ready"
base=$(sed -n 's/.*"base": "\(.*\)",/\1/p' <("$bin/goallocctl" --json status))
say "goallocd (process $server) now keeps a heap in shared memory, with a limit of 256 MiB." \
    "Every process that attaches sees it at the same address, $base."

step "One process builds a data structure in it"
mkfifo "$dir/writer.out"
"$bin/word_index" build --stay >"$dir/writer.out" &
writer=$!
while read -r -t 60 line; do
    echo "$line"
    [ "$line" != "stays attached" ] || break
done <"$dir/writer.out" >"$dir/built"
tail -n 1 "$dir/built" | grep -q -x "stays attached" || fail "the index was not built"
root=$(sed -n 's/^published as .* at //p' "$dir/built")
# "built by process P: A files, B words, C postings, D objects"
read -r nfiles nwords npostings nobjects < <(sed '1!d; s/.*: //; s/[^0-9 ]//g' "$dir/built")
[ "$nfiles" -eq ${#files[@]} ] || fail "$nfiles files were indexed, ${#files[@]} there are"
say "word_index (process $writer) read the $nfiles licence texts of this machine and made" \
    "an index of their words: a hash table of $nwords words, with $npostings places in linked" \
    "lists." \
    "That is $nobjects objects, each allocated by a call of its own, with ordinary C pointers" \
    "between them." \
    "It published the table under the name \"word-index\"; its own pointer to it is $root."

step "Two other processes read it, at the same time"
"$bin/word_index" query --all "${words_a[@]}" >"$dir/a" &
reader_a=$!
"$bin/word_index" query --all "${words_b[@]}" >"$dir/b" &
reader_b=$!
wait $reader_a || fail "reader A exited with $?"
wait $reader_b || fail "reader B exited with $?"
for reader in a b; do
    grep -q -x "read by process [0-9]*: index at $root" "$dir/$reader" ||
        fail "reader $reader does not see the index at $root: $(head -1 "$dir/$reader")"
done
pointer=$(pointer_in "$dir/a" license)
[ -n "$pointer" ] || fail "reader A has not found the word 'license'"
[ "$pointer" = "$(pointer_in "$dir/b" license)" ] ||
    fail "the readers see the word 'license' at different addresses"
places_a=$(compare "$dir/a" "${words_a[@]}")
places_b=$(compare "$dir/b" "${words_b[@]}")
say "Processes $(pid_in "$dir/a") and $(pid_in "$dir/b") looked the name up, got the same" \
    "pointer $root, and followed the pointers from there. Nothing was copied, packed or" \
    "translated. Of 'license' they say:"
echo
printf '   process %-8s %s\n' "$(pid_in "$dir/a")" "$(grep '^license:' "$dir/a")" \
    "$(pid_in "$dir/b")" "$(grep '^license:' "$dir/b")"
echo
say "One pointer, $pointer, valid in both. And the answers are right: all" \
    "$((places_a + places_b)) places that the two found are the places that grep finds."

step "A look inside"
say "The server can tell at any time what lies in the heap and whose it is."
show goallocctl status
show goallocctl clients
show goallocctl roots
show goallocctl stats

step "Another process frees what the writer has allocated"
objects_before=$(number_of stats heap_objects)
bytes_before=$(number_of stats alloc_bytes)
show word_index forget "${forgotten_words[@]}"
freed=$(freed_in "$dir/shown")
objects_after=$(number_of stats heap_objects)
bytes_after=$(number_of stats alloc_bytes)
[ $((objects_before - objects_after)) -eq "$freed" ] ||
    fail "$freed objects were freed, but the heap went from $objects_before to $objects_after"
[ "$bytes_after" -lt "$bytes_before" ] ||
    fail "the heap did not shrink: $bytes_before bytes before, $bytes_after after"
places=$(check "${kept_words[@]}")
"$bin/word_index" query "${forgotten_words[@]}" >"$dir/gone" ||
    fail "word_index query exited with $?"
[ "$(grep -c ': 0 lines$' "$dir/gone")" -eq ${#forgotten_words[@]} ] ||
    fail "a forgotten word is still there: $(cat "$dir/gone")"
echo
say "That process unlinked the words and gave each of their objects to goalloc_free, while" \
    "the writer that had allocated them was still attached. The heap went from" \
    "$objects_before objects to $objects_after, exactly those $freed less, and from" \
    "$bytes_before bytes to $bytes_after." \
    "The words that stayed have the same $places places as before."

step "The writer is killed"
killed=$writer
writer=
{ kill -KILL "$killed" && wait "$killed"; } 2>/dev/null || true # bash reports a killed job there
for _ in {1..100}; do
    [ "$(number_of status clients)" -ne 0 ] || break
    sleep 0.1
done
[ "$(number_of status clients)" -eq 0 ] || fail "the server has not noticed the writer's death"
[ "$(number_of stats heap_objects)" -eq "$objects_after" ] ||
    fail "the death of the writer changed the heap"
places=$(check "${kept_words[@]}")
say "kill -9 $killed: the writer had no chance to tidy up. The server took back the memory" \
    "that it held in hand and did not use; the objects stay. All $places places are" \
    "still there and still right."

step "Its work goes on in other hands"
file=${files[0]}
for candidate in "${files[@]}"; do
    [ "$(basename "$candidate")" != GPL-3 ] || file=$candidate
done
show word_index forget "$file"
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v -x -F -e "$file")
places=$(check "${kept_words[@]}")
echo
say "All about one file was taken out, by a process that had built nothing. The rest still agrees" \
    "with grep, at $places places in the other ${#files[@]} files. Then the whole index goes:"
show word_index drop
left=$(number_of stats heap_objects)
[ "$left" -eq 0 ] || fail "$left objects are left in the heap after all were freed"
[ "$(number_of stats alloc_bytes)" -eq 0 ] || fail "there are no objects left, but bytes in use"
# The server takes empty spans back when it comes round to it.
for _ in {1..100}; do
    [ "$(number_of status inuse_bytes)" -ne 0 ] || break
    sleep 0.1
done
[ "$(number_of status inuse_bytes)" -eq 0 ] || fail "there are no objects left, but spans in use"
echo
say "Of $nobjects objects that a dead process had made, not one was lost: 0 are left in the heap."

step "The server ends"
kill -TERM "$server"
wait "$server" || fail "goallocd exited with $?"
server=
left=$(find /dev/shm -maxdepth 1 -name "goalloc.$name.*")
[ -z "$left" ] || fail "left behind in /dev/shm: $left"
[ ! -e "$GOALLOC_SOCKET" ] || fail "left behind: $GOALLOC_SOCKET"
say "Nothing is left of the heap in /dev/shm."
printf '\n%sdone:%s every answer was the same as grep'"'"'s\n' "$bold" "$plain"
