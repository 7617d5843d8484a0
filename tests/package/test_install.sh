#!/usr/bin/env bash
# Installs the build into a folder of its own and uses it from there: programs are compiled in four
# ways against what was installed, and run with the goallocd that was installed.
#
#   test_install.sh SOURCE_DIR BUILD_DIR C_COMPILER [C++_COMPILER]
set -euo pipefail
export LC_ALL=C

source_dir=${1:?usage: test_install.sh SOURCE_DIR BUILD_DIR C_COMPILER [C++_COMPILER]}
build_dir=${2:?}
cc=${3:?}
cxx=${4:-$(command -v c++ || true)}
# shellcheck disable=SC2034 # consumers.bash uses them
consumer=$source_dir/tests/package/consumer
# shellcheck source=tests/package/consumers.bash
. "$source_dir/tests/package/consumers.bash"

# Not below the build, whose path the search must not find.
dir=$(mktemp -d)
prefix=$dir/prefix
name=package.$$
manifest=$build_dir/install_manifest.txt
server=

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -f -- "$manifest"
    [ ! -e "$manifest.$name" ] || mv -f "$manifest.$name" "$manifest"
    rm -rf -- "$dir" /dev/shm/goalloc."$name".*
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# ---- what is there ----

# The list that cmake leaves of a true installation is kept, whoever made it.
[ ! -e "$manifest" ] || mv "$manifest" "$manifest.$name"
quietly cmake --install "$build_dir" --strip --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name libgoalloc-client.a)")
for file in bin/goallocd bin/goallocctl include/goalloc/goalloc.h share/man/man1/goallocctl.1 \
    share/man/man3/goalloc.3 share/man/man7/goalloc-layout.7 \
    share/man/man7/goalloc-{adopt,sharing,operations,troubleshooting}.7 share/man/man7/libgoalloc-malloc.7 share/doc/goalloc/alerts.yml share/man/man8/goallocd.8 share/doc/goalloc/LICENSE \
    share/bash-completion/completions/goallocctl share/bash-completion/completions/goallocd \
    share/zsh/site-functions/_goallocctl share/zsh/site-functions/_goallocd \
    share/doc/goalloc/README.md share/doc/goalloc/CHANGELOG.md; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
mapfile -t named < <(grep -ohE 'client/[a-z]+/[a-z_./]+\.(c|cc|py)\b' "$prefix"/share/man/man*/* \
    "$prefix"/share/doc/goalloc/README.md | sort -u)
for file in "${named[@]}"; do
    [ -s "$prefix/share/doc/goalloc/$file" ] || fail "$file, which a manual page or the README tells of, is not installed"
done
quietly env DESTDIR="$dir/staged" cmake --install "$build_dir" --strip --prefix "$prefix"
strip -g "$libdir/libgoalloc-client.a" "$dir/staged$libdir/libgoalloc-client.a"
diff -r "$prefix" "$dir/staged$prefix" >&2 || fail "with DESTDIR something else is installed"

! grep -r -l -F -e "$source_dir" -e "$build_dir" "$prefix" >&2 ||
    fail "installed files name the folders they were built from"

shared=$libdir/libgoalloc-client.so
[ "$(readelf -d "$shared" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" = libgoalloc-client.so.0 ] ||
    fail "the SONAME is wrong"
[ -e "$libdir/libgoalloc-client.so.0" ] || fail "there is no file of the SONAME's name"
for file in "$shared" "$prefix/bin/goallocd" "$prefix/bin/goallocctl"; do
    ! readelf -d "$file" | grep -E 'R(UN)?PATH' >&2 || fail "$file looks for libraries elsewhere"
done
! ldd "$prefix/bin/goallocd" "$prefix/bin/goallocctl" | grep 'not found' >&2 ||
    fail "the programs do not find their libraries"

for function in $(grep -v '^#' "$source_dir/client/include/goalloc/goalloc.h" | tr '\n' ' ' |
    grep -o 'GOALLOC_API [^(;]*(' | grep -o '[a-z_]*($' | tr -d '('); do
    page=$prefix/share/man/man3/$function.3
    [ -s "$page" ] || fail "there is no page for $function"
    ! grep -q '^\.so ' "$page" || page=$prefix/share/man/$(sed -n 's/^\.so //p' "$page")
    grep -q "^\.Nm $function\b" "$page" || fail "the page for $function, $page, is none"
done
for page in "$prefix"/share/man/man*/*; do
    ! grep -q '^\.so ' "$page" || continue
    ! command -v groff >/dev/null || [ -z "$(groff -mandoc -Tutf8 -ww "$page" 2>&1 >"$dir/page")" ] ||
        fail "groff has complaints about $page"
done

# Not with sanitizers, which bring a malloc of their own.
if [ -e "$build_dir/lib/libgoalloc-malloc.so" ]; then
    ! readelf -d "$libdir/libgoalloc-malloc.so" | grep -E 'R(UN)?PATH|NEEDED.*goalloc' >&2 ||
        fail "libgoalloc-malloc.so looks for libraries elsewhere"
    "$prefix/bin/goallocctl" run --preload true 2>"$dir/said" || fail "goallocctl run --preload ends with $?"
    grep -q '^goallocctl: 1 process had a heap' "$dir/said" || fail "true had no heap: $(cat "$dir/said")"
fi

# ---- and used ----

build_consumers "$prefix" "$libdir"
run_consumers "$prefix" "$libdir" "$name"
