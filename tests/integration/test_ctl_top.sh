#!/usr/bin/env bash
# goallocctl top on a terminal, which is tmux: it shows, sorts, filters, takes other sizes, goes on
# with the next server, and gives the terminal back, also on a signal; and its reports. Without tmux it
# says so and ends with 77.
#
#   test_ctl_top.sh BIN_DIR
set -euo pipefail
export LC_ALL=C.UTF-8
unset NO_COLOR TMUX

bin=$(readlink -f "${1:?usage: test_ctl_top.sh BIN_DIR}")
command -v tmux >/dev/null || { echo "skipped: tmux is not installed"; exit 77; }
dir=$(mktemp -d)
server='' client=''
nterminals=0 # each has a tmux of its own: one that is ending takes no new session
terminal() { tmux -S "$dir/tmux.$nterminals" -f /dev/null "$@"; }
clean_up() {
    terminal kill-server 2>/dev/null || true
    [ -z "$client" ] || kill "$client" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    "$bin/goallocctl" destroy "top.$$" >/dev/null 2>&1 || true
    rm -rf -- "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

screen() { terminal capture-pane -p 2>/dev/null || true; }
fail() {
    echo "FAILED: $*; the screen is:" >&2
    screen >&2
    exit 1
}
await() { # WHAT COMMAND...: until it succeeds
    local try what=$1
    shift
    for ((try = 0; try < 300; try++)); do
        "$@" && return
        sleep 0.1
    done
    fail "$what"
}
shows() { screen | grep -qE -- "$1"; }
hides() { ! shows "$1"; }
start_server() {
    "$bin/goallocd" --name "top.$$" --socket "$dir/s" --reserve 64M "$@" 2>"$dir/log" &
    server=$!
    await "no server" "$bin/goallocctl" status --socket "$dir/s" >/dev/null 2>&1
}
start_top() { # COLUMNS LINES [NAME=VALUE...]
    nterminals=$((nterminals + 1))
    # shellcheck disable=SC2016
    terminal new-session -d -x "$1" -y "$2" \
        "stty -a >$dir/before; env ${*:3} $bin/goallocctl top --interval 200 --socket $dir/s; echo \"ended \$?\"; stty -a >$dir/after; sleep 60"
}

start_server
for word in banana apple cherry; do echo "$word"; done >"$dir/text"
ln -s "$bin/word_index" "$dir/wörter_index" # a name of letters of two bytes
GOALLOC_SOCKET=$dir/s "$dir/wörter_index" build --stay "$dir/text" >/dev/null &
client=$!
has_client() { "$bin/goallocctl" clients --socket "$dir/s" 2>/dev/null | grep -q wörter_index; }
await "no client" has_client

# Reports, for pipes.
"$bin/goallocctl" top --once --interval 200 --socket "$dir/s" >"$dir/once"
grep -q "^heap top.$$, pid $server: " "$dir/once" || fail "--once does not tell of the heap"
grep -qE "^ +$client wörter_index " "$dir/once" || fail "--once does not tell of the client"
ends_at() { local line; line=$(grep -m 1 -- "$1" "$dir/once"); line=${line%%"$2"*}; echo $((${#line} + ${#2})); } # IN WHAT
[ "$(ends_at PID LEASED)" -eq "$(ends_at "$client wörter_index" iB)" ] || fail "--once has a size beside its title"
"$bin/goallocctl" top --json --count 2 --interval 200 --socket "$dir/s" >"$dir/json"
[ "$(wc -l <"$dir/json")" -eq 2 ] || fail "--json --count 2 prints other than two lines"
python3 - "$dir/json" "top.$$" "$client" <<'END' || fail "--json: $(cat "$dir/json")"
import json, sys
for line in open(sys.argv[1]):
    look = json.loads(line)
    assert look["heap_name"] == sys.argv[2] and look["server_alive"] and look["cpu_ns"] > 0
    assert look["mallocs_per_s"] == 0 and look["mallocs"] >= look["objects"] > 0
    assert int(sys.argv[3]) in [client["pid"] for client in look["clients"]]
    assert sum(c["alloc_bytes"] for c in look["classes"]) == look["alloc_bytes"]
END
"$bin/goallocctl" top --batch --count 1 --interval 200 --socket "$dir/s" >"$dir/batch"
[ "$(grep -c "^heap top.$$" "$dir/batch")" -eq 1 ] || fail "--batch --count 1 prints no one report"
status=0
"$bin/goallocctl" top --socket "$dir/s" >/dev/null 2>"$dir/said" </dev/null || status=$?
[ $status -eq 8 ] || fail "top without a terminal exits with $status"
grep -q "needs a terminal" "$dir/said" || fail "top does not say that it needs a terminal"

# It shows; views; sorting; filter; help.
start_top 80 24
await "no processes" shows "$client wörter_index "
await "no title" shows "^ top.$$  goallocd .*pid $server.* 1 client"
await "no bars" shows "heap +\\["
coloured() { terminal capture-pane -p -e | grep -qE $'\e\\[[0-9;]*3[0-7]m'; }
ascii() { ! screen | grep -qP '[^\x00-\x7f]'; }
coloured || fail "no colours"
! ascii || fail "no bars of more than ASCII"
await "no rates" shows "malloc .*/s +free .*/s"
terminal send-keys 2
await "no classes" shows "CLASS +SIZE .*-WASTE"
terminal send-keys s
await "no other column" shows "-LIVE|-USED|-MALLOC|-CLASS|-SPANS|-SIZE"
terminal send-keys 3
await "no arenas" shows "ready"
terminal send-keys r
await "not the other way round" shows "-ARENA"
terminal send-keys 1 / nobody
await "the filter does nothing" shows "nothing has that in it"
terminal send-keys Escape
await "the filter stays" shows "$client wörter_index "
terminal send-keys h
await "no help" shows "any key goes back"
terminal send-keys x
await "the help stays" hides "any key goes back"

# Other sizes.
terminal resize-window -x 120 -y 40
await "not wider" shows "MCACHES"
terminal resize-window -x 40 -y 10
await "not narrower" hides "MCACHES"
await "nothing left" shows "$client wörter_index "
terminal resize-window -x 30 -y 8
await "no word that it is too small" shows "too small: 30x8"
terminal resize-window -x 80 -y 24
await "it does not come back" shows "$client wörter_index "

# The next server; a signal; the key.
kill -KILL "$server"
await "it does not see that the server is gone" shows "no server"
start_server --ephemeral
await "it does not see the next server" hides "no server"
await "it shows another server" shows "pid $server"
terminal send-keys q
await "it does not quit" shows "ended 0"
diff "$dir/before" "$dir/after" >&2 || fail "the terminal is not as before"
terminal kill-server
start_top 80 24
await "it does not start again" shows "wörter_index "
pid=$(terminal list-panes -F '#{pane_pid}')
kill -TERM "$(ps -o pid= --ppid "$pid" | tr -d ' ')"
await "a signal does not end it" shows "ended 0"
await "no settings" test -s "$dir/after"
diff "$dir/before" "$dir/after" >&2 || fail "the terminal is not as before"
terminal kill-server

# Without colours, and where there are no characters but ASCII.
start_top 80 24 NO_COLOR=1 LC_ALL=C
await "nothing without colours" shows "w\\\\xc3\\\\xb6rter_i "
await "no bars of ASCII" shows "heap +\\[[|]*[.]+\\]"
! coloured || fail "colours in spite of NO_COLOR"
ascii || fail "more than ASCII in a terminal for ASCII"
terminal send-keys q
await "it does not quit without colours" shows "ended 0"
terminal kill-server

# Too small from the start.
start_top 30 8
await "it begins in too small a terminal" shows "ended 8"
