#!/bin/sh
# Programs that read their configuration again while they run. When this fails,
# whoever wants quiet hours has to restart a board in mid-round, or a typing
# error in a file stops a federation.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
unset FEDGE_CLIENT_MIN_SURVIVORS FEDGE_SUM_MIN_SURVIVORS
conf=$scratch/client.conf leader=$scratch/aggregator.conf

client_conf() { printf '%s\n' '[client]' 'min-survivors = 2' "$@" >"$conf"; }
leader_conf() { printf '%s\n' '[sum]' 'min-survivors = 2' "$@" >"$leader"; }

make_table "$scratch/table.csv" 400
client_conf '[eligibility]' 'pause-at-least = 0' 'look-every = 1'
leader_conf '[rounds]' 'cohort = 2'

# A manager's socket is for the daemon, not for what it starts.
start_aggregator "$scratch/leader" --config "$leader" --model mlp \
    --dataset "csv:$scratch/table.csv" --rounds 1000000 --gather 0
for slice in 0 1; do
    start_client "$scratch/client-$slice" --config "$conf" \
        --dataset "csv:$scratch/table.csv" --partition iid:2 --slice $slice
done
log=$scratch/client-1.log
await_text "$scratch/leader.log" event=round_closed

# 1. What may change holds at once; what may not is named.
client_conf 'log-level = debug' '[eligibility]' 'quiet-hours = 00:00-24:00' \
    'pause-at-least = 0' 'look-every = 1' '[data]' 'samples = 77'
expect_exit 0 "$B/fedge-client" reload --config "$conf" --state "$scratch/client-1"
await_text "$log" 'event=reloaded changed="quiet-hours, log-level"\|event=reloaded changed="log-level, quiet-hours"'
await_text "$log" 'warn event=needs_restart options=samples'
is_quiet() {
    "$B/fedge-client" status --state "$scratch/client-1" --json |
        grep -q '"away":"quiet_hours"'
}
wait_until 5 is_quiet || fail "$("$B/fedge-client" status --state "$scratch/client-1")"

# 2. A bad file changes nothing: the client rests as before, and says where.
client_conf '[eligibility]' 'quiet-hours = 03:00-04:00' 'max-temprature = 60'
kill -HUP "$client_pid"
await_text "$log" "error event=reload_failed .*client.conf:5: unknown key"
await_text "$log" 'did you mean .*max-temperature'
client_conf '[eligibility]' 'max-temperature = 60'
kill -HUP "$client_pid"
await_text "$log" 'reload_failed .*resume-temperature 70 is above'
is_quiet || fail "a bad file was half taken"

# 3. So does what would do, but only with what needs a restart.
leader_conf '[rounds]' 'cohort = 4' 'quorum = 3'
kill -HUP "$aggregator_pid"
await_text "$scratch/leader.log" \
    'error event=reload_failed .*not without a restart, for cohort'

# 4. Back to the defaults, and the aggregator with other rounds: they go on.
client_conf '[eligibility]' 'pause-at-least = 0' 'look-every = 1'
leader_conf '[rounds]' 'cohort = 2' '[train]' 'local-epochs = 3'
expect_exit 0 "$B/fedge-aggregator" reload --state "$scratch/leader"
expect_exit 0 "$B/fedge-client" reload --state "$scratch/client-1"
await_text "$scratch/leader.log" 'event=reloaded changed=local-epochs'
await_text "$scratch/leader.log" 'event=settings_taken'
await_text "$log" 'event=plan .*local_epochs=3'

# 5. Nobody to reload, and somebody else's folder.
expect_exit 3 "$B/fedge-client" reload --state "$scratch/none"
expect_said "no client runs there"
for pid in $client_pids "$aggregator_pid"; do
    stop_in_time "$pid" TERM 6
done
client_pids='' aggregator_pid=''
expect_exit 3 "$B/fedge-aggregator" reload --state "$scratch/leader"
expect_said "no aggregator runs there"
if [ "$(id -u)" = 0 ]; then
    "$B/fedge-client" status --state "$scratch/client-1" >/dev/null || :
fi

# 6. docs/services.md names what a reload changes, all of it and nothing else.
list_live() {
    "$B/fedge-$1" --help | awk '
        /^  --/ { key = $1 } / \*$/ { sub("--", "", key); print key }' | sort
}
list_documented() {
    sed -n "/^<!-- reload: $1 -->/,/^\$/s/.*/&/p" docs/services.md |
        grep -o '`[a-z-]*`' | tr -d '`' | sort
}
for program in client aggregator; do
    [ "$(list_live $program)" = "$(list_documented $program)" ] ||
        fail "$program: $(list_live $program); docs: $(list_documented $program)"
done
