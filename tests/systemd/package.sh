# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The Debian packages: installed they run, removed they stop and leave the
# administrator's files, purged they leave nothing.
# shellcheck source=tests/systemd/lib.sh
. "$(dirname "$0")/lib.sh"
users alice
# Images for containers forbid that packages start services.
rm -f /usr/sbin/policy-rc.d
# A machine that has it from elsewhere would be asked what to do with its files.
rm -rf /etc/asupersync
# And nobody will look for the pages by their words here.
rm -f /var/lib/man-db/auto-update

check "the packages install" dpkg --install "$BUILD"/packages/*.deb
equal "the service is enabled" enabled "$(systemctl is-enabled asupersyncd.service)"
equal "and runs" active "$(property ActiveState)"
equal "the engine's user exists" asupersync "$(stat -c %U "/proc/$(status_of engine_pid)")"
equal "a command runs" "alice" "$(as alice asupersyncctl run -- id -un)"
for page in asupersyncd.8 asupersyncctl.1 asupersyncd.yaml.5 asupersync.7; do
    check "its manual has $page" test -e "/usr/share/man/man${page##*.}/$page.gz"
done
check "a program builds against the library" sh -c \
    "cc -o /tmp/hello '$TREE/examples/client/hello.c' \$(pkg-config --cflags --libs asupersync-client)"
equal "and runs" "true: ok, exit code 0" "$(as alice /tmp/hello true)"
check "the default configuration is a valid one" systemctl reload asupersyncd.service

start_stubborn alice
echo '# mine' >>/etc/asupersync/run-as.conf
keeper=$(property MainPID)
engine=$(status_of engine_pid)
check "installing again replaces the engine" dpkg --install "$BUILD"/packages/*.deb
equal "it runs" active "$(property ActiveState)"
equal "its keeper stays" "$keeper" "$(property MainPID)"
refuse "its engine is another one" test "$engine" = "$(status_of engine_pid)"
check "what ran before goes on" kill -0 "${stubborn_pids[@]}"
check "the administrator's file stays" grep -qx '# mine' /etc/asupersync/run-as.conf

start_stubborn alice
check "removing stops it" dpkg --remove asupersyncd
check "what ran is gone" gone "${stubborn_pids[@]}"
check "nothing survives" nothing_survives
check "the administrator's file stays" grep -qx '# mine' /etc/asupersync/run-as.conf
check "purge" dpkg --purge asupersyncd libasupersync-client-dev libasupersync-client0 \
    libasupersync-cx0 libasupersync-lab0
for left in /etc/asupersync /var/lib/asupersync /run/asupersync /usr/sbin/asupersyncd \
    /usr/include/asupersync; do
    refuse "$left is gone" test -e "$left"
done
