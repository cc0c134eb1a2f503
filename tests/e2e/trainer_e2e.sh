#!/bin/sh
# Trainers that owners bring. When this fails, a board with a program of its own
# cannot take part beside those that train with the engine, or a program that
# hangs, crashes or talks nonsense takes its client or the round with it.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
export FEDGE_ELIGIBILITY_LOOK_EVERY=1
make_table "$scratch/table.csv" 1200

# start_board NAME SLICE OPTION...: trains with the engine unless told otherwise.
start_board() {
    name=$1 slice=$2
    shift 2
    start_client "$scratch/$name" --dataset "csv:$scratch/table.csv" \
        --partition iid:12 --slice "$slice" "$@"
}
# start_bad MODE SLICE WORD: WORD stands in what its owner reads.
start_bad() {
    start_board "$1" "$2" --trainer-seconds 2 --trainer-command \
        "/bin/sh \"$PWD/tests/client/trainer.sh\" $1 \"$scratch\""
    echo "$1 $client_pid $3" >>"$scratch/bad"
}
is_away() {
    "$B/fedge-client" status --state "$scratch/$1" --json >"$scratch/said"
    grep -q '"away":"trainer"' "$scratch/said"
}

# ---- one board with the engine, one with a program, in one secret sum
start_aggregator "$scratch/mixed" --model mlp \
    --dataset "csv:$scratch/table.csv" --rounds 3 --cohort 2 --gather 0 \
    --lr 0.1 --batch 8 --local-epochs 3 --json
start_board built-in 0 --until-finished
start_board external 1 --until-finished --trainer-command \
    "/usr/bin/env python3 \"$PWD/tests/e2e/plain_trainer.py\""
wait_for_all || fail "not everybody ended well"
[ "$(grep -c event=trainer_done "$scratch/external.log")" -ge 3 ] ||
    fail "the program has not trained in every round"
! grep -q event=trainer_ "$scratch/built-in.log" || fail "two have the program"
grep -q 'trainer_says text="trained on 90 rows"' "$scratch/external.log" ||
    fail "what it says to people is lost"
rounds_of "$scratch/mixed.out" >"$scratch/rounds"
[ "$(json_values clients "$scratch/rounds" | sort -u)" = 2 ] ||
    fail "not both in every round: $(cat "$scratch/rounds")"
[ "$(json_values aggregation "$scratch/rounds" | sort -u)" = secure ] ||
    fail "the sum was not secret"
json_values accuracy "$scratch/rounds" | awk '
    { last = $1 } END { exit !(last > 0.6) }' ||
    fail "they learn nothing: $(cat "$scratch/rounds")"
# What it measures after a training is better than before.
sed -n 's/.*trainer_done.*measured_before=\([^ ]*\) measured_after=\([^ ]*\).*/\1 \2/p' \
    "$scratch/external.log" | awk '$2 >= $1 { exit 1 }' ||
    fail "the program teaches nothing: $(grep trainer_done "$scratch/external.log")"
[ -z "$(ls -A "$scratch/external/trainer")" ] || fail "files are left behind"

# ---- programs of all sorts beside two boards that work: each round is closed by
# these two, and everybody else is still there and says why
aggregator_url=''
start_aggregator "$scratch/patient" --model mlp \
    --dataset "csv:$scratch/table.csv" --rounds 3 --cohort 10 --quorum 2 \
    --gather 0 --deadline $((60 * patience)) --lr 0.1 --batch 8 --json
start_bad hang 2 'not done after 2.0 s'
start_bad exits 3 'it said last: Traceback: no CUDA'
start_bad crashes 4 'signal 11'
start_bad garbage 5 'no JSON object'
start_bad endless_line 6 'more than 8192'
start_bad nan 7 'NaN or infinite'
start_bad shape 8 'another shape'
start_bad link 9 'no plain file'
start_board good-1 10
start_board good-2 11
wait "$aggregator_pid" || fail "the aggregator ended with $?"
aggregator_pid=''
rounds_of "$scratch/patient.out" >"$scratch/rounds"
[ "$(json_values clients "$scratch/rounds")" = "2
2
2" ] || fail "not two boards in each round: $(cat "$scratch/rounds")"
while read -r mode pid word; do
    ! has_ended "$pid" || fail "the client with $mode has ended"
    grep -q "event=training_failed.*why=\"the trainer: .*$word" \
        "$scratch/$mode.log" || fail "$mode: no \"$word\""
    wait_until 10 is_away "$mode" || fail "$mode: it does not rest"
    expect_said '"trainer_failures":3' '"trainer_why":"the trainer: ' "$word"
done <"$scratch/bad"
for pid in $client_pids; do
    stop_in_time "$pid" TERM 6
done
client_pids=''

# ---- what is no program is said at once
expect_exit 78 "$B/fedge-client" run --state "$scratch/none" \
    --aggregator tcp://127.0.0.1:1 --dataset "csv:$scratch/table.csv" \
    --trainer-command /nonexistent/trainer
expect_said "/nonexistent/trainer is not there"
