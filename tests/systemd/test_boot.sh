#!/usr/bin/env bash
# goallocd under a systemd of the test's own, booted in a root that is thrown away: an overlay of this
# one in a mount namespace, with the installation in it. boot_inside.sh drives it from within. Where
# that cannot be, it says why and ends with 77.
#
#   test_boot.sh BUILD_DIR
set -euo pipefail
export LC_ALL=C

build=$(readlink -f "${1:?usage: test_boot.sh BUILD_DIR}")
here=$(dirname "$(readlink -f "$0")")
skip() {
    echo "skipped: $*"
    exit 77
}

if [ -z "${GOALLOC_BOOT_DIR:-}" ]; then
    [ "$(id -u)" = 0 ] || skip "only root can boot a systemd"
    for program in systemd-nspawn unshare timeout /lib/systemd/systemd; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
    why=$(unshare --mount --propagation private true 2>&1) || skip "no mount namespace: $why"
    # The journal, and what is said meanwhile, are the caller's to see if it fails.
    dir=$(mktemp -d)
    trap 'rm -rf -- "$dir"' EXIT
    trap 'exit 1' HUP INT TERM
    GOALLOC_BOOT_DIR=$dir unshare --mount --propagation private bash "$0" "$build" || {
        status=$?
        [ "$status" -eq 77 ] || tail -n 60 "$dir"/*.log >&2 2>/dev/null || true
        exit "$status"
    }
    exit 0
fi

# ---- in a mount namespace of its own: what is mounted here goes with us ----

dir=$GOALLOC_BOOT_DIR
root=$dir/tmpfs/root
mkdir "$dir/tmpfs"
mount -t tmpfs tmpfs "$dir/tmpfs" || skip "no tmpfs can be mounted"
mkdir "$dir"/tmpfs/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/tmpfs/upper,workdir=$dir/tmpfs/work" "$root" 2>"$dir/mount.log" ||
    skip "no overlay of / can be mounted: $(cat "$dir/mount.log")"

for script in server client systemd; do
    DESTDIR=$root cmake -D CMAKE_INSTALL_PREFIX=/usr -P "$build/$script/cmake_install.cmake" >"$dir/install.log"
done
mkdir -p "$root/opt/test" "$root/etc/systemd/system"
cp "$build/bin/service_client" "$here/boot_inside.sh" "$root/opt/test/"
chmod 755 "$root/opt/test"/*
ldconfig -r "$root"
# An installation by hand is not for the service alone; the socket of another heap besides.
cp "$root/etc/goalloc/goallocd.conf" "$root/etc/goalloc/cache.conf"
printf 'limit = 64M\nreserve = 1G\n' >"$root/etc/goalloc/goallocd.conf"
printf 'limit = 32M\nreserve = 1G\n' >"$root/etc/goalloc/cache.conf"
# As it is in the unit, but for the time: a hang shall not take a minute.
mkdir "$root/etc/systemd/system/goallocd.service.d"
printf '[Service]\nWatchdogSec=4\n' >"$root/etc/systemd/system/goallocd.service.d/test.conf"

# Nothing of what this machine serves is started: a target of the test's own, and what that needs.
cat >"$root/etc/systemd/system/goalloc-test.service" <<'UNIT'
[Unit]
After=basic.target
Wants=basic.target
[Service]
Type=oneshot
ExecStart=/opt/test/boot_inside.sh
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=60
UNIT
cat >"$root/etc/systemd/system/goalloc-test.target" <<'UNIT'
[Unit]
Requires=goalloc-test.service
AllowIsolate=yes
UNIT
rm -rf "$root"/etc/systemd/system/{basic,sockets,timers,sysinit,multi-user}.target.wants
for unit in systemd-timesyncd systemd-networkd systemd-resolved systemd-firstboot systemd-update-done; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
rm -f "$root/etc/machine-id"
: >"$root/etc/machine-id"

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout --kill-after=5 90 systemd-nspawn --quiet --directory="$root" --boot \
    --register=no --keep-unit --private-network --console=pipe \
    systemd.unit=goalloc-test.target systemd.show_status=no </dev/null >"$dir/console.log" 2>&1 || true
[ -s "$root/opt/test/log" ] || {
    grep -q 'goalloc-test' "$dir/console.log" "$root/var/log/journal" -r 2>/dev/null ||
        skip "no systemd boots here: $(tail -n 1 "$dir/console.log")"
    exit 1
}
cp "$root/opt/test/log" "$dir/inside.log"
grep -qx 'all passed' "$dir/inside.log"
