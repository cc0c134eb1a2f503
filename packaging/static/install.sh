#!/bin/sh
# Copies what is beside this script into the system, or takes it away again:
#
#   sudo ./install.sh
#   sudo ./install.sh --remove
#
# Neither starts or stops a service, or touches what programs have kept in
# /var/lib. Configuration files that are there stay as they are, also on removal.
# ROOT: another system than this one.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")"
root=${ROOT:-}

case ${1:-} in
    '' | --remove) ;;
    *) sed -n '2,/^# SPDX/p' "$0" >&2; exit 2 ;;
esac
[ -w "$root/usr" ] || { echo "install.sh: not root: sudo $0" >&2; exit 1; }

if [ "${1:-}" = --remove ]; then
    find usr -type f | while read -r file; do rm -f "$root/$file"; done
else
    find usr -type f | while read -r file; do
        mkdir -p "$root/${file%/*}"
        # A program that runs cannot be written to, but replaced.
        cp -p "$file" "$root/$file.new"
        chown 0:0 "$root/$file.new"
        mv "$root/$file.new" "$root/$file"
    done
    mkdir -p "$root/etc/fedge"
    for file in etc/fedge/*.conf; do
        [ -e "$root/$file" ] || cp "$file" "$root/$file"
    done
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
