#!/bin/sh
# What travels in a federation with the defaults: sketches up, patches down,
# also to boards that were away, lost their models, or are new. When this fails,
# updates and models cost many times what is documented, or a board with a
# damaged disk is out for good.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
pictures=idx:$scratch/pictures
make_pictures "$scratch/pictures" 3000 $((1000 / patience))
raw=$((80202 * 4)) # LeNet in float32

start() {
    start_client "$scratch/client-$1" --dataset "$pictures" --samples 60 \
        --partition iid:10 --slice "$1"
    eval "pid_$1=$client_pid"
}

# Three make a round, so that nothing goes on while only two are there.
stop() {
    eval "stop_in_time \"\$pid_$1\" TERM 6"
}

# downloads CLIENT WAY: how many, since ever.
downloads() {
    grep -c "event=downloaded.* as=$2 " "$scratch/client-$1.log" || :
}

has_downloaded() {
    [ "$(downloads "$1" "$2")" -gt "$3" ]
}

updates() {
    grep -c event=update_committed "$scratch/client-$1.log" || :
}

has_updated() {
    [ "$(updates "$1")" -gt "$2" ]
}

# last_bytes CLIENT WAY: of the last such download.
last_bytes() {
    sed -n "s/.*event=downloaded.* as=$2 bytes=//p" "$scratch/client-$1.log" |
        tail -n 1
}

# A federation of three, in which everybody is new.
start_aggregator "$state" --model lenet --dataset "$pictures" \
    --rounds 100000 --cohort 3 --quorum 3 --deadline $((2 * patience)) --json
for client in 0 1 2; do
    start $client
done
wait_until 60 has_rounds "$state" 4 || fail "no four rounds"
for client in 0 1 2; do
    [ "$(downloads $client packed)" -eq 1 ] ||
        fail "client $client: $(downloads $client packed) models packed, not one"
    [ "$(downloads $client patch)" -ge 2 ] || fail "client $client: no patches"
    [ "$(last_bytes $client packed)" -lt $((raw / 5)) ] ||
        fail "packed: $(last_bytes $client packed) bytes"
    [ "$(last_bytes $client patch)" -lt $((raw / 20)) ] ||
        fail "a patch: $(last_bytes $client patch) bytes"
done

# One leaves, another comes, and some rounds go by.
stop 2
away=$(finished_rounds "$state")
patches=$(downloads 2 patch)
start 3
wait_until 60 has_rounds "$state" $((away + 5)) ||
    fail "no rounds with the new client"
[ "$(downloads 3 packed)" -eq 1 ] ||
    fail "the new client: $(downloads 3 packed) models packed, not one"

# The one that was away comes back: what it has missed is a patch. The other's
# models are damaged while it is stopped.
stop 3
for file in "$scratch"/client-3/objects/*; do
    size=$(wc -c <"$file")
    printf damaged |
        dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
done
[ "$size" -gt 0 ] || fail "no models to damage"
start 2
wait_until 60 has_downloaded 2 patch "$patches" ||
    fail "away since round $away, back in $(finished_rounds "$state"): no patch"
[ "$(downloads 2 packed)" -eq 1 ] ||
    fail "the client that was away downloads everything again"
wait_until 60 has_updated 2 "$(updates 2)" || fail "client 2 has no part"
stop 2
before=$(updates 3) packed=$(downloads 3 packed) whole=$(downloads 3 model)
start 3
wait_until 60 has_updated 3 "$before" ||
    fail "a client with damaged models has no part"
[ "$(downloads 3 packed)" -gt "$packed" ] ||
    [ "$(downloads 3 model)" -gt "$whole" ] ||
    fail "damaged models are taken for sound ones"
stop_in_time "$aggregator_pid" TERM 6
aggregator_pid=''

# What the aggregator says of it. Most rounds are as they should be: the first
# one is wide, since nobody knows yet how large updates are, and those in which
# clients left and came take more.
rounds_of "$state.out" >"$scratch/rounds"
[ "$(json_values codec "$scratch/rounds" | sort -u)" = sketch ] ||
    fail "not a sketch: $(cat "$scratch/rounds")"

# assert_small KEY PART: in most rounds, more than nothing and at most that part
# of the model in float32.
assert_small() {
    json_values "$1" "$scratch/rounds" | awk -v most=$((raw / $2)) '
        $1 > 0 && $1 <= most { small++ }
        END { exit !(2 * small > NR && NR > 8) }' ||
        fail "$1 is not 1/$2 of $raw: $(cat "$scratch/rounds")"
}
assert_small payload_up_per_client 100
assert_small wire_up_per_client 15
assert_small download_1_behind 20
assert_small download_full 5
assert_small bytes_down 3 # of three clients, with the mail of the session
expect_exit 3 "$B/fedge-aggregator" status --state "$state"
expect_said "codec            sketch" "an update" "of float32"
