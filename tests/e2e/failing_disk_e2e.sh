#!/bin/sh
# A card that dies, fills up or becomes read-only while a board works. When this
# fails, a board with a bad card stops the others, forgets who it is, or nobody
# is told why it does not remember.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/leader board=$scratch/board
export FAILING_DISK="$scratch/fault" FAILING_FOLDER="$board"
shim=$PWD/$B/tests/e2e/failing_disk.so
make_table "$scratch/table.csv" 300

# The sanitizer wants to be loaded first, and does not have to be.
export ASAN_OPTIONS="verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
start_board() {
    LD_PRELOAD=$shim start_client "$board" --dataset "csv:$scratch/table.csv" \
        --partition iid:2 --slice 0 --aggregation clear
}
board_status() {
    LD_PRELOAD=$shim "$B/fedge-client" status --state "$board" --json
}
says() {
    board_status | grep -q -e "$1"
}

start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 100000 --cohort 2 --gather 0 --deadline $((5 * patience)) \
    --aggregation clear --codec none --json
start_board
start_client "$scratch/other" --dataset "csv:$scratch/table.csv" \
    --partition iid:2 --slice 1 --aggregation clear
wait_until 10 has_rounds "$state" 2 || fail "no rounds to begin with"
cp "$board/identity.key" "$scratch/identity.key"

# Whatever is wrong with it, the board says so, goes on, and gets well again.
for fault in EIO ENOSPC EROFS; do
    : >"$board.log"
    echo "$fault" >"$scratch/fault"
    await_text "$board.log" 'event=not_saved what=.*why='
    case $fault in
    EIO*) words='Input/output error' ;;
    ENOSPC) words='No space left on device' ;;
    EROFS) words='Read-only file system' ;;
    esac
    wait_until 5 says "\"disk\":\".*$words" ||
        fail "$fault is not in the status: $(board_status)"
    rounds=$(finished_rounds "$state")
    wait_until 10 has_rounds "$state" $((rounds + 3)) ||
        fail "$fault: the board takes part no more"
    LD_PRELOAD=$shim expect_exit 1 "$B/fedge-client" check --state "$board" \
        --aggregator "$aggregator_url" --dataset "csv:$scratch/table.csv"
    expect_said "$words" 'remedy:'
    rm "$scratch/fault"
    wait_until 5 says '"disk"' && sleep 1.5
    ! says '"disk"' || fail "$fault is over: $(board_status)"
done

# Killed in the middle of it, the board is who it was.
echo EIO >"$scratch/fault"
rounds=$(finished_rounds "$state")
wait_until 10 has_rounds "$state" $((rounds + 2)) || fail "no rounds"
kill_now "$(echo "$client_pids" | awk '{ print $1 }')"
client_pids=$(echo "$client_pids" | awk '{ print $2 }')

# With such a card it does not begin: that is no fault of the configuration.
LD_PRELOAD=$shim expect_exit 75 "$B/fedge-client" run --state "$board" \
    --aggregator "$aggregator_url" --dataset "csv:$scratch/table.csv"
expect_said 'Input/output error'
rm "$scratch/fault"
cmp -s "$board/identity.key" "$scratch/identity.key" || fail "another key"
: >"$board.log"
start_board
rounds=$(finished_rounds "$state")
wait_until 10 has_rounds "$state" $((rounds + 3)) || fail "it does not come back"
! grep -E 'state_repaired|not_saved' "$board.log" || fail "its state was damaged"
