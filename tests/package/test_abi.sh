#!/usr/bin/env bash
# The binary interface of the library is the one in libgoalloc-client.abi: programs that were built
# with it before run with this one.
#
#   test_abi.sh SOURCE_DIR SHARED_LIBRARY [--update]
#
# What is added changes it too, and --update writes what is there now. What is changed or removed after a
# release is a new SOVERSION, or a member behind the last of a struct whose size its user gives.
set -euo pipefail
export LC_ALL=C

source_dir=${1:?usage: test_abi.sh SOURCE_DIR SHARED_LIBRARY [--update]}
library=${2:?}
kept=$source_dir/tests/package/libgoalloc-client.abi
headers=$source_dir/client/include/goalloc

for tool in abidiff abidw; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is missing" && exit 77; }
done
# Of the types those that the header shows: struct goalloc_heap is whatever it is.
dump() { # OUT
    abidw --headers-dir "$headers" --drop-private-types --exported-interfaces-only --no-corpus-path \
        --no-comp-dir-path --no-show-locs --no-elf-needed --no-parameter-names --type-id-style hash \
        --out-file "$1" "$library"
}

if [ "${3:-}" = --update ]; then
    dump "$kept"
    exit
fi
now=$(mktemp)
trap 'rm -f -- "$now"' EXIT
trap 'exit 1' HUP INT TERM
dump "$now"
abidiff --harmless "$kept" "$now" || {
    echo "FAILED: the interface is another than $kept has; if that is meant:" >&2
    echo "    $0 $source_dir $library --update" >&2
    exit 1
}
