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
kept=$tree/build/fresh
root=$kept/root
[ "$(id -u)" -eq 0 ] || {
    echo "fresh_machine: debootstrap and chroot need root: sudo $0" >&2
    exit 1
}
if [ -z "${FRESH_MACHINE_INSIDE:-}" ]; then
    "$tree/tools/install-packages" fresh
    mkdir -p "$root" "$kept/archives/partial"
    exec env FRESH_MACHINE_INSIDE=1 FRESH_MACHINE_USER="$as_user" \
        unshare --mount --pid --fork --kill-child "$0" "$@"
fi

# Runs a command on the bare system with an environment as after a login.
inside() {
    env -i HOME="$home" PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} \
        chroot ${login:+--userspec="$login"} "$root" "$@" </dev/null
}

debian_sources() {
    # shellcheck disable=SC2016  # apt expands these, not the shell
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | grep -E ' bookworm(-updates|-security)? main$'
}

# As this machine reaches the mirror, so does the bare one.
copy_network() {
    debian_sources >"$root/etc/apt/sources.list"
    apt-config dump |
        grep -E '^Acquire::(.*Proxy|Check-Valid-Until|Check-Date|Languages)' \
            >"$root/etc/apt/apt.conf.d/90network" || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

make_base() {
    mirror=$(debian_sources | awk '$3 == "bookworm" { print $2; exit }')
    [ -n "$mirror" ] || {
        echo "fresh_machine: apt on this machine knows no bookworm main" >&2
        exit 1
    }
    debootstrap --variant=minbase bookworm "$root" "$mirror" \
        >"$kept/debootstrap.log" 2>&1 </dev/null || {
        tail -20 "$kept/debootstrap.log" >&2
        exit 1
    }
    copy_network
    inside sh -c 'apt-get -q update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends git make && apt-get clean &&
        rm -rf /var/lib/apt/lists/*' >"$kept/base.log" 2>&1 || {
        tail -20 "$kept/base.log" >&2
        exit 1
    }
    tar -C "$root" --one-file-system -cf "$kept/base.part" .
    mv "$kept/base.part" "$kept/base.tar"
}

# A person with an account and the right to use sudo.
add_person() {
    inside sh -c 'apt-get -q update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends sudo &&
        useradd --create-home --shell /bin/bash --uid 1000 person &&
        echo "person ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/person' \
        >"$kept/person.log" 2>&1
}

home=/root login=
mount -t tmpfs -o size=80%,mode=755 fresh "$root"
began=$(date +%s)
if [ -f "$kept/base.tar" ]; then
    tar -C "$root" -xf "$kept/base.tar"
else
    make_base
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount --bind "$kept/archives" "$root/var/cache/apt/archives"
copy_network
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
