#!/usr/bin/env bash
# The completion of goallocctl and goallocd: for bash as bash asks for it, for zsh at least its syntax.
#
#   test_completion.sh BIN_DIR
set -euo pipefail
export LC_ALL=C

bin=${1:?usage: test_completion.sh BIN_DIR}
source_dir=$(dirname "$(readlink -f "$0")")/../..
name=completion.$$
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

failed=0
wrong() {
    echo "FAILED: $*" >&2
    failed=1
}

PATH=$bin:$PATH
# shellcheck source=/dev/null
. "$source_dir/client/ctl/completion/goallocctl.bash"
# shellcheck source=/dev/null
. "$source_dir/server/completion/goallocd.bash"

compopt() { :; } # which bash refuses where it completes nothing

# What may become of the last word; '=' stands as a word of its own, as in bash.
complete_words() { # PROGRAM WORD...
    local rule
    rule=$(complete -p "$1") || wrong "nothing is registered for $1"
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    rule=${rule#*-F }
    "${rule%% *}" || true # the function; bash does not mind what it returns
}
sorted() {
    printf '%s\n' "$@" | sort
}
# In any order: files come as their folder has them, and bash sorts what it shows.
expect() { # REPLY... -- WORD...
    local want=()
    while [ "$1" != -- ]; do
        want+=("$1")
        shift
    done
    shift
    complete_words "$@"
    [ "$(sorted "${COMPREPLY[@]}")" = "$(sorted "${want[@]}")" ] ||
        wrong "'$*' may become '${COMPREPLY[*]-}', and not '${want[*]-}'"
}
# All of the words, beside others.
expect_some() { # REPLY... -- WORD...
    local want=() reply
    while [ "$1" != -- ]; do
        want+=("$1")
        shift
    done
    shift
    complete_words "$@"
    for reply in "${want[@]}"; do
        [[ " ${COMPREPLY[*]-} " == *" $reply "* ]] ||
            wrong "'$*' may not become '$reply', but '${COMPREPLY[*]-}'"
    done
}

"$bin/goallocd" --name "$name" --socket "$dir/socket" --reserve 64M --ephemeral 2>"$dir/log" &
server=$!
for ((i = 0; i < 600; i++)); do
    "$bin/goallocctl" --socket "$dir/socket" status >/dev/null 2>&1 && break
    sleep 0.1
done

# ---- goallocctl ----

mapfile -t commands < <("$bin/goallocctl" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
expect "${commands[@]}" -- goallocctl ''
expect snapshot -- goallocctl sn
expect snapshot -- goallocctl --json sn
expect snapshot -- goallocctl --socket spans sn
expect -- goallocctl xyz
for command in "${commands[@]}"; do
    mapfile -t options < <("$bin/goallocctl" "$command" --help |
        sed -n 's/^  \(-[a-z], \)*\(--[a-z-]*\).*/\2/p')
    [ "$command" = help ] || expect "${options[@]}" -- goallocctl "$command" --
done
expect --partial -- goallocctl spans --par
expect --partial -- goallocctl --json spans --par
expect -- goallocctl stats --par
expect auto always never -- goallocctl stats --color ''
expect always -- goallocctl stats --color = al
expect 6 60 61 62 63 64 65 66 67 -- goallocctl spans --class 6
expect 67 -- goallocctl spans --class = 67
expect 67 -- goallocctl spans --class=67
expect -- goallocctl spans --limit ''
expect "$name" -- goallocctl --shm "$name"
expect "$name" -- goallocctl destroy "${name%?}"
expect "${commands[@]}" -- goallocctl help ''
expect -- goallocctl stats ''
expect -- goallocctl stats -- --js
touch "$dir/a file" "$dir/another"
expect "$dir/a file" "$dir/another" -- goallocctl snapshot "$dir/a"
expect "$dir/socket" -- goallocctl status --socket "$dir/so"
expect "$dir/socket" -- goallocctl status --socket = "$dir/so"
# Nobody is attached, and nobody complains where there is no server.
expect -- goallocctl --socket "$dir/socket" spans --pid ''
expect -- goallocctl --socket "$dir/none" spans --pid ''
said=$("$bin/goallocctl" __complete --socket "$dir/none" spans --pid '' 2>&1) || wrong "it exits with $?"
[ -z "$said" ] || wrong "completion says: $said"

# ---- goallocd ----

mapfile -t options < <("$bin/goallocd" --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
expect "${options[@]}" -- goallocd --
expect --limit -- goallocd --name x --li
expect "$name" -- goallocd --name "${name%?}"
expect "$name" -- goallocd --name = "${name%?}"
expect warning -- goallocd --log-level w
expect "$dir/socket" -- goallocd --socket "$dir/so"
expect -- goallocd --limit ''
expect bytes=1G,roots= -- goallocd --quota bytes=1G,ro
expect_some root -- goallocd --allow-user ro
expect 1,root -- goallocd --allow-user 1,root

# ---- zsh ----

if command -v zsh >/dev/null; then
    for file in "$source_dir/client/ctl/completion/_goallocctl" "$source_dir/server/completion/_goallocd"; do
        zsh -n "$file" || wrong "zsh does not understand $file"
    done
fi

[ $failed = 0 ]
