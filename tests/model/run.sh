#!/usr/bin/env bash
# Check one case of a model: run.sh FOLDER EXPECTED MODEL [-DFLAG...]. Ends with 77 where a case is
# only for long runs.
set -euo pipefail
folder=$(dirname "$(readlink -f "$0")")
expected=$2
model=$folder/$3.pml
mkdir -p "$1"
[ "$expected" != long ] || [ -n "${GOALLOC_LONG:-}" ] || { echo "long: needs GOALLOC_LONG"; exit 77; }
work=$(mktemp -d "$1/XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
spin -a "${@:4}" "$model"
table_bits=22
[ "$expected" != long ] || table_bits=24
# What ends at an error is compiled for longer than it runs, and comes to it sooner where the last of
# the processes goes first; but for a case that says -DFORWARD.
search=(-O1)
[ "$expected" != fail ] || search=(-O0 -DREVERSE)
[[ " $* " != *" -DFORWARD "* ]] || search=(-O1)
# No partial order reduction: it does not go with timeout.
"${CC:-gcc}" "${search[@]}" -w -DSAFETY -DCOLLAPSE -DNOREDUCE -DVECTORSZ=2048 -DMEMLIM=6000 -o pan pan.c
./pan -E -m400000 -w"$table_bits" >out
grep -E 'errors:|states, stored|elapsed' out
grep -q 'search depth too small\|memory exceeded\|out of memory' out && { echo "cut short"; exit 1; }
if [ "$expected" = fail ]; then
    grep -q '^pan:.*assertion violated' out && grep -q 'errors: 1' out
else
    grep -q 'errors: 0' out
fi
