#!/usr/bin/env bash
# Let libFuzzer work on one target: run.sh BUILD SECONDS TARGET. It begins with the kept inputs.
# What it finds that reaches more code goes to BUILD/fuzz/TARGET/new; an input that breaks something,
# to BUILD/fuzz/TARGET, and the end of what the target said is shown. GOALLOC_SEED, if it is set, is
# where chance begins.
set -euo pipefail
build=$1
seconds=$2
target=$3
kept=$(dirname "$(readlink -f "$0")")/corpus/$target
own=$build/fuzz/$target
mkdir -p "$own/new"
# The messages of what is tested go nowhere; reports of libFuzzer and the sanitizers still come.
if ! "$build/bin/fuzz_$target" -seed="${GOALLOC_SEED:-0}" -max_total_time="$seconds" \
    -timeout=20 -rss_limit_mb=2048 -close_fd_mask=3 -artifact_prefix="$own/" "$own/new" "$kept" 2>"$own/log"; then
    tail -n 60 "$own/log" >&2
    for input in "$own"/crash-* "$own"/timeout-* "$own"/oom-*; do
        [ -e "$input" ] || continue
        echo "fuzz: $target breaks with the input $input:" >&2
        "$build/bin/fuzz_$target" -timeout=20 "$input" 2>&1 | tail -n 30 >&2 || true
    done
    exit 1
fi
echo "$target: $(grep -m 1 DONE "$own/log")"
