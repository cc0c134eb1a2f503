#!/bin/sh
# A federation prunes its model and gives boards an INT8 form of it, while the
# aggregator is killed at every stage, a board too, and one is away for a while.
# When this fails, a power cut costs a step of pruning, or boards run models
# that are not each other's.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
pictures=idx:$scratch/pictures
make_pictures "$scratch/pictures" 3000 $((1000 / patience))
boards='0 1 2 3 4 5'
kills=0 hits=0

# Two steps of 20 %, each with a round to recover; INT8 then, and at the end.
readonly STORY='T T M I T M I T M R M T T R M'
# Whoever was there before a kill is there again when the rounds go on.
start() {
    start_aggregator "$state" --model lenet --dataset "$pictures" \
        --rounds 15 --cohort 3 --quorum 3 --gather 1 \
        --deadline $((20 * patience)) --prune 0.4 --prune-step 0.2 --prune-start 2 --prune-recover 1 \
        --int8 --max-drop 100 --farewell $((8 * patience)) \
        --out "$scratch/final.onnx" --json
}

board() {
    start_client "$scratch/board-$1" --dataset "$pictures" --samples 60 \
        --partition iid:10 --slice "$1" --max-drop 100 --until-finished
    eval "board_$1=$client_pid"
}

pid_of() {
    eval "echo \$board_$1"
}

# kill_at ROUND TEXT: the aggregator, as soon as its log has the text, in this
# round; or late, when that has passed unseen. It goes on after the last round
# that is finished.
kill_at() {
    await_text "$state.log" "$2\|round_opened round=$(($1 + 1)) "
    kill_now "$aggregator_pid"
    kills=$((kills + 1))
    kept=$(finished_rounds "$state" || :)
    [ "$kept" -ge $(($1 - 1)) ] || fail "$2: only $kept rounds are left"
    [ "$kept" -ge "$1" ] || hits=$((hits + 1))
    start || fail "$2: it does not start again"
    grep -q "rounds_done=$kept" "$state.log" ||
        fail "$2: resumed elsewhere than after round $kept"
}

start
for i in $boards; do
    board "$i"
done

# ---- killed at every stage
kill_at 2 'round_opened round=2 '     # training
kill_at 3 'session_opened round=3 '   # MEASURE
kill_at 4 'round_opened round=4 '     # IMPORTANCE
kill_at 4 'model_resized round=4 '    # a smaller model that is not saved
kill_at 5 'round_opened round=5 '     # training of the smaller one
kill_at 6 'step_measured round=6 '    # the guard's word that is not saved

# One board goes, and one is killed in a survey and comes back at once. When the
# model has been pruned once more the first one is back, with one that is larger;
# the aggregator stands still meanwhile.
kill_now "$(pid_of 5)"
await_text "$scratch/board-1.log" 'plan round=7 '
kill_now "$(pid_of 1)"
board 1
await_text "$state.log" 'round_closed round=7 '
kill -STOP "$aggregator_pid"
: >"$scratch/board-5.log"
board 5
await_text "$scratch/board-5.log" event=started
sleep 0.3
kill -CONT "$aggregator_pid"
await_text "$scratch/board-5.log" 'downloaded round=\(8\|9\|1.\) as=patch'

kill_at 10 'round_opened round=10 '   # RANGES
kill_at 11 'int8_measured round=11 '  # an INT8 form that is not saved
kill_at 12 'round_opened round=12 '   # training with ranges
kill_at 14 'session_opened round=14 ' # RANGES of the last model
kill_at 15 'session_opened round=15 '
kill_at 16 'event=farewell'
wait "$aggregator_pid" || fail "the aggregator ended with $?"
for i in $boards; do
    wait "$(pid_of "$i")" || fail "board $i ended with $?"
done
aggregator_pid='' client_pids=''
[ $((2 * hits)) -gt $kills ] || fail "only $hits of $kills kills met their round"

# ---- what is left of it: every round once, as it was reported
list_history "$state" >"$scratch/history"
[ "$(cut -d' ' -f2 "$scratch/history" | tail -n +2 | tr 0123 TMIR | xargs)" = \
    "$STORY" ] || fail "another story: $(cat "$scratch/history")"
cut -d' ' -f3 "$scratch/history" | uniq | xargs >"$scratch/sizes"
[ "$(wc -w <"$scratch/sizes")" -eq 3 ] || fail "sizes: $(cat "$scratch/sizes")"
awk '{ exit !($2 <= 0.81 * $1 && $3 <= 0.61 * $1) }' "$scratch/sizes" ||
    fail "sizes: $(cat "$scratch/sizes")"
rounds_of "$state.out" >"$scratch/reported"
python3 - "$scratch/history" "$scratch/reported" <<'PYTHON' || fail "reports"
import json, sys
works = ("train", "measure", "importance", "ranges")
verdicts = (None, "accepted", "rolled back")
kept = [line.split() for line in open(sys.argv[1])]
before = 0
for line in open(sys.argv[2]):
    told = json.loads(line)
    row = kept[told["round"]]
    assert told["round"] > before, line
    assert told["work"] == works[int(row[1])], (row, line)
    assert told["params"] == int(row[2]), (row, line)
    assert told["verdict"] == verdicts[int(row[3])], (row, line)
    before = told["round"]
assert before == 15, before
PYTHON
expect_exit 3 "$B/fedge-aggregator" status --state "$state" --json
expect_said '"round":15' '"guard_accepted":4' '"guard_rolled_back":0' \
    "\"dense_params\":$(cut -d' ' -f1 "$scratch/sizes")" \
    "\"pruned_params\":$(cut -d' ' -f3 "$scratch/sizes")"
accuracy=$(json_values accuracy "$scratch/said")
int8_accuracy=$(json_values int8_accuracy "$scratch/said")

# ---- the model, and the form of it that every board runs
"$B/fedge-aggregator" export --state "$state" --out "$scratch/again.onnx" ||
    fail "no export"
for form in '' -int8; do
    cmp "$scratch/final$form.onnx" "$scratch/again$form.onnx" ||
        fail "--out and export are two models"
done
for i in $boards; do
    cmp "$scratch/final-int8.onnx" "$scratch/board-$i/int8.onnx" ||
        fail "board $i runs another model"
done
"$B/fedge-compress" inspect "$scratch/final-int8.onnx" >"$scratch/said" ||
    fail "inspect: $(cat "$scratch/said")"
for pair in "final $accuracy" "final-int8 $int8_accuracy"; do
    "$B/fedge-compress" evaluate "$scratch/${pair% *}.onnx" --json \
        --dataset "$pictures" >"$scratch/said"
    [ "$(json_values accuracy "$scratch/said")" = "${pair#* }" ] ||
        fail "$pair, evaluated: $(cat "$scratch/said")"
done
echo "$kills kills, $hits inside of their rounds, $(cat "$scratch/sizes")"
