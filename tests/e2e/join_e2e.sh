#!/bin/sh
# Joining as people do it: a token's line, an approval, a revocation while a
# federation runs. When this fails, the wrong boards are let in, or the right
# ones are not.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly USAGE=2 TEMPORARY=75 REFUSED=77 CONFIG=78
make_table "$scratch/table.csv" 240
data=csv:$scratch/table.csv
state=$scratch/aggregator
aggregator_join=token
aggregator() { "$B/fedge-aggregator" "$@"; }
client() { timeout 40 "$B/fedge-client" "$@"; }
# token OPTION...: a new one, as ID.SECRET.
token() {
    aggregator token --state "$state" --json "$@" | json_values token
}
# join STATE TOKEN OPTION...
join() {
    joining=$1 secret=$2
    shift 2
    client join "$aggregator_url" --token "$secret" --pin "$pin" \
        --state "$scratch/$joining" "$@"
}
# standing NAME: how the registry has it.
standing() {
    aggregator clients list --state "$state" | awk -v name="$1" \
        '$2 == name || $1 == name { print $3 }'
}
stands() { [ "$(standing "$1")" = "$2" ]; }
# run_client STATE: without saying where the aggregator is.
run_client() {
    "$B/fedge-client" run --state "$scratch/$1" --dataset "$data" \
        >>"$scratch/$1.log" 2>&1 &
    client_pid=$!
    client_pids="$client_pids $client_pid"
}
stop_clients() {
    for pid in $client_pids; do
        kill "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    client_pids=''
}
start_rounds() {
    start_aggregator "$state" --model mlp --dataset "$data" --rounds 100000 \
        --cohort 2 --batch 60 --quiet
}

# ---- who looks at a folder that is not there makes none
for command in "clients list" "clients revoke x" "token --list"; do
    # shellcheck disable=SC2086  # words
    expect_exit $CONFIG aggregator $command --state "$state"
    expect_said "no aggregator has kept anything here yet"
    [ ! -e "$state" ] || fail "$command has made $state"
done

# ---- before there is an aggregator: a token made beforehand is good
early=$(token --name early)
pin=$(aggregator token --state "$state" --json --ttl 1s | json_values pin)
start_rounds
grep -q "pin=$pin" "$state.log" || fail "another key than token says"
grep -q "$aggregator_url" "$state.log" || :

# ---- the whole line, as it is printed
line=$(aggregator token --state "$state" --name kitchen 2>"$scratch/said")
expect_said "Good for 1 device" "Only this machine can reach"
[ "${line#fedge-client join "$aggregator_url" --token }" != "$line" ] ||
    fail "token prints: $line"
sh -c "PATH=$B:\$PATH; $line --state $scratch/kitchen" >"$scratch/said" 2>&1 ||
    fail "$line: $(cat "$scratch/said")"
expect_said "enrolled as kitchen, id "
id=$(sed -n 's/.* id \([a-z-]*\)$/\1/p' "$scratch/said")
stands "$id" enrolled || fail "$id is not enrolled"
used=$(echo "$line" | cut -d' ' -f5)
! grep -rqF "${used#*.}" "$state" "$scratch/kitchen" ||
    fail "a secret is on disk"

# Where it has joined is known to check, too.
client check --state "$scratch/kitchen" --dataset "$data" >"$scratch/said" || :
expect_said "the aggregator is $aggregator_url" "$aggregator_url answers"

# Who is in already needs no token, and uses none.
expect_exit 0 join kitchen "$(token)"
expect_said "enrolled as kitchen"
aggregator token --state "$state" --list | grep -q "good *0 of 1 " ||
    fail "a token was used for nothing"

# ---- from standard input; by name; a name that is taken
token --name cellar | client join "$aggregator_url" --token - --pin "$pin" \
    --state "$scratch/cellar" >"$scratch/said" 2>&1 || fail "token -"
expect_said "enrolled as cellar"
expect_exit $REFUSED join twin "$(token)" --name cellar
expect_said "has that name"
expect_exit $USAGE join twin "$(token)" --name "My Board"
expect_said "a-z"

