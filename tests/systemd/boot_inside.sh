#!/usr/bin/env bash
# What is done inside the systemd that test_boot.sh boots: the service as an operator and its clients
# meet it. Writes /opt/test/log, whose last line is "all passed".
set -uo pipefail
exec >/opt/test/log 2>&1
export LC_ALL=C

unit=goallocd.service
socket=/run/goalloc/goalloc.sock
fail() {
    echo "FAILED: $*"
    systemctl --no-pager status "$unit" goallocd.socket "goallocd@cache.service"
    journalctl --no-pager -o short-monotonic -n 60
    exit 1
}
await() { # WHAT COMMAND...: until it succeeds
    local try what=$1
    shift
    for ((try = 0; try < 200; try++)); do
        "$@" && return
        sleep 0.1
    done
    fail "$what"
}
property() { systemctl show --value -p "$2" "$1"; }
has() { [[ "$(property "$1" "$2")" == *"$3"* ]]; }
logged() { journalctl --no-pager -u "$unit" | grep -qF "$1"; }
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }
client() { as nobody "$(getent group goalloc | cut -d: -f3)" "$@"; }
# The client of the heap looks at its objects, and asks the server.
still_good() {
    local line=
    echo look >&"${held[1]}"
    read -r -t 30 line <&"${held[0]}"
    [ "$line" = ok ] || fail "$1: the client says '${line:-nothing}'"
}

echo "== users and folders"
systemd-sysusers || fail "sysusers"
systemd-tmpfiles --create /usr/lib/tmpfiles.d/goalloc.conf || fail "tmpfiles"

echo "== started by the first client"
systemctl start goallocd.socket || fail "the socket does not start"
[ "$(property "$unit" ActiveState)" = inactive ] || fail "the server runs already"
[ "$(stat -c '%a %G' $socket)" = '660 goalloc' ] || fail "$socket: $(stat -c '%a %G' $socket)"
coproc held { client /opt/test/service_client; }
line=
read -r -t 30 line <&"${held[0]}"
[ "$line" = ready ] || fail "the first client says '${line:-nothing}'"
[ "$(property "$unit" ActiveState)" = active ] || fail "the server is not ready"
[ "$(stat -c '%a %U %G' /dev/shm/goalloc.default.meta)" = '640 goalloc goalloc' ] || fail "the objects' rights"
await "no status text" has "$unit" StatusText "heap 'default': 1 client, "
still_good "at first"

echo "== who may not"
said=$(as nobody nogroup goallocctl --socket $socket status 2>&1) && fail "anybody is served"
[[ $said == *"$socket: no right to connect"* ]] || fail "who is in no group is told: $said"

# Who names no socket and is in no group starts a server of his own.
as nobody nogroup /opt/test/service_client </dev/null | grep -qx ready || fail "no private server"

echo "== io_uring is not refused"
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" != 0 ] ||
    client goallocctl --json --socket $socket status | grep -q '"scavenger": "io_uring"' || fail "no io_uring"

echo "== reload"
printf 'limit = 48M\nreserve = 1G\n' >/etc/goalloc/goallocd.conf
systemctl reload "$unit" || fail "reload"
await "a good file is not taken" has "$unit" StatusText "of 48.0 MiB"
printf 'limit = 96M\nlimti = 1M\n' >/etc/goalloc/goallocd.conf
systemctl reload "$unit" || fail "reload"
await "a bad file is not told of" has "$unit" StatusText "of 48.0 MiB; the file of options has an error"
await "the line is not logged" logged "goallocd.conf:2: 'limti' is not known"
printf 'limit = 64M\nreserve = 1G\n' >/etc/goalloc/goallocd.conf
systemctl reload "$unit" || fail "reload"
await "a good file is not taken" has "$unit" StatusText "of 64.0 MiB"
has "$unit" StatusText error && fail "the error stays"
still_good "after reloads"

echo "== hung, and killed by the watchdog"
before=$(property "$unit" MainPID)
kill -STOP "$before"
still_good "while the server hangs"
after=$(property "$unit" MainPID)
[[ $after != 0 && $after != "$before" ]] || fail "it is the same server, $after"
[ "$(property "$unit" NRestarts)" = 1 ] || fail "$(property "$unit" NRestarts) restarts"
await "the watchdog is not in the log" logged "Watchdog timeout"
await "the heap was not taken over" logged "took heap 'default' over: 1 of its clients live"
still_good "with the next server"

echo "== killed"
kill -KILL "$after"
still_good "after a kill"
[ "$(property "$unit" NRestarts)" = 2 ] || fail "$(property "$unit" NRestarts) restarts"

echo "== another heap"
systemctl start goallocd@none.socket 2>/dev/null && fail "an instance without a file of options starts"
systemctl start goallocd@cache.socket || fail "the instance's socket does not start"
client goallocctl --socket /run/goalloc/cache.sock status | grep -q cache || fail "the instance does not serve"
has goallocd@cache.service StatusText "heap 'cache': 0 clients, 0.0 MiB of 32.0 MiB" || fail "the instance's status"

echo "== stop"
systemctl stop goallocd.socket "$unit" goallocd@cache.socket goallocd@cache.service || fail "stop"
for each in "$unit" goallocd@cache.service; do
    [ "$(property "$each" Result) $(property "$each" ActiveState)" = 'success inactive' ] || fail "$each ends"
done
[ ! -e $socket ] || fail "the socket stays"
for heap in default cache; do
    [ -e /dev/shm/goalloc.$heap.heap ] || fail "heap $heap went with its server"
done

echo "== started again, with what was there"
systemctl start goallocd.socket || fail "start"
still_good "after a stop and a start"
echo "all passed"
