#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is installed is all a program needs: it builds with pkg-config, with
# CMake, and against the static library; the headers are pedantic C11 and C++17
# one by one; and the library exports what exports.txt lists, no more.
#
# usage: installed.sh BUILD-DIRECTORY C-COMPILER
# shellcheck disable=SC2046,SC2086  # pkg-config and $sanitize hold several words
set -eu
build=$1
cc=$2
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

fail()
{
    echo "installed.sh: $*" >&2
    exit 1
}

# ---- Install the two components that make up the library ----------------------
# The prefix is written into the package files, so it is the real one here.
for component in lib dev; do
    DESTDIR='' cmake --install "$build" --prefix "$stage/usr" --component "$component" >install.log ||
        fail "installing $component: $(tail -3 install.log)"
done
pc=$(find "$stage/usr" -name asupersync-client.pc)
[ -n "$pc" ] || fail "no .pc file"
libdir=$(dirname "$(dirname "$pc")")
[ -e "$libdir/libasupersync-client.so.0" ] || fail "no libasupersync-client.so.0"
[ -e "$libdir/libasupersync-client.a" ] || fail "no static library"

# ---- Exported symbols ------------------------------------------------------------
nm -D --defined-only "$libdir/libasupersync-client.so.0" |
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort >exported
diff -u "$source/client/exports.txt" exported || fail "exports differ from client/exports.txt"
nm --defined-only --extern-only "$libdir/libasupersync-client.a" |
    awk 'NF == 3 { print $3 }' | LC_ALL=C sort >exported
diff -u "$source/client/exports.txt" exported || fail "the static library shows other names"
soname=$(objdump -p "$libdir/libasupersync-client.so.0" | awk '/SONAME/ { print $2 }')
[ "$soname" = libasupersync-client.so.0 ] || fail "the soname is $soname"

# ---- Headers -------------------------------------------------------------------------
for header in "$stage"/usr/include/asupersync/*.h; do
    name=$(basename "$header")
    printf '#include <asupersync/%s>\nint main(void) { return 0; }\n' "$name" >header.c
    cp header.c header.cc
    gcc -std=c11 -pedantic-errors -Wall -Wextra -Werror -Wstrict-prototypes \
        -I"$stage/usr/include" -c header.c -o header.o || fail "$name is not pedantic C11"
    g++ -std=c++17 -pedantic-errors -Wall -Wextra -Werror \
        -I"$stage/usr/include" -c header.cc -o header.o || fail "$name is not pedantic C++17"
done

# ---- A program, three ways ---------------------------------------------------------------
cat >program.c <<'PROGRAM'
#include <asupersync/asupersync.h>
#include <stdio.h>

/* Exits 0 when nobody is at the address, and the library says so. */
int
main(void)
{
    struct asup_client_options options;
    struct asup_client *c = NULL;
    struct asup_error_info err;

    asup_client_options_init(&options);
    options.url = "/nonexistent/asupersyncd.sock";
    options.connect_timeout_ms = 50;
    int rc = asup_client_connect(&options, &c, &err);

    printf("%s: %s\n", asup_error_name(rc), err.message);
    asup_client_free(c);
    return rc == -ASUP_ENOTCONN ? 0 : 1;
}
PROGRAM
# A library built with a sanitizer needs its runtime in the program as well.
sanitize=$(sed -n 's/^ASUP_SANITIZE:[A-Z]*=\(..*\)$/-fsanitize=\1/p' "$build/CMakeCache.txt")

# The prefix moved with the stage.
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
config()
{
    pkg-config --define-variable=prefix="$stage/usr" \
        --define-variable=includedir="$stage/usr/include" \
        --define-variable=libdir="$libdir" "$@" asupersync-client
}
"$cc" $sanitize program.c $(config --cflags --libs) -o shared || fail "pkg-config: does not build"
LD_LIBRARY_PATH=$libdir ./shared || fail "pkg-config: does not run"

"$cc" $sanitize program.c $(config --cflags) "$libdir/libasupersync-client.a" \
    $(config --static --libs-only-l | sed 's/-lasupersync-client//') -o static ||
    fail "static: does not build"
./static || fail "static: does not run"
if ldd ./static | grep -q asupersync; then
    fail "static: still needs the shared library"
fi

mkdir cmake-program
cp program.c cmake-program/
cat >cmake-program/CMakeLists.txt <<'LISTS'
cmake_minimum_required(VERSION 3.25)
project(program C)
find_package(asupersync-client 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE asupersync::client)
add_executable(program-static program.c)
target_link_libraries(program-static PRIVATE asupersync::client-static)
LISTS
cmake -S cmake-program -B cmake-build -DCMAKE_PREFIX_PATH="$stage/usr" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$sanitize" >cmake.log 2>&1 &&
    cmake --build cmake-build >>cmake.log 2>&1 || fail "CMake: $(tail -5 cmake.log)"
cmake-build/program || fail "CMake: does not run"
cmake-build/program-static || fail "CMake: the static one does not run"
echo "installed.sh: pkg-config, static and CMake builds work"
