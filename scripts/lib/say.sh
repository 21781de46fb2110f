# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# How the scripts speak: plain lines; colours only on a terminal.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    say_bold=$'\e[1m' say_green=$'\e[32m' say_red=$'\e[31m' say_plain=$'\e[0m'
else
    say_bold='' say_green='' say_red='' say_plain=''
fi

# say_step TEXT... - a heading
say_step() { printf '\n%s== %s%s\n' "$say_bold" "$*" "$say_plain"; }
# say_good / say_bad TEXT... - the result of one check
say_good() { printf '  %sok%s   %s\n' "$say_green" "$say_plain" "$*"; }
say_bad() { printf '  %sFAIL%s %s\n' "$say_red" "$say_plain" "$*"; }
# say_command WORD... - a command, as one would type it
say_command() { printf '%s$ %s%s\n' "$say_bold" "$*" "$say_plain"; }
# die TEXT... - a complaint and the end
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
