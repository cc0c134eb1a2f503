#!/bin/sh
# The PyTorch example, beside a client that trains with the engine. When this
# fails, what Jetson users copy does not compute our networks, or does not train.
# Needs python3-torch and python3-onnx: `make trainer-test` installs them.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
/usr/bin/python3 -c 'import torch, onnx' ||
    fail "python3-torch and python3-onnx are not installed: make trainer-test"
make_scratch
command="/usr/bin/python3 \"$PWD/examples/pytorch_trainer.py\""

# start_board NAME SLICE OPTION...
start_board() {
    name=$1 slice=$2
    shift 2
    start_client "$scratch/$name" --dataset fashion-mnist --resize 32x32 \
        --partition iid:200 --slice "$slice" --until-finished "$@"
}

# With a tiny rate and frozen norms its first epoch sees the model as it is: the
# mean loss must be that which our engine measures, whatever the network.
for model in mlp lenet resnet8 mobilenetv2-tiny shufflenetv2; do
    aggregator_url=''
    start_aggregator "$scratch/$model" --model "$model" --dataset fashion-mnist \
        --resize 32x32 --rounds 2 --norm-rounds 1 --cohort 2 --gather 0 \
        --lr 1e-9 --evaluate-every 1000 --json
    start_board "$model-0" 0
    start_board "$model-1" 1 --trainer-command "$command"
    wait_for_all || fail "$model: not everybody ended well"
    sed -n 's/.*trainer_done round=2.* loss=\([^ ]*\).*measured_before=\([^ ]*\) .*/\1 \2/p' \
        "$scratch/$model-1.log" >"$scratch/losses"
    echo "$model: loss by PyTorch, by fedge: $(cat "$scratch/losses")"
    awk '{ d = $1 - $2; good = d < 1e-4 && d > -1e-4 } END { exit !good }' \
        "$scratch/losses" || fail "$model: PyTorch computes something else"
done

# And it learns.
aggregator_url=''
start_aggregator "$scratch/learns" --model lenet --dataset fashion-mnist \
    --resize 32x32 --rounds 4 --cohort 2 --gather 0 --local-epochs 3 \
    --momentum 0.9 --lr 0.02 --clip-norm 5 --density 1 --release 1 --json
start_board learns-0 2
start_board learns-1 3 --trainer-command "$command"
wait_for_all || fail "not everybody ended well"
rounds_of "$scratch/learns.out" | json_values accuracy | awk '
    { last = $1 } END { print "accuracy after four rounds:", last; exit !(last > 0.6) }' ||
    fail "it learns nothing: $(cat "$scratch/learns.out")"
