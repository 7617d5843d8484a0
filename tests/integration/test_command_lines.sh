#!/usr/bin/env bash
# What every program owes its caller: a help that fits a terminal, a manual page with the same
# options, and no success when the answer did not arrive. And where goallocd listens when it is not
# told.
#
#   test_command_lines.sh BIN_DIR
set -euo pipefail
export LC_ALL=C

bin=${1:?usage: test_command_lines.sh BIN_DIR}
source_dir=$(dirname "$(readlink -f "$0")")/../..
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM

failed=0
wrong() {
    echo "FAILED: $*" >&2
    failed=1
}

for program in goallocd goallocctl word_index bench_run; do
    [ -x "$bin/$program" ] || [ $program = bench_run ] || wrong "$program was not built"
    [ -x "$bin/$program" ] || continue
    "$bin/$program" --help >"$dir/help" 2>&1 || [ $program = word_index ] ||
        wrong "$program --help exits with $?"
    grep -qi '^usage:' "$dir/help" || wrong "$program --help shows no usage"
    wide=$(grep -E '^.{81}' "$dir/help" || true)
    [ -z "$wide" ] || wrong "$program --help is wider than 80 columns: $wide"
done

commands=$("$bin/goallocctl" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 14 ] || wrong "goallocctl --help lists few commands: $commands"
for command in $commands; do
    "$bin/goallocctl" "$command" --help >"$dir/$command.help" ||
        wrong "goallocctl $command --help exits with $?"
    grep -q "^usage: goallocctl $command" "$dir/$command.help" ||
        wrong "goallocctl $command --help shows no usage"
    grep -q "^  [$] goallocctl .*$command\|^  [$] .*goallocctl $command" "$dir/$command.help" ||
        wrong "goallocctl $command --help shows no example"
    example=$(sed -n 's/^  \([$] .*\)/\1/p' "$dir/$command.help")
    grep -qxF ".Dl $example" "$source_dir/client/ctl/goallocctl.1" ||
        wrong "goallocctl.1 does not have the example of $command: $example"
    wide=$(grep -E '^.{81}' "$dir/$command.help" || true)
    [ -z "$wide" ] || wrong "goallocctl $command --help is wider than 80 columns: $wide"
    grep -q "^\.It Cm $command" "$source_dir/client/ctl/goallocctl.1" ||
        wrong "goallocctl.1 says nothing of $command"
    # At length, as the manual page has it, with nothing of its source left.
    "$bin/goallocctl" help "$command" >"$dir/long" || wrong "goallocctl help $command exits with $?"
    [ "$(wc -w <"$dir/long")" -gt "$(($(wc -w <"$dir/$command.help") + 5))" ] ||
        wrong "goallocctl help $command says no more than goallocctl $command --help"
    wide=$(grep -E '^.{81}' "$dir/long" || true)
    [ -z "$wide" ] || wrong "goallocctl help $command is wider than 80 columns: $wide"
    odd=$(sed '/^options:/,$d' "$dir/long" |
        grep -E '^\.|\\[^x]|  [.,;]| [.,;:]( |$)|\b(Fl|Ar|Cm|Xr|Sy|Ql|Pp) ' || true)
    [ -z "$odd" ] || wrong "goallocctl help $command shows the source of the page: $odd"
done

# A path that no socket can have.
code=0
"$bin/goallocctl" --socket "/tmp/$(printf 'x%.0s' {1..120})" status 2>"$dir/long" || code=$?
if [ $code -ne 2 ] || ! grep -q 'cannot be used, since it has not 1 to 107 bytes$' "$dir/long"; then
    wrong "a path that is too long is refused with $code and: $(cat "$dir/long")"
fi

for page in server/goallocd.8 client/ctl/goallocctl.1; do
    program=$(basename "${page%.*}")
    { "$bin/$program" --help && cat "$dir"/*.help; } >"$dir/helps"
    [ "$program" = goallocctl ] || "$bin/$program" --help >"$dir/helps"
    sed -n 's/^  \(-[a-z], \)*--\([a-z-]*\).*/\2/p' "$dir/helps" | sort -u >"$dir/help"
    sed -n 's/^\.It Fl -\([a-z-]*\).*/\1/p' "$source_dir/$page" | sort -u >"$dir/manual"
    [ -s "$dir/help" ] || wrong "$program --help shows no options"
    diff "$dir/help" "$dir/manual" >"$dir/diff" ||
        wrong "$page (>) has other options than --help (<): $(cat "$dir/diff")"
done

for program in goallocd goallocctl; do
    for question in --help --version; do
        status=0
        "$bin/$program" $question >/dev/full 2>"$dir/said" || status=$?
        [ $status -eq 1 ] || wrong "$program $question exits with $status when stdout is full"
        grep -q "^$program: .*No space left" "$dir/said" ||
            wrong "$program $question does not say that stdout is full: $(cat "$dir/said")"
    done
done

# The page tells every exit code, and no other.
diff <(sed -n '/^enum/,/^};/s/^ *EXIT_.* = \([0-9]*\),.*/\1/p' "$source_dir/client/ctl/main.c") \
    <(sed -n '/^\.Sh EXIT STATUS/,/^\.Sh [^E]/s/^\.It \([0-9]*\)$/\1/p' \
        "$source_dir/client/ctl/goallocctl.1") >"$dir/diff" ||
    wrong "goallocctl.1 (>) tells other exit codes than there are (<): $(cat "$dir/diff")"

# On a terminal there are colours, unless NO_COLOR is set and not empty.
on_terminal() { # COMMAND...
    TERM=xterm script -qec "$*" /dev/null </dev/null
}
printf 'one two\n' >"$dir/text"
for words in "--help" "spans --help" "help spans" \
    "run -- $(readlink -f "$bin/word_index") build $dir/text"; do
    for color in "" 1; do
        (NO_COLOR=$color on_terminal "$bin/goallocctl" "$words") >"$dir/said" 2>&1 ||
            wrong "goallocctl $words exits with $? on a terminal"
        if grep -q $'\e\\[' "$dir/said"; then
            [ -z "$color" ] || wrong "goallocctl $words has colours in spite of NO_COLOR"
        else
            [ -n "$color" ] || wrong "goallocctl $words has no colours on a terminal"
        fi
    done
done

# The place that a server without --socket takes is told by its refusal: the folders are not there.
expect_socket() { # PATH GOALLOC_SOCKET XDG_RUNTIME_DIR
    GOALLOC_SOCKET=$2 XDG_RUNTIME_DIR=$3 \
        "$bin/goallocd" --name "lines.$$" --reserve 64M >"$dir/said" 2>&1 &&
        wrong "goallocd started without a folder for its socket"
    grep -qF "the socket $1 cannot be made" "$dir/said" ||
        wrong "goallocd does not listen at $1: $(cat "$dir/said")"
}
expect_socket "$dir/none/a.sock" "$dir/none/a.sock" "$dir/no-runtime"
expect_socket "$dir/no-runtime/goalloc.sock" "" "$dir/no-runtime"
left=$(find /dev/shm -maxdepth 1 -name "goalloc.lines.$$.*")
[ -z "$left" ] || wrong "left in /dev/shm: $left"

exit $failed
