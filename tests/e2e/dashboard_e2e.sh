#!/bin/sh
# A federation that is watched, by visitors of all kinds. When this fails, the
# dashboard tells something else than the aggregator, or who looks at it holds up
# the rounds.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
readonly rounds=40

make_table "$scratch/table.csv" 300
start_aggregator "$state" --model mlp --dataset "$scratch/table.csv" \
    --test "$scratch/table.csv" --rounds $rounds --cohort 2 --json \
    --http 127.0.0.1:0
http_port=$(sed -n 's/.*event=dashboard .*port=\([0-9]*\).*/\1/p' "$state.log")
[ -n "$http_port" ] || fail "no dashboard"
! grep -q dashboard_is_open "$state.log" || fail "loopback is warned of"

python3 tests/e2e/dashboard_visitors.py "$http_port" $rounds \
    >"$scratch/told" 2>"$scratch/visitors.log" &
visitors=$!
helper_pids=$visitors
for slice in 0 1; do
    start_client "$scratch/client-$slice" --dataset "$scratch/table.csv" \
        --partition iid:2 --slice $slice --until-finished
done
wait_for_all || fail "exit code $status"
wait $visitors || fail "visitors: $(cat "$scratch/visitors.log")"
helper_pids=''

rounds_of "$state.out" >"$scratch/rounds"
for key in round accuracy loss bytes_up clients payload_up_per_client; do
    json_values "$key" "$scratch/rounds" >"$scratch/said"
    json_values "$key" "$scratch/told" | diff - "$scratch/said" >"$scratch/diff" ||
        fail "the dashboard tells another $key: $(head -n 4 "$scratch/diff")"
done
[ "$(wc -l <"$scratch/told")" -eq $rounds ] || fail "not every round once"
! grep ' error ' "$state.log" "$scratch"/client-*.log ||
    fail "errors because somebody looked"

# A port that is taken is refused before anybody has joined.
python3 -c 'import socket, time
taken = socket.create_server(("127.0.0.1", 0))
print(taken.getsockname()[1], flush=True)
time.sleep(30)' >"$scratch/taken" &
helper_pids=$!
wait_until 5 test -s "$scratch/taken" || fail "no port is taken"
expect_exit 1 "$B/fedge-aggregator" run --state "$scratch/other" --model mlp \
    --dataset "$scratch/table.csv" --listen tcp://127.0.0.1:0 \
    --http "127.0.0.1:$(cat "$scratch/taken")"
expect_said "another port"
expect_exit 78 "$B/fedge-aggregator" run --state "$scratch/third" --model mlp \
    --dataset "$scratch/table.csv" --listen tcp://127.0.0.1:0 --http 8080
expect_said "127.0.0.1:8080"
# Said before anything is made.
[ ! -e "$scratch/third" ] || fail "a wrong address leaves a folder behind"
