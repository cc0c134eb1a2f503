#!/bin/sh
# What suits a device: all plans tried on a small table, the best one written,
# drawn and as good as said. When this fails, people pick a model by guessing.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly USAGE=2 CONFIG=78
compress() { "$B/fedge-compress" "$@"; }
make_table "$scratch/table.csv" 400
data="csv:$scratch/table.csv"
model=$scratch/model.onnx
compress new mlp --dataset "$data" --label-column label --out "$model" --quiet
compress train "$model" --dataset "$data" --label-column label --epochs 8 \
    --batch 8 --lr 0.1 --out "$model" --quiet

# advise MODEL OPTION...: with what all of them need.
advise() {
    compress advise "$@" --dataset "$data" --label-column label --batch 8
}

advise "$model" --max-drop 5 --plot "$scratch/advice.svg" \
    --out "$scratch/best.onnx" >"$scratch/said" 2>"$scratch/tried"
for plan in "as it is" float16 "INT8 entropy" "prune 50 % + INT8" HQP; do
    grep -q "$plan" "$scratch/said" "$scratch/tried" || fail "no plan $plan"
done
sed -n 2p "$scratch/said" | grep -q "fits" || fail "the best does not fit"
grep -q "</svg>" "$scratch/advice.svg" || fail "no picture"
best=$(sed -n 2p "$scratch/said" | sed 's/.*% *\([0-9]*\) .*/\1/')
[ "$(wc -c <"$scratch/best.onnx")" -eq "$best" ] || fail "other bytes than said"
compress evaluate "$scratch/best.onnx" --dataset "$data" --label-column label \
    >/dev/null || fail "what was written cannot be read"

# ---- nothing fits: said, and not written
expect_exit $CONFIG advise "$model" --max-bytes 10 --epochs 0 \
    --out "$scratch/none.onnx"
expect_said "no plan is within all limits" "none.onnx is not written"
[ ! -e "$scratch/none.onnx" ] || fail "written although nothing fits"
advise "$model" --max-bytes 10 --epochs 0 --json --quiet >"$scratch/said"
grep -q '"verdict":"too much: bytes' "$scratch/said" || fail "no verdict"
expect_exit $USAGE compress advise "$model"
expect_said "--dataset"
