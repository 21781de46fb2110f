# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# R-REG-3, R-REG-6: `systemctl stop` closes the whole tree in structure. While
# it drains, the keeper asks for more time than TimeoutStopSec gives.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice
drop_in TimeoutStopSec=2s
printf 'cleanup:\n  user:\n    drain: 60s\n  limit:\n    drain: 60s\n  quota:\n    drain: 60s
  failure:\n    drain: 60s\n  resource:\n    drain: 60s\n  shutdown:\n    drain: 20s\n' \
    >/etc/asupersync/asupersyncd.yaml
check "start" systemctl start asupersyncd.service

# On SIGTERM it still needs six seconds, three times what the unit allows.
cat >/home/alice/slow <<'SLOW'
#!/bin/bash
trap 'sleep 6; echo drained >>order; exit 0' TERM
touch ready
while :; do sleep 0.1; done
SLOW
chmod 755 /home/alice/slow
as alice asupersyncctl open --name slow --finalizer 'cd && echo finalized >>order' >/dev/null ||
    fail "open"
as alice asupersyncctl submit --in /slow -- ./slow >/dev/null || fail "submit"
eventually "the task runs" test -e /home/alice/ready

began=$SECONDS
systemctl stop --no-block asupersyncd.service
eventually "the keeper says that it is stopping" property_is ActiveState deactivating
eventually "stopped" property_is ActiveState inactive
took=$((SECONDS - began))
check "it took the time it needed, longer than TimeoutStopSec ($took s)" test "$took" -ge 5
equal "the task drained, then the finalizer ran" "drained finalized" \
    "$(tr '\n' ' ' </home/alice/order | sed 's/ $//')"
equal "a clean stop, not a kill" success "$(property Result)"
check "nothing survives" nothing_survives

# What ignores SIGTERM is killed at the end of its allowance, and only it.
printf 'cleanup:\n  shutdown:\n    drain: 1s\n' >/etc/asupersync/asupersyncd.yaml
rm -f /home/alice/order
check "start again" systemctl start asupersyncd.service
start_stubborn alice
as alice asupersyncctl open --name last --finalizer 'cd && echo finalized >>order' >/dev/null ||
    fail "open"
check "stop" systemctl stop asupersyncd.service
check "stubborn and its orphan are gone" gone "${stubborn_pids[@]}"
equal "finalizers ran" finalized "$(cat /home/alice/order)"
equal "a clean stop" success "$(property Result)"
check "nothing survives" nothing_survives
