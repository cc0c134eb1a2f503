#!/bin/sh
# One's own data: a table with names as labels, pictures in folders, arrays of
# numpy; simulated, then with real boards. When this fails, fedge is a
# demonstration of Fashion-MNIST and nothing else. PNG files need python3.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch

simulate() {
    "$B/fedge-sim" --rounds 12 --lr 0.1 --batch 8 --local-epochs 3 \
        --min-survivors 2 \
        --json "$scratch/run.jsonl" "$@" >"$scratch/sim.log" 2>&1 ||
        fail "simulation: $*"
}
# assert_accuracy FILE LEAST: of the last line.
assert_accuracy() {
    tail -n 1 "$1" | json_values accuracy | awk -v least="$2" '
        { good = $1 >= least } END { exit !good }' ||
        fail "accuracy below $2: $(tail -n 1 "$1")"
}

# ---- a table: four boards, each with its own rows
make_table "$scratch/plain.csv" 400
awk 'NR == 1 { print "board," $0 } NR > 1 { print "no " NR % 4 "," $0 }' \
    "$scratch/plain.csv" >"$scratch/table.csv"
simulate --dataset "csv:$scratch/table.csv" --label-column label \
    --group-column board --partition column --clients 4 --cohort 4 \
    --model mlp --out "$scratch/table.onnx"
assert_accuracy "$scratch/run.jsonl" 0.9
tail -n 1 "$scratch/run.jsonl" | grep -q '"clients":4' || fail "not four boards"

# ---- pictures and arrays: squares that are bright above or below
python3 - "$scratch" <<'EOP'
import os, random, struct, sys, zlib

chance = random.Random(1)
WIDTH, HEIGHT = 12, 8


def picture(is_low):
    return [bytes(chance.randrange(100) + (150 if (y >= HEIGHT // 2) == is_low
                                           else 0) for _ in range(WIDTH))
            for y in range(HEIGHT)]


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def png(rows):
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows)))
            + chunk(b"IEND", b""))


def npy(kind, shape, data):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) \
        + head.encode() + data


def write(name, data):
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(data)


for label in ("high", "low"):
    os.makedirs(os.path.join(sys.argv[1], "pictures", label))
labels = [chance.randrange(2) for _ in range(200)]
pictures = [picture(label == 1) for label in labels]
for i, (label, rows) in enumerate(zip(labels, pictures)):
    write(f"pictures/{('high', 'low')[label]}/{i}.png", png(rows))
write("x.npy", npy("|u1", (200, HEIGHT, WIDTH),
                   b"".join(b"".join(rows) for rows in pictures)))
write("y.npy", npy("<i8", (200,), struct.pack("<200q", *labels)))
EOP
for data in "images:$scratch/pictures" "npy:$scratch/x.npy,$scratch/y.npy"; do
    simulate --dataset "$data" --model mlp --clients 5 --cohort 5 \
        --partition iid
    assert_accuracy "$scratch/run.jsonl" 0.9
done

# ---- real boards: each with its own file, the aggregator with a test file
for board in 0 1 2; do
    awk -v board=$board 'NR == 1 || NR % 4 == board' "$scratch/plain.csv" \
        >"$scratch/board-$board.csv"
done
awk 'NR == 1 || NR % 4 == 3' "$scratch/plain.csv" >"$scratch/test.csv"
start_aggregator "$scratch/aggregator" --model mlp \
    --dataset "csv:$scratch/test.csv" --test "csv:$scratch/test.csv" \
    --rounds 12 --cohort 3 --gather 0 --lr 0.1 --batch 8 --local-epochs 3 \
    --out "$scratch/global.onnx" --json
for board in 0 1 2; do
    start_client "$scratch/client-$board" \
        --dataset "csv:$scratch/board-$board.csv" --until-finished
done
wait_for_all || fail "not everybody ended well"
assert_accuracy "$scratch/aggregator.out" 0.9
[ -s "$scratch/global.onnx" ] || fail "no model in --out"

# ---- boards that know nothing of each other: the aggregator has no data, and
# an ONNX file that says what is learnt
start_aggregator "$scratch/blind" --model "$scratch/global.onnx" --rounds 2 \
    --cohort 3 --gather 0 --json
for board in 0 1 2; do
    start_client "$scratch/blind-$board" \
        --dataset "csv:$scratch/board-$board.csv" --until-finished
done
wait_for_all || fail "not everybody ended well without data"
[ "$(rounds_of "$scratch/blind.out" | wc -l)" -eq 2 ] || fail "not two rounds"
tail -n 1 "$scratch/blind.out" | json_values client_accuracy | awk '
    { good = $1 >= 0.9 } END { exit !good }' ||
    fail "clients do not know better: $(tail -n 1 "$scratch/blind.out")"
