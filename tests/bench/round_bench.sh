#!/bin/sh
# What the real programs cost on loopback: milliseconds a round when there is
# next to nothing to train (10 clients with one example each, LeNet's 320 kB
# down, 214 kB up), in the clear and with a session, and the memory of both
# programs while clients train for real.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=$(mktemp -d)
. tests/e2e/lib.sh
trap 'stop_everything; rm -rf "$out"' EXIT

for mode in clear secure; do
    start_aggregator "$out/$mode" --model lenet --dataset fashion-mnist \
        --rounds 100 --cohort 10 --evaluate-every 0 --aggregation $mode \
        --json --quiet
    for slice in 0 1 2 3 4 5 6 7 8 9; do
        start_client "$out/$mode-$slice" --dataset fashion-mnist \
            --partition iid:100 --samples 1 --slice "$slice" \
            --aggregation $mode --until-finished
    done
    wait_for_all
    aggregator_url=''
done

start_aggregator "$out/real" --model lenet --dataset fashion-mnist \
    --rounds 6 --cohort 2 --json --quiet
for slice in 0 1; do
    start_client "$out/real-$slice" --dataset fashion-mnist \
        --partition dirichlet:0.3:20 --samples 3000 --slice "$slice" \
        --until-finished
done
# memory FIELD PID: KiB; 0 when it is gone.
memory() {
    awk -v field="$1:" '$1 == field { kib = $2 } END { print kib + 0 }' \
        "/proc/$2/status" 2>/dev/null || echo 0
}
# The client's largest size after it has loaded its data, sampled.
client_kib=0 aggregator_kib=0
while kib=$(memory VmHWM "$aggregator_pid") && [ "$kib" -gt 0 ]; do
    aggregator_kib=$kib
    if grep -q event=training "$out/real-1.log"; then
        kib=$(memory VmRSS "$client_pid")
        [ "$kib" -le "$client_kib" ] || client_kib=$kib
    fi
    sleep 0.05
done
wait_for_all

python3 - "$out" "$client_kib" "$aggregator_kib" <<'END'
import json, statistics, sys

def round_ms(path):
    rounds = [json.loads(line) for line in open(path)]
    walls = [r["wall_s"] for r in rounds if r["event"] == "round"]
    return statistics.median(1e3 * (b - a) for a, b in zip(walls, walls[1:]))

print("round_overhead_ms", round_ms(sys.argv[1] + "/clear.out"), "ms")
print("round_secure_ms", round_ms(sys.argv[1] + "/secure.out"), "ms")
data_mib = 3000 * (28 * 28 + 4) / 2**20
print("client_rss_mib", int(sys.argv[2]) / 1024 - data_mib, "MiB")
print("aggregator_rss_mib", int(sys.argv[3]) / 1024, "MiB")
END
