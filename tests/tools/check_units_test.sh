#!/bin/sh
# tools/check-units accepts the units that there are, and refuses what systemd does
# not understand and what exposes more than it should, planted one at a time.
# SPDX-License-Identifier: Apache-2.0
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
command -v systemd-analyze >/dev/null || { # lint installs it
    echo "skipped: no systemd-analyze"
    exit 0
}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tools" "$tree/packaging/systemd"
cp "$top/tools/check-units" "$tree/tools/"
failed=0

# plant SED: the client's unit, changed so.
plant() {
    sed "$1" "$top/packaging/systemd/fedge-client.service" \
        >"$tree/packaging/systemd/fedge-client.service"
}
refuses() { # NAME WORDS
    if said=$("$tree/tools/check-units" 2>&1); then
        echo "accepts $1"
        failed=1
    elif ! echo "$said" | grep -qF -e "$2"; then
        echo "$1: says \"$said\""
        failed=1
    fi
}

plant ''
"$tree/tools/check-units" || { echo "refuses what is there"; failed=1; }
plant 's/^DynamicUser=yes/DinamicUser=yes/'
refuses "a key that systemd does not know" DinamicUser
plant 's/^WatchdogSec=.*/WatchdogSec=soon/'
refuses "a value that systemd does not know" soon
plant 's/^Type=notify/Type=notify-reload/'
refuses "what Debian 12 does not know" notify-reload
plant '/^SystemCallFilter/d; /^CapabilityBoundingSet/d; /^PrivateUsers/d'
refuses "a unit that may do much" "exposure"
plant 's|/usr/bin/fedge-client run|/usr/bin/fedge-klient run|'
refuses "a program that is not there" fedge-klient
exit $failed
