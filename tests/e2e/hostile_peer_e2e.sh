#!/bin/sh
# Peers that send garbage, lie about lengths, stay silent or repeat what others
# have said, beside an honest federation. When this fails, anybody who reaches
# the port can stop the aggregator, or count an update twice.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
make_table "$scratch/table.csv" 400

# 90 % of 400 rows are for training, 120 of them for each of three clients.
start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 40 --cohort 3 --quorum 3 --deadline $((10 * patience)) --gather 0 --json
tests/e2e/hostile_peer.py "$port" 200 "$scratch/door" >"$scratch/hostile.log" \
    2>&1 &
hostile=$!
client_pids=$hostile
wait_until 10 test -s "$scratch/door" || fail "the hostile peer does not start"
honest_url=$aggregator_url
for slice in 0 1 2; do
    # One of them speaks through a wire that is overheard.
    [ $slice -ne 2 ] || aggregator_url=tcp://127.0.0.1:$(cat "$scratch/door")
    start_client "$scratch/client-$slice" --dataset "csv:$scratch/table.csv" \
        --partition iid:3 --slice $slice
done
aggregator_url=$honest_url

wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
rounds_of "$state.out" >"$scratch/rounds"
[ "$(wc -l <"$scratch/rounds")" -eq 40 ] || fail "not forty rounds"
! grep -v '"clients":3,"selected":3,"samples":360,"attempt":1' \
    "$scratch/rounds" >"$scratch/odd" ||
    fail "not three honest clients: $(cat "$scratch/odd")"
expect_exit 3 "$B/fedge-aggregator" status --state "$state" --json
expect_said '"clients":3,'
