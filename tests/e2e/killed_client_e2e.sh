#!/bin/sh
# Boards lose power at any instant and come back. When this fails, a federation
# stands still because of one board, or one board's data counts twice.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
make_table "$scratch/table.csv" 400

# 90 % of 400 rows are for training, 120 of them for each of three clients.
start() {
    start_client "$scratch/client-$1" --dataset "csv:$scratch/table.csv" \
        --partition iid:3 --slice "$1"
    eval "pid_$1=$client_pid"
}

start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 1000000 --cohort 3 --quorum 2 --gather 0 --deadline $((1 * patience)) --json
for slice in 0 1 2; do
    start $slice
done

awk 'BEGIN {
    srand(11)
    for (i = 0; i < 30; i++) print int(3 * rand()), 0.02 + 0.2 * rand()
}' >"$scratch/kills"
while read -r slice life; do
    sleep "$life"
    eval "pid=\$pid_$slice"
    kill_now "$pid"
    start "$slice"
done <"$scratch/kills"

# They have been through 30 deaths: rounds go on all the same.
before=$(finished_rounds "$state")
wait_until 10 has_rounds "$state" $((before + 20)) ||
    fail "no rounds after round $before"
stop_in_time "$aggregator_pid" TERM 6
for slice in 0 1 2; do
    eval "pid=\$pid_$slice"
    stop_in_time "$pid" TERM 6
done
aggregator_pid='' client_pids=''

rounds_of "$state.out" >"$scratch/rounds"
json_values round "$scratch/rounds" | awk '$1 != NR { exit 1 }' ||
    fail "rounds do not follow each other"
tail -n 1 "$scratch/rounds" | grep -q '"clients":3' ||
    fail "not everybody is back: $(tail -n 1 "$scratch/rounds")"
json_values clients "$scratch/rounds" >"$scratch/clients"
json_values samples "$scratch/rounds" | paste "$scratch/clients" - |
    awk '$2 != 120 * $1 { exit 1 }' ||
    fail "samples are not 120 for each client: $(cat "$scratch/rounds")"
expect_exit 3 "$B/fedge-aggregator" status --state "$state" --json
expect_said '"clients":3'
