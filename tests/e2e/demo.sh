#!/bin/sh
# The main job, for people: simulate a federation, then run a real one on
# loopback. `make demo` calls this after the build.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=${OUT:-build/demo}
rounds=${ROUNDS:-50}
rm -rf "$out"
mkdir -p "$out"
. tests/e2e/lib.sh
unset FEDGE_SUM_MIN_SURVIVORS FEDGE_CLIENT_MIN_SURVIVORS  # as users have it

echo "1. A real federation: an aggregator and 18 clients, processes on loopback. In the"
echo "   first session five clients are killed, one at each step; then they are"
echo "   back. In the end every board gets the model in INT8."
echo
start_nth_client() {
    start_client "$out/client-$1" --dataset fashion-mnist \
        --partition dirichlet:0.3:100 --samples 600 --slice "$1" \
        --until-finished
}
start_aggregator "$out/aggregator" --model lenet --dataset fashion-mnist \
    --rounds 12 --cohort 18 --int8 --out "$out/loopback.onnx" --json
slice=0
for step in advertise shares masked confirm unmask; do
    start_doomed_client $step "$out/client-$slice" --dataset fashion-mnist \
        --partition dirichlet:0.3:100 --samples 600 --slice "$slice"
    slice=$((slice + 1))
done
doomed_pids=$client_pids client_pids=''
while [ $slice -lt 18 ]; do
    start_nth_client $slice
    slice=$((slice + 1))
done
wait_until 60 has_rounds "$out/aggregator" 1
for pid in $doomed_pids; do
    wait "$pid" 2>/dev/null || :  # killed
done
for slice in 0 1 2 3 4; do
    start_nth_client $slice
done
wait_for_all
sed -n 's/.*event=\(session_aborted\|round_closed\)/  \1/p' \
    "$out/aggregator.log"
echo
"$B/fedge-aggregator" status --state "$out/aggregator" || [ $? -eq 3 ]

echo
echo "2. A simulated one: 100 clients, 10 a round, non-IID Fashion-MNIST. From"
echo "   round 25 on channels that matter least are pruned, and what is left is"
echo "   quantised, on data that no client shows."
echo
"$B/fedge-sim" --dataset fashion-mnist --model lenet --clients 100 \
    --cohort 10 --partition dirichlet:0.3 --samples 600 --rounds "$rounds" \
    --local-epochs 1 --batch 32 --lr 0.05 --seed 1 --threads 2 \
    --prune 0.55 --prune-start 24 --prune-recover 2 --int8 \
    --json "$out/run.jsonl" --csv "$out/run.csv" --plot "$out/curve.svg" \
    --out "$out/model.onnx"

echo
echo "In $out: run.jsonl, run.csv, curve.svg; model.onnx, loopback.onnx, and"
echo "both in INT8."
