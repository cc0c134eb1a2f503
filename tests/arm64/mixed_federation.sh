#!/bin/sh
# Boards and a PC in one federation: an amd64 aggregator with an amd64 client and
# two arm64 ones, each as another CPU by qemu, in secure aggregation. When this
# fails, an experiment cannot be repeated on another kind of machine: the models
# of all rounds must be those of a federation of amd64 alone, byte for byte.
#
# Kernels of float32 differ in the last bits between instruction sets, so all
# run the portable ones: FEDGE_CPU=portable.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release} OUT=${OUT:-build}
. tests/e2e/lib.sh
make_scratch
export FEDGE_CPU="${FEDGE_CPU-portable}" FEDGE_CLIENT_MIN_SURVIVORS=3
readonly rounds=3

# federation NAME B0 B1 B2: three clients, each from its build folder. They have
# the keys that they had in the federation before.
federation() {
    name=$1
    shift
    mkdir "$scratch/$name"
    start_aggregator "$scratch/$name/aggregator" --dataset fashion-mnist \
        --model lenet --rounds $rounds --cohort 3 --min-clients 3 \
        --min-survivors 3 --phase 60 --out "$scratch/$name.onnx" --json
    slice=0
    for build in "$@"; do
        client=$scratch/$name/client-$slice
        if [ -f "$scratch/key-$slice" ]; then
            mkdir -m 0700 "$client"
            cp -p "$scratch/key-$slice" "$client/identity.key"
        fi
        B=$build start_client "$client" --dataset fashion-mnist \
            --partition dirichlet:0.3:100 --samples 60 --slice $slice \
            --until-finished
        slice=$((slice + 1))
    done
    wait_for_all || fail "the $name federation: exit code $?"
    for slice in 0 1 2; do
        cp -p "$scratch/$name/client-$slice/identity.key" "$scratch/key-$slice"
    done
    aggregator_url=''
    list_history "$scratch/$name/aggregator" >"$scratch/$name.history"
    [ "$(wc -l <"$scratch/$name.history")" -eq $((rounds + 1)) ] ||
        fail "$name: not $rounds rounds: $(cat "$scratch/$name.history")"
    [ "$(json_values clients "$scratch/$name/aggregator.out" | sort -u)" = 3 ] ||
        fail "$name: not three clients in every round"
}

federation amd64 "$B" "$B" "$B"
for cpu in cortex-a72 cortex-a76; do
    [ -d "$OUT/$cpu" ] || tests/arm64/wrap $cpu
done
federation mixed "$B" "$OUT/cortex-a72" "$OUT/cortex-a76"
diff "$scratch/amd64.history" "$scratch/mixed.history" ||
    fail "the models of the rounds differ"
cmp "$scratch/amd64.onnx" "$scratch/mixed.onnx" || fail "the models differ"
