#!/bin/sh
# The same seed gives the same bytes. When this fails, nobody can repeat an
# experiment or tell a change of the code from chance.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
choose_pictures 6000 100
is_emulated && samples=20 || samples=60

# With links and boards that differ, vanish and lose packets.
simulate() {
    name=$1
    shift
    "$B/fedge-sim" --dataset "$pictures" --clients 30 --cohort 8 \
        --over-select 0.5 --rounds 4 --samples "$samples" --speed-spread 0.5 \
        --link-spread 0.5 --loss 0.02 --dropout 0.1 --availability 0.8 --csv "$scratch/$name.csv" \
        --out "$scratch/$name.onnx" --quiet "$@" >"$scratch/$name.log" 2>&1 ||
        fail "simulation $name"
}
assert_same() {
    for kind in csv onnx; do
        cmp "$scratch/$1.$kind" "$scratch/$2.$kind" ||
            fail "$1.$kind and $2.$kind differ"
    done
}

simulate one --threads 1
simulate again --threads 1
simulate two --threads 2
simulate three --threads 3
simulate other --threads 2 --seed 2
assert_same one again
assert_same one two
assert_same one three
! cmp -s "$scratch/one.onnx" "$scratch/other.onnx" ||
    fail "another seed gives the same model"
[ "$(wc -l <"$scratch/one.csv")" -eq 5 ] || fail "not four rounds"

# Whatever makes bytes of the updates, and whatever of them stays on a client.
make_table "$scratch/table.csv" 2000
for codec in topk sketch1bit dense:8; do
    for threads in 1 3; do
        simulate "codec-$threads" --dataset "csv:$scratch/table.csv" \
            --model mlp --partition iid --aggregation clear --codec $codec \
            --threads $threads
    done
    assert_same codec-1 codec-3
    [ "$(cut -d, -f15 "$scratch/codec-1.csv" | sort -u | tr '\n' ' ')" = \
        "codec ${codec%:*} " ] || fail "not $codec: $(cat "$scratch/codec-1.csv")"
done

# Masks come off without a trace: the same model as without them.
for mode in secure clear; do
    "$B/fedge-sim" --dataset "$pictures" --clients 20 --cohort 10 \
        --rounds 3 --samples "$samples" --aggregation $mode --codec sketch --json "$scratch/$mode.jsonl" \
        --out "$scratch/$mode.onnx" --quiet || fail "simulation $mode"
    rounds_of "$scratch/$mode.jsonl" | grep -q "\"aggregation\":\"$mode\"" ||
        fail "not $mode: $(cat "$scratch/$mode.jsonl")"
done
cmp "$scratch/secure.onnx" "$scratch/clear.onnx" ||
    fail "secure aggregation changes the model"
