#!/bin/sh
# A step of pruning that costs accuracy is taken back, also when the aggregator
# is killed over it. When this fails, a federation ends with a worse model than
# the one it had, or boards that hold the smaller one are stuck.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
pictures=idx:$scratch/pictures
boards='0 1 2 3' each=1600 deadline=$((20 * patience))
is_slow && each=400
is_emulated && deadline=$((60 * patience)) # four train at a time
make_pictures "$scratch/pictures" $((4 * each)) $((each / 2 + 200))

# It learns in the first round and stands still after it, so that nothing makes
# up for 95 % of the parameters.
start() {
    start_aggregator "$state" --model lenet --dataset "$pictures" \
        --rounds 7 --cohort 3 --quorum 3 --gather 0 \
        --deadline $deadline --codec dense:10 --release 1 \
        --grid 0.1 --lr 0.02 --momentum 0.9 \
        --local-epochs 4 --lr-decay 0.01 --prune 0.95 --prune-step 0.95 \
        --prune-start 1 --prune-recover 1 --max-drop 0 \
        --farewell $((8 * patience)) --out "$scratch/final.onnx" --json
}

start
for i in $boards; do
    start_client "$scratch/board-$i" --dataset "$pictures" --samples "$each" \
        --partition iid:4 --slice "$i" --until-finished
done
for text in 'round_opened round=4 ' 'step_measured round=5 '; do
    await_text "$state.log" "$text"
    kill_now "$aggregator_pid"
    start || fail "it does not start again"
done
wait_for_all || fail "not everybody ended well"

# Train, measure, importance, train, measure: back.
"$B/fedge-aggregator" status --state "$state" --json >"$scratch/status" ||
    [ $? -eq 3 ] || fail "no status"
grep -q '"guard_accepted":0,"guard_rolled_back":1' "$scratch/status" ||
    fail "no step was taken back: $(cat "$scratch/status")"
list_history "$state" >"$scratch/history"
model_of() { sed -n "s/^$1 //p" "$scratch/history" | cut -d' ' -f4; }
params_of() { sed -n "s/^$1 //p" "$scratch/history" | cut -d' ' -f2; }
[ "$(params_of 3)" -le $(($(params_of 2) / 5)) ] ||
    fail "not pruned: $(cat "$scratch/history")"
[ "$(model_of 4)" != "$(model_of 2)" ] || fail "nothing to take back"
[ "$(model_of 5)" = "$(model_of 2)" ] ||
    fail "another model came back: $(cat "$scratch/history")"
for round in 5 6 7; do
    [ "$(params_of $round)" -eq "$(params_of 1)" ] ||
        fail "round $round: $(cat "$scratch/history")"
done

# Who has trained the small model trains the large one again.
for i in $boards; do
    log=$scratch/board-$i.log
    grep -q 'event=finished round=7' "$log" || fail "board $i: not the end"
    ! grep 'Z error \|=\(plan\|patch\|session\)_refused' "$log" >&2 ||
        fail "board $i refuses something"
done
cat "$scratch"/board-?.log | grep -c 'update_committed round=[67] ' \
    >"$scratch/updates"
[ "$(cat "$scratch/updates")" -ge 6 ] || fail "updates of the large model"
"$B/fedge-aggregator" export --state "$state" --out "$scratch/again.onnx" ||
    fail "no export"
cmp "$scratch/final.onnx" "$scratch/again.onnx" || fail "--out is another model"
echo "$(params_of 2), $(params_of 3), $(params_of 5) parameters"
