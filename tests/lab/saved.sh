#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What programs under test save, asupersync-lab can read: whole and in order, and
# judged by the oracles to be what the program itself said of it (R-EVT-1).
#
# usage: saved.sh DIRECTORY-OF-EXAMPLES ASUPERSYNC-LAB
set -eu
PATH=$1:$PATH
lab=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail()
{
    echo "saved.sh: $*" >&2
    cat said >&2
    exit 1
}

judged()
{
    "$lab" verify "$1" >said 2>&1 || fail "$1 is not in order"
    grep -q '[1-9][0-9]* things judged by oracles' said || fail "no oracle judged $1"
}

# Cancels, leaps of the clock, calls that fail, tasks that are given up.
for seed in 1 2 3 4 5 6 7 8 9 10 61 107; do
    mailer --seed "$seed" --swarm --save swarm.trace >said 2>&1 || fail "seed $seed fails"
    judged swarm.trace
    mailer --replay swarm.trace >said 2>&1 || fail "seed $seed is not replayed"
done
mailer --seed 1 --save one.trace >said
mailer --seed 2 --save two.trace >said
mailer --seed 1 --save again.trace >said
"$lab" diff one.trace again.trace >said || fail "one seed is two runs"
! "$lab" diff one.trace two.trace >said || fail "two seeds are one run"
grep -q 'They part in step' said || fail "diff does not say where"
"$lab" show --summary one.trace >said || fail "it cannot be shown"
"$lab" replay one.trace >said || fail "it cannot be folded"
grep -qx '# with the program itself: mailer --replay one.trace' said || fail "no command is told"

! mailer-lossy --seeds 1000 --inject random:10 --save lost.trace >said 2>&1 || fail "no bug"
! "$lab" verify lost.trace >said 2>&1 || fail "the trace of a leak is in order"
grep -q 'obligation-leak: R-OBL-3' said || fail "the leak is not told"
mailer-lossy --seeds 1000 --inject random:10 --leaks-allowed --save lost.trace >said 2>&1 ||
    fail "a leak that is allowed fails"
judged lost.trace
status=0
mailer --replay lost.trace >said 2>&1 || status=$?
[ $status -eq 66 ] || fail "the trace of another program: exit status $status"

# A trace that is not there: that is all there is to say.
status=0
mailer --replay nowhere.trace >said 2>&1 || status=$?
[ "$status" -eq 66 ] || fail "a missing trace ends with $status"
[ "$(cat said)" = "mailer: nowhere.trace: cannot be read: No such file or directory" ] ||
    fail "a missing trace is not just named"
