#!/usr/bin/env bash
# The Debian packages on a bare Debian 12: from apt to a finished round in three
# commands, an update and its way back with the state kept, removal, purge; then
# the programs without libraries.
# `make package-test` calls it. Needs root and 3 GB of free memory.
# SPDX-License-Identifier: Apache-2.0
set -eu
tree=$(cd "$(dirname "$0")/../.." && pwd)
cd "$tree"
. tests/e2e/bare_debian.sh
OLD=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
readonly OLD NEW=$OLD+test SECONDS_MAX=60
arch=$(dpkg --print-architecture)
if [ -z "${BARE_DEBIAN_INSIDE:-}" ]; then
    packaging/deb "$arch" "$NEW"
    packaging/deb "$arch"  # last, so that this is what build/deb is left with
    packaging/tarball "$arch"
fi
enter_namespace packages "$0"
. tests/e2e/lib.sh
unset FEDGE_SUM_MIN_SURVIVORS FEDGE_CLIENT_MIN_SURVIVORS
mount -t proc proc /proc
make_scratch
unpack_base
export B=${B:-build/release}

package() { echo "./$1_${2}_$arch.deb"; }
apt() {
    inside sh -c 'cd /srv && DEBIAN_FRONTEND=noninteractive exec apt-get -qy "$@"' \
        apt --no-install-recommends "$@" >>"$scratch/apt.log" 2>&1
}
version_of() { inside dpkg-query -W -f '${db:Status-Abbrev} ${Version}' "$1"; }
is_version() {
    [ "$(version_of "$1")" = "ii  $2" ] || fail "$1 is $(version_of "$1"), not $2"
}
step() { echo "ok      $*"; }

# ---- a federation that waits for one more: seven boards on this machine
for name in fedge-client fedge-aggregator; do
    cp build/deb/${name}_{"$OLD","$NEW"}_"$arch.deb" "$root/srv/"
done
make_table "$root/srv/plants.csv" 200
aggregator_join=token start_aggregator "$scratch/aggregator" --model mlp \
    --dataset "csv:$root/srv/plants.csv" --rounds 100000 --cohort 8 --quiet
read -ra join < <("$B/fedge-aggregator" token --state "$scratch/aggregator" \
    --uses 8 --listen "$aggregator_url" 2>&1 | grep '^fedge-client join')
for i in 1 2 3 4 5 6 7; do
    "$B/${join[0]}" "${join[@]:1}" --state "$scratch/board-$i" >/dev/null
    start_client "$scratch/board-$i" --dataset "csv:$root/srv/plants.csv"
done
# Whatever the temperature and the load of this machine.
mkdir -p "$root/etc/fedge/client.conf.d"
printf '[eligibility]\nsensors-root = /nonexistent\n' \
    >"$root/etc/fedge/client.conf.d/test.conf"
apt update

# ---- three commands
board_pid=
start_board() {
    inside fedge-client run --dataset csv:/srv/plants.csv \
        >>"$scratch/board.log" 2>&1 &
    board_pid=$!
    helper_pids="$helper_pids $board_pid"
}
# The process itself, not the one that changes its root.
board_process() { pgrep -f '^fedge-client run --dataset csv:/srv' | head -n 1; }

began=$(date +%s%N)
apt install "$(package fedge-client "$OLD")"
installed=$(date +%s%N)
inside "${join[@]}" >/dev/null
start_board
wait_until $SECONDS_MAX has_rounds "$scratch/aggregator" 1 || fail "no round"
took_ms=$((($(date +%s%N) - began) / 1000000))
[ $took_ms -le $((SECONDS_MAX * 1000)) ] || fail "a round after $took_ms ms"
step "three commands to a round: $took_ms ms, of which apt" \
    "$(((installed - began) / 1000000))"
is_version fedge-client "$OLD"
[ -z "$(inside dpkg --verify fedge-client)" ] || fail "files are not as packaged"
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/fedge-client.service" ] ||
    fail "the service is enabled before somebody has said so"

# more_rounds WHAT: the board is one of eight, without which there is none.
more_rounds() {
    round=$(finished_rounds "$scratch/aggregator")
    wait_until 30 has_rounds "$scratch/aggregator" $((round + 2)) ||
        fail "no rounds $1"
}
stop_board() {
    kill "$(board_process)"
    wait "$board_pid" || fail "the client ends with $? $1"
}

