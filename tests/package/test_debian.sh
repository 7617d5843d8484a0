#!/usr/bin/env bash
# Makes the Debian packages, twice, has lintian look at them, and uses what they hold: programs are
# built against what they install, and run with the goallocd in them.
#
#   test_debian.sh SOURCE_DIR BUILD_DIR C_COMPILER [C++_COMPILER]
set -euo pipefail
export LC_ALL=C

source_dir=${1:?usage: test_debian.sh SOURCE_DIR BUILD_DIR C_COMPILER [C++_COMPILER]}
build_dir=${2:?}/package
cc=${3:?}
cxx=${4:-}
# shellcheck disable=SC2034 # consumers.bash uses them
consumer=$source_dir/tests/package/consumer
# shellcheck source=tests/package/consumers.bash
. "$source_dir/tests/package/consumers.bash"

for tool in cpack dpkg-deb dpkg-shlibdeps lintian; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is missing" && exit 77; }
done

dir=$(mktemp -d)
name=debian.$$
server=

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf -- "$dir"
    rm -f -- "/dev/shm/goalloc.$name".{meta,bits,heap}
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# ---- made ----

export SOURCE_DATE_EPOCH=1700000000
cd "$source_dir"
quietly cmake --preset package -B "$build_dir"
quietly cmake --build "$build_dir"
for made in first second; do
    quietly cpack --config "$build_dir/CPackConfig.cmake" -B "$dir/$made"
    rm -r "$dir/$made/_CPack_Packages"
    sleep 1.1 # else times that are now's could be the same
done
# package.root installs them.
rm -f "$build_dir"/*.deb
cp "$dir"/first/*.deb "$build_dir/"
diff -r "$dir/first" "$dir/second" >&2 || fail "the packages are not the same, made again"

# Python's only where python3-dev is.
python=
! grep -q '^_Python3_.*INCLUDE_DIR.*=/' "$build_dir/CMakeCache.txt" || python=1
packages=("$dir"/first/*.deb)
[ "$(for package in "${packages[@]}"; do dpkg-deb -f "$package" Package; done | xargs)" = \
    "goalloc libgoalloc-client0 libgoalloc-dev${python:+ python3-goalloc}" ] || fail "made are: ${packages[*]}"
quietly lintian --allow-root --fail-on error "${packages[@]}"

depends() { # PACKAGE WHAT...
    local package=$1 what
    shift
    for what in "$@"; do
        dpkg-deb -f "$dir"/first/"$package"_*.deb Depends | tr ',' '\n' | grep -qE "^ *$what( |\$)" ||
            fail "$package does not depend on $what"
    done
}
depends goalloc systemd libsystemd0 libc6 libuv1 libprotobuf-c1 liburing2 libxxhash0 libmicrohttpd12 libncursesw6 zlib1g
depends libgoalloc-client0 libc6 libuv1 libprotobuf-c1
[ -z "$python" ] || depends python3-goalloc python3 'libgoalloc-client0 [(]=' libc6
depends libgoalloc-dev 'libgoalloc-client0 [(]=' libuv1-dev libprotobuf-c-dev

# ---- what is in them ----

for package in "${packages[@]}"; do
    dpkg-deb -x "$package" "$dir/root"
    dpkg-deb -c "$package" | grep -v '^d' | awk '{ print $6 }'
done >"$dir/files"
[ -z "$(sort "$dir/files" | uniq -d)" ] || fail "two packages have: $(sort "$dir/files" | uniq -d)"

# Whatever is installed by hand is in one of them, but for the licence, which is in the copyright.
quietly env DESTDIR="$dir/by_hand" cmake --install "$build_dir"
rm -f "$build_dir/install_manifest.txt"
(cd "$dir/by_hand" && find . ! -type d ! -name LICENSE) |
    sed 's,/man/.*,&.gz,; s,/CHANGELOG.md$,/changelog.gz,' | sort >"$dir/installed"
sort "$dir/files" | grep -v -e '/copyright$' -e '/changelog.Debian.gz$' -e '/README.Debian$' >"$dir/packed"
diff "$dir/installed" "$dir/packed" >&2 || fail "what is packed (>) is not what is installed (<)"

has() { # PACKAGE FILE...
    local package=$1 file
    shift
    for file in "$@"; do
        dpkg-deb -c "$dir"/first/"$package"_*.deb | awk '{ print $6 }' | grep -qx "\./$file" ||
            fail "$package does not have $file"
    done
}
triplet=$("$cc" -print-multiarch)
libdir=usr/lib/$triplet
mapfile -t headers < <(cd "$source_dir/client/include" && find goalloc -name '*.h*' -printf 'usr/include/%p\n')
has goalloc usr/bin/goallocd usr/bin/goallocctl usr/share/man/man8/goallocd.8.gz \
    usr/lib/systemd/system/goallocd.{service,socket} usr/lib/{sysusers,tmpfiles}.d/goalloc.conf
has libgoalloc-client0 "$libdir/libgoalloc-client.so.0"
has libgoalloc-dev "${headers[@]}" "$libdir/libgoalloc-client.so" "$libdir/libgoalloc-client.a" \
    usr/share/man/man3/goalloc_malloc.3.gz
[ -z "$python" ] ||
    has python3-goalloc usr/lib/python3/dist-packages/goalloc/{__init__.py,_goalloc.abi3.so,py.typed}
! grep -r -l -F -e "$source_dir" -e "$dir" "$dir/root" >&2 ||
    fail "packed files name the folders they were built in"

mapfile -t binaries < <(find "$dir/root" -type f \( -path '*/bin/*' -o -name '*.so' -o -name '*.so.*' \))
[ "${#binaries[@]}" -ge 3 ] || fail "packed are: ${binaries[*]}"
for file in "${binaries[@]}"; do
    readelf -d "$file" | grep -q BIND_NOW || fail "$file is not linked with the distribution's hardening"
done

[ "$(dpkg-deb -I "$dir"/first/goalloc_*.deb conffiles)" = /etc/goalloc/goallocd.conf ] ||
    fail "the file of options is no conffile"

# The symbols file, by which others' packages know what version they need, lists what is exported.
dpkg-deb -I "$dir"/first/libgoalloc-client0_*.deb symbols | awk 'NR > 1 { print $1 }' | sort >"$dir/symbols"
nm -D --defined-only --with-symbol-versions "$dir/root/$libdir/libgoalloc-client.so.0" |
    awk '{ print $2 == "A" ? $3 "@" $3 : $3 }' | sed 's/@@/@/' | sort >"$dir/exported"
diff "$dir/symbols" "$dir/exported" >&2 || fail "systemd/debian/symbols (<) is not what is exported (>)"

# ---- and used ----

build_consumers "$dir/root/usr" "$dir/root/$libdir"
run_consumers "$dir/root/usr" "$dir/root/$libdir" "$name"
