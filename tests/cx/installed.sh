#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is installed is all a program needs: it builds with pkg-config and with
# CMake; and the library exports what cx/exports.txt lists, no more.
#
# usage: installed.sh BUILD-DIRECTORY C-COMPILER
# shellcheck disable=SC2046,SC2086  # pkg-config and $sanitize hold several words
set -eu
build=$1
cc=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

fail()
{
    echo "installed.sh: $*" >&2
    exit 1
}

for component in lib cx dev; do
    DESTDIR='' cmake --install "$build" --prefix "$stage/usr" --component "$component" >install.log ||
        fail "installing $component: $(tail -3 install.log)"
done
pc=$(find "$stage/usr" -name asupersync-cx.pc)
[ -n "$pc" ] || fail "no .pc file"
libdir=$(dirname "$(dirname "$pc")")
[ -e "$libdir/libasupersync-cx.so.0" ] || fail "no libasupersync-cx.so.0"
nm -D --defined-only "$libdir/libasupersync-cx.so.0" |
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort >exported
diff -u "$source/cx/exports.txt" exported || fail "exports differ from cx/exports.txt"
soname=$(objdump -p "$libdir/libasupersync-cx.so.0" | awk '/SONAME/ { print $2 }')
[ "$soname" = libasupersync-cx.so.0 ] || fail "the soname is $soname"

cat >program.c <<'PROGRAM'
#include <asupersync/runtime.h>

static int
child(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_sleep(cx, 1000);
}

static int
parent(struct asup_cx *cx, void *arg)
{
    int result;

    (void)arg;
    ASUP_SCOPE (scope, cx, &result) {
        ASUP_SPAWN(scope, child, NULL);
        ASUP_SPAWN(scope, child, NULL);
    }
    return result;
}

int
main(void)
{
    return asup_runtime_run(NULL, parent, NULL, NULL) == 0 ? 0 : 1;
}
PROGRAM
# A library built with a sanitizer needs its runtime in the program as well.
sanitize=$(sed -n 's/^ASUP_SANITIZE:[A-Z]*=\(..*\)$/-fsanitize=\1/p' "$build/CMakeCache.txt")

# The prefix moved with the stage.
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
"$cc" $sanitize program.c $(pkg-config --define-variable=prefix="$stage/usr" \
    --define-variable=includedir="$stage/usr/include" --define-variable=libdir="$libdir" \
    --cflags --libs asupersync-cx) -o shared || fail "pkg-config: does not build"
LD_LIBRARY_PATH=$libdir ./shared || fail "pkg-config: does not run"

mkdir cmake-program
cp program.c cmake-program/
cat >cmake-program/CMakeLists.txt <<'LISTS'
cmake_minimum_required(VERSION 3.25)
project(program C)
find_package(asupersync-cx 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE asupersync::cx)
LISTS
cmake -S cmake-program -B cmake-build -DCMAKE_PREFIX_PATH="$stage/usr" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$sanitize" >cmake.log 2>&1 &&
    cmake --build cmake-build >>cmake.log 2>&1 || fail "CMake: $(tail -5 cmake.log)"
cmake-build/program || fail "CMake: does not run"
echo "installed.sh: pkg-config and CMake builds work"
