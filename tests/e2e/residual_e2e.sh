#!/bin/sh
# What top-k has not sent stays on the client, and what updates have added up to
# on the aggregator, through power cuts of either. When this fails, parts of
# updates are lost or count twice each time a board restarts.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
make_table "$scratch/table.csv" 300
kills=6 pid_0='' pid_1='' pid_2=''

start_all() {
    start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
        --aggregation clear --codec topk --rounds "$1" --cohort 3 --quorum 3 \
        --gather 0 --deadline $((2 * patience)) --json ||
        fail "it does not start again"
}

start() {
    start_client "$scratch/client-$1" --dataset "csv:$scratch/table.csv" \
        --partition iid:3 --slice "$1" --aggregation clear --until-finished
    eval "pid_$1=$client_pid"
}

hash_of() {
    sha256sum <"$1"
}

has_changed() {
    [ "$(hash_of "$1")" != "$2" ]
}

start_all 100000
for client in 0 1 2; do
    start $client
done
residual=$scratch/client-0/residual

# A client loses power: what it has not sent is there, and goes on changing.
wait_until 30 test -s "$residual" || fail "nothing is kept of what is not sent"
for kill in $(seq $kills); do
    kill_now "$pid_0"
    before=$(hash_of "$residual")
    start 0
    wait_until 30 has_changed "$residual" "$before" ||
        fail "kill $kill of the client: its residual is not used any more"
done
[ "$(wc -c <"$residual")" -eq "$(wc -c <"$scratch/client-1/residual")" ] ||
    fail "residuals differ in size"
! grep -E 'not_saved|state_repaired' "$scratch"/client-*.log ||
    fail "a kill has damaged a state folder"


# It is read at the start: a damaged one is noticed, and done without.
kill_now "$pid_0"
printf damaged | dd of="$residual" bs=1 seek=99 conv=notrunc 2>/dev/null
start 0
wait_until 30 grep -q what=residual "$scratch/client-0.log" ||
    fail "a damaged residual is used"
wait_until 30 test -s "$residual" || fail "no new residual"
client_pids="$pid_0 $pid_1 $pid_2"  # and no longer those that were killed

# has_master ROUND: of this round one is on the aggregator's disk.
has_master() {
    for master in "$state"/models/*.master; do
        [ "$(od -An -t u4 -j 16 -N 4 "$master" | tr -d ' ')" -ne "$1" ] ||
            return 0
    done
    return 1
}

# The aggregator does: model and master on its disk are of the same round, the
# last one that was finished, and it goes on after that.
last=$(finished_rounds "$state")
for kill in $(seq $kills); do
    wait_until 30 has_rounds "$state" $((last + 1)) ||
        fail "kill $kill of the aggregator: no round after round $last"
    kill_now "$aggregator_pid"
    last=$(finished_rounds "$state" || :)
    has_master "$last" || fail "kill $kill: no master of round $last"
    start_all 100000
    grep -q "rounds_done=$last" "$state.log" ||
        fail "kill $kill: resumed elsewhere than after round $last"
done

# Left in peace, it leads three more rounds. All three clients are in each.
kill_now "$aggregator_pid"
end=$(($(finished_rounds "$state" || :) + 3))
start_all "$end"
wait_for_all || fail "not everybody ended well"
has_master "$end" || fail "no master of the last round"
tail -n 1 "$state.out" >"$scratch/summary"
grep -q '"codec":"topk"' "$scratch/summary" || fail "$(cat "$scratch/summary")"
[ "$(json_values samples "$scratch/summary")" -eq $((270 * end)) ] ||
    fail "an update counts twice or not at all: $(cat "$scratch/summary")"
json_values accuracy "$scratch/summary" | awk '{ exit !($1 > 0.8) }' ||
    fail "nothing is learned: $(cat "$scratch/summary")"
