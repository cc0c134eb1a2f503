#!/bin/sh
# Whoever has ONNX Runtime gets from a trained model what fedge says it gives:
# the accuracy on Fashion-MNIST's test pictures must agree within 0.0002.
#
#   tests/e2e/onnxruntime.sh                    simulates three rounds first
#   tests/e2e/onnxruntime.sh MODEL.onnx 0.9012  a model, its accuracy
#
# Needs dataset-fashion-mnist and what tools/install-onnxruntime needs.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
tree=$(cd "$(dirname "$0")/../.." && pwd)
here=$tree/tests/e2e/onnxruntime
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

simulate() {
    "$B/fedge-sim" --dataset fashion-mnist --model lenet --clients 20 \
        --cohort 10 --partition dirichlet:0.3 --samples 600 --rounds 3 \
        --local-epochs 1 --batch 32 --lr 0.05 --seed 1 \
        --json "$scratch/run.jsonl" --out "$scratch/model.onnx" \
        >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        exit 1
    }
}

# The number behind "accuracy" in the run's last summary line.
summary_accuracy() {
    grep '"event": *"summary"' "$scratch/run.jsonl" | tail -n 1 |
        sed -n 's/.*"accuracy": *\([0-9.eE+-]*\).*/\1/p'
}

case $# in
    0)
        simulate
        model=$scratch/model.onnx
        expected=$(summary_accuracy)
        ;;
    2)
        model=$1
        expected=$2
        ;;
    *)
        sed -n '2,/^# SPDX/p' "$0" >&2
        exit 2
        ;;
esac
[ -n "$expected" ] || {
    echo "the simulation's summary names no accuracy" >&2
    exit 1
}

"$tree/tools/install-onnxruntime"
measured=$(NODE_PATH=$tree/build/onnxruntime/node_modules node "$here/accuracy.js" "$model")
awk -v expected="$expected" -v measured="$measured" 'BEGIN {
    off = expected - measured
    if (off < 0) off = -off
    agrees = measured != "" && off <= 0.0002
    printf "ONNX Runtime %s, fedge %s: %s\n", measured, expected,
        agrees ? "they agree" : "they differ"
    exit !agrees
}'
