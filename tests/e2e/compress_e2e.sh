#!/bin/sh
# fedge-compress as a person uses it: make a network, train it, quantise it,
# look at it, time it. When this fails, the INT8 model that boards are given
# is not made, or is another network than the one that was trained.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly USAGE=2 CONFIG=78
compress() { "$B/fedge-compress" "$@"; }
is_slow && train=6000 test=500 || train=12000 test=2000
make_pictures "$scratch/pictures" "$train" "$test"
data=idx:$scratch/pictures

# accuracy_of FILE: on the test part, in hundredths of a percent.
accuracy_of() {
    compress evaluate "$1" --dataset "$data" --json | json_values accuracy |
        awk '{ printf "%d", $1 * 10000 + 0.5 }'
}

# ---- new, train, quantize, evaluate, bench, inspect
model=$scratch/model.onnx
for name in mlp lenet resnet8 resnet18 resnet50 mobilenetv2 mobilenetv2-tiny \
    mobilenetv3-small shufflenetv2 siamese; do
    compress new $name --out "$scratch/$name.onnx" --quiet
    compress inspect "$scratch/$name.onnx" >"$scratch/said" ||
        fail "inspect $name"
    grep -q "float32, input 28x28x1" "$scratch/said" || fail "$name: no summary"
done
compress new lenet --dataset "$data" --out "$model" >"$scratch/said"
grep -q "lenet, 28x28x1 in, 10 out, 80202 parameters" "$scratch/said" ||
    fail "new says: $(cat "$scratch/said")"
compress train "$model" --dataset "$data" --out "$model" --epochs 2 \
    --batch 32 --lr 0.05 >"$scratch/said" 2>&1
float=$(accuracy_of "$model")
[ "$float" -ge 8000 ] || fail "accuracy $float after two epochs"

for how in minmax percentile entropy; do
    compress quantize "$model" --dataset "$data" --calibrate $how --rows 512 \
        --out "$scratch/int8.onnx" --quiet
    int8=$(accuracy_of "$scratch/int8.onnx")
    [ $((float - int8)) -le 30 ] || fail "$how: $int8, float32 had $float"
done
compress quantize "$model" --dataset "$data" --profile tensorrt --rows 512 \
    --out "$scratch/trt.onnx" --quiet
int8=$(accuracy_of "$scratch/trt.onnx")
[ $((float - int8)) -le 50 ] || fail "tensorrt: $int8, float32 had $float"
[ "$(wc -c <"$scratch/int8.onnx")" -lt $(($(wc -c <"$model") / 3)) ] ||
    fail "INT8 is not small: $(wc -c <"$scratch/int8.onnx") bytes"

# Trained on in INT8: at least what it was, and the file says what was printed.
# Half of the rows are enough.
make_pictures "$scratch/half" $((train / 2)) "$test"
for profile in plain tensorrt; do
    compress qat "$model" --dataset "idx:$scratch/half" --profile $profile \
        --rows 512 --batch 250 --out "$scratch/qat.onnx" >"$scratch/said"
    int8=$(accuracy_of "$scratch/qat.onnx")
    [ "$int8" -ge $((float - 20)) ] || fail "qat: $int8, float32 had $float"
    for word in "float32 " "INT8, not trained on" \
        "INT8, trained on *accuracy $((int8 / 100))"; do
        grep -q "$word" "$scratch/said" || fail "qat does not say $word"
    done
done
compress inspect "$scratch/qat.onnx" | grep -q INT8 || fail "qat is not INT8"

# Every set of kernels gives the same answers, to the last bit.
for cpu in portable avx2 avx512vnni sdot smlal; do
    FEDGE_CPU=$cpu compress evaluate "$scratch/int8.onnx" --dataset "$data" \
        --json >"$scratch/$cpu.json" 2>"$scratch/said" || {
        grep -q FEDGE_CPU "$scratch/said" || fail "$cpu: $(cat "$scratch/said")"
        continue # this CPU does not have it
    }
    cmp "$scratch/portable.json" "$scratch/$cpu.json" ||
        fail "$cpu computes something else"
done

# ---- fewer bits in other ways
whole=$(wc -c <"$model")
for mode in float16 dynamic; do
    compress quantize "$model" --mode $mode --out "$scratch/$mode.onnx" --quiet
    small=$(accuracy_of "$scratch/$mode.onnx")
    [ $((float - small)) -le 20 ] || fail "$mode: $small, float32 had $float"
    compress bench "$scratch/$mode.onnx" --runs 5 >/dev/null || fail "bench $mode"
done
[ "$(wc -c <"$scratch/float16.onnx")" -lt $((whole * 55 / 100)) ] ||
    fail "float16 is not small"
[ "$(wc -c <"$scratch/dynamic.onnx")" -lt $((whole * 30 / 100)) ] ||
    fail "dynamic is not small"
compress inspect "$scratch/float16.onnx" | grep -q "conv1.*float16" ||
    fail "inspect does not say float16"
compress convert "$scratch/float16.onnx" --to float32 --quiet \
    --out "$scratch/back.onnx"
compress convert "$scratch/back.onnx" --to float16 --quiet \
    --out "$scratch/again.onnx"
cmp "$scratch/float16.onnx" "$scratch/again.onnx" || fail "convert loses bits"
compress convert "$scratch/trt.onnx" --to plain --out "$scratch/plain.onnx" \
    --quiet
[ "$(accuracy_of "$scratch/plain.onnx")" -eq "$(accuracy_of "$scratch/trt.onnx")" ] ||
    fail "another profile, another accuracy"
