#!/usr/bin/env bash
# A build for an installation needs neither CUnit nor what the benchmarks compare with.
#
#   test_without_tests.sh SOURCE_DIR
set -euo pipefail

source_dir=${1:?usage: test_without_tests.sh SOURCE_DIR}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# With a pkg-config that does not know CUnit.
mkdir "$dir/bin"
cat >"$dir/bin/pkg-config" <<'WRAPPER'
#!/bin/sh
case " $* " in *cunit*) exit 1 ;; esac
PATH=${PATH#*:} exec pkg-config "$@"
WRAPPER
chmod +x "$dir/bin/pkg-config"
PATH=$dir/bin:$PATH cmake -S "$source_dir" -B "$dir/build" -G "Unix Makefiles" \
    -DCMAKE_BUILD_TYPE=Release -DGOALLOC_TESTS=OFF >"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2 && exit 1; }
! PATH=$dir/bin:$PATH cmake -S "$source_dir" -B "$dir/with" -G "Unix Makefiles" \
    >"$dir/log" 2>&1 || { echo "FAILED: the wrapper does not hide CUnit" >&2 && exit 1; }
grep -q -i cunit "$dir/log" || { cat "$dir/log" >&2 && exit 1; }
