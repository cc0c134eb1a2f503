# Starting and stopping the programs, for the end-to-end tests. Source it with
# $B set to the build folder. Whatever was started ends with the script.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh

aggregator_pid='' aggregator_url='' client_pids=''

# start_aggregator STATE OPTION...: on any free port; sets aggregator_url.
# Its log is STATE.log, its standard output STATE.out.
start_aggregator() {
    aggregator_state=$1
    shift
    "$B/fedge-aggregator" run --state "$aggregator_state" \
        --listen "${aggregator_url:-tcp://127.0.0.1:0}" "$@" \
        >>"$aggregator_state.out" 2>"$aggregator_state.log" &
    aggregator_pid=$!
    wait_until 20 grep -q event=listening "$aggregator_state.log" || {
        cat "$aggregator_state.log" >&2
        return 1
    }
    port=$(sed -n 's/.*event=listening.* port=\([0-9]*\).*/\1/p' \
        "$aggregator_state.log")
    aggregator_url=tcp://127.0.0.1:$port
}

# start_client STATE OPTION...: its log is STATE.log; client_pid is the last.
start_client() {
    client_state=$1
    shift
    "$B/fedge-client" run --aggregator "$aggregator_url" \
        --state "$client_state" "$@" >>"$client_state.log" 2>&1 &
    client_pid=$!
    client_pids="$client_pids $client_pid"
}

# wait_until SECONDS COMMAND...: tries ten times a second.
wait_until() {
    tries=$(($1 * 10))
    shift
    while ! "$@" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

# Waits for the aggregator and every client; fails when one of them did.
wait_for_all() {
    status=0
    for pid in $aggregator_pid $client_pids; do
        wait "$pid" || status=$?
    done
    aggregator_pid='' client_pids=''
    return "$status"
}

# fail TEXT: ends the test.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

stop_everything() {
    for pid in $aggregator_pid $client_pids; do
        kill -9 "$pid" 2>/dev/null || :
    done
}
trap stop_everything EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
