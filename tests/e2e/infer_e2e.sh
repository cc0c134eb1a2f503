#!/bin/sh
# Boards get an INT8 model from their federation and classify with it. When
# this fails, what a board runs is not what was trained, or nothing at all.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly USAGE=2 CONFIG=78
table=$scratch/plants.csv
make_table "$table" 600
infer() { "$B/fedge-client" infer "$@"; }

# ---- before there is a model
expect_exit $CONFIG infer "$table" --state "$scratch/none"
expect_said "no model is in use here yet" "fedge-client run" "--int8"
expect_exit $USAGE infer --state "$scratch/none"
expect_said "infer needs a FILE"

# ---- a federation that publishes an INT8 form
start_aggregator "$scratch/aggregator" --model mlp --dataset "$table" \
    --rounds 7 --cohort 3 --lr 0.1 --local-epochs 5 --int8 --max-drop 20 --json
for slice in 0 1 2; do
    start_client "$scratch/client-$slice" --dataset "$table" \
        --partition iid:3 --slice "$slice" --until-finished
done
for pid in $client_pids; do
    wait "$pid" || fail "a client ended with $?"
done
client_pids=''
wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
for slice in 0 1 2; do
    grep -q event=int8_installed "$scratch/client-$slice.log" ||
        fail "client $slice has installed nothing"
done
cmp "$scratch/client-0/int8.onnx" "$scratch/client-2/int8.onnx" ||
    fail "two boards run two models"
expect_exit 3 "$B/fedge-client" status --state "$scratch/client-0" --json
expect_said '"int8_accuracy":' '"int8_bytes":' '"int8_installed":"20' \
    '"int8_model":"'

# ---- classify with it, beside a client that runs
aggregator_url=tcp://127.0.0.1:9
start_client "$scratch/client-0" --dataset "$table" --partition iid:3 --slice 0
sed -n '1,101p' "$table" >"$scratch/rows.csv"
infer "$scratch/rows.csv" --state "$scratch/client-0" >"$scratch/said"
[ "$(wc -l <"$scratch/said")" -eq 100 ] || fail "not a line a row"
tail -n 100 "$scratch/rows.csv" | cut -d, -f4 >"$scratch/labels"
cut -f3 "$scratch/said" | paste - "$scratch/labels" |
    awk '$1 == $2 { right++ } END { exit !(right >= 80) }' ||
    fail "fewer than 80 of 100 rows right: $(head -n 5 "$scratch/said")"
grep -qF 'rows.csv[99]' "$scratch/said" || fail "rows have no numbers"

# Without the labels, and another order of words.
cut -d, -f1-3 "$scratch/rows.csv" >"$scratch/plain.csv"
infer "$scratch/plain.csv" --state "$scratch/client-0" | cut -f2- >"$scratch/plain"
cut -f2- "$scratch/said" | cmp - "$scratch/plain" || fail "labels matter"
infer "$scratch/plain.csv" "$scratch/plain.csv" --top 2 --json \
    --state "$scratch/client-0" >"$scratch/lines"
[ "$(wc -l <"$scratch/lines")" -eq 200 ] || fail "two files, not 200 lines"
python3 - "$scratch/lines" <<'PYTHON' || fail "JSON: $(head -n 1 "$scratch/lines")"
import json, sys
for line in open(sys.argv[1]):
    row = json.loads(line)
    assert row["file"].endswith("plain.csv")
    first, second = row["classes"]
    assert first["probability"] >= second["probability"] >= 0
    assert first["name"] in ("fern", "moss", "reed")
PYTHON
stop_in_time "$client_pid" TERM 6
client_pids=''

# ---- pictures, and another model
"$B/fedge-compress" new lenet --out "$scratch/lenet.onnx" --quiet
python3 - "$scratch" <<'PYTHON'
import os, struct, sys, zlib
def png(path, side):
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(side))
                    for y in range(side))
    def part(kind, body):
        return (struct.pack(">I", len(body)) + kind + body +
                struct.pack(">I", zlib.crc32(kind + body)))
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" +
                  part(b"IHDR", struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)) +
                  part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))
os.mkdir(sys.argv[1] + "/album")
png(sys.argv[1] + "/album/b.png", 28)
png(sys.argv[1] + "/album/a.png", 28)
png(sys.argv[1] + "/large.png", 40)
PYTHON
infer "$scratch/album" --model "$scratch/lenet.onnx" >"$scratch/said"
[ "$(cut -f1 "$scratch/said" | xargs)" = "a.png b.png" ] ||
    fail "a folder: $(cat "$scratch/said")"
infer "$scratch/album/a.png" --model "$scratch/lenet.onnx" >"$scratch/single"
[ "$(cut -f2- "$scratch/single")" = "$(sed -n 1p "$scratch/said" | cut -f2-)" ] ||
    fail "a picture is another one in a folder"
expect_exit $CONFIG infer "$scratch/large.png" --model "$scratch/lenet.onnx"
expect_said "is 40x40x1" "takes 28x28x1" "--resize 28x28"
infer "$scratch/large.png" --model "$scratch/lenet.onnx" --resize 28x28 \
    >"$scratch/said" || fail "resized"
expect_exit $CONFIG infer "$scratch/missing.png" --model "$scratch/lenet.onnx"
expect_said "missing.png"
expect_exit $CONFIG infer "$scratch/album/a.png" --model "$table"
expect_said "plants.csv"
