#!/bin/sh
# Backup and restore of an aggregator whose clients have gone on. When this
# fails, a dead disk ends a federation although there is a backup: clients do
# not listen to an aggregator that says what they have heard already.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
state=$scratch/aggregator
backup() { "$B/fedge-aggregator" backup --state "$state" --out "$1"; }
make_table "$scratch/table.csv" 300

start() {
    start_aggregator "$state" --model mlp --dataset "csv:$scratch/table.csv" \
        --rounds "$1" --cohort 4 --gather 0 --json
}

# restore FOLDER: in the place of what there is.
restore() {
    rm -rf "$state"
    cp -a "$1" "$state"
}

# Beside an aggregator that leads one round after the other.
start 100000
add_client() {
    start_client "$scratch/client-$1" --dataset "csv:$scratch/table.csv" \
        --partition iid:5 --slice "$1"
}
for slice in 0 1 2 3; do
    add_client $slice
done
wait_until 20 has_rounds "$state" 3 || fail "no rounds"
backup "$scratch/backup"
at=$(finished_rounds "$scratch/backup" || :)
add_client 4 # the list of who is enrolled becomes another one
await_text "$state.log" "event=enrolled devices=5"
someone=$("$B/fedge-aggregator" clients list --state "$state" --json |
    json_values id | head -n 1)
"$B/fedge-aggregator" clients rename "$someone" attic --state "$state"
wait_until 20 has_rounds "$state" $((at + 5)) || fail "no more rounds"
kill_now "$aggregator_pid"

# The same one twice: the second time clients have heard the first one, too.
for time in first second; do
    restore "$scratch/backup"
    start $((at + 5))
    wait_until 30 has_ended "$aggregator_pid" || fail "$time restore: no round"
    wait "$aggregator_pid" || fail "$time restore"
    [ "$(finished_rounds "$state" || :)" -eq $((at + 5)) ] || fail "other rounds"
done

# A folder that was copied in another way is told apart, and can be helped.
cp -a "$state" "$scratch/copy"
start $((at + 8))
wait "$aggregator_pid"
restore "$scratch/copy"
start $((at + 8))
await_text "$state.log" event=outdated_state
kill_now "$aggregator_pid"
backup "$scratch/helped"
restore "$scratch/helped"
start $((at + 8))
wait "$aggregator_pid" || fail "a copy that was backed up"

# A key that was lost is not made anew, since clients know the old one.
mv "$state/identity.key" "$scratch/identity.key"
expect_exit 78 "$B/fedge-aggregator" run --state "$state" --model mlp \
    --dataset "csv:$scratch/table.csv" --listen tcp://127.0.0.1:0
expect_said "identity.key: missing, and 5 clients trust no other key"
expect_exit 78 "$B/fedge-aggregator" token --state "$state" \
    --address tcp://127.0.0.1:7443
expect_said "identity.key: missing"
[ ! -e "$state/identity.key" ] || fail "another key"
mv "$scratch/identity.key" "$state/identity.key"

# What is refused.
expect_exit 78 "$B/fedge-aggregator" export --state "$state" \
    --out "$state/fedge.sqlite"
expect_said "could take the place of a file"
[ "$(finished_rounds "$state" || :)" -eq $((at + 8)) ] || fail "rounds are gone"
expect_exit 2 "$B/fedge-aggregator" backup --state "$state"
expect_said "--out DIR"
expect_exit 78 backup "$scratch/backup"
expect_said "exists; name a folder that does not"
expect_exit 1 backup /proc/x
expect_exit 78 "$B/fedge-aggregator" backup --state "$scratch/none" \
    --out "$scratch/other"
[ ! -e "$scratch/other" ] || fail "a backup of nothing"
for file in identity.key authority.key; do
    [ "$(stat -c %a "$scratch/backup/$file")" = 600 ] || fail "$file is open"
    cmp "$state/$file" "$scratch/backup/$file" || fail "another $file"
done
