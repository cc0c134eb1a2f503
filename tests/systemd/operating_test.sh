#!/bin/sh
# docs/operating.md on four machines that boot: a laptop and three boards, in
# containers of systemd-nspawn that share this machine's network, with the packages
# of `make deb`. `make operating-test` calls it, as root.
#
# When this fails, a newcomer who types what the page says is left alone with it.
# SPDX-License-Identifier: Apache-2.0
set -eu
tree=$(cd "$(dirname "$0")/../.." && pwd)
cd "$tree"
. tests/e2e/bare_debian.sh
readonly OLD=0.1.0 NEW=0.1.1
arch=$(dpkg --print-architecture)
if [ -z "${BARE_DEBIAN_INSIDE:-}" ]; then
    tools/install-packages boot package
    packaging/deb "$arch" "$NEW"
    packaging/deb "$arch" # last, so that this is what build/deb is left with
fi
enter_namespace operating_test "$0"
. tests/e2e/lib.sh
mount -t proc proc /proc
make_scratch
unpack_base
inside sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy \
    install --no-install-recommends systemd systemd-sysv sudo curl' \
    >"$kept/operating.log" 2>&1 || fail "$(tail "$kept/operating.log")"

# make_photos FOLDER FIRST COUNT: PNG pictures of Fashion-MNIST, a folder a class.
make_photos() {
    python3 - "$@" <<'PYTHON'
import gzip, os, struct, sys, zlib
source, (folder, first, count) = "/usr/share/datasets/fashion-mnist", sys.argv[1:]
with gzip.open(f"{source}/train-images-idx3-ubyte.gz") as file:
    pixels = file.read()[16:]
with gzip.open(f"{source}/train-labels-idx1-ubyte.gz") as file:
    labels = file.read()[8:]
def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))
for i in range(int(first), int(first) + int(count)):
    rows = [pixels[at:at + 28] for at in range(i * 784, (i + 1) * 784, 28)]
    os.makedirs(f"{folder}/class-{labels[i]}", exist_ok=True)
    with open(f"{folder}/class-{labels[i]}/{i}.png", "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" +
                  chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)) +
                  chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows))) +
                  chunk(b"IEND", b""))
PYTHON
}

# boot NAME PHOTOS FIRST: a machine; sets pid_NAME.
boot() {
    mkdir -p "$scratch/$1/upper" "$scratch/$1/work" "$scratch/$1/root"
    mount -t overlay -o \
        "lowerdir=$root,upperdir=$scratch/$1/upper,workdir=$scratch/$1/work" \
        overlay "$scratch/$1/root"
    machine=$scratch/$1/root
    echo "$1" >"$machine/etc/hostname"
    echo "127.0.0.1 localhost laptop $1" >"$machine/etc/hosts"
    for version in $OLD $NEW; do
        cp build/deb/fedge-*_"${version}_$arch.deb" "$machine/root/"
    done
    # Boards work whatever the temperature and the load of this machine.
    mkdir -p "$machine/etc/fedge/client.conf.d"
    printf '[eligibility]\nsensors-root = /nonexistent\npause-at-least = 0\n' \
        >"$machine/etc/fedge/client.conf.d/test.conf"
    make_photos "$machine/srv/$2" "$3" 300
    systemd-nspawn --register=no --keep-unit -q -D "$machine" --machine="$1" --boot \
        --link-journal=no </dev/null >"$scratch/$1.log" 2>&1 &
    nspawn=$!
    helper_pids="$helper_pids $nspawn"
    wait_until 20 has_child $nspawn || fail "$1 does not boot"
    eval "pid_$1=$(pgrep -P $nspawn | head -n 1)"
    eval "wait_until 60 is_up \$pid_$1" || fail "$1 does not come up"
}
has_child() { pgrep -P "$1" >/dev/null; }
is_up() {
    nsenter -t "$1" -a systemctl is-system-running 2>/dev/null |
        grep -q 'running\|degraded'
}

# With the machines go their disks; lib.sh removes what is left.
stop_machines() {
    for pid in $helper_pids; do
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    umount -R -l "$scratch"
}
mount -t tmpfs -o size=60%,mode=755 machines "$scratch"
trap 'stop_machines; stop_everything' EXIT
# Where the page has a person answer.
echo 'APT::Get::Assume-Yes "true";' >"$root/etc/apt/apt.conf.d/95yes"
umount "$root/sys" "$root/dev" "$root/proc" 2>/dev/null || :
boot laptop test 0
first=1000
for board in kitchen attic shed; do
    boot $board photos $first
    first=$((first + 1000))
done
# shellcheck disable=SC2154  # eval sets them
tests/systemd/run_page.py docs/operating.md laptop="$pid_laptop" \
    kitchen="$pid_kitchen" attic="$pid_attic" shed="$pid_shed" \
    _amd64.deb="_$arch.deb" _arm64.deb="_$arch.deb"
