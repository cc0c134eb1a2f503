#!/bin/sh
# The README's commands, as they stand there. If this fails, the first thing
# that a new user types does not work.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=$(cd "${B:-build/release}" && pwd)
top=$PWD
. tests/e2e/lib.sh
make_scratch
out=$scratch samples=600
choose_pictures 6000 200
is_emulated && samples=60

# block NAME: the commands of the README's fenced block ```sh NAME, on a port
# of our own; emulated, on fewer pictures.
port=$((20000 + $$ % 20000))
block() {
    awk -v name="$1" '
        $0 == "```sh " name { on = 1; next }
        /^```/ { on = 0 }
        on' "$top/README.md" | sed -e "s/7443/$port/g" \
        -e "s/--samples 600/--samples $samples/" \
        -e "s|--dataset fashion-mnist|--dataset $pictures|" >"$out/$1.sh"
    [ -s "$out/$1.sh" ] || fail "README.md has no block $1"
}

mkdir -p "$out/project/build"
ln -s "$B" "$out/project/build/release"
cd "$out/project"
awk 'BEGIN {
    print "petal,sepal,species"
    srand(1)
    for (i = 0; i < 400; i++) {
        fern = rand() < 0.5
        printf "%.3f,%.1f,%s\n", fern + 0.4 * rand(), 900 + 50 * rand(),
            fern ? "fern" : "moss"
    }
}' >mine.csv

block simulate
sh -e "$out/simulate.sh"
for file in run.jsonl run.csv curve.svg model.onnx; do
    [ -s "$file" ] || fail "no $file"
done
# What --help promises of the partition: every dealt row once.
build/release/fedge-sim --clients 10 --samples 30 --rounds 0 --quiet \
    --partition-out parts.csv
[ "$(sort -u -t, -k2 parts.csv | wc -l)" -eq 301 ] || fail "a row is dealt twice"
block own-csv
sh -e "$out/own-csv.sh"
[ -s mine.onnx ] || fail "no mine.onnx"

block shell-1
block shell-2
block shell-3
block status
sed -i 's/^build/exec build/' "$out/shell-1.sh" "$out/shell-2.sh" \
    "$out/shell-3.sh"
sh "$out/shell-1.sh" >"$out/shell-1.log" 2>&1 &
aggregator_pid=$!
sh "$out/shell-2.sh" >"$out/shell-2.log" 2>&1 &
client_pids=$!
sh "$out/shell-3.sh" >"$out/shell-3.log" 2>&1 &
client_pids="$client_pids $!"
wait "$aggregator_pid" || fail "the aggregator: $(tail -3 "$out/shell-1.log")"
aggregator_pid=
[ -s global.onnx ] || fail "no global.onnx"
sh "$out/status.sh" >"$out/status.log" 2>&1 || fail "status of a running client"
grep -q 'rounds finished  10' "$out/status.log" || fail "$(cat "$out/status.log")"
for pid in $client_pids; do
    kill -TERM "$pid"
    wait "$pid" || fail "a client does not leave politely"
done
client_pids=

block int8
sh -e "$out/int8.sh" >"$out/int8.log" 2>&1 || fail "$(tail -3 "$out/int8.log")"
grep -q accuracy "$out/int8.log" || fail "no accuracy: $(cat "$out/int8.log")"
[ -s global-int8.onnx ] || fail "no global-int8.onnx"
