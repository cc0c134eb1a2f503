#!/bin/sh
# tests/bench/run takes medians, turns ratios the right way round, picks the
# better of several peers, and fails when a bar is not met, a figure is missing
# or a program fails.
# SPDX-License-Identifier: Apache-2.0
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
mkdir -p "$tree/tests/bench" "$tree/build/release/tests/bench"
cp "$top/tests/bench/run" "$tree/tests/bench/"

# Counts its own calls, so that the three runs differ: 5, 100, 20.
cat >"$tree/build/release/tests/bench/speed_bench" <<'END_BENCH'
#!/bin/sh
echo . >>"$0.calls"
case $(wc -l <"$0.calls") in 1) x=5 ;; 2) x=100 ;; *) x=20 ;; esac
echo "speed $x images/s"
echo "size 50 MB"
echo "limit 80 images/s"
END_BENCH
cat >"$tree/tests/bench/extra_once_bench.sh" <<'END_BENCH'
#!/bin/sh
echo . >>"$0.calls"
echo "extra $1$(wc -l <"$0.calls") s"
END_BENCH
cat >"$tree/build/release/tests/bench/speed_foe" <<'END_BENCH'
#!/bin/sh
echo speed 15 images/s
echo size 150 MB
echo size_net 40 MB
END_BENCH
# Not Python, which the tests do without.
echo 'echo speed 10 images/s; echo size 200 MB' >"$tree/tests/bench/speed_rival.py"
chmod +x "$tree/build/release/tests/bench/"* "$tree/tests/bench/"*.sh
everything='run | ours | speed_bench
run|ours|extra_once_bench.sh 7
run | rival | speed_rival.py
run | foe | speed_foe'

# gives STATUS WORDS FIGURES [FILE]: the table for these figures.
gives() {
    file=tests/bench/${4:-figures}
    printf '%b\n' "# remark\n$everything\n\n$3" >"$tree/$file"
    rm -f "$tree/build/release/tests/bench/"*.calls "$tree/tests/bench/"*.calls
    status=0
    # Without a name it reads tests/bench/figures.
    PYTHON=sh B=build/release BENCH_RUNS=3 "$tree/tests/bench/run" ${4:+"$file"} \
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
gives 1 '| Speed | 20 images/s | 80 ours | 0.25 | 0.5 | no |' \
    'speed | Speed | more | ours:limit | 0.5'
gives 0 '| Speed | 20 images/s | 15 foe | 1.33 | 1.3 | yes |' \
    'speed | Speed | more | rival foe | 1.3'
gives 1 '| Size | 50 MB | 150 foe | 3.00 | 4 | no |' \
    'size | Size | less | foe rival | 4'
gives 1 '| Size | 50 MB | 40 foe | 0.80 | 1 | no |' \
    'size | Size | less | rival foe:size_net | 1'
gives 0 '| Size | 50 MB | 40 foe | 0.80 |  |  |' \
    'size | Size | less | rival foe:size_net |' figures.other
gives 0 '| Size | 50 MB | 50 bound | 1.00 | 1 | yes |' \
    'size | Size | same | 50 | 1'
gives 1 '| Size | 50 MB | 49 bound | 1.02 | 1 | no |' \
    'size | Size | same | 49 | 1'
gives 1 '| Size | not measured | ghost | |' \
    'size | Size | less | rival ghost | 1'
gives 1 '| Speed | not measured | ghost | |' \
    'speed | Speed | more | ghost foe | 1'
gives 1 '| Gone | not measured | rival | | 1 | no |' \
    'speed | Speed | more | rival | 1\ngone | Gone | more | rival | 1'
gives 1 '| Extra | not measured | rival | | 1 | no |' \
    'extra | Extra | more | rival | 1'
# Its argument 7, then the number of its calls: once in three turns.
gives 0 'also measured, ours: extra 71 s' 'speed | Speed | more | rival | 1'
echo 'exit 3' >>"$tree/tests/bench/extra_once_bench.sh"
gives 1 '| 2.00 |' 'speed | Speed | more | rival | 1'
rm "$tree/tests/bench/extra_once_bench.sh"
gives 1 '| 2.00 |' 'speed | Speed | more | rival | 1'

exit $failed
