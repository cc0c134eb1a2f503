#!/bin/sh
# What a round's session costs 100 clients in the simulator, where each is the
# whole client: the CPU time of all of them together, and the bytes of control
# of one, both ways. An MLP on Fashion-MNIST has 109,386 parameters.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$B/fedge-sim" --dataset fashion-mnist --model mlp --clients 100 \
    --cohort 100 --samples 20 --rounds 3 --threads 1 --quiet \
    --json "$out/run.jsonl"
python3 - "$out/run.jsonl" <<'END'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
rounds, summary = lines[:-1], lines[-1]
assert summary["params"] == 109386 and summary["sessions_aborted"] == 0
print("sim_clients_cpu_s", summary["crypto_client_cpu_s"] / len(rounds), "s")
print("sim_server_cpu_s", summary["crypto_server_cpu_s"] / len(rounds), "s")
print("sim_control_kb", summary["bytes_control"] / summary["updates"] / 1000,
      "KB")
END
