#!/bin/sh
# The disk is full. When this fails, a round is lost that clients have trained
# for, or somebody has to guess why nothing goes on. Needs root, for a tmpfs.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
disks=''

# make_disk NAME SIZE: a small one of its own at $scratch/NAME.
make_disk() {
    mkdir "$scratch/$1"
    mount -t tmpfs -o "size=$2" fedge-e2e "$scratch/$1" 2>/dev/null || return 1
    disks="$disks $scratch/$1"
}
unmount_all() {
    for pid in $aggregator_pid $client_pids; do
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    for disk in $disks; do
        umount "$disk"
    done
    stop_everything
}
trap unmount_all EXIT
# Nothing more fits, but what is written in place still does.
fill() {
    dd if=/dev/zero bs=4096 2>/dev/null >>"$1/filler" || :
}
# fills_until DISK COMMAND...: for wait_until; also takes what old files give
# back in the meantime.
fills_until() {
    fill "$1"
    shift
    "$@"
}

if [ "$(id -u)" -ne 0 ] || ! make_disk full 1m; then
    echo "skipped: mounting a tmpfs needs root"
    exit 0
fi
make_table "$scratch/table.csv" 300

# A simulation says which file, and that it failed.
fill "$scratch/full"
for option in --out --csv --json; do
    expect_exit 1 "$B/fedge-sim" --dataset "csv:$scratch/table.csv" \
        --model mlp --rounds 2 --clients 4 --cohort 2 --min-survivors 2 --partition iid \
        $option "$scratch/full/result"
    expect_said "$scratch/full/result" "No space left on device"
    rm -f "$scratch/full/result"
done

# The aggregator: the disk fills up in the middle of the rounds.
make_disk aggregator 12m
ln -s aggregator "$scratch/leader"  # its log is beside it, not on that disk
state=$scratch/leader
start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 100000 --cohort 2 --gather 0 --json
make_disk client 1m
ln -s client "$scratch/board"
start_client "$scratch/board" --dataset "csv:$scratch/table.csv" \
    --partition iid:2 --slice 0
start_client "$scratch/other" --dataset "csv:$scratch/table.csv" \
    --partition iid:2 --slice 1
wait_until 10 has_rounds "$state" 3 || fail "no rounds to begin with"
wait_until 10 fills_until "$scratch/aggregator" \
    grep -q event=save_failed "$state.log" ||
    fail "a full disk is not noticed"
grep event=store_failed "$state.log" | grep -q "why=.*make room" ||
    fail "it does not say why: $(grep event=store_failed "$state.log")"
grep event=save_failed "$state.log" | grep -q "retry_s=" ||
    fail "it does not say that it tries again"
kept=$(finished_rounds "$state")
lost=$(sed -n 's/.*event=store_failed round=\([0-9]*\).*/\1/p' "$state.log" |
    head -n 1)
[ "$lost" -eq $((kept + 1)) ] || fail "round $lost failed, $kept are kept"

# With room again it goes on by itself, with the very round that waited.
rm "$scratch/aggregator/filler"
wait_until 30 has_rounds "$state" $((lost + 2)) || fail "it does not go on"
! grep -q event=round_failed "$state.log" || fail "the round was lost"
rounds_of "$state.out" | json_values round >"$scratch/rounds"
seq 1 "$(tail -n 1 "$scratch/rounds")" | cmp -s - "$scratch/rounds" ||
    fail "rounds are missing: $(tr '\n' ' ' <"$scratch/rounds")"

# A client goes on without its disk, and says what it cannot keep.
wait_until 10 fills_until "$scratch/client" \
    grep -q event=not_saved "$scratch/board.log" ||
    fail "a full disk is not noticed by the client"
rounds=$(finished_rounds "$state")
wait_until 10 has_rounds "$state" $((rounds + 3)) ||
    fail "a client with a full disk stops taking part"
grep event=not_saved "$scratch/board.log" |
    grep -q "No space left on device" || fail "the client does not say why"
stop_in_time "$aggregator_pid" TERM 6
aggregator_pid=''
for pid in $client_pids; do
    stop_in_time "$pid" TERM 6
done
client_pids=''