# ---- an update beside a client that works: it goes on, and what is there stays
state=$root/var/lib/fedge-client
key=$(sha256sum <"$state/identity.key")
printf 'fedge future 9\n' >"$state/future.state"
printf '\n# mine\n' >>"$root/etc/fedge/client.conf"
process=$(board_process)
apt install "$(package fedge-client "$NEW")"
is_version fedge-client "$NEW"
[ "$(board_process)" = "$process" ] || fail "the update has stopped the client"
grep -qx '# mine' "$root/etc/fedge/client.conf" || fail "configuration is gone"
more_rounds "after the update"
stop_board "after the update"
start_board
more_rounds "with the new program"
stop_board "as the new program"
step "update: $OLD to $NEW under a client that trains"

# ---- and back
apt install --allow-downgrades "$(package fedge-client "$OLD")"
is_version fedge-client "$OLD"
start_board
more_rounds "with the old program"
stop_board "as the old program"
[ "$(sha256sum <"$state/identity.key")" = "$key" ] || fail "another key"
[ "$(cat "$state/future.state")" = 'fedge future 9' ] || fail "a file is gone"
address=$(cat "$state/aggregator.address")
printf '%s\n' "$address" | sed '1s/1$/2/' >"$state/aggregator.address"
expect_exit 78 inside fedge-client run --dataset csv:/srv/plants.csv
expect_said aggregator.address newer
[ "$(sed -n 1p "$state/aggregator.address")" = 'fedge address 2' ] ||
    fail "a newer file was changed"
printf '%s\n' "$address" >"$state/aggregator.address"
step "back to $OLD: state kept, a newer one refused"

# ---- the aggregator: the same, and a database of a newer one
apt install "$(package fedge-aggregator "$OLD")"
inside fedge-aggregator token --name kitchen >"$scratch/token.out" 2>&1
tokens=$(inside fedge-aggregator token --list)
apt install "$(package fedge-aggregator "$NEW")"
is_version fedge-aggregator "$NEW"
[ "$(inside fedge-aggregator token --list)" = "$tokens" ] || fail "lost tokens"
apt install --allow-downgrades "$(package fedge-aggregator "$OLD")"
[ "$(inside fedge-aggregator token --list)" = "$tokens" ] || fail "lost tokens"
set_version() {
    python3 - "$root/var/lib/fedge-aggregator/fedge.sqlite" "$1" <<'PYTHON'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("PRAGMA user_version").fetchone()[0])
db.execute("PRAGMA user_version = " + sys.argv[2])
PYTHON
}
format=$(set_version 999)
expect_exit 78 inside fedge-aggregator token --list
expect_said newer
[ "$(set_version "$format")" = 999 ] || fail "a newer database was changed"
step "aggregator: update and back, a newer database refused"

# ---- removal keeps what was made, purge leaves nothing
apt remove fedge-client fedge-aggregator
[ ! -e "$root/usr/bin/fedge-client" ] || fail "the program stays"
[ "$(sha256sum <"$state/identity.key")" = "$key" ] || fail "remove took the key"
[ -e "$root/etc/fedge/client.conf" ] || fail "remove took the configuration"
apt purge fedge-client
[ ! -e "$state" ] || fail "purge leaves the state"
[ -e "$root/var/lib/fedge-aggregator/fedge.sqlite" ] ||
    fail "purge took what is the aggregator's"
apt purge fedge-aggregator
left=$(cd "$root" && find etc usr var -xdev -name '*fedge*' \
    ! -path 'var/cache/apt/*')
[ -z "$left" ] || fail "purge leaves $left"
step "removal keeps, purge leaves nothing"

# ---- programs without libraries: from the tarball and back
tar -C "$root/srv" -xzf "build/fedge-$OLD-$arch.tar.gz"
ROOT=$root "$root/srv/fedge-$OLD-$arch/install.sh"
! inside ldd /usr/local/bin/fedge-client >/dev/null 2>&1 ||
    fail "the static client needs libraries"
read -ra join < <("$B/fedge-aggregator" token --state "$scratch/aggregator" \
    --listen "$aggregator_url" 2>&1 | grep '^fedge-client join')
inside "${join[@]}" >/dev/null
start_board
more_rounds "with the static program"
stop_board "as a static program"
ROOT=$root "$root/srv/fedge-$OLD-$arch/install.sh" --remove
left=$(cd "$root" && find usr -xdev -name '*fedge*')
[ -z "$left" ] || fail "install.sh --remove leaves $left"
step "the tarball: a round, and gone"
