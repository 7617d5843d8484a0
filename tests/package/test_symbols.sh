#!/usr/bin/env bash
# The libraries export exactly the functions that goalloc.h declares GOALLOC_API, goalloc(3) names
# each of them, and the page of its group shows it as it is declared.
#
#   test_symbols.sh CLIENT_ROOM SHARED_LIBRARY STATIC_LIBRARY
set -euo pipefail
export LC_ALL=C

room=${1:?usage: test_symbols.sh CLIENT_ROOM SHARED_LIBRARY STATIC_LIBRARY}
shared=${2:?}
static=${3:?}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM

failed=0
expect() { # WHAT EXPECTED GOT
    diff "$2" "$3" >"$dir/diff" && return
    echo "FAILED: $1 (< declared in goalloc.h, > there):" >&2
    cat "$dir/diff" >&2
    failed=1
}

grep -v '^#' "$room/include/goalloc/goalloc.h" | tr '\n' ' ' | grep -o 'GOALLOC_API [^(;]*(' |
    grep -o '[a-z_]*($' | tr -d '(' | sort >"$dir/declared"
[ "$(wc -l <"$dir/declared")" -ge 10 ] || { echo "FAILED: cannot read goalloc.h" >&2 && exit 1; }

sed 's/$/@@GOALLOC_0.1/' "$dir/declared" >"$dir/versioned"
nm -D --defined-only --with-symbol-versions "$shared" | awk '$2 != "A" { print $3 }' |
    sort >"$dir/shared"
expect "$shared exports otherwise" "$dir/versioned" "$dir/shared"

# A sanitizer adds names of its own.
nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | grep -v -e '^__' | sort >"$dir/static"
expect "$static exports otherwise" "$dir/declared" "$dir/static"

sed -n 's/^\.Fn \(goalloc_[a-z_]*\).*/\1/p' "$room/goalloc.3" | sort -u >"$dir/manual"
expect "goalloc.3 has other functions" "$dir/declared" "$dir/manual"

grep -v '^#' "$room/include/goalloc/goalloc.h" | tr '\n' ' ' | grep -o 'GOALLOC_API [^;]*;' |
    sed 's/^GOALLOC_API //; s/ *__attribute__.*//; s/;$//; s/  */ /g' | sort >"$dir/prototypes"
awk '/^\.Ft / { type = $0; sub(/^\.Ft /, "", type); gsub(/"/, "", type) }
     /^\.Fo / { name = $2; arguments = "" }
     /^\.Fa "/ && name { argument = $0; gsub(/^\.Fa "|"$/, "", argument)
                         arguments = arguments (arguments ? ", " : "") argument }
     /^\.Fa [^"]*$/ && name { arguments = arguments (arguments ? ", " : "") $2 }
     /^\.Fc/ { print type (type ~ /\*$/ ? "" : " ") name "(" arguments ")"; name = "" }' \
    "$room"/man/*.3 | sort >"$dir/shown"
expect "man/*.3 show other prototypes" "$dir/prototypes" "$dir/shown"
sed -n 's/^\.Nm \(goalloc_[a-z_]*\).*/\1/p' "$room"/man/*.3 | sort >"$dir/named"
expect "man/*.3 name other functions" "$dir/declared" "$dir/named"

exit $failed
