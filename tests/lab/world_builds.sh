#!/bin/sh
# SPDX-License-Identifier: MIT
# world_builds.sh ONE OTHER COUNT - R-EVT-4: two builds of the simulated worlds, by
# different compilers and with different options, give the same events, byte for byte.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$1" --digests 1 "$3" >"$place/one"
"$2" --digests 1 "$3" >"$place/other"
[ "$(wc -l <"$place/one")" -eq "$3" ]
diff "$place/one" "$place/other"
echo "$3 worlds are the same in both builds"
