#!/bin/sh
# Accuracy after 50 rounds of the standard setting, mean of three seeds. What
# its peer accuracy_once_torch.py needs to repeat the same federations (first
# model, partition, cohorts) is left in build/bench.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=build/bench
mkdir -p "$out"
for seed in 1 2 3; do
    set -- --dataset fashion-mnist --model lenet --clients 100 --cohort 10 \
        --partition dirichlet:0.3 --samples 600 --local-epochs 1 --batch 32 \
        --lr 0.05 --seed "$seed" --threads 2 --quiet
    "$B/fedge-sim" "$@" --rounds 0 --out "$out/first-$seed.onnx"
    "$B/fedge-sim" "$@" --rounds 50 --json "$out/run-$seed.jsonl" \
        --partition-out "$out/partition-$seed.csv"
done
python3 - "$out" <<'END'
import json, sys
last = [json.loads(open(f"{sys.argv[1]}/run-{seed}.jsonl").readlines()[-1])
        for seed in (1, 2, 3)]
print("# seeds 1, 2, 3:", [run["accuracy"] for run in last], file=sys.stderr)
print("accuracy_after_50_rounds",
      100 * sum(run["accuracy"] for run in last) / 3, "%")
END
