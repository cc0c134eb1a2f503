#!/bin/sh
# What people get wrong: each mistake has its exit code and a sentence that
# names the place and the remedy. When this fails, somebody searches for hours,
# or finds half a state folder that is in the way of the right command.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
make_table "$scratch/table.csv" 100
data=csv:$scratch/table.csv
readonly USAGE=2 CONFIG=78

aggregator() { "$B/fedge-aggregator" "$@"; }
client() { "$B/fedge-client" "$@"; }
simulate() {
    "$B/fedge-sim" --quiet --rounds 1 --clients 2 --cohort 2 --min-survivors 2 --model mlp \
        --partition iid "$@"
}

# ---- the command line
expect_exit $USAGE aggregator
expect_said "name a command" --help
expect_exit $USAGE client rnu
expect_said "rnu is not a command"
expect_exit 77 client run --state "$scratch/none"
expect_said --aggregator
expect_exit $USAGE aggregator run --state "$scratch/none" --rouds 3
expect_said "unknown option --rouds" "did you mean --rounds?"
expect_exit $USAGE aggregator run --state "$scratch/none" --rounds
expect_said "--rounds needs a value"
expect_exit $USAGE aggregator run --state "$scratch/none" --rounds -3
expect_said --rounds '"-3"' "0 to 1000000"
expect_exit $USAGE aggregator run --state "$scratch/none" --lr nan
expect_said --lr '"nan"'
expect_exit $USAGE aggregator run --state "$scratch/none" --cohort 2 --quorum 3
expect_said "--quorum 3" "--cohort 2"
expect_exit $USAGE aggregator run --state "$scratch/none" --codec topk
expect_said "--codec topk" "added up" "sketch, dense" "--aggregation clear"
expect_exit $USAGE aggregator run --state "$scratch/none" --codec nonsense
expect_said "--codec" 'no codec "nonsense"' sketch1bit fp16
expect_exit $USAGE aggregator run --state "$scratch/none" --codec dense:99
expect_said "--codec" dense:99 "from 2 to 20"
expect_exit $USAGE aggregator run --state "$scratch/none" --density 0
expect_said --density '"0"' "1e-06 to 1"
expect_exit $USAGE simulate --schedule cosine
expect_said --schedule-steps
expect_exit $USAGE simulate --log-level loud
expect_said "loud: not error, warn, info or debug"
[ ! -e "$scratch/none" ] || fail "a folder is made before the mistake is seen"

# ---- configuration files, with their line
printf '[rounds]\nrounds = 3\nchohort = 5\n' >"$scratch/bad.conf"
expect_exit $CONFIG aggregator run --state "$scratch/none" \
    --config "$scratch/bad.conf"
expect_said "bad.conf" 3 chohort cohort
printf '[rounds]\nrounds = many\n' >"$scratch/bad.conf"
expect_exit $CONFIG aggregator run --state "$scratch/none" \
    --config "$scratch/bad.conf"
expect_said "bad.conf" 2 '"many"'
expect_exit $CONFIG env FEDGE_ROUNDS_COHORT=x "$B/fedge-aggregator" run \
    --state "$scratch/none"
expect_said FEDGE_ROUNDS_COHORT '"x"'

# ---- models and data
expect_exit $CONFIG simulate --dataset "$data" --model resnet
expect_said resnet mlp lenet
printf 'not a model' >"$scratch/bad.onnx"
expect_exit $CONFIG simulate --dataset "$data" --model "$scratch/bad.onnx"
expect_said "bad.onnx"
# The name of the operator Gemm, misspelt in place, is one that nobody knows.
sed 's/Gemm/Gemn/g' tests/vectors/onnx/mlp.onnx >"$scratch/odd.onnx"
expect_exit $CONFIG simulate --dataset "$data" --model "$scratch/odd.onnx"
expect_said "odd.onnx" Gemn
expect_exit $CONFIG simulate --dataset cifar-10
expect_said cifar-10 fashion-mnist csv:FILE
expect_exit $CONFIG simulate --dataset "csv:$scratch/none.csv"
expect_said none.csv "No such file"
expect_exit $CONFIG simulate --dataset "$data" --label-column colour
expect_said table.csv colour
sed '5s/,[^,]*,/,nan,/' "$scratch/table.csv" >"$scratch/nan.csv"
expect_exit $CONFIG simulate --dataset "csv:$scratch/nan.csv"
expect_said nan.csv "line 5" width "not a finite number"
sed '7s/$/,1/' "$scratch/table.csv" >"$scratch/long.csv"
expect_exit $CONFIG simulate --dataset "csv:$scratch/long.csv"
expect_said long.csv "line 7"
images=/usr/share/datasets/fashion-mnist
mkdir "$scratch/idx"
for part in train-images-idx3 train-labels-idx1; do
    gzip -dc "$images/$part-ubyte.gz" | head -c 100000 \
        >"$scratch/idx/$part-ubyte"
