#!/bin/sh
# fedge-compress factorize, sparsify and distill as a person uses them, and
# evaluate --pairs, on networks that are trained in a second. When this fails, a
# model is not thinner, not sparser or not smaller than the command says, or a
# client needs a library that only the tool should.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly USAGE=2 CONFIG=78
compress() { "$B/fedge-compress" "$@"; }
make_table "$scratch/table.csv" 900
data=csv:$scratch/table.csv
model=$scratch/model.onnx small=$scratch/small.onnx

accuracy_of() {
    compress evaluate "$1" --dataset "$data" --json | json_values accuracy |
        awk '{ printf "%d", $1 * 10000 + 0.5 }'
}

parameters_of() {
    compress inspect "$1" | sed -n 's/.* outputs, \([0-9]*\) parameters.*/\1/p'
}

# refuses CODE WORD OPTION...
refuses() {
    code=$1 word=$2 got=0
    shift 2
    compress "$@" >"$scratch/said" 2>&1 || got=$?
    [ $got -eq "$code" ] || fail "$*: exit code $got, not $code"
    grep -q -e "$word" "$scratch/said" || fail "$*: $(cat "$scratch/said")"
}

compress new mlp --dataset "$data" --out "$model" --quiet
compress train "$model" --dataset "$data" --epochs 5 --out "$model" --quiet
dense=$(accuracy_of "$model")
[ "$dense" -ge 7000 ] || fail "accuracy $dense of the dense model"

# ---- factorize
compress factorize "$model" --energy 1 --layers fc2 --out "$small" \
    >"$scratch/said"
grep -Eq '^fc2 +64 ' "$scratch/said" || fail "factorize: $(cat "$scratch/said")"
[ "$(accuracy_of "$small")" -eq "$dense" ] ||
    fail "full rank answers otherwise: $(accuracy_of "$small")"
compress factorize "$model" --budget 0.4 --dataset "$data" --epochs 3 \
    --out "$small" >"$scratch/said"
[ "$(parameters_of "$small")" -lt $(($(parameters_of "$model") / 2)) ] ||
    fail "factorize leaves $(parameters_of "$small") parameters"
[ "$(accuracy_of "$small")" -ge $((dense - 500)) ] ||
    fail "factored: $(accuracy_of "$small"), whole $dense"
compress factorize "$model" --budget 0.4 --json --out "$small" |
    grep -q '"factored"' || fail "factorize --json"
refuses $USAGE 'energy or --budget' factorize "$model" --out "$small"
refuses $USAGE 'out FILE' factorize "$model" --energy 0.5
refuses $CONFIG 'fits no' factorize "$model" --energy 0.5 --layers conv9 \
    --out "$small"

# ---- sparsify
for score in magnitude fisher obd; do
    compress sparsify "$model" --dataset "$data" --sparsity 0.75 --epochs 4 \
        --score $score --rows 100 --json --out "$small" >"$scratch/said"
    zeros=$(json_values zeros "$scratch/said")
    weights=$(json_values weights "$scratch/said")
    [ "$zeros" -ge $((weights * 3 / 4)) ] || fail "$score: $zeros of $weights"
    before=$(json_values packed_bytes_before "$scratch/said")
    [ "$(json_values packed_bytes "$scratch/said")" -lt $((before / 2)) ] ||
        fail "$score: $(cat "$scratch/said")"
    [ "$(accuracy_of "$small")" -ge $((dense - 700)) ] ||
        fail "$score: $(accuracy_of "$small"), dense $dense"
done
compress sparsify "$model" --dataset "$data" --sparsity 0.5 --global \
    --threads 2 --out "$small" | grep -q 'weights are 0 (50' ||
    fail "sparsify --global"
refuses $USAGE epochs sparsify "$model" --dataset "$data" --epochs 0 \
    --out "$small"
refuses $USAGE fewest sparsify "$model" --dataset "$data" --score fewest \
    --out "$small"

# ---- distill
compress distill "$model" --student mlp --dataset "$data" --epochs 5 \
    --out "$small" >"$scratch/said"
grep -q student "$scratch/said" || fail "distill: $(cat "$scratch/said")"
[ "$(accuracy_of "$small")" -ge $((dense - 500)) ] ||
    fail "the student: $(accuracy_of "$small"), its teacher $dense"
compress distill "$model" --student "$small" --dataset "$data" --quiet \
    --out "$small"
refuses $USAGE 'student NAME' distill "$model" --dataset "$data" --out "$small"
refuses $USAGE 'leave --teacher out' distill "$model" --student mlp \
    --teacher "$small" --dataset "$data" --out "$small"

# ---- embeddings: a teacher that has learned, a student that follows it
compress new siamese --tower mlp --embedding 16 --dataset "$data" \
    --out "$scratch/tower.onnx" --quiet
compress train "$scratch/tower.onnx" --loss triplet --dataset "$data" \
    --epochs 5 --out "$scratch/tower.onnx" --quiet
compress distill "$scratch/tower.onnx" --student mlp --dataset "$data" \
    --teacher-share 0.9 --epochs 8 --out "$small" --quiet
for tower in "$scratch/tower.onnx" "$small"; do
    compress evaluate "$tower" --dataset "$data" --pairs 500 --json \
        >"$scratch/said"
    json_values verification_accuracy "$scratch/said" |
        awk '{ good = $1 > 0.65 } END { exit !good }' ||
        fail "pairs of $tower: $(cat "$scratch/said")"
done
compress evaluate "$small" --dataset "$data" --pairs 500 |
    grep -q '^500 pairs' || fail "evaluate --pairs"
refuses $CONFIG table evaluate "$small" --dataset "$data" --resize 4x4

# ---- LAPACK is the tool's alone
if command -v ldd >/dev/null && ldd "$B/fedge-compress" | grep -q lapack; then
    for program in client aggregator sim keys; do
        ldd "$B/fedge-$program" | grep -qE 'lapack|blas' &&
            fail "fedge-$program is linked with LAPACK"
    done
fi
echo "thin models: ok"