# ---- run needs nothing but the folder
run_client kitchen
kitchen=$client_pid
run_client cellar
cellar=$client_pid
wait_until 20 has_rounds "$state" 2 || fail "no rounds with the two"

# ---- tokens that let nobody in
expect_exit $REFUSED join third "$used"
expect_said "as often as it may be"
expect_exit $REFUSED join third "lusab-babad.00112233445566778899aabbccddeeff"
expect_said "no such token"
expect_exit $USAGE join third "lusab-babad" 
expect_said "not a token" "fedge-aggregator token"
expect_exit $CONFIG client join "$aggregator_url" --pin "$pin" \
    --state "$scratch/third" --token-file /dev/null
expect_said "not a token"
expired=$(token --ttl 1s)
revoked=$(token)
aggregator token --state "$state" --revoke "${revoked%%.*}" >/dev/null
expect_exit $REFUSED join third "$revoked"
expect_said "has been revoked"
sleep 1.1
expect_exit $REFUSED join third "$expired"
expect_said "time is over" "by the aggregator's clock"
expect_exit $REFUSED client join "$aggregator_url" --pin "$pin" \
    --state "$scratch/third"
expect_said "without a token"
expect_exit $REFUSED client run --state "$scratch/third" --dataset "$data"
expect_said "has joined no federation" "fedge-client join"
expect_exit $REFUSED client run --state "$scratch/third" --dataset "$data" \
    --aggregator "$aggregator_url" --pin "$pin"
expect_said "is not enrolled"
grep -q "event=join_refused .*why=token_expired" "$state.log" || fail "no log"

# ---- another key than the one that was named: nothing is said
other=$(printf '%064d' 7)
expect_exit $REFUSED client join "$aggregator_url" --token "$early" \
    --pin "$other" --state "$scratch/early"
expect_said "$pin" "$other" "somebody else answers" "Nothing was sent"
[ ! -e "$scratch/early/aggregator.pub" ] || fail "it was pinned all the same"
expect_exit $USAGE client join "$aggregator_url" --token "$early" \
    --state "$scratch/early"
expect_said "--pin KEY"
expect_exit $REFUSED client join "$aggregator_url" --pin "$other" \
    --state "$scratch/cellar-2" --token "$(token)"
expect_exit 0 join early "$early"
expect_said "enrolled as early"
expect_exit $REFUSED client join "$aggregator_url" --pin "$other" \
    --state "$scratch/early"
expect_said "belongs to another federation" "$pin"
expect_exit $REFUSED client run --pin "$other" --state "$scratch/early" \
    --dataset "$data"
expect_said "$pin" "$other" "aggregator.pub"

# ---- renamed, by id; the name is unique
early_id=$("$B/fedge-aggregator" clients list --state "$state" |
    awk '$2 == "early" { print $1 }')
aggregator clients rename "$early_id" attic --state "$state" >/dev/null
stands attic enrolled || fail "not renamed"
expect_exit $CONFIG aggregator clients rename attic cellar --state "$state"
expect_said "another device's name"
expect_exit $CONFIG aggregator clients revoke nobody --state "$state"
expect_said "no device is called nobody"
expect_exit $USAGE aggregator clients rename attic --state "$state"
expect_exit $USAGE aggregator clients banish attic --state "$state"

# ---- revoked while it takes part: at once, and from then on
run_client early
wait_until 10 grep -q event=connected "$scratch/early.log" || fail "no third"
aggregator clients revoke kitchen --state "$state" >/dev/null
wait_until 5 has_ended "$kitchen" || fail "the revoked one goes on"
wait "$kitchen" && fail "a revoked one ends well"
grep -q "has been revoked" "$scratch/kitchen.log" || fail "it is not told why"
before=$(finished_rounds "$state")
wait_until 20 has_rounds "$state" $((before + 2)) || fail "no rounds after that"
expect_exit $REFUSED client run --state "$scratch/kitchen" --dataset "$data"
expect_said "has been revoked"
expect_exit $REFUSED join kitchen "$(token)"
expect_said "has been revoked"
aggregator clients approve kitchen --state "$state" >/dev/null
run_client kitchen
wait_until 10 grep -q 'event=connected' "$scratch/kitchen.log" || fail "not back"

