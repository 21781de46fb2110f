# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# R-CAP-3: users run tasks as themselves and reach only what is theirs; who may
# run at all stands in a file of root's that the keeper reads itself.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
install_tree
users alice bob
groupadd writers
usermod --append --groups writers alice
check "start" systemctl start asupersyncd.service

as alice asupersyncctl open --name shop >/home/alice/region || fail "open"
as alice asupersyncctl submit --in /shop -- sleep 1000 >/home/alice/task || fail "submit"
region=$(cat /home/alice/region) task=$(cat /home/alice/task)
# shellcheck disable=SC2016  # the program's own
equal "run is alice, with her groups" "alice writers" \
    "$(as alice asupersyncctl run -- /bin/sh -c 'echo $(id -un) $(id -Gn | tr " " "\n" | grep writers)')"

refuse "bob does not see it" eval "as bob asupersyncctl ps | grep -q '^ *$task '"
refuse "bob cannot cancel it" as bob asupersyncctl cancel "$task"
refuse "nor close its region" as bob asupersyncctl close "$region"
refuse "nor submit into it" as bob asupersyncctl submit --in "$region" -- true
refuse "nor read its output" as bob asupersyncctl logs "$task"
refuse "nor shut the daemon down" as bob asupersyncctl shutdown
refuse "nor run as somebody else" as bob asupersyncctl run --as alice -- id
check "names are unique per owner: bob has a /shop too" as bob asupersyncctl open --name shop
check "root sees it" eval "asupersyncctl ps | grep -q '$task '"
as alice asupersyncctl close /shop
check "alice closes hers" test $? -eq 0

refuse "nothing runs as root by default" asupersyncctl run -- id
equal "root may name a user" alice "$(asupersyncctl run --as alice -- id -un)"
echo 'allow 0' >>/etc/asupersync/run-as.conf
check "reload" systemctl reload asupersyncd.service
equal "unless the rules say so" root "$(asupersyncctl run -- id -un)"
printf 'deny %s\n' "$(id -u bob)" >>/etc/asupersync/run-as.conf
check "reload, without systemd" asupersyncctl reload
refuse "and whom they deny" as bob asupersyncctl run -- id
equal "alice still may" alice "$(as alice asupersyncctl run -- id -un)"
chmod 666 /etc/asupersync/run-as.conf
systemctl restart asupersyncd.service
refuse "rules that anybody may write are no rules" asupersyncctl run -- id
systemctl stop asupersyncd.service
check "nothing survives" nothing_survives
