#!/bin/sh
# SIGTERM and Ctrl-C in the middle of a round. When this fails, systemd kills
# the programs after its patience, or a stopped one does not go on where it was.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
choose_pictures 10000 500

# Rounds in which clients train for minutes: every stop comes in the middle.
start_slow_aggregator() {
    start_aggregator "$state" --model lenet --dataset "$pictures" \
        --rounds 2 --cohort 2 --local-epochs 2000 --batch 8 --gather 0 --json
}
start_slow_client() {
    start_client "$scratch/client-$1" --dataset "$pictures" \
        --partition dirichlet:0.3:100 --slice "$1"
}
is_training() {
    grep -q event=training "$scratch/client-$1.log" &&
        "$B/fedge-client" status --state "$scratch/client-$1" --json |
        grep -q '"activity":"training"'
}

for signal in TERM INT; do
    start_slow_aggregator
    start_slow_client 0
    first=$client_pid
    start_slow_client 1
    second=$client_pid
    wait_until 10 is_training 0 || fail "client 0 does not train"
    wait_until 10 is_training 1 || fail "client 1 does not train"
    stop_in_time "$first" $signal 6
    stop_in_time "$aggregator_pid" $signal 6
    is_training 1 || fail "a client gives up with its aggregator"
    stop_in_time "$second" $signal 6
    grep -q '"event":"summary"' "$state.out" || fail "no summary after $signal"
    rm "$state.out" "$scratch"/client-?.log
    aggregator_pid='' client_pids=''
done
expect_exit 3 "$B/fedge-aggregator" status --state "$state" --json
expect_said '"round":0'

# The folders are good for a federation that has time to finish.
start_aggregator "$state" --model lenet --dataset "$pictures" \
    --rounds 2 --cohort 2 --gather 0 --json
for slice in 0 1; do
    start_client "$scratch/client-$slice" --dataset "$pictures" \
        --partition dirichlet:0.3:100 --slice "$slice" --until-finished
done
wait_for_all || fail "the folders are not good after a stop"
[ "$(rounds_of "$state.out" | wc -l)" -eq 2 ] || fail "not two rounds"

# A simulation that is stopped writes what is finished.
"$B/fedge-sim" --dataset "$pictures" --rounds 100000 \
    --samples $((100 / patience)) --quiet --csv "$scratch/run.csv" --json "$scratch/run.jsonl" \
    --out "$scratch/model.onnx" >"$scratch/sim.log" 2>&1 &
client_pids=$!
wait_until 20 grep -q '"round":2,' "$scratch/run.jsonl" || fail "no second round"
kill -INT "$client_pids"
wait_until 6 has_ended "$client_pids" || fail "the simulation does not stop"
! wait "$client_pids" || fail "half a simulation passes for a whole one"
client_pids=''
grep -q "stopped on request" "$scratch/sim.log" || fail "it does not say why"
rounds=$(rounds_of "$scratch/run.jsonl" | wc -l)
[ "$(wc -l <"$scratch/run.csv")" -eq $((rounds + 1)) ] ||
    fail "$rounds rounds, but in run.csv: $(tail -n 1 "$scratch/run.csv")"
tail -n 1 "$scratch/run.jsonl" | grep -q '"event":"summary"' ||
    fail "no summary: $(tail -n 1 "$scratch/run.jsonl")"
# What was written is a model that one can go on with.
expect_exit 0 "$B/fedge-sim" --model "$scratch/model.onnx" --rounds 1 \
    --samples $((100 / patience))
