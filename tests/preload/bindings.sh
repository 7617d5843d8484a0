#!/usr/bin/env bash
# Which functions the loader looks for as the library first calls them. What a child of fork calls
# and its parent has not is looked for in each child anew, in pages that it may not have: nothing is.
#
#   bindings.sh LIBRARY PROGRAM
#
# PROGRAM fork: forks a child that needs a little memory, which touches no code but malloc's.
set -euo pipefail

library=${1:?usage: bindings.sh LIBRARY PROGRAM}
program=${2:?usage: bindings.sh LIBRARY PROGRAM}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT

LD_DEBUG=bindings LD_DEBUG_OUTPUT=$dir/of LD_PRELOAD=$library "$program" fork

# The lines of both processes, each behind its pid; what the library looks for in which.
grep -hF "binding file $library [0] to" "$dir"/of.* | sed 's/:.*symbol `/ /; s/'\''.*//' >"$dir/bound" || true
read -r parent _ <"$dir/bound" || { echo "$0: the loader says nothing of $library" >&2 && exit 1; }
awk -v parent="$parent" '$1 != parent { print "a child of fork looks for " $2; bad = 1 } END { exit bad }' \
    "$dir/bound"
echo "a child of fork looks for no function"
