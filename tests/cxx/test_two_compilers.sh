#!/usr/bin/env bash
# Programs that g++ and clang++ have made, of different standards, build, find, change and take apart
# one another's containers. 77 where one of them is not there.
#
#   test_two_compilers.sh SOURCE_DIR BUILD_DIR
set -euo pipefail

source_dir=${1:?usage: test_two_compilers.sh SOURCE_DIR BUILD_DIR}
build_dir=${2:?}

# ---- with a server, and programs a and b ----
if [ "${3:-}" = run ]; then
    a=$4/a b=$4/b
    "$a" change 0
    "$b" check 1
    for n in 1 3 5 7; do
        "$b" change "$n"
        "$a" change "$((n + 1))"
    done
    "$b" change 9
    "$a" check 10
    "$b" check 10
    "$b" thin 10
    "$a" check-even 10
    "$b" check-even 10
    "$a" drop
    "$b" change 0
    "$a" change 1
    "$a" check 2
    "$b" drop
    exit
fi

# ---- build them ----
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || { echo "there is no $compiler" && exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM
make() { # COMPILER STANDARD OUT
    "$1" -std="$2" -O2 -fPIE -pie -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
        -I"$source_dir/client/include" "$source_dir/tests/cxx/family.cc" -L"$build_dir/lib" \
        -lgoalloc-client -Wl,-rpath,"$build_dir/lib" -o "$dir/$3"
}
make g++ c++17 a
make clang++ c++20 b
bash "$source_dir/client/examples/with_server.sh" "$build_dir/bin" \
    bash "$0" "$source_dir" "$build_dir" run "$dir"
