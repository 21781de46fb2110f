#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is installed is all a program needs: it builds with pkg-config and with
# CMake; and the library exports what NAME/exports.txt lists, no more. NAME is
# cx or lab.
#
# usage: installed.sh NAME BUILD-DIRECTORY C-COMPILER
# shellcheck disable=SC2046,SC2086  # pkg-config and $sanitize hold several words
set -eu
name=$1
library=libasupersync-$name.so.0
build=$2
cc=$3
source=$(cd "$(dirname "$0")/../.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

fail()
{
    echo "installed.sh: $*" >&2
    exit 1
}

for component in lib cx lab dev; do
    DESTDIR='' cmake --install "$build" --prefix "$stage/usr" --component "$component" >install.log ||
        fail "installing $component: $(tail -3 install.log)"
done
pc=$(find "$stage/usr" -name "asupersync-$name.pc")
[ -n "$pc" ] || fail "no .pc file"
libdir=$(dirname "$(dirname "$pc")")
[ -e "$libdir/$library" ] || fail "no $library"
nm -D --defined-only "$libdir/$library" |
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort >exported
diff -u "$source/$name/exports.txt" exported || fail "exports differ from $name/exports.txt"
soname=$(objdump -p "$libdir/$library" | awk '/SONAME/ { print $2 }')
[ "$soname" = "$library" ] || fail "the soname is $soname"

cp "$source/tests/$name/installed.c" program.c
# A library built with a sanitizer needs its runtime in the program as well.
sanitize=$(sed -n 's/^ASUP_SANITIZE:[A-Z]*=\(..*\)$/-fsanitize=\1/p' "$build/CMakeCache.txt")

# The prefix moved with the stage.
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
"$cc" $sanitize program.c $(pkg-config --define-variable=prefix="$stage/usr" \
    --define-variable=includedir="$stage/usr/include" --define-variable=libdir="$libdir" \
    --cflags --libs "asupersync-$name") -o shared || fail "pkg-config: does not build"
LD_LIBRARY_PATH=$libdir ./shared || fail "pkg-config: does not run"

mkdir cmake-program
cp program.c cmake-program/
cat >cmake-program/CMakeLists.txt <<LISTS
cmake_minimum_required(VERSION 3.25)
project(program C)
find_package(asupersync-$name 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE asupersync::$name)
LISTS
cmake -S cmake-program -B cmake-build -DCMAKE_PREFIX_PATH="$stage/usr" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$sanitize" >cmake.log 2>&1 &&
    cmake --build cmake-build >>cmake.log 2>&1 || fail "CMake: $(tail -5 cmake.log)"
cmake-build/program || fail "CMake: does not run"
echo "installed.sh: pkg-config and CMake builds work"
