#!/usr/bin/env bash
# The generator writes its output whole or leaves what was there, a device above all.
#
#   test_mksizeclasses.sh MKSIZECLASSES
set -euo pipefail
export LC_ALL=C

generator=${1:?usage: test_mksizeclasses.sh MKSIZECLASSES}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Only links to devices here: what fails by removing its output must not do that to a real one.
ln -s /dev/full "$dir/full"
! "$generator" "$dir/full" 2>"$dir/said" || fail "a full device took the output"
grep -q 'No space left' "$dir/said" || fail "the message does not say why: $(cat "$dir/said")"
[ "$(readlink "$dir/full")" = /dev/full ] || fail "the link to the device is gone"
[ ! -e "$dir/full.new" ] || fail "a file was made beside the device"
ln -s /dev/stdout "$dir/stdout"
"$generator" "$dir/stdout" | grep -q '^#endif$' || fail "a pipe did not get the output"
[ -L "$dir/stdout" ] || fail "the link to the pipe is gone"

"$generator" "$dir/tables.h"
grep -q '^#endif$' "$dir/tables.h" || fail "the output is not whole"
echo old >"$dir/tables.h"
# A write beyond the limit on file sizes fails, as one does on a full disk.
! (trap '' XFSZ && ulimit -f 0 && "$generator" "$dir/tables.h") 2>"$dir/unseen" ||
    fail "it wrote beyond the limit"
[ "$(cat "$dir/tables.h")" = old ] || fail "a failed run changed the output"
[ ! -e "$dir/tables.h.new" ] || fail "a failed run left a file behind"
