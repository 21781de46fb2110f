#!/bin/sh
# SPDX-License-Identifier: MIT
# core calls nothing of libc beyond string.h: the undefined symbols of its
# objects, less what core defines itself, are all in a short list.
#
#     symbols.sh archive-or-object...
set -eu
allowed="memcpy memmove memset memcmp bcmp strlen strcmp strncmp strnlen abort __stack_chk_fail"

undefined=$(nm --undefined-only "$@" | awk 'NF == 2 { print $2 }' | sort -u)
defined=$(nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u)
[ -n "$defined" ] || { echo "nothing is defined in $*"; exit 1; }

status=0
for symbol in $undefined; do
    # what sanitizers and coverage bring is theirs
    case $symbol in __asan_* | __ubsan_* | __tsan_* | __sanitizer_* | _GLOBAL_OFFSET_TABLE_) continue ;; esac
    printf '%s\n' "$defined" | grep -qxF "$symbol" && continue
    case " $allowed " in *" $symbol "*) ;; *) echo "core must not need $symbol"; status=1 ;; esac
done
exit $status
