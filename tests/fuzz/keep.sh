#!/usr/bin/env bash
# Add to the kept inputs what was found that reaches more code: keep.sh BUILD TARGET... Only small
# ones: they are for people too, and run in every test.
set -euo pipefail
build=$1
shift
corpus=$(dirname "$(readlink -f "$0")")/corpus
for target; do
    found=$build/fuzz/$target/new
    [ -d "$found" ] || continue
    find "$found" -type f -size +8 -delete # 4 KiB
    "$build/bin/fuzz_$target" -merge=1 -use_counters=0 -close_fd_mask=3 "$corpus/$target" "$found" 2>/dev/null
    echo "$target: $(find "$corpus/$target" -type f | wc -l) inputs kept"
done
