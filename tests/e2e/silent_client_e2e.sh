#!/bin/sh
# A board hangs after it was chosen: SIGSTOP. When this fails, one frozen board
# holds up everybody, or stays out after it has thawed.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
make_table "$scratch/table.csv" 300
# A client that is chosen trains for a moment, in which it can be frozen.
epochs=300 deadline_s=$((2 * patience))
is_emulated && epochs=30

# Wherever the board freezes, while it trains or in the session, the round
# waits for it once.
start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
    --rounds 20 --cohort 3 --quorum 2 --deadline $deadline_s \
    --phase $deadline_s --gather 0 --local-epochs $epochs --json
for slice in 0 1 2; do
    start_client "$scratch/client-$slice" --dataset "csv:$scratch/table.csv" \
        --partition iid:3 --slice "$slice" --until-finished
done
frozen=$client_pid
wait_until 10 grep -q event=training "$scratch/client-2.log" ||
    fail "it is not chosen"
kill -STOP "$frozen"
rounds_before=$(rounds_of "$state.out" | wc -l)

# Two rounds without it, each closed by its deadline and the quorum.
wait_until 10 has_rounds "$state" $((rounds_before + 2)) ||
    fail "no round closes without the frozen client"
kill -CONT "$frozen"
wait_for_all || fail "not everybody ended well"

rounds_of "$state.out" >"$scratch/rounds"
[ "$(wc -l <"$scratch/rounds")" -eq 20 ] || fail "not twenty rounds"
# Deadlines are kept to within a second.
awk -F '"took_ms":' -v most=$((1000 * (deadline_s + 1))) \
    '{ if ($2 + 0 > most) exit 1 }' "$scratch/rounds" ||
    fail "a round took longer than its deadline: $(cat "$scratch/rounds")"
grep -q '"clients":2' "$scratch/rounds" || fail "no round with two clients"
tail -n 1 "$scratch/rounds" | grep -q '"clients":3' ||
    fail "the thawed client is not back: $(tail -n 1 "$scratch/rounds")"
expect_exit 3 "$B/fedge-client" status --state "$scratch/client-2" --json
expect_said '"refused":0'
