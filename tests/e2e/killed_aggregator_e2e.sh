#!/bin/sh
# The aggregator is killed fifty times at any instant, clients go on by
# themselves. When this fails, a power cut costs rounds that were reported as
# finished, or somebody has to walk to every board.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
kills=50
make_table "$scratch/table.csv" 300

# start ROUNDS COHORT: six clients, of which the first COHORT open a round.
start() {
    start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
        --rounds "$1" --cohort "$2" --quorum "$2" --gather 0 --json ||
        fail "it does not start again"
}

# The last round that was reported, and what was reported about it.
last_report() {
    rounds_of "$state.out" 2>/dev/null | tail -n 1
}

# What was reported as finished is there, and is what was reported.
check_last_round() {
    report=$(last_report)
    [ -n "$report" ] || return 0
    echo "$report" >"$scratch/report"
    "$B/fedge-aggregator" status --state "$state" --json >"$scratch/status" ||
        [ $? -eq 3 ] || fail "no status after kill $1"
    reported=$(json_values round "$scratch/report")
    kept=$(json_values round "$scratch/status")
    [ "$kept" -ge "$reported" ] ||
        fail "kill $1: round $reported was reported, $kept is kept"
    [ "$kept" -eq "$reported" ] || return 0
    for key in accuracy loss; do
        [ "$(json_values $key "$scratch/report")" = \
            "$(json_values $key "$scratch/status")" ] ||
            fail "kill $1: $key of round $kept: $(cat "$scratch/status"), \
reported as: $report"
    done
}

start 100000 2
for slice in 0 1 2 3 4 5; do
    start_client "$scratch/client-$slice" --dataset "csv:$scratch/table.csv" \
        --partition iid:6 --slice "$slice" --until-finished
done

# Seconds to live, the same ones in every run.
awk -v kills=$kills 'BEGIN {
    srand(7)
    for (i = 0; i < kills; i++) printf "%.3f\n", 0.05 + 0.25 * rand()
}' >"$scratch/lives"
kill_number=0
while read -r life; do
    kill_number=$((kill_number + 1))
    sleep "$life"
    kill_now "$aggregator_pid"
    check_last_round "$kill_number"
    kept=$(finished_rounds "$state" || :)
    start 100000 2
    grep -q "rounds_done=$kept" "$state.log" ||
        fail "resumed elsewhere than after round $kept"
done <"$scratch/lives"

# Left in peace, it leads three more rounds, with everybody in them.
kill_now "$aggregator_pid"
end=$(($(finished_rounds "$state" || :) + 3))
start "$end" 6
wait_for_all || fail "not everybody ended well"

rounds_of "$state.out" | json_values round >"$scratch/rounds"
sort -nu "$scratch/rounds" | cmp -s - "$scratch/rounds" ||
    fail "rounds do not only go up: $(tr '\n' ' ' <"$scratch/rounds")"
[ "$(tail -n 1 "$scratch/rounds")" -eq "$end" ] || fail "not round $end"
# Of 270 rows 45 are each client's; two took part in every earlier round.
tail -n 1 "$state.out" >"$scratch/summary"
[ "$(json_values samples "$scratch/summary")" -eq $((90 * end + 540)) ] ||
    fail "an update counts twice or not at all: $(cat "$scratch/summary")"
echo "$kills kills, $end rounds"
