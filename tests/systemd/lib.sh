# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the cases share. They run inside a booted systemd, as root, over a
# throw-away overlay; $STAGE is the installed tree, $BUILD the build.

set -u
case_name=$(basename "$0" .sh)
# Sanitizer builds are slower, not different.
patience=${ASUP_TEST_PATIENCE:-30}

fail() {
    echo "FAIL ($case_name): $*" >&2
    systemctl status --no-pager --full asupersyncd.service >&2 || true
    journalctl --no-pager --output=cat --lines=60 --unit=asupersyncd.service >&2 || true
    exit 1
}
# check WHAT COMMAND... - it must succeed
check() {
    local what=$1
    shift
    "$@" || fail "$what: $*"
    echo "ok: $what"
}
# refuse WHAT COMMAND... - it must not
refuse() {
    local what=$1
    shift
    if "$@"; then fail "$what: this should have been refused: $*"; fi
    echo "ok: $what"
}
# equal WHAT WANTED GOT
equal() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
    echo "ok: $1"
}
# eventually WHAT COMMAND... - it must succeed before patience ends
eventually() {
    local what=$1 end=$((SECONDS + patience))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "$what: never happened: $*"
        sleep 0.05
    done
    echo "ok: $what"
}

# property NAME - of the unit
property() { systemctl show --property="$1" --value asupersyncd.service; }
property_is() { [ "$(property "$1")" = "$2" ]; }
property_has() { [[ "$(property "$1")" == *"$2"* ]]; }
gone() {
    local pid
    for pid; do
        [ ! -d "/proc/$pid" ] || return 1
    done
}

# Everything that asupersyncd started carries this variable; zombies have no
# environment any more and do not count.
survivors() {
    local dir
    for dir in /proc/[0-9]*; do
        if tr '\0' '\n' <"$dir/environ" 2>/dev/null | grep -q '^ASUPERSYNC_TASK='; then
            echo "${dir#/proc/} $(tr '\0' ' ' <"$dir/cmdline")"
        fi
    done
}
nothing_survives() { [ -z "$(survivors)" ]; }

# Checkout and build may lie where only root gets to, such as in /root; inside,
# above them, that is nobody's loss.
let_all_reach() {
    local dir
    dir=$(dirname "$1")
    while [ "$dir" != / ]; do
        [[ $(stat -c %A "$dir") == *x ]] || chmod a+rx "$dir"
        dir=$(dirname "$dir")
    done
}
let_all_reach "$TREE"
let_all_reach "$BUILD"

install_tree() {
    cp -a "$STAGE/." /
    ldconfig
    systemd-sysusers
    systemd-tmpfiles --create
    systemctl daemon-reload
}
# drop_in LINE... - settings of the unit for this case
drop_in() {
    mkdir -p /etc/systemd/system/asupersyncd.service.d
    { echo '[Service]' && printf '%s\n' "$@"; } >/etc/systemd/system/asupersyncd.service.d/test.conf
    systemctl daemon-reload
}
# users NAME... - fresh ones, whomever the machine outside may have
users() {
    local name
    for name; do
        ! id "$name" >/dev/null 2>&1 || userdel --force --remove "$name" 2>/dev/null
        useradd --create-home --shell /bin/bash "$name" || fail "no user $name"
    done
}
# as USER COMMAND... - with what a login has
as() {
    local user=$1
    shift
    runuser -u "$user" -- env --chdir="/home/$user" HOME="/home/$user" \
        XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" "$@"
}
# json_of KEY - a string or number at the top of the object on standard input
json_of() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
status_of() { asupersyncctl --json status | json_of "$1"; }

# A task that double-forks, leaves its session and ignores SIGTERM. Sets
# stubborn_task and the array stubborn_pids.
# shellcheck disable=SC2034
start_stubborn() {
    local file region
    file=/home/$1/stubborn.pid
    rm -f "$file"
    region=$(as "$1" asupersyncctl open) || fail "open"
    stubborn_task=$(as "$1" asupersyncctl submit --in "$region" -- \
        "$BUILD/examples/newsroom/stubborn" "$file") || fail "stubborn could not be submitted"
    eventually "stubborn has forked twice" test -s "$file"
    mapfile -t stubborn_pids <"$file"
    equal "two processes of it" 2 "${#stubborn_pids[@]}"
    refuse "both of them live" gone "${stubborn_pids[@]}"
}
