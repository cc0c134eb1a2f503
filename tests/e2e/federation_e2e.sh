#!/bin/sh
# The main job: five boards train LeNet on Fashion-MNIST with an aggregator.
# When this fails, the commands that everybody starts with do not work, or what
# scripts read from --json and status is not what is documented.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
readonly rounds=8
choose_pictures 30000 500

start_aggregator "$state" --model lenet --dataset "$pictures" \
    --rounds $rounds --cohort 5 --json
"$B/fedge-aggregator" status --state "$state" --json >"$scratch/status" ||
    fail "status of a running aggregator: exit code $?"
grep -q '"running":true' "$scratch/status" || fail "it runs: $(cat "$scratch/status")"

for slice in 0 1 2 3 4; do
    start_client "$scratch/client-$slice" --dataset "$pictures" \
        --partition dirichlet:0.3:100 --slice "$slice"
done
wait_until 20 test -f "$scratch/client-0/status.json" || fail "no client status"
"$B/fedge-client" status --state "$scratch/client-0" --json \
    >"$scratch/status" || fail "status of a running client: exit code $?"
grep -q '"running":true' "$scratch/status" || fail "it runs: $(cat "$scratch/status")"

wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
for pid in $client_pids; do
    stop_in_time "$pid" TERM 6
done
client_pids=''

# Nothing but what they are for stays in the folders.
(cd "$scratch" && ls -A aggregator client-0) >"$scratch/files"
! grep -E 'tmp|part|wal|shm|journal' "$scratch/files" ||
    fail "left behind: $(cat "$scratch/files")"

rounds_of "$state.out" >"$scratch/rounds"
[ "$(json_values round "$scratch/rounds")" = "$(seq $rounds)" ] ||
    fail "rounds: $(cat "$state.out")"
for key in event round accuracy loss bytes_up bytes_down clients virtual_s \
    wall_s; do
    [ "$(json_values $key "$scratch/rounds" | wc -l)" -eq $rounds ] ||
        fail "not every round has \"$key\": $(cat "$scratch/rounds")"
done
tail -n 1 "$state.out" >"$scratch/summary"
for key in event round accuracy loss bytes_up bytes_down clients virtual_s \
    wall_s seed version params; do
    json_values $key "$scratch/summary" | grep -q . ||
        fail "the summary lacks \"$key\": $(cat "$scratch/summary")"
done
grep -q '"event":"summary"' "$scratch/summary" || fail "no summary at the end"
# LeNet after one round guesses; after eight it has learnt something.
json_values accuracy "$scratch/rounds" | awk '
    NR == 1 { first = $1 } { last = $1 }
    END { exit !(last > first && last > 0.3) }' ||
    fail "accuracy does not rise: $(cat "$scratch/rounds")"

# Afterwards the folders still tell, with the exit code for "not running".
expect_exit 3 "$B/fedge-aggregator" status --state "$state" --json
expect_said '"running":false' "\"round\":$rounds" '"clients":5' \
    "\"updates\":$((5 * rounds))"
expect_exit 3 "$B/fedge-aggregator" status --state "$state"
expect_said "not running" "rounds finished  $rounds"
expect_exit 3 "$B/fedge-client" status --state "$scratch/client-0" --json
expect_said '"running":false' "\"updates\":$rounds" '"connected":false'

! grep -E ' (warn|error) ' "$state.log" "$scratch"/client-*.log ||
    fail "warnings on a good day"
