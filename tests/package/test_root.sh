#!/usr/bin/env bash
# Installs the Debian packages by apt into a new Debian of its own, and boots that: the service, a
# program compiled there, an upgrade, removal and purge. It needs root, the network and two minutes, so it
# runs with GOALLOC_LONG alone.
#
#   test_root.sh SOURCE_DIR PACKAGES_DIR [BASE]
#
# BASE: a folder with a Debian, which is copied; without it debootstrap makes one.
set -euo pipefail
export LC_ALL=C

source_dir=${1:?usage: test_root.sh SOURCE_DIR PACKAGES_DIR [BASE]}
packages_dir=${2:?}
base=${3:-}

skip() {
    echo "skipped: $*"
    exit 77
}
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

[ -n "${GOALLOC_LONG:-}" ] || skip "GOALLOC_LONG is not set"
[ "$(id -u)" = 0 ] || skip "this needs root"
for tool in systemd-nspawn debootstrap; do
    command -v "$tool" >/dev/null || skip "$tool is missing"
done

dir=$(mktemp -d)
root=$dir/root
cleanup() {
    local status=$?
    trap - EXIT
    rm -rf --one-file-system -- "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# What the machine's own manager does not know of, and shares neither /dev/shm nor /tmp with. What
# systemd-nspawn has in /run it cannot remove where that is on a disk.
in_root() { # SECONDS OPTION...
    local seconds=$1
    shift
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 10 "$seconds" unshare --mount sh -c \
        'mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && exec systemd-nspawn "$@"' sh \
        --quiet --register=no --keep-unit --directory="$root" --machine="goalloc-$$" --console=pipe \
        "$@" </dev/null >"$dir/said" 2>&1
}

if [ -n "$base" ]; then
    cp -a "$base" "$root"
else
    debootstrap --variant=minbase bookworm "$root" >"$dir/said" 2>&1 || {
        tail -n 3 "$dir/said"
        skip "debootstrap could not make a root"
    }
fi
in_root 60 --private-network true || skip "systemd-nspawn does not run here: $(tail -n 3 "$dir/said")"

mkdir "$root/goalloc"
cp "$packages_dir"/*.deb "$root/goalloc/"
cp -r "$source_dir/tests/package/consumer" "$source_dir"/tests/package/root_*.sh "$root/goalloc/"
in_root 400 /goalloc/root_install.sh || { cat "$dir/said" >&2 && fail "installing"; }

# It boots to what its own manager does for a test, and nothing else.
cat >"$root/etc/systemd/system/goalloc-test.service" <<'UNIT'
[Unit]
After=sockets.target dbus.service
Wants=sockets.target dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/goalloc/root_booted.sh
StandardOutput=file:/goalloc/log
StandardError=inherit
UNIT
in_root 200 --private-network --boot systemd.unit=goalloc-test.service || true
[ "$(tail -n 1 "$root/goalloc/log" 2>/dev/null)" = "all is well" ] || {
    cat "$dir/said" "$root/goalloc/log" >&2
    fail "the service in the root"
}