compress convert "$scratch/int8.onnx" --to tensorrt --out "$scratch/no.onnx" \
    2>"$scratch/said" && fail "zero points for TensorRT"
grep -q "profile tensorrt" "$scratch/said" || fail "no remedy for zero points"
compress convert "$scratch/int8.onnx" --to float32 --out "$scratch/no.onnx" \
    2>"$scratch/said" && fail "float32 made of INT8"
grep -q "float32 model" "$scratch/said" || fail "no remedy for INT8"

compress quantize "$model" --dataset "$data" --rows 128 --quiet \
    --float-layers conv1 --half-layers fc2 --nibble-layers fc1 \
    --out "$scratch/mixed.onnx"
mixed=$(accuracy_of "$scratch/mixed.onnx")
[ $((float - mixed)) -le 100 ] || fail "mixed: $mixed, float32 had $float"
compress inspect "$scratch/mixed.onnx" >"$scratch/said"
for word in float32 float16 int4 int8; do
    grep -q " $word" "$scratch/said" || fail "inspect does not say $word"
done
compress quantize "$model" --dataset "$data" --mode mixed --rows 64 --json \
    --base-bits 4 --out "$scratch/found.onnx" >"$scratch/said"
grep -q '"int8_loss"' "$scratch/said" || fail "no table of layers"
code=0
compress quantize "$model" --dataset "$data" --float-layers nothing \
    --out "$scratch/no.onnx" 2>"$scratch/said" || code=$?
[ $code -ne 0 ] || fail "a layer that there is not"
grep -q nothing "$scratch/said" || fail "no name: $(cat "$scratch/said")"

compress bench "$scratch/int8.onnx" --runs 50 --threads 2 >"$scratch/said"
for word in p50 p90 p99 examples/s conv1 fc2; do
    grep -q "$word" "$scratch/said" || fail "bench does not say $word"
done
compress bench "$model" --runs 50 --batch 4 --json | json_values p99_us |
    awk '{ good = $1 > 0 } END { exit !good }' || fail "no p99_us"
compress inspect "$scratch/int8.onnx" | grep -q INT8 || fail "inspect INT8"

# ---- the same seed, the same bytes
compress new mlp --dataset "$data" --out "$scratch/a.onnx" --quiet
for copy in a b; do
    compress train "$scratch/a.onnx" --dataset "$data" --epochs 1 --batch 250 \
        --threads 2 --quiet --out "$scratch/trained-$copy.onnx"
done
cmp "$scratch/trained-a.onnx" "$scratch/trained-b.onnx" ||
    fail "two threads are not reproducible"

# ---- a stop keeps what was learned
cp "$model" "$scratch/stopped.onnx"
"$B/fedge-compress" train "$scratch/stopped.onnx" --dataset "$data" --epochs 100000 \
    --quiet --out "$scratch/stopped.onnx" &
client_pids=$! # ends with the script
pid=$!
sleep 1
kill -INT $pid
wait_until 10 has_ended $pid || fail "does not stop"
client_pids=''
wait $pid && fail "a stopped training is not a success"
[ "$(accuracy_of "$scratch/stopped.onnx")" -gt 1000 ] || fail "nothing is left"

# ---- what people get wrong
expect_exit $USAGE compress
expect_said "name a command" --help
expect_exit $USAGE compress quantise x
expect_said "quantise is not a command"
expect_exit $USAGE compress new
expect_said "new needs a NAME"
expect_exit $USAGE compress new lenet
expect_said "--out"
expect_exit $CONFIG compress new alexnet --out "$scratch/x.onnx"
expect_said alexnet resnet8 mobilenetv3-small
expect_exit $CONFIG compress new lenet --input 4x4x1 --out "$scratch/x.onnx"
expect_said "lenet does not fit an input of 4x4x1"
expect_exit $CONFIG compress new lenet --input 28,28 --out "$scratch/x.onnx"
expect_said "--input 28,28" 28x28x1
expect_exit $CONFIG compress new shufflenetv2 --width 0.7 --out "$scratch/x.onnx"
expect_said "0.5, 1, 1.5 and 2"
expect_exit $USAGE compress train "$model" --out "$scratch/x.onnx"
expect_said "--dataset"
expect_exit $USAGE compress train "$model" --dataset "$data" --optimizer lion \
    --out "$scratch/x.onnx"
expect_said "--optimizer lion" "sgd, adam, adamw"
expect_exit $CONFIG compress train "$model" --dataset "$data" --freeze 'bn*' \
    --out "$scratch/x.onnx"
expect_said 'freeze: "bn*"'
expect_exit $CONFIG compress train "$scratch/int8.onnx" --dataset "$data" \
    --out "$scratch/x.onnx"
expect_said "quantised already"
expect_exit $CONFIG compress qat "$scratch/int8.onnx" --dataset "$data" \
    --out "$scratch/x.onnx"
expect_said "quantised already"
expect_exit $USAGE compress qat "$model" --dataset "$data"
expect_said "qat needs --out"
expect_exit $USAGE compress qat "$model" --dataset "$data" --profile trt \
    --out "$scratch/x.onnx"
expect_said "--profile trt" "plain, tensorrt"
expect_exit $CONFIG compress bench "$scratch/none.onnx"
expect_said "none.onnx"
head -c 1000 "$model" >"$scratch/cut.onnx"
expect_exit $CONFIG compress inspect "$scratch/cut.onnx"
expect_said "cut.onnx"
FEDGE_CPU=z80 expect_exit $CONFIG compress bench "$model"
expect_said FEDGE_CPU z80 portable
[ ! -e "$scratch/x.onnx" ] || fail "a refused command left a file"
