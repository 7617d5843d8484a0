#!/usr/bin/env bash
# The units as they are installed: systemd has nothing to say against them, not even a warning, and
# finds them hardened; sysusers and tmpfiles make what they name, in a root of the test's own; and
# goallocd takes each option that the file of options shows.
#
#   test_units.sh BUILD_DIR
set -euo pipefail
export LC_ALL=C

build=$(readlink -f "${1:?usage: test_units.sh BUILD_DIR}")
for program in systemd-analyze systemd-sysusers systemd-tmpfiles; do
    command -v "$program" >/dev/null || { echo "skipped: $program is not installed" && exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Not with cmake --install, whose list of files is one for all who install from this build.
prefix=$dir/prefix
install_script=$build/systemd/cmake_install.cmake
mkdir -p "$prefix/bin"
cmake -D CMAKE_INSTALL_PREFIX="$prefix" -P "$install_script" >/dev/null
cp "$build/bin/goallocd" "$prefix/bin/"
units=$prefix/lib/systemd/system
cp "$units/goallocd@.service" "$units/goallocd@cache.service"
cp "$units/goallocd@.socket" "$units/goallocd@cache.socket"

for unit in goallocd.service goallocd.socket goallocd@cache.service goallocd@cache.socket; do
    said=$(systemd-analyze verify --man=no "$units/$unit" 2>&1 | grep -i goalloc || true)
    [ -z "$said" ] || fail "systemd-analyze verify $unit: $said"
done
for unit in goallocd.service goallocd@cache.service; do
    systemd-analyze security --no-pager --offline=true --threshold=20 "$units/$unit" >"$dir/said" 2>&1 ||
        { cat "$dir/said" >&2 && fail "$unit is more exposed than 2.0"; }
    grep -q 'Overall exposure level' "$dir/said" || fail "systemd-analyze security says nothing"
done

root=$dir/root
mkdir -p "$root/etc"
systemd-sysusers --root="$root" "$prefix/lib/sysusers.d/goalloc.conf" 2>"$dir/said" || fail "$(cat "$dir/said")"
for file in passwd group; do
    grep -q '^goalloc:' "$root/etc/$file" || fail "sysusers leaves nothing in $file"
done
systemd-tmpfiles --root="$root" --create "$prefix/lib/tmpfiles.d/goalloc.conf" 2>"$dir/said" ||
    fail "$(cat "$dir/said")"
[ "$(stat -c %a "$root/run/goalloc")" = 755 ] || fail "tmpfiles makes no /run/goalloc"

# An unknown one, behind them, is all that is wrong with them.
conf=$prefix/etc/goalloc/goallocd.conf
grep -q '^ExecStart=.*'" --config $conf\$" "$units/goallocd.service" || fail "$conf is not the service's"
sed -e 's/^#\([a-z]\)/\1/' -e '/^allow-group/d' "$conf" >"$dir/conf"
[ "$(grep -c = "$dir/conf")" -ge 6 ] || fail "$conf shows no options"
echo 'nonsense = 1' >>"$dir/conf"
! "$prefix/bin/goallocd" --config "$dir/conf" 2>"$dir/said" || fail "goallocd takes nonsense"
grep -q "conf:$(wc -l <"$dir/conf"): 'nonsense' is not known" "$dir/said" || fail "$conf: $(cat "$dir/said")"

# Who has changed the file keeps it.
echo '# mine' >"$conf"
cmake -D CMAKE_INSTALL_PREFIX="$prefix" -P "$install_script" >/dev/null
[ "$(cat "$conf")" = '# mine' ] || fail "an installation overwrites the file of options"
