#!/bin/sh
# A drop folder: what lies in it when a round begins is what is learnt from. When
# this fails, new pictures wait for a restart, one broken file keeps a board from
# training, or nobody can find out which file it was.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch

# add_pictures FIRST LAST: so many in each of three classes; a class is where the
# bright stripe is.
add_pictures() {
    python3 - "$scratch/drop" "$1" "$2" <<'EOP'
import os, random, struct, sys, zlib

WIDTH, HEIGHT = 12, 9


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def png(rows):
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows)))
            + chunk(b"IEND", b""))


drop, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for label, name in enumerate(("high", "low", "middle")):
    os.makedirs(os.path.join(drop, name), exist_ok=True)
    for i in range(first, last + 1):
        chance = random.Random(1000 * label + i)
        rows = [bytes(chance.randrange(100) + (150 if y // 3 == label else 0)
                      for _ in range(WIDTH)) for y in range(HEIGHT)]
        with open(os.path.join(drop, name, f"{i}.png"), "wb") as file:
            file.write(png(rows))
EOP
}

# lead ROUNDS: until so many are finished, by the board alone.
lead() {
    start_aggregator "$scratch/leader" --model mlp --rounds "$1" --cohort 1 \
        --quorum 1 --aggregation clear --codec none --gather 0 --batch 8 \
        --dataset "images:$scratch/test" --test "images:$scratch/test" --json
    [ -n "$client_pids" ] || start_client "$scratch/board" \
        --data "$scratch/drop" --aggregation clear
    wait "$aggregator_pid" || fail "the aggregator ended with $?"
    aggregator_pid=''
}
samples_of_round() {
    rounds_of "$scratch/leader.out" | grep "\"round\":$1," | tail -n 1 |
        json_values samples
}
says() {
    "$B/fedge-client" status --state "$scratch/board" --json | grep -q "$1"
}
count_in_log() {
    grep -c -e "$1" "$scratch/board.log" || :
}

add_pictures 1 12
cp -r "$scratch/drop" "$scratch/test"
rm -r "$scratch/drop"
mkdir "$scratch/drop"

# 1. Nothing there: it runs, and says what it lacks.
aggregator_url=tcp://127.0.0.1:1
start_client "$scratch/board" --data "$scratch/drop" --aggregation clear
wait_until 10 says '"away":"little_data"' || fail "it does not say that it is idle"
says "data_trouble.*has no rows; pictures belong into" || fail "nor what to do"
stop_in_time "$client_pid" TERM 6
client_pids=''

# 2. Twelve pictures of each class.
add_pictures 1 12
aggregator_url=''
lead 1
[ "$(samples_of_round 1)" -eq 36 ] || fail "round 1 had $(samples_of_round 1)"

# 3. More of them, one that is cut short, and one in no class's folder.
add_pictures 13 20
head -c 60 "$scratch/drop/low/20.png" >"$scratch/drop/low/21.png"
cp "$scratch/drop/low/20.png" "$scratch/drop/22.png"
lead 3
[ "$(samples_of_round 2)" -eq 60 ] || fail "round 2 had $(samples_of_round 2)"
[ "$(samples_of_round 3)" -eq 60 ] || fail "round 3 had $(samples_of_round 3)"
wait_until 5 says '"data_skipped":2,' || fail "it counts no bad file"
says 'low/21.png: damaged PNG' || fail "it does not name the bad file"
says '22.png: is in no class' || fail "it does not name the lost file"
[ "$(count_in_log 'data_skipped.*low/21.png')" -eq 1 ] ||
    fail "it is in the log $(count_in_log 'data_skipped.*low/21.png') times"

# 4. The one that was being written is whole now, but two new ones wait for more.
cp "$scratch/drop/low/20.png" "$scratch/drop/low/21.png"
cp "$scratch/drop/low/1.png" "$scratch/drop/low/23.png"
lead 4
[ "$(samples_of_round 4)" -eq 60 ] || fail "round 4 had $(samples_of_round 4)"
wait_until 5 says '"data_waiting":2,' || fail "nothing waits"
add_pictures 24 24
lead 5
[ "$(samples_of_round 5)" -eq 65 ] || fail "round 5 had $(samples_of_round 5)"

# 5. A class that nobody knows, and the check that says so.
mkdir "$scratch/drop/aside"
cp "$scratch/drop/low/1.png" "$scratch/drop/aside/"
expect_exit 1 "$B/fedge-client" check --state "$scratch/board" \
    --data "$scratch/drop" --aggregator tcp://127.0.0.1:1
expect_said "class 'aside': 1 rows; it is none of the classes that are known" \
    '22.png: is in no class' '65 rows'
stop_in_time "$client_pid" TERM 6
client_pids=''
