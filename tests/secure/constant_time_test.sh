#!/bin/sh
# No branch and no address depends on a secret, with the kernels of every
# instruction set that valgrind knows (AVX-512 is not among them). First: what
# does depend on one is found.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/../.."
program=${B:-build/release}/tests/secure/constant_time

if nm "$program" | grep -q '__[at]san_init\|__gcov_'; then
    echo "skipped: valgrind and sanitizers do not go together"
    exit 0
fi

check() {
    valgrind -q --error-limit=no "$program" "$@"
}

status=0
check planted >/dev/null 2>&1 || status=$?
if [ $status -ne 2 ]; then
    echo "not both of the planted dependencies are found, status $status"
    exit 1
fi
for cpu in portable avx2; do
    echo "FEDGE_CPU=$cpu"
    FEDGE_CPU=$cpu check
done
