# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Engine killed or upgraded: what runs goes on. Keeper killed: nothing it started
# survives, the service comes back, and no id is ever used twice.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice
check "start" systemctl start asupersyncd.service
keeper=$(property MainPID)
answers() { asupersyncctl status >/dev/null 2>&1; }

start_stubborn alice
first_task=${stubborn_task#t}
engine=$(status_of engine_pid)
kill -KILL "$engine"
new_engine() { answers && [ "$(status_of engine_pid)" != "$engine" ]; }
eventually "the keeper starts a new engine" new_engine
equal "the unit never went down" "$keeper 0" "$(property MainPID) $(property NRestarts)"
refuse "what ran under the old engine goes on" gone "${stubborn_pids[@]}"
equal "and is known" running "$(as alice asupersyncctl --json show "$stubborn_task" | json_of state)"

engine=$(status_of engine_pid)
refuse "an upgrade is not for everybody" as alice asupersyncctl upgrade
check "upgrade" asupersyncctl upgrade
check "the old engine is gone" gone "$engine"
equal "the keeper is not" "$keeper 0" "$(property MainPID) $(property NRestarts)"
refuse "what ran goes on" gone "${stubborn_pids[@]}"
as alice asupersyncctl cancel --drain 0s "$stubborn_task"
eventually "it is ended under the third engine" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives

start_stubborn alice
check "ids go on (t$first_task, then $stubborn_task)" test "${stubborn_task#t}" -gt "$first_task"
second_task=${stubborn_task#t}
kill -KILL "$keeper"
restarted() { property_is NRestarts 1 && property_is ActiveState active; }
eventually "systemd starts the service again" restarted
check "what the old keeper started is gone" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives
check "it answers" asupersyncctl status

start_stubborn alice
check "ids go on ($stubborn_task)" test "${stubborn_task#t}" -gt "$second_task"
third_task=${stubborn_task#t}
systemctl kill --kill-whom=all --signal=KILL asupersyncd.service
restarted_twice() { property_is NRestarts 2 && property_is ActiveState active && answers; }
eventually "even when everything is killed at once" restarted_twice
check "nothing survives" nothing_survives
start_stubborn alice
check "ids go on ($stubborn_task)" test "${stubborn_task#t}" -gt "$third_task"
check "stop" systemctl stop asupersyncd.service
check "nothing survives" nothing_survives
