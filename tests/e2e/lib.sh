# Starting and stopping the programs, for the end-to-end tests. Source it with
# $B set to the build folder. Whatever was started ends with the script.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh

# Where programs are instrumented or emulated they take longer: what waits for
# them has TEST_PATIENCE times as long, and is_slow says to give them less to do.
readonly patience="${TEST_PATIENCE:-1}"
is_slow() {
    case $B in *asan*) return 0 ;; *) is_emulated ;; esac
}
is_emulated() { [ "$patience" -gt 1 ]; }

# Most tests have two or three clients, which is few to hide among.
export FEDGE_SUM_MIN_SURVIVORS=2 FEDGE_CLIENT_MIN_SURVIVORS=2

# Clients work whatever the temperature and the load of this machine.
export FEDGE_ELIGIBILITY_SENSORS_ROOT=/nonexistent

aggregator_pid='' aggregator_url='' client_pids='' client_pid='' scratch=''
helper_pids=''

# A folder that goes away with the script: $scratch.
make_scratch() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/fedge-e2e.XXXXXX")
}

# start_aggregator STATE OPTION...: on any free port; sets aggregator_url. Whoever
# comes is enrolled, unless aggregator_join says another way in.
# Its log is STATE.log, its standard output STATE.out.
start_aggregator() {
    aggregator_state=$1
    shift
    : >"$aggregator_state.log"  # what an earlier one has said is not news
    "$B/fedge-aggregator" run --state "$aggregator_state" \
        --listen "${aggregator_url:-tcp://127.0.0.1:0}" \
        --join "${aggregator_join:-open}" "$@" \
        >>"$aggregator_state.out" 2>>"$aggregator_state.log" &
    aggregator_pid=$!
    wait_until 20 is_listening_or_gone
    grep -q event=listening "$aggregator_state.log" || {
        cat "$aggregator_state.log" >&2
        return 1
    }
    port=$(sed -n 's/.*event=listening.* port=\([0-9]*\).*/\1/p' \
        "$aggregator_state.log")
    aggregator_url=tcp://127.0.0.1:$port
}

is_listening_or_gone() {
    grep -q event=listening "$aggregator_state.log" ||
        has_ended "$aggregator_pid"
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

# start_doomed_client STEP STATE OPTION...: a client that is killed when it says
# STEP of a session (tests/e2e/step_killer.py).
start_doomed_client() {
    doomed_step=$1 doomed_state=$2 real_url=$aggregator_url
    shift 2
    python3 tests/e2e/step_killer.py "${real_url##*:}" "$doomed_step" \
        "$doomed_state.pid" "$doomed_state.port" &
    helper_pids="$helper_pids $!"
    wait_until 20 test -s "$doomed_state.port"
    aggregator_url=tcp://127.0.0.1:$(cat "$doomed_state.port")
    start_client "$doomed_state" "$@"
    echo "$client_pid" >"$doomed_state.pid"
    aggregator_url=$real_url
}

# wait_until SECONDS COMMAND...: tries twenty times a second.
wait_until() {
    tries=$(($1 * 20 * patience))
    shift
    while ! "$@" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# await_text LOG REGEX: returns as soon as a line has it, for moments that are
# short ones.
await_text() {
    tries=$((6000 * patience))
    until grep -q -e "$2" "$1" 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "no \"$2\" in $1"
        sleep 0.01
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

# kill_now PID: as a power cut would, and gone when this returns.
kill_now() {
    kill -9 "$1"
    wait "$1" 2>/dev/null || :
}

# stop_in_time PID SIGNAL SECONDS: asks it to end; fails unless it does so in
# time and with exit code 0.
stop_in_time() {
    kill -"$2" "$1"
    wait_until "$3" has_ended "$1" || fail "still runs $3 s after $2"
    wait "$1" || fail "exit code $? after $2"
}

# A process that has ended is a zombie until the script waits for it.
has_ended() {
    ! [ -d "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"
}

# expect_exit CODE COMMAND...: what it says goes to $scratch/said.
expect_exit() {
    expected=$1
    shift
    status=0
    "$@" >"$scratch/said" 2>&1 </dev/null || status=$?
    [ "$status" -eq "$expected" ] ||
        fail "exit code $status, not $expected: $*: $(cat "$scratch/said")"
}

# expect_said TEXT...: each stands in what the last expect_exit kept.
expect_said() {
    for text in "$@"; do
        grep -qF -e "$text" "$scratch/said" ||
            fail "no \"$text\" in: $(cat "$scratch/said")"
    done
}

# make_table FILE ROWS: a small CSV with three classes that an MLP can learn.
make_table() {
    awk -v rows="$2" 'BEGIN {
        srand(3)
        print "height,width,noise,label"
        for (i = 0; i < rows; i++) {
            k = int(rand() * 3)
            printf "%.3f,%.3f,%.3f,%s\n", k + rand(), rand() - k, rand(),
                k == 0 ? "fern" : k == 1 ? "moss" : "reed"
        }
    }' >"$1"
}

# make_pictures FOLDER TRAIN TEST: the first rows of Fashion-MNIST, as IDX; the
# whole takes a test that looks at it again and again minutes.
make_pictures() {
    python3 - "$@" <<'PYTHON'
import gzip, os, struct, sys
source, folder = "/usr/share/datasets/fashion-mnist", sys.argv[1]
os.mkdir(folder)
for name in os.listdir(source):
    with gzip.open(f"{source}/{name}") as file:
        data = file.read()
    rows = int(sys.argv[2 if name.startswith("train") else 3])
    head, each = (16, 784) if "images" in name else (8, 1)
    with open(f"{folder}/{name.removesuffix('.gz')}", "wb") as out:
        out.write(data[:4] + struct.pack(">I", rows) +
                  data[8:head + rows * each])
PYTHON
}

# choose_pictures TRAIN TEST: $pictures is Fashion-MNIST; where programs are
# emulated so many of its rows.
choose_pictures() {
    pictures=fashion-mnist
    is_emulated || return 0
    make_pictures "$scratch/pictures" "$@"
    # shellcheck disable=SC2034  # its caller uses it
    pictures=idx:$scratch/pictures
}

# json_values KEY FILE...: the values of a key, one a line.
json_values() {
    key=$1
    shift
    sed -n 's/.*"'"$key"'": *"\{0,1\}\([^,}"]*\).*/\1/p' "$@"
}

# rounds_of FILE: the lines about rounds in a --json output.
rounds_of() {
    grep '"event":"round"' "$1"
}

# finished_rounds STATE: how many the folder of an aggregator holds.
finished_rounds() {
    "$B/fedge-aggregator" status --state "$1" --json | json_values round
}

has_rounds() {
    [ "$(finished_rounds "$1")" -ge "$2" ]
}

# list_history STATE: a line a finished round, with its number, work, parameters,
# verdict and model.
list_history() {
    python3 - "$1/fedge.sqlite" <<'PYTHON'
import sqlite3, sys
for row in sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute(
        "SELECT round, work, param_count, verdict, hex(model) FROM round"
        " ORDER BY round"):
    print(*row)
PYTHON
}

# fail TEXT: ends the test and shows the ends of the logs.
fail() {
    echo "FAILED: $*" >&2
    for log in "${scratch:-/nonexistent}"/*.log; do
        [ ! -s "$log" ] || { echo "--- $log" && tail -n 8 "$log"; } >&2
    done
    exit 1
}

stop_everything() {
    for pid in $aggregator_pid $client_pids $helper_pids; do
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap stop_everything EXIT
trap 'exit 130' INT
trap 'fail "told to stop, by tools/run-tests when it has taken too long"' TERM
