#!/usr/bin/env bash
# goalloc.hpp compiles without a warning in each standard, by the compilers that are there; and what
# other processes could not use is refused, with a sentence that says so.
#
#   test_compiles.sh SOURCE_DIR
set -euo pipefail

source_dir=${1:?usage: test_compiles.sh SOURCE_DIR}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
flags=(-fsyntax-only -I"$source_dir/client/include" -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Werror)

good() { # COMPILER ARGUMENTS...
    "$@" "${flags[@]}" || { echo "FAILED: $*" >&2 && failed=1; }
}
# A program that publishes an object of the type, with what comes before.
bad() { # COMPILER TYPE DEFINITIONS
    printf '#include <goalloc/goalloc.hpp>\n%s\nvoid publish(const goalloc::heap &h, %s *p);\n' \
        "$3" "$2" >"$dir/bad.cc"
    printf 'void publish(const goalloc::heap &h, %s *p) { h.publish("name", p); }\n' "$2" >>"$dir/bad.cc"
    if "$1" -std=c++17 "${flags[@]}" "$dir/bad.cc" >"$dir/said" 2>&1; then
        echo "FAILED: $1 lets $2 be published" >&2
        failed=1
    elif ! grep -q 'other processes cannot use this type' "$dir/said"; then
        echo "FAILED: $1 says of $2:" >&2
        cat "$dir/said" >&2
        failed=1
    fi
}

for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    for standard in c++17 c++20; do
        good "$compiler" -std="$standard" "$source_dir/tests/cxx/family.cc"
    done
    good "$compiler" -std=c++17 -fno-rtti "$source_dir/tests/cxx/no_rtti.cc"
    bad "$compiler" with_virtuals 'struct with_virtuals { virtual void f(); int i; };'
    # What differs is the type alone.
    printf '#include <goalloc/goalloc.hpp>\nvoid publish(const goalloc::heap &h, int *p);\n' >"$dir/good.cc"
    echo 'void publish(const goalloc::heap &h, int *p) { h.publish("name", p); }' >>"$dir/good.cc"
    good "$compiler" -std=c++17 "$dir/good.cc"
done
exit $failed
