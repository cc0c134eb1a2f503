#!/bin/sh
# tools/run-tests counts, shows what failed, ends a hanging program, and fails
# exactly when a program did.
# SPDX-License-Identifier: Apache-2.0
set -eu
run=$(cd "$(dirname "$0")/../.." && pwd)/tools/run-tests
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
cd "$tree"

program() { printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod +x "$1"; }
program good 'echo said by good'
program bad 'echo said by bad; exit 3'
program slow 'sleep 60'
program reader 'read -r line && exit 1; exit 0'

# gives STATUS WORDS PROGRAM...
gives() {
    wanted=$1 words=$2 status=0
    shift 2
    echo input | TEST_SECONDS=1 "$run" "$@" >out 2>&1 || status=$?
    if [ $status -ne "$wanted" ] || ! grep -qxF -- "$words" out; then
        echo "for $*: not status $wanted and \"$words\" but $status and:"
        cat out
        failed=1
    fi
}

gives 0 '0 passed, 0 failed'
gives 0 '2 passed, 0 failed' ./good ./good
gives 1 '1 passed, 1 failed' ./bad ./good
gives 1 'FAILED  ./bad (status 3)' ./bad
gives 1 'said by bad' ./bad
gives 1 'FAILED  ./slow (status 124)' ./slow
gives 1 'FAILED  ./missing (status 127)' ./missing
gives 0 'ok      ./reader' ./reader
"$run" ./good | grep -q 'said by' && { echo 'shows what passed'; failed=1; }

exit $failed
