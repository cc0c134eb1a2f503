#!/bin/sh
# The dashboard in headless Chromium, of an aggregator that has led a few rounds
# and waits for clients. Leaves pictures in build/dashboard. `make dashboard-test`
# runs it.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator

# is_waiting: the aggregator has nobody to train with.
is_waiting() {
    python3 -c 'import json, sys, urllib.request
status = json.load(urllib.request.urlopen(sys.argv[1]))
sys.exit(status["session"]["activity"] != "gathering")' \
        "http://127.0.0.1:$http_port/api/v1/status"
}

make_table "$scratch/table.csv" 3000
start_aggregator "$state" --model mlp --dataset "$scratch/table.csv" \
    --test "$scratch/table.csv" --rounds 1000 --cohort 3 --deadline 2 --lr 0.01 \
    --http 127.0.0.1:0
http_port=$(sed -n 's/.*event=dashboard .*port=\([0-9]*\).*/\1/p' "$state.log")
for slice in 0 1 2; do
    start_client "$scratch/client-$slice" --dataset "$scratch/table.csv" \
        --partition dirichlet:0.3:3 --slice $slice
done
wait_until 60 has_rounds "$state" 40 || fail "no forty rounds"
# Two go, one stays: the numbers stand still, and are not all the same.
for pid in ${client_pids% *}; do
    stop_in_time "$pid" TERM 10
done
client_pids=${client_pids##* }
wait_until 30 is_waiting || fail "it does not wait for clients"
timeout 120 python3 tests/e2e/dashboard_browser.py \
    "http://127.0.0.1:$http_port" "$aggregator_pid" build/dashboard ||
    fail "the page"