done
expect_exit $CONFIG simulate --dataset "idx:$scratch/idx"
expect_said train-images-idx3-ubyte
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', \
'fortran_order': False, 'shape': (1000000000, 4), }" >"$scratch/x.npy"
cp "$scratch/x.npy" "$scratch/y.npy"
expect_exit $CONFIG simulate --dataset "npy:$scratch/x.npy,$scratch/y.npy"
expect_said x.npy
expect_exit $CONFIG simulate --dataset "$data" --clients 1000
expect_said "1000 clients"

# ---- a first start that fails is in nobody's way
state=$scratch/aggregator
expect_exit $CONFIG aggregator run --state "$state" --dataset "$data" \
    --model resnet
expect_exit $CONFIG aggregator run --state "$state" --model mlp
expect_said --dataset
expect_exit $CONFIG aggregator run --state "$state" --dataset "$data" \
    --model mlp --listen 127.0.0.1:7443
expect_said "tcp://"
start_aggregator "$state" --dataset "$data" --model mlp --rounds 1 --cohort 2

# ---- folders and ports that are taken
expect_exit 1 aggregator run --state "$state" --dataset "$data" --model mlp
expect_said "$state" "in use by process $aggregator_pid"
expect_exit 1 aggregator run --state "$scratch/other" --dataset "$data" \
    --model mlp --listen "$aggregator_url"
expect_said "$aggregator_url" "in use"
expect_exit 1 aggregator run --state "$scratch/table.csv/x" \
    --dataset "$data" --model mlp
expect_said "table.csv"
start_client "$scratch/client" --dataset "$data"
wait_until 10 grep -q event=connected "$scratch/client.log" ||
    fail "the client does not connect"
expect_exit 1 client run --state "$scratch/client" --dataset "$data" \
    --aggregator "$aggregator_url"
expect_said "$scratch/client" "in use by process $client_pid"
for url in 127.0.0.1:7443 tcp://127.0.0.1 tcp://127.0.0.1:99999; do
    expect_exit $CONFIG client run --state "$scratch/none" \
        --dataset "$data" --aggregator $url
    expect_said $url "tcp://192.0.2.7:7443"
done
[ ! -e "$scratch/none" ] || fail "a folder is made before the mistake is seen"
expect_exit $CONFIG client run --state "$scratch/second" --dataset "$data" \
    --partition iid:3 --slice 3 --aggregator "$aggregator_url"
expect_said "--slice 3" "3 parts"

# ---- somebody else at the address of the aggregator
stop_in_time "$client_pid" TERM 6
stop_in_time "$aggregator_pid" TERM 6
start_aggregator "$scratch/impostor" --dataset "$data" --model mlp
expect_exit 77 client run --state "$scratch/client" --dataset "$data" \
    --aggregator "$aggregator_url"
expect_said event=aggregator_key_changed aggregator.pub
stop_in_time "$aggregator_pid" TERM 6
expect_exit 1 aggregator run --state "$state" --dataset "$data" --model mlp \
    --seed 2
expect_said seed '"1"' '"2"'
aggregator_pid='' client_pids=''

expect_exit 1 aggregator status --state "$scratch/none"
expect_said "$scratch/none" "no aggregator has kept anything here"
expect_exit 1 client status --state "$scratch/none"
expect_said "$scratch/none" "no client has kept anything here"
left=$(find "$scratch" -name '*.tmp')
[ -z "$left" ] || fail "temporary files are left: $left"
