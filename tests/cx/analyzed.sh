#!/bin/sh
# SPDX-License-Identifier: MIT
# What gcc -fanalyzer reports of analyzed.c is what its remarks say, no more and
# no less. Arguments: source directory, build directory, compiler. Skips (77)
# where that is no gcc from 12 on.
set -eu
source=$1 build=$2 compiler=$3
file=$source/tests/cx/analyzed.c

case $("$compiler" --version | head -1) in
*clang*) compiler=gcc ;;
esac
version=$("$compiler" -dumpversion 2>/dev/null) || version=0
[ "${version%%.*}" -ge 12 ] || { echo "no gcc from 12 on"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
awk '/^\/\* reports: -W/ { sub(/.*reports: /, ""); sub(/ *\*\/.*/, ""); remark = $0 }
     /^PROGRAM\(/ {
         gsub(/^PROGRAM\(|\).*/, "")
         count = split(remark, names, " ")
         for (i = 1; i <= count; i++)
             print $0, names[i]
         remark = ""
     }' "$file" | LC_ALL=C sort >"$dir/expected"
[ "$(wc -l <"$dir/expected")" -ge 12 ] || { echo "the remarks were not found"; exit 1; }
LC_ALL=C "$compiler" -std=gnu17 -O1 -Wall -Wextra -fanalyzer -fdiagnostics-plain-output \
    -I"$source/include" -I"$build/include" -c "$file" -o "$dir/out.o" 2>"$dir/all" ||
    { cat "$dir/all"; exit 1; }
awk '/: In function / { name = $NF; gsub(/[^a-z_]/, "", name) }
     / warning: / { what = $NF; gsub(/[][]/, "", what); print name, what }' "$dir/all" |
    LC_ALL=C sort -u >"$dir/got"
# One of all that must be looked at is not enough.
ignored=$(grep -c 'warning: ignoring return value' "$dir/all") || true
[ "$ignored" -eq 8 ] || { echo "$ignored of 8 ignored results are reported"; exit 1; }
if ! diff -u "$dir/expected" "$dir/got"; then
    cat "$dir/all"
    exit 1
fi
echo "$(wc -l <"$dir/got") reports, all as they should be"
