#!/bin/sh
# tests/bench/run takes medians, turns ratios the right way round, and fails
# when a bar is not met, a figure is missing or a program fails.
# SPDX-License-Identifier: Apache-2.0
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
mkdir -p "$tree/tests/bench" "$tree/build/release/tests/bench"
cp "$top/tests/bench/run" "$tree/tests/bench/"

# Counts its own calls, so that the three runs differ: 5, 100, 20.
cat >"$tree/build/release/tests/bench/speed_bench" <<'END'
#!/bin/sh
echo . >>"$0.calls"
case $(wc -l <"$0.calls") in 1) x=5 ;; 2) x=100 ;; *) x=20 ;; esac
echo "speed $x images/s"
echo "size 50 MB"
echo "limit 80 images/s"
END
cat >"$tree/tests/bench/extra_bench.sh" <<'END'
#!/bin/sh
echo "extra 7 s"
END
# Not Python, which the tests do without.
echo 'echo speed 10 images/s; echo size 200 MB' >"$tree/tests/bench/speed_rival.py"
chmod +x "$tree/build/release/tests/bench/speed_bench" \
    "$tree/tests/bench/extra_bench.sh"

# gives STATUS WORDS FIGURES: the table for these figures.
gives() {
    printf '%b\n' "# remark\n$3" >"$tree/tests/bench/figures"
    rm -f "$tree/build/release/tests/bench/speed_bench.calls"
    status=0
    PYTHON=sh B=build/release BENCH_RUNS=3 "$tree/tests/bench/run" \
        >"$tree/out" 2>"$tree/err" || status=$?
    if [ $status -ne "$1" ] || ! grep -qF -- "$2" "$tree/out"; then
        echo "for \"$3\" not status $1 and \"$2\" but $status and:"
        cat "$tree/out" "$tree/err"
        failed=1
    fi
}

gives 0 '| Speed | 20 images/s | 10 rival | 2.00 | 1.5 | yes |' \
    'speed | Speed | more | rival | 1.5'
gives 0 '| Size | 50 MB | 200 rival | 4.00 | 4 | yes |' \
    'size | Size | less | rival | 4'
gives 0 '| Size | 50 MB | 60 bound | 1.20 | 1 | yes |' \
    'size | Size | less | 60 | 1'
gives 1 '| Speed | 20 images/s | 80 ours:limit | 0.25 | 0.5 | no |' \
    'speed | Speed | more | ours:limit | 0.5'
gives 1 '| Gone | not measured | rival | | 1 | no |' \
    'speed | Speed | more | rival | 1\ngone | Gone | more | rival | 1'
gives 1 '| Extra | not measured | rival | | 1 | no |' \
    'extra | Extra | more | rival | 1'
gives 0 'also measured, ours: extra 7 s' 'speed | Speed | more | rival | 1'
echo 'exit 3' >>"$tree/tests/bench/extra_bench.sh"
gives 1 '| 2.00 |' 'speed | Speed | more | rival | 1'

exit $failed
