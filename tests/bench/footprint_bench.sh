#!/bin/sh
# What the programs take of a machine that has other things to do. A client has
# joined and waits for others; with nine more it trains LeNet on 600 pictures of
# Fashion-MNIST, masked, beside a dashboard, until the aggregator keeps as many
# versions of the model as it ever does; then it waits again. Memory is what is
# resident, in MB of 10^6 bytes; the aggregator's has its 10,000 held-out pictures
# in it, 7.8 MB.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
rounds=35 waits=60

# memory FIELD PID
memory() {
    awk -v field="$1:" '$1 == field { print $2 * 1024 / 1e6 }' \
        "/proc/$2/status"
}

# Nanoseconds that all threads of a process have run.
ran_ns() {
    cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { print sum }'
}

# start_slice I: with its share of the pictures.
start_slice() {
    start_client "$scratch/$1" --dataset fashion-mnist --partition iid:100 \
        --slice "$1"
}

start_aggregator "$scratch/aggregator" --model lenet --dataset fashion-mnist \
    --rounds 100000 --cohort 10 --gather 0 --quiet --http 127.0.0.1:0
start_slice 0
measured=$client_pid
await_text "$scratch/0.log" event=connected
sleep 2
before=$(ran_ns "$measured")
sleep $waits
after=$(ran_ns "$measured")
echo "client_idle_cpu $(((after - before) / 1000)) $waits" |
    awk '{ print $1, 100 * $2 / 1e6 / $3, "%" }'
echo "client_idle_mb $(memory VmRSS "$measured") MB"

for slice in 1 2 3 4 5 6 7 8 9; do
    start_slice $slice
done
await_text "$scratch/aggregator.log" "event=round_closed round=$rounds "
for _ in $(seq 200); do
    memory VmRSS "$aggregator_pid"
    sleep 0.05
done | sort -n | awk '{ mb[NR] = $1 }
    END { print "aggregator_mb", mb[int((NR + 1) / 2)], "MB" }'
echo "aggregator_peak_mb $(memory VmHWM "$aggregator_pid") MB"
echo "client_training_mb $(memory VmHWM "$measured") MB"

for pid in $client_pids; do
    [ "$pid" -eq "$measured" ] || kill -9 "$pid"
done
sleep 10
echo "client_trained_mb $(memory VmRSS "$measured") MB"
