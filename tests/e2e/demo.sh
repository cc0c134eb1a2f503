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

echo "1. A simulated federation: 100 clients, 10 a round, non-IID Fashion-MNIST"
echo
"$B/fedge-sim" --dataset fashion-mnist --model lenet --clients 100 \
    --cohort 10 --partition dirichlet:0.3 --samples 600 --rounds "$rounds" \
    --local-epochs 1 --batch 32 --lr 0.05 --seed 1 --threads 2 \
    --json "$out/run.jsonl" --csv "$out/run.csv" --plot "$out/curve.svg" \
    --out "$out/model.onnx"

echo
echo "2. A real one: an aggregator and five clients, processes on loopback"
echo
start_aggregator "$out/aggregator" --model lenet --dataset fashion-mnist \
    --rounds 3 --cohort 5 --out "$out/loopback.onnx" --json
for slice in 0 1 2 3 4; do
    start_client "$out/client-$slice" --dataset fashion-mnist \
        --partition dirichlet:0.3:100 --samples 600 --slice "$slice" \
        --until-finished
done
wait_for_all
sed -n 's/.*event=round_closed/  round_closed/p' "$out/aggregator.log"
echo
"$B/fedge-aggregator" status --state "$out/aggregator" || [ $? -eq 3 ]

echo
echo "In $out: run.jsonl, run.csv, curve.svg, model.onnx, loopback.onnx"
