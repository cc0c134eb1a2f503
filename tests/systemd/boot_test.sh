#!/bin/sh
# The services under a real systemd: a Debian 12 that boots in a container of
# systemd-nspawn, with the units of packaging/systemd (tests/systemd/inside.sh is
# what happens in there).
#
#   tests/systemd/boot_test.sh    as root
#
# When this fails, a service does not start at boot, is not started again when it
# hangs, ignores its configuration, or loses a round when it is stopped. The bare
# system is kept in build/boot for the next time; nothing else stays.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}

tree=$(cd "$(dirname "$0")/../.." && pwd)
cd "$tree"
kept=$tree/build/boot
root=$kept/root
[ "$(id -u)" -eq 0 ] || {
    echo "boot_test: debootstrap and systemd-nspawn need root: sudo $0" >&2
    exit 1
}
if [ -z "${BOOT_TEST_INSIDE:-}" ]; then
    tools/install-packages boot
    mkdir -p "$root"
    exec env BOOT_TEST_INSIDE=1 unshare --mount --fork --kill-child "$0" "$@"
fi
. tests/e2e/lib.sh

# The mirror is the one that this machine's apt uses.
make_base() {
    # shellcheck disable=SC2016  # apt expands these, not the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' \
        'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
    rm -rf "$kept/base.part"
    eatmydata debootstrap --variant=minbase --include=systemd,systemd-sysv \
        bookworm "$kept/base.part" "${mirror:-http://deb.debian.org/debian}" \
        >"$kept/debootstrap.log" 2>&1 </dev/null || {
        tail -20 "$kept/debootstrap.log" >&2
        exit 1
    }
    mv "$kept/base.part" "$kept/base"
}

# install_program NAME: with the libraries that it is linked to.
install_program() {
    install -m 755 "$B/$1" "$root/usr/bin/$1"
    ldd "$B/$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
        name=$(basename "$library")
        [ -e "$root/lib/x86_64-linux-gnu/$name" ] ||
            [ -e "$root/usr/lib/$(basename "$(dirname "$library")")/$name" ] ||
            cp -L "$library" "$root/usr/lib/$name"
    done
}

# The name of a unit of another client on the same machine.
install_units() {
    units=$root/etc/systemd/system
    cp packaging/systemd/*.service "$units/"
    for other in two stranger; do
        sed -e "s/StateDirectory=fedge-client/StateDirectory=fedge-$other/" \
            -e "s|^Exec.*|& --config /etc/fedge/$other.conf|" \
            packaging/systemd/fedge-client.service \
            >"$units/fedge-$other.service"
    done
    cat >"$units/boot-test.service" <<-UNIT
	[Unit]
	Description=the boot test
	After=multi-user.target
	[Service]
	Type=oneshot
	ExecStart=/bin/sh -c '/boot-test/inside.sh >/boot-test/log 2>&1; echo \$? >/boot-test/code'
	ExecStopPost=/bin/systemctl poweroff --no-block
	[Install]
	WantedBy=default.target
	UNIT
    mkdir -p "$units/default.target.wants"
    ln -sf ../boot-test.service "$units/default.target.wants/boot-test.service"
    ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
}

# client_config NAME SLICE: what a person would write.
client_config() {
    cat >"$root/etc/fedge/$1.conf" <<-CONF
	[client]
	state = /var/lib/fedge-$1
	min-survivors = 2
	[data]
	dataset = csv:/srv/table.csv
	partition = iid:2
	slice = $2
	[eligibility]
	sensors-root = /nonexistent
	pause-at-least = 0
	look-every = 1
	CONF
}
install_configuration() {
    mkdir -p "$root/etc/fedge" "$root/boot-test"
    client_config client 0
    client_config two 1
    client_config stranger 0
    cat >"$root/etc/fedge/aggregator.conf" <<-CONF
	[aggregator]
	state = /var/lib/fedge-aggregator
	gather = 0
	[data]
	dataset = csv:/srv/table.csv
	[train]
	model = mlp
	[rounds]
	rounds = 1000000
	cohort = 2
	quorum = 2
	[sum]
	min-survivors = 2
	CONF
    make_table "$root/srv/table.csv" 600
    chmod 644 "$root/srv/table.csv"
    install -m 755 tests/systemd/inside.sh "$root/boot-test/"
}

began=$(date +%s)
[ -d "$kept/base" ] || make_base
mount -t tmpfs -o mode=755 boot "$root"
mkdir "$root/upper" "$root/work" "$root/whole"
mount -t overlay -o "lowerdir=$kept/base,upperdir=$root/upper,workdir=$root/work" \
    boot "$root/whole"
root=$root/whole
install_program fedge-aggregator
install_program fedge-client
install_units
install_configuration
ldconfig -r "$root"
timeout -k 10 "${BOOT_SECONDS:-170}" systemd-nspawn --register=no --keep-unit -q \
    -D "$root" --boot --private-network --link-journal=no \
    </dev/null >"$kept/console.log" 2>&1 || echo "nspawn ended with $?"
cp "$root/boot-test/log" "$kept/log" 2>/dev/null || tail -30 "$kept/console.log"
cat "$kept/log"
code=$(cat "$root/boot-test/code" 2>/dev/null || echo 1)
echo "$(($(date +%s) - began)) s, $kept/log"
exit "$code"
