#!/bin/sh
# The README's two commands on a bare Debian 12: a new system with nothing but
# git and make, a clone of HEAD on it, then `make demo` and `make test`.
#
#   tests/e2e/fresh_machine.sh               as root
#   tests/e2e/fresh_machine.sh --user        as a person who may use sudo
#   tests/e2e/fresh_machine.sh --user test   other targets than demo and test
#   tests/e2e/fresh_machine.sh .ci/run       a script of the tree
#
# Needs root, for debootstrap and chroot, and 4 GB of free memory. Everything
# is mounted in a namespace of its own, which is gone when this ends, however
# it ends. The mirror is the one that this machine's apt uses. The bare system
# and the downloaded packages are kept in build/fresh for the next time.
# SPDX-License-Identifier: Apache-2.0
set -eu

case ${1:-} in
    --user) as_user=yes; shift ;;
    *) as_user=${FRESH_MACHINE_USER:-no} ;;
esac
[ $# -gt 0 ] || set -- demo test
case $1 in -*) sed -n '2,/^# SPDX/p' "$0"; exit 2 ;; esac

tree=$(cd "$(dirname "$0")/../.." && pwd)
. "$tree/tests/e2e/bare_debian.sh"
export FRESH_MACHINE_USER="$as_user"
enter_namespace fresh_machine "$0" "$@"

# A person with an account and the right to use sudo.
add_person() {
    inside sh -c 'apt-get -q update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends sudo &&
        useradd --create-home --shell /bin/bash --uid 1000 person &&
        echo "person ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/person' \
        >"$kept/person.log" 2>&1
}

began=$(date +%s)
unpack_base
if [ "$as_user" = yes ]; then
    add_person
    home=/home/person login=person:person
fi
git clone -q "$tree" "$root$home/fedge"
[ "$as_user" = no ] || chown -R 1000:1000 "$root$home/fedge"
echo "ok      bare Debian $(cat "$root/etc/debian_version"), $((
    $(date +%s) - began)) s"

# attempt TARGET: a script when it has a slash, else what make knows.
attempt() {
    case $1 in
        */*) inside "$home/fedge/$1" ;;
        *) inside make -C "$home/fedge" "$1" ;;
    esac
}

passed=0 failed=0
for target in "$@"; do
    began=$(date +%s)
    log=$kept/$(basename "$target").log
    result=ok
    attempt "$target" >"$log" 2>&1 || result=FAILED
    printf '%-7s %s, %s s, %s\n' $result "$target" \
        "$(($(date +%s) - began))" "$log"
    if [ $result = ok ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -40 "$log"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
