# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The unit starts, says READY when its sockets listen, shows live counts, and
# reloads; what it starts for users is theirs and inherits nothing of it.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice

check "systemd finds nothing wrong with the unit" \
    systemd-analyze verify --man=no asupersyncd.service
check "start returns when it is ready" systemctl start asupersyncd.service
check "READY means the socket answers" asupersyncctl status
equal "active" active "$(property ActiveState)"
equal "a task cannot leave its control group" cgroup2 "$(status_of containment)"
eventually "systemctl status shows what it does" property_has StatusText "task"

keeper=$(property MainPID)
engine=$(status_of engine_pid)
equal "the keeper is root" 0 "$(stat -c %u "/proc/$keeper")"
equal "the engine is not" asupersync "$(stat -c %U "/proc/$engine")"
check "and can never be again" grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$engine/status"
refuse "a second daemon on the same socket" /usr/sbin/asupersyncd --foreground
check "the first one is not disturbed" asupersyncctl status

before=$(property StatusText)
region=$(as alice asupersyncctl open) || fail "open"
# shellcheck disable=SC2016
as alice asupersyncctl submit --in "$region" -- /bin/sh -c \
    'grep -E "^(Max open files|Max processes|Max core)" /proc/self/limits >limits
     grep -E "^(CapEff|CapBnd|CapAmb|NoNewPrivs|Sig)" /proc/self/status >status
     cat /proc/self/oom_score_adj >oom; cat /proc/self/cgroup >cgroup; id -un >user
     pwd >pwd; touch done; exec sleep 1000' >/home/alice/id || fail "submit"
eventually "a task of alice runs" test -e /home/alice/done
equal "as alice" alice "$(cat /home/alice/user)"
equal "where she stood" /home/alice "$(cat /home/alice/pwd)"
check "below the unit" grep -q '^0::/system.slice/asupersyncd.service/tree/' /home/alice/cgroup
check "without capabilities" grep -q '^CapEff:[[:space:]]*0000000000000000' /home/alice/status
check "may run setuid programs" grep -q '^NoNewPrivs:[[:space:]]*0' /home/alice/status
# shellcheck disable=SC2016  # the program's own
check "with an ordinary limit of open files" \
    awk '/Max open files/ { exit !($4 <= 4096) }' /home/alice/limits
equal "and an ordinary place in the OOM killer's list" 0 "$(cat /home/alice/oom)"
changed() { [ "$(property StatusText)" != "$before" ]; }
eventually "the counts in systemctl status are live" changed

printf 'retention: 2h\n' >/etc/asupersync/asupersyncd.yaml
check "reload" systemctl reload asupersyncd.service
printf 'retention: [\n' >/etc/asupersync/asupersyncd.yaml
refuse "a reload of a broken configuration" systemctl reload asupersyncd.service
check "a broken configuration does not end it" asupersyncctl status
equal "nor was it started again" 0 "$(property NRestarts)"
complained() { journalctl --no-pager --unit=asupersyncd.service | grep -q 'asupersyncd.yaml:[0-9]*:[0-9]*'; }
eventually "and the journal says where it is wrong" complained

systemctl stop asupersyncd.service
equal "a clean stop" success "$(property Result)"
check "nothing survives" nothing_survives
refuse "its runtime directory is gone" test -e /run/asupersync
