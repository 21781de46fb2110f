#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header compiles by itself, as pedantic C11 and as C++17.
set -eu
cd "$(dirname "$0")/../.."
generated=${1:-}
status=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for header in include/asupersync/*.h; do
    name=asupersync/$(basename "$header")
    # One declaration of its own: an empty translation unit is no ISO C.
    printf '#include "%s"\nextern int header_stands_alone;\n' "$name" >"$scratch/unit.c"
    cp "$scratch/unit.c" "$scratch/unit.cc"
    for c in gcc clang-14; do
        command -v "$c" >/dev/null || continue
        "$c" -std=c11 -pedantic-errors -Wall -Wextra -Werror -Iinclude ${generated:+-I"$generated"} \
            -fsyntax-only "$scratch/unit.c" || { echo "$name: not C11 ($c)"; status=1; }
    done
    for cxx in g++ clang++-14; do
        command -v "$cxx" >/dev/null || continue
        "$cxx" -std=c++17 -pedantic-errors -Wall -Wextra -Werror -Iinclude ${generated:+-I"$generated"} \
            -fsyntax-only "$scratch/unit.cc" || { echo "$name: not C++17 ($cxx)"; status=1; }
    done
done
exit $status
