#!/bin/sh
# fedge-compress prune and hqp as a person uses them, on a network that is
# trained in a second. When this fails, what is handed out as the smaller model
# is not smaller, not as good as the table says, or was refused without a word.
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

compress new mlp --dataset "$data" --out "$model" --quiet
compress train "$model" --dataset "$data" --epochs 5 --out "$model" --quiet
dense=$(accuracy_of "$model")
[ "$dense" -ge 7000 ] || fail "accuracy $dense of the dense model"

# ---- prune
compress prune "$model" --list >"$scratch/said"
grep -Eq '^fc1 +128 ' "$scratch/said" || fail "no fc1: $(cat "$scratch/said")"
compress prune "$model" --list --json | grep -q '"channel_parameters"' ||
    fail "--list --json"
compress prune "$model" --dataset "$data" --remove 0.5 --out "$small" \
    >"$scratch/said"
grep -q "dense float32" "$scratch/said" || fail "$(cat "$scratch/said")"
[ "$(parameters_of "$small")" -le $(($(parameters_of "$model") / 2)) ] ||
    fail "prune leaves $(parameters_of "$small") parameters"
[ "$(accuracy_of "$small")" -ge $((dense - 500)) ] ||
    fail "pruned: $(accuracy_of "$small"), dense: $dense"
for how in fisher taylor magnitude; do
    compress prune "$model" --dataset "$data" --importance $how --cost macs \
        --epochs 0 --json --out "$small" >"$scratch/$how.json"
    grep -q '"name": *"pruned"' "$scratch/$how.json" ||
        fail "$how: $(cat "$scratch/$how.json")"
done
compress prune "$model" --dataset "$data" --cost latency --out "$small" --quiet

# The same again; and what a list keeps, without any data.
for copy in a b; do
    compress prune "$model" --dataset "$data" --remove 0.4 --quiet \
        --out "$scratch/pruned-$copy.onnx"
done
cmp "$scratch/pruned-a.onnx" "$scratch/pruned-b.onnx" || fail "not the same"
compress prune "$model" --keep 'fc1:0-7,9;fc2:3' --epochs 0 --out "$small" \
    >"$scratch/said"
compress prune "$small" --list >"$scratch/said"
for group in 'fc1 +9 ' 'fc2 +1 '; do
    grep -Eq "^$group" "$scratch/said" || fail "--keep: $(cat "$scratch/said")"
done
compress evaluate "$small" --dataset "$data" >"$scratch/said"

# One channel left of a depthwise convolution makes other groups of it: what is
# kept of each is what was asked for all the same.
compress new mobilenetv2-tiny --input 28x28x1 --width 0.25 --quiet \
    --out "$scratch/tiny.onnx"
group=$(compress prune "$scratch/tiny.onnx" --list | awk 'NR == 2 { print $1 }')
compress prune "$scratch/tiny.onnx" --keep "$group:0" --epochs 0 \
    --out "$scratch/thin.onnx" >"$scratch/said"
awk -v group="$group" 'NF != 3 || $1 == "group" { next }
    $3 != ($1 == group ? 1 : $2) { exit 1 }' "$scratch/said" ||
    fail "groups: $(cat "$scratch/said")"

# ---- hqp
compress hqp "$model" --dataset "$data" --max-drop 5 --out "$scratch/int8.onnx" \
    --float-out "$small" >"$scratch/table" 2>"$scratch/steps"
grep -q "pruned + INT8" "$scratch/table" || fail "$(cat "$scratch/table")"
grep -q "^prune 1 .*accepted" "$scratch/steps" || fail "$(cat "$scratch/steps")"
grep -q "^INT8 minmax .*accepted" "$scratch/steps" ||
    fail "$(cat "$scratch/steps")"
compress inspect "$scratch/int8.onnx" | grep -q INT8 || fail "it is not INT8"
[ "$(accuracy_of "$scratch/int8.onnx")" -ge $((dense - 1500)) ] ||
    fail "hqp: $(accuracy_of "$scratch/int8.onnx"), dense: $dense"
[ "$(wc -c <"$scratch/int8.onnx")" -lt $(($(wc -c <"$model") / 3)) ] ||
    fail "hqp leaves $(wc -c <"$scratch/int8.onnx") bytes"
compress hqp "$model" --dataset "$data" --target 0.3 --epochs 0 --max-drop 50 \
    --json --out "$scratch/int8.onnx" 2>/dev/null | grep -q '"int8"' ||
    fail "--json"

# Rows that are left to the guard: another training, and an honest reference.
compress train "$model" --dataset "$data" --holdout 0.5 --out "$small" --quiet
compress train "$model" --dataset "$data" --out "$scratch/all.onnx" --quiet
cmp -s "$small" "$scratch/all.onnx" && fail "--holdout changes nothing"
compress train "$model" --dataset "$data" --holdout 0 --out "$small" --quiet
cmp "$small" "$scratch/all.onnx" || fail "--holdout 0 changes something"

# A guard that lets nothing through: the dense model, to the byte.
compress hqp "$model" --dataset "$data" --optimizer adam --lr 1 --step 0.4 \
    --out "$scratch/int8.onnx" --float-out "$small" >"$scratch/table" \
    2>"$scratch/steps"
grep -q "^prune 1 .*rolled back" "$scratch/steps" ||
    fail "$(cat "$scratch/steps")"
cmp "$model" "$small" || fail "the roll-back is not the dense model"

# ---- a stop leaves the last model that was accepted
"$B/fedge-compress" hqp "$model" --dataset "$data" --epochs 20000 \
    --float-out "$scratch/stopped.onnx" --out "$scratch/stopped-int8.onnx" \
    >"$scratch/said" 2>&1 &
client_pids=$! # ends with the script
pid=$!
sleep 1
kill -INT $pid
wait_until 10 has_ended $pid || fail "does not stop"
client_pids=''
wait $pid && fail "a stopped hqp is not a success"
expect_said "stopped: " "stopped-int8.onnx"
cmp "$model" "$scratch/stopped.onnx" || fail "a half-trained model was written"
compress evaluate "$scratch/stopped-int8.onnx" --dataset "$data" >/dev/null

# ---- what people get wrong
out=$scratch/x.onnx
expect_exit $USAGE compress prune "$model" --dataset "$data"
expect_said "--out"
expect_exit $USAGE compress prune "$model" --out "$out"
expect_said "--dataset"
expect_exit $USAGE compress hqp "$model" --out "$out"
expect_said "hqp needs --dataset"
expect_exit $USAGE compress prune "$model" --dataset "$data" --out "$out" \
    --importance random
expect_said "--importance random" "fisher, taylor, magnitude"
expect_exit $USAGE compress hqp "$model" --dataset "$data" --out "$out" \
    --cost joules
expect_said "--cost joules" "params, macs, latency"
for lists in fc9:1 fc1:1,1 fc1:2,1 fc1:128 fc1: 'fc1:1;fc1:2' fc1; do
    expect_exit $CONFIG compress prune "$model" --epochs 0 --keep "$lists" \
        --out "$out"
    expect_said "--keep: " "fc"
done
expect_exit $CONFIG compress prune "$model" --dataset "$data" --keep-min 1 \
    --out "$out"
expect_said "nothing can be removed"
expect_exit $CONFIG compress prune "$scratch/stopped-int8.onnx" --dataset \
    "$data" --out "$out"
expect_said "quantised already"
compress hqp --help | grep -q "Hybrid quantisation" || fail "hqp --help"
[ ! -e "$out" ] || fail "a refused command left a file"
