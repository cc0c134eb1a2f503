#!/bin/sh
# The simulator's speed: examples trained a second of processor time, rounds,
# evaluation and protocol included. Its peer is sim_torch.py.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$B/fedge-sim" --dataset fashion-mnist --model lenet --clients 100 \
    --cohort 10 --partition dirichlet:0.3 --samples 600 --rounds 10 \
    --local-epochs 1 --batch 32 --lr 0.05 --seed 1 --threads 1 --quiet \
    --json "$out/run.jsonl"
python3 - "$out/run.jsonl" <<'END'
import json, sys
summary = json.loads(open(sys.argv[1]).readlines()[-1])
print("sim_samples_per_cpu_s", summary["samples"] / summary["cpu_s"], "1/s")
END
