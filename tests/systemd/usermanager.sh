# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# An ordinary user without any of root's help: the user unit, and quickstart
# in a delegated scope of the user's own manager.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice
loginctl enable-linger alice || fail "no linger"
has_manager() { [ -S "/run/user/$(id -u alice)/systemd/private" ]; }
eventually "alice has a user manager" has_manager

check "the user unit starts" as alice systemctl --user start asupersyncd.service
check "its socket is found" as alice asupersyncctl status
containment=$(as alice asupersyncctl --json status | json_of containment)
equal "and it is honest about what alice could undo" cgroup2-cooperative "$containment"
equal "a command runs in it" "alice 3" \
    "$(as alice asupersyncctl run -- /bin/sh -c 'id -un; exit 3' | tr '\n' ' ' && echo "${PIPESTATUS[0]}")"
start_stubborn alice
check "stop" as alice systemctl --user stop asupersyncd.service
equal "a clean one" success \
    "$(as alice systemctl --user show --property=Result --value asupersyncd.service)"
check "stubborn and its orphan are gone" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives

check "quickstart gets a scope from the user manager" \
    as alice "$TREE/scripts/quickstart" --build "$BUILD" --seconds 2
check "nothing survives" nothing_survives
check "and root's from the system's" "$TREE/scripts/quickstart" --build "$BUILD" --seconds 2
check "nothing survives" nothing_survives
