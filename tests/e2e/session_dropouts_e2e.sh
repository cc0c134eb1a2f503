#!/bin/sh
# Boards die in the middle of a session of secure aggregation. When this fails,
# one dead board costs everybody the round, or its update is lost to the sum
# although it was whole, or is in it although it was not.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
make_table "$scratch/table.csv" 2000

start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 2 --cohort 16 --min-clients 16 --min-survivors 8 \
    --phase $((20 * patience)) --deadline $((15 * patience)) --json
real_url=$aggregator_url
slice=0
for step in advertise shares masked confirm unmask; do
    start_doomed_client "$step" "$scratch/client-$slice" \
        --dataset "csv:$scratch/table.csv" --partition iid:16 --slice $slice
    slice=$((slice + 1))
done
while [ $slice -lt 16 ]; do
    start_client "$scratch/client-$slice" --dataset "csv:$scratch/table.csv" \
        --partition iid:16 --slice $slice --until-finished
    slice=$((slice + 1))
done
[ "$aggregator_url" = "$real_url" ] || fail "the address has changed"

wait_until 90 has_rounds "$state" 1 || fail "no round came about"
# Those who died before or with their masked vector are not in the sum; those
# who died after it are.
rounds_of "$state.out" | head -n 1 >"$scratch/first"
[ "$(json_values clients "$scratch/first")" = 13 ] ||
    fail "not 13 of 16: $(cat "$scratch/first")"
[ "$(json_values attempt "$scratch/first")" = 1 ] ||
    fail "the session was tried again: $(cat "$scratch/first")"
[ "$(json_values samples "$scratch/first")" -gt 1400 ] ||
    fail "samples of 13 clients: $(cat "$scratch/first")"

# Eleven go on without them.
wait_until 90 has_rounds "$state" 2 || fail "no second round"
rounds_of "$state.out" | tail -n 1 >"$scratch/second"
[ "$(json_values clients "$scratch/second")" = 11 ] ||
    fail "not 11: $(cat "$scratch/second")"
