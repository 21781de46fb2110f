# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What a fresh Debian 12 lacks, and how it is installed.
#
#   packages_need build|test   installs what is missing of that list; asks apt
#                              only when something is missing, and says what to
#                              do when it may not.

# To build and run. (libmbedtls and the like come along as dependencies.)
# shellcheck disable=SC2034  # named through packages_need
packages_build=(
    gcc libc6-dev make cmake ninja-build pkg-config
    libev-dev libnng-dev libmsgpack-dev libsystemd-dev libfyaml-dev libjansson-dev libmd-dev
    libsqlite3-dev
)
# To test as well: the second compiler with its tools and sanitizers, the unit
# test library, linters, and a systemd to boot for the tests of the unit.
# shellcheck disable=SC2034  # named through packages_need
packages_test=(
    "${packages_build[@]}"
    g++ clang-14 libclang-rt-14-dev llvm-14 clang-format-14 clang-tidy-14
    check shellcheck mandoc less procps file dpkg-dev fakeroot python3 python3-msgpack
    systemd systemd-sysv dbus dbus-user-session libpam-systemd
)

# packages_missing NAME... - those that are not installed, one a line
packages_missing() {
    local name status
    for name in "$@"; do
        # shellcheck disable=SC2016  # dpkg-query's own variables
        status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) || status=
        [[ $status == ii* ]] || printf '%s\n' "$name"
    done
}

packages_need() {
    local -n wanted="packages_$1"
    local missing apt=(env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get)
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian system: please see to these yourself: ${wanted[*]}" >&2
        return 0
    fi
    mapfile -t missing < <(packages_missing "${wanted[@]}")
    [ ${#missing[@]} -eq 0 ] && return 0

    echo "Installing what is missing: ${missing[*]}" >&2
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            packages_refuse "${missing[@]}"
            return 1
        fi
        if [ -t 0 ]; then
            apt=(sudo "${apt[@]}")
        else
            apt=(sudo --non-interactive "${apt[@]}")
        fi
    fi
    if ! "${apt[@]}" update -qq ||
        ! "${apt[@]}" install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; then
        packages_refuse "${missing[@]}"
        return 1
    fi
}

packages_refuse() {
    cat >&2 <<EOT
These packages could not be installed from here. As root, run

    apt-get update && apt-get install --no-install-recommends $*

and then this command once more.
EOT
}
