#!/bin/sh
# A board that may not work now. When this fails, a hot board is made hotter, its
# owner cannot find out why nothing happens, or a pause costs the round or changes
# what is learnt.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
export FEDGE_ELIGIBILITY_LOOK_EVERY=1 FEDGE_ELIGIBILITY_PAUSE_AT_LEAST=1

# set_sensors BOARD CELSIUS: what the board's kernel says from now on.
set_sensors() {
    mkdir -p "$scratch/$1.root/sys/class/thermal/thermal_zone0"
    mkdir -p "$scratch/$1.root/proc"
    echo cpu-thermal >"$scratch/$1.root/sys/class/thermal/thermal_zone0/type"
    echo "$2"000 >"$scratch/$1.root/sys/class/thermal/thermal_zone0/temp"
    printf 'MemAvailable: 900000 kB\n' >"$scratch/$1.root/proc/meminfo"
}

# start_board NAME SLICE OPTION...
start_board() {
    name=$1 slice=$2
    shift 2
    start_client "$scratch/$name" --dataset "csv:$scratch/table.csv" \
        --partition iid:2 --slice "$slice" --aggregation clear \
        --sensors-root "$scratch/$name.root" "$@"
}

# start_leader STATE OPTION...: one cohort is all boards.
start_leader() {
    start_aggregator "$@" --model mlp --dataset "csv:$scratch/table.csv" \
        --cohort 2 --quorum 2 --aggregation clear --codec none --gather 0 \
        --deadline 300 --seed 7 --json
}

status_of() {
    "$B/fedge-client" status --state "$scratch/$1" --json
}
says() {
    status_of "$1" | grep -q "$2"
}
model_of() {
    list_history "$1" | sed -n '1s/.* //p'
}

# Some seconds of training.
is_slow && epochs=$((150 / patience)) || epochs=1200
make_table "$scratch/table.csv" 4000
set_sensors cool 45
set_sensors hot 85

# 1. Hot from the start: there, but not chosen, and it says why.
start_leader "$scratch/leader" --rounds 1 --local-epochs "$epochs" --log-level debug
start_board cool 0
start_board hot 1
wait_until 10 says hot '"away":"hot"' || fail "it does not say that it is hot"
wait_until 10 says hot '"connected":true' || fail "it is not there"
says hot 'cpu-thermal is at 85 C (limit 80 C)' || fail "$(status_of hot)"
expect_exit 0 "$B/fedge-client" status --state "$scratch/hot"
expect_said 'cpu-thermal is at 85 C (limit 80 C); it goes on below 70 C'
await_text "$scratch/leader.log" 'client_away reason=hot'
sleep 1.2
! grep -q event=round_opened "$scratch/leader.log" || fail "a hot board is chosen"

# 2. Not quite cool is not cool; then it works.
set_sensors hot 75
sleep 1.5
says hot '"away":"hot"' || fail "80 C and 70 C are one limit"
set_sensors hot 60
await_text "$scratch/hot.log" event=training

# 3. Hot in mid-training: it pauses, and uses no CPU.
set_sensors hot 90
await_text "$scratch/hot.log" event=paused
says hot '"away":"hot"' || wait_until 3 says hot '"away":"hot"' ||
    fail "paused, and does not say why"
ticks() {
    awk '{ print $14 + $15 }' "/proc/$client_pid/stat"
}
sleep 0.3
before=$(ticks)
sleep 2
[ $(($(ticks) - before)) -le 10 ] || fail "a pause takes $(($(ticks) - before)) ticks"
! grep -q event=round_closed "$scratch/leader.log" || fail "that was too fast to see"
set_sensors hot 60
await_text "$scratch/hot.log" event=resumed
wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
grep -q 'event=round_closed round=1 updates=2' "$scratch/leader.log" ||
    fail "the round was lost"
for pid in $client_pids; do
    stop_in_time "$pid" TERM 6
done
client_pids=''
paused=$(model_of "$scratch/leader")

# 4. The same without a pause: the same model, bit for bit.
for board in cool hot; do
    set_sensors $board 45
    mkdir -m 700 "$scratch/again-$board"
    cp "$scratch/$board/identity.key" "$scratch/again-$board/"
    mv "$scratch/$board.root" "$scratch/again-$board.root"
done
aggregator_url=''
start_leader "$scratch/again" --rounds 1 --local-epochs "$epochs"
start_board again-cool 0
start_board again-hot 1
wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
! grep -q event=paused "$scratch/again-hot.log" || fail "it pauses without reason"
[ "$(model_of "$scratch/again")" = "$paused" ] ||
    fail "a pause changes the model: $(model_of "$scratch/again") and $paused"
