# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A keeper that hangs is ended and started anew by systemd, an engine that
# hangs by the keeper. What ran survives the engine and not the keeper, and no id
# comes again.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice
drop_in WatchdogSec=2s ExecStart= 'ExecStart=/usr/sbin/asupersyncd --engine-timeout 2'
check "start" systemctl start asupersyncd.service
keeper=$(property MainPID)

start_stubborn alice
first_task=${stubborn_task#t}
engine=$(status_of engine_pid)
kill -STOP "$engine"
eventually "the keeper ends a hanging engine" gone "$engine"
answers() { asupersyncctl status >/dev/null 2>&1; }
eventually "and starts a new one" answers
equal "the unit never went down" "$keeper 0" "$(property MainPID) $(property NRestarts)"
equal "this is its second engine" 2 "$(status_of engine_runs)"
refuse "what ran goes on" gone "${stubborn_pids[@]}"
as alice asupersyncctl cancel --drain 0s "$stubborn_task"
eventually "until it is ended" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives

start_stubborn alice
check "ids go on (t$first_task, then $stubborn_task)" test "${stubborn_task#t}" -gt "$first_task"
second_task=${stubborn_task#t}
kill -STOP "$keeper"
restarted() { property_is NRestarts 1 && property_is ActiveState active; }
eventually "systemd ends a hanging keeper and starts a new one" restarted
check "the old one is gone" gone "$keeper"
check "so is what it started" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives
check "it answers" asupersyncctl status

start_stubborn alice
check "ids go on ($stubborn_task)" test "${stubborn_task#t}" -gt "$second_task"
check "stop" systemctl stop asupersyncd.service
check "nothing survives" nothing_survives
