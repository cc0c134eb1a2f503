#!/bin/sh
# A quantised model answers in ONNX Runtime, with all its optimisations, as it
# does in fedge: on at least 9,990 of Fashion-MNIST's 10,000 test pictures, in
# both profiles. If this fails, what is deployed is another network than what
# was measured.
#
#   tests/e2e/onnxruntime_int8.sh            trains three networks a little
#   tests/e2e/onnxruntime_int8.sh MODEL.onnx a quantised model of yours
#
# Needs dataset-fashion-mnist and what tools/install-onnxruntime needs.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
tree=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

compress() { "$B/fedge-compress" "$@"; }

# compare MODEL: prints one line; counts a failure.
compare() {
    compress evaluate "$1" --dataset fashion-mnist \
        --predictions "$1.csv" >/dev/null
    said=$(NODE_PATH=$tree/build/onnxruntime/node_modules node \
        "$tree/tests/e2e/onnxruntime/agreement.js" "$1" "$1.csv")
    echo "$said" | awk -v model="${1##*/}" '{
        printf "%s: the same answer to %.2f %%; accuracy of ONNX Runtime %s, " \
            "fedge %s\n", model, $1 * 100, $2, $3
        exit !($1 >= 0.999)
    }' || failed=1
}

"$tree/tools/install-onnxruntime"
if [ $# -eq 1 ]; then
    compare "$1"
    exit $failed
fi

# try_network NAME: in each way that there is; fails when one of them does.
try_network() {
    model=$scratch/$1.onnx
    compress new "$1" --dataset fashion-mnist --out "$model" --quiet
    compress train "$model" --dataset fashion-mnist --epochs 1 --batch 64 \
        --lr 0.05 --out "$model" --quiet
    for profile in plain tensorrt; do
        compress quantize "$model" --dataset fashion-mnist --quiet \
            --profile $profile --out "$scratch/$1-$profile.onnx"
        compare "$scratch/$1-$profile.onnx"
        for layers in --half-layers --nibble-layers; do
            compress quantize "$model" --dataset fashion-mnist --quiet \
                --profile $profile $layers '*1*' \
                --out "$scratch/$1-$profile$layers.onnx"
            compare "$scratch/$1-$profile$layers.onnx"
        done
    done
    for mode in float16 dynamic; do
        compress quantize "$model" --mode $mode --quiet \
            --out "$scratch/$1-$mode.onnx"
        compare "$scratch/$1-$mode.onnx"
    done
    return $failed
}

# Side by side, since ONNX Runtime computes in one thread here.
pids=
for name in lenet resnet8 mobilenetv2-tiny; do
    try_network $name &
    pids="$pids $!"
done
for pid in $pids; do
    wait "$pid" || failed=1
done
exit $failed