# ---- two clients with one key: the newest stays, the other is told
kill -STOP "$cellar"  # a folder that changes cannot be copied
cp -r "$scratch/cellar" "$scratch/copy"
kill -CONT "$cellar"
run_client copy
wait_until 10 has_ended "$cellar" || fail "both stay"
grep -q "a key belongs to one board" "$scratch/cellar.log" ||
    fail "the other is not told"

# ---- the aggregator moves: join again, or say where once
stop_in_time "$aggregator_pid" TERM 6
stop_clients
old_url=$aggregator_url aggregator_url=''
start_rounds
[ "$aggregator_url" != "$old_url" ] || fail "it has not moved"
expect_exit 0 client join "${aggregator_url#tcp://}" --pin "$pin" \
    --state "$scratch/early"
run_client early
start_client "$scratch/kitchen" --dataset "$data"
wait_until 10 grep -qF "$aggregator_url" "$scratch/kitchen/aggregator.address" ||
    fail "the new address is not kept"
before=$(finished_rounds "$state")
wait_until 20 has_rounds "$state" $((before + 2)) || fail "no rounds there"
stop_in_time "$aggregator_pid" TERM 6
expect_exit $TEMPORARY client join "$aggregator_url" --pin "$pin" \
    --state "$scratch/third" --wait 0.5
expect_said "no aggregator has answered"

# ---- approve: who asks waits until somebody says yes
aggregator_join=approve
start_rounds
expect_exit 0 client join "$aggregator_url" --pin "$pin" \
    --state "$scratch/shed" --name shed
expect_said "pending as shed" "fedge-aggregator clients approve"
stands shed pending || fail "shed is not pending"
run_client shed
wait_until 10 grep -q event=pending "$scratch/shed.log" || fail "it does not wait"
wait_until 5 grep -q "waiting for approval" "$scratch/shed/status.json" ||
    fail "status does not say so"
aggregator clients approve shed --state "$state" >/dev/null
wait_until 20 grep -q event=connected "$scratch/shed.log" || fail "not let in"
stop_in_time "$aggregator_pid" TERM 6

# ---- list: the authority is elsewhere, and signs the card that is kept
"$B/fedge-keys" authority --out "$scratch/authority.key" >/dev/null
sign() {
    "$B/fedge-keys" sign - --authority "$scratch/authority.key" \
        --list "$scratch/boards.list" >/dev/null
}
"$B/fedge-keys" device --state "$scratch/porch" --name porch | sign
state=$scratch/listed aggregator_url='' aggregator_join=list
expect_exit $CONFIG aggregator run --state "$state" --join list
expect_said "--enrolment FILE"
expect_exit $CONFIG aggregator run --state "$state" --join token \
    --enrolment "$scratch/boards.list"
expect_said "leave one of the two out"
start_aggregator "$state" --model mlp --dataset "$data" --rounds 3 --cohort 2 \
    --batch 60 --quiet --enrolment "$scratch/boards.list"
pin=$(aggregator token --state "$state" --json | json_values pin)
aggregator token --state "$state" 2>"$scratch/said" >/dev/null
expect_said "fedge-keys sign -"
expect_exit 0 join porch "$(token)"
expect_said "enrolled as porch"
expect_exit 0 join garage "$(token)" --name garage
expect_said "pending as garage"
aggregator clients approve garage --state "$state" 2>/dev/null | sign
wait_until 5 grep -q event=enrolment_changed "$state.log" || fail "list not read"
stands garage enrolled || fail "garage: $(aggregator clients list --state "$state")"
stop_clients
for board in porch garage; do
    "$B/fedge-client" run --state "$scratch/$board" --dataset "$data" \
        --until-finished >>"$scratch/$board.log" 2>&1 &
    client_pids="$client_pids $!"
done
wait_for_all || fail "the federation of the list"
