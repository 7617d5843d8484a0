# Sourced by tests that use an installed goalloc as a stranger would: builds programs against it in
# four ways, and runs them. They need fail and quietly, a folder $dir of their own, and $consumer, the
# stranger's sources.
# shellcheck disable=SC2154

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Run a command, and show what it said only if it fails.
quietly() {
    "$@" >"$dir/said" 2>&1 || { cat "$dir/said" >&2 && fail "$*"; }
}

# build_consumers PREFIX LIBDIR: into $dir/programs.
build_consumers() {
    local prefix=$1 libdir=$2 strict=(-Wall -Wextra -pedantic -Werror) cflags libs static_libs
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    [ "$(pkg-config --modversion goalloc-client)" = \
        "$("$prefix/bin/goallocctl" --version | cut -d ' ' -f 2)" ] ||
        fail "pkg-config has another version"
    read -r -a cflags <<<"$(pkg-config --cflags goalloc-client)"
    read -r -a libs <<<"$(pkg-config --libs goalloc-client)"
    # The linker prefers a shared library where both are there, unless it is told the file.
    read -r -a static_libs <<<"$(pkg-config --static --libs goalloc-client |
        sed 's/-lgoalloc-client/-l:libgoalloc-client.a/')"
    mkdir "$dir/programs"
    quietly "$cc" -std=c99 "${strict[@]}" "${cflags[@]}" "$consumer/consumer.c" "${libs[@]}" \
        -o "$dir/programs/pkg_config_shared"
    quietly "$cc" -std=c99 "${strict[@]}" "${cflags[@]}" "$consumer/consumer.c" "${static_libs[@]}" \
        -o "$dir/programs/pkg_config_static"

    quietly cmake -S "$consumer" -B "$dir/cmake" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix"
    grep -q "^goalloc_DIR:PATH=$libdir/" "$dir/cmake/CMakeCache.txt" || fail "CMake found another goalloc"
    quietly cmake --build "$dir/cmake"
    cp "$dir/cmake/with_client" "$dir/programs/cmake_shared"
    cp "$dir/cmake/with_client_static" "$dir/programs/cmake_static"

    if [ -n "$cxx" ]; then
        printf '#include <goalloc/goalloc.h>\nint main() { goalloc_detach(nullptr); }\n' >"$dir/cxx.cc"
        quietly "$cxx" -std=c++11 "${strict[@]}" "${cflags[@]}" "$dir/cxx.cc" "${libs[@]}" \
            -o "$dir/programs_cxx"
        LD_LIBRARY_PATH=$libdir quietly "$dir/programs_cxx"
        printf '#include <goalloc/goalloc.hpp>\nint main(int c, char **) { if (c > 1) goalloc::heap heap; }\n' \
            >"$dir/hpp.cc"
        quietly "$cxx" -std=c++17 "${strict[@]}" "${cflags[@]}" "$dir/hpp.cc" "${libs[@]}" -o "$dir/programs_hpp"
        LD_LIBRARY_PATH=$libdir quietly "$dir/programs_hpp"
    fi
}

# use_python PREFIX LIBDIR: the Python package, where there is one.
use_python() {
    local prefix=$1 libdir=$2 module file
    module=$(find "$prefix" -path '*-packages/goalloc/_goalloc.abi3.so')
    [ -n "$module" ] || return 0
    ! readelf -d "$module" | grep -E 'R(UN)?PATH' >&2 || fail "$module looks for libraries elsewhere"
    for file in __init__.py _goalloc.pyi numpy.py py.typed; do
        [ -f "${module%/*}/$file" ] || fail "$file of the Python package is not installed"
    done
    LD_LIBRARY_PATH=$libdir PYTHONPATH=${module%/goalloc/*} quietly /usr/bin/python3 -B -c '
import goalloc
with goalloc.attach(client_name="installed") as heap, heap.alloc(100) as object_:
    assert object_.address and heap.stats().own_mallocs == 1'
}

# run_consumers PREFIX LIBDIR NAME: with PREFIX's goallocd, which serves heap NAME meanwhile. Its process
# id is in $server as long as it runs.
run_consumers() {
    local prefix=$1 libdir=$2 name=$3 ready='' needs program count
    export GOALLOC_SOCKET=$dir/socket
    mkfifo "$dir/ready"
    "$prefix/bin/goallocd" --name "$name" --limit 64M --ephemeral --ready-fd 4 4>"$dir/ready" \
        2>"$dir/log" &
    server=$!
    read -r -t 60 ready <"$dir/ready" || true
    [ "$ready" = READY ] || fail "goallocd did not become ready: $(cat "$dir/log")"

    # What one leaves, the next takes.
    for program in pkg_config_shared pkg_config_static cmake_static cmake_shared; do
        needs=$(readelf -d "$dir/programs/$program" | grep -c 'NEEDED.*libgoalloc-client\.so\.0' || true)
        case $program in
        *_shared) [ "$needs" = 1 ] || fail "$program does not use the shared library" ;;
        *_static) [ "$needs" = 0 ] || fail "$program does not use the static library" ;;
        esac
        LD_LIBRARY_PATH=$libdir quietly "$dir/programs/$program" text
    done
    quietly "$prefix/bin/goallocctl" stats --json
    for count in '"mallocs": 2,' '"frees": 2,'; do
        grep -qF "$count" "$dir/said" || fail "there is no $count in: $(cat "$dir/said")"
    done

    use_python "$prefix" "$libdir"
    kill -TERM "$server"
    wait "$server" || fail "the installed goallocd exited with $?"
    server=
}
