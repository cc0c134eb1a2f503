# A bare Debian 12 to try things on, for tests that are root. Source it with $tree
# set to the top of the tree; in a mount namespace of its own, so that all of it
# is gone when the script ends, however it ends. What was downloaded is kept in
# build/fresh for the next time. The mirror is the one that this machine's apt
# uses.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh

kept=${tree:?}/build/fresh
root=$kept/root
home=/root login=

# enter_namespace NAME SCRIPT WORD...: runs the script again where mounts are its
# own; returns there.
enter_namespace() {
    [ "$(id -u)" -eq 0 ] || {
        echo "$1: debootstrap and chroot need root: sudo $2" >&2
        exit 1
    }
    [ -z "${BARE_DEBIAN_INSIDE:-}" ] || return 0
    "$tree/tools/install-packages" fresh
    mkdir -p "$root" "$kept/archives/partial"
    shift
    exec env BARE_DEBIAN_INSIDE=1 \
        unshare --mount --pid --fork --kill-child "$@"
}

# Runs a command on the bare system with an environment as after a login.
inside() {
    env -i HOME="$home" LANG=C.UTF-8 \
        PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} \
        ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/etc/extra-ca.crt} \
        chroot ${login:+--userspec="$login"} "$root" "$@" </dev/null
}

debian_sources() {
    # shellcheck disable=SC2016  # apt expands these, not the shell
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | grep -E ' bookworm(-updates|-security)? main$'
}

# As this machine reaches the mirror and npm's registry, so does the bare one.
copy_network() {
    debian_sources >"$root/etc/apt/sources.list"
    apt-config dump |
        grep -E '^Acquire::(.*Proxy|Check-Valid-Until|Check-Date|Languages)' \
            >"$root/etc/apt/apt.conf.d/90network" || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    [ -z "${NODE_EXTRA_CA_CERTS:-}" ] ||
        cp -L "$NODE_EXTRA_CA_CERTS" "$root/etc/extra-ca.crt"
}

make_base() {
    mirror=$(debian_sources | awk '$3 == "bookworm" { print $2; exit }')
    [ -n "$mirror" ] || {
        echo "$0: apt on this machine knows no bookworm main" >&2
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

# A fresh system with git and make, in memory.
unpack_base() {
    mount -t tmpfs -o size=80%,mode=755 fresh "$root"
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
}
