#!/bin/sh
# Sessions of secure aggregation at scale: one round each with so many clients,
# a tenth of whom vanish in the middle of it, cryptography real, all on one
# machine. Prints a table (markdown). Cohorts of 10,000 take minutes and 6 GB.
#   tests/bench/sessions_once_bench.sh [COHORT...]
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# Two columns that tell the third, three rows a client and a tenth to measure.
awk 'BEGIN {
    srand(1)
    print "x,y,kind"
    for (i = 0; i < 40000; i++) {
        x = rand(); y = rand()
        printf "%.4f,%.4f,%d\n", x, y, (x > y)
    }
}' >"$out/table.csv"
[ $# -gt 0 ] || set -- 100 150 400 1000
python3 - "$B/fedge-sim" "$out" "$@" <<'END'
import json, os, subprocess, sys

def run(cohort):
    report = f"{out}/run.jsonl"
    child = subprocess.Popen(
        [program, "--dataset", f"csv:{out}/table.csv", "--label-column", "kind",
         "--model", "mlp", "--partition", "iid", "--samples", "3",
         "--clients", cohort, "--cohort", cohort, "--rounds", "1",
         "--dropout", "0.1", "--seed", "1", "--threads", "1", "--quiet",
         "--json", report])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"fedge-sim failed with {cohort} clients")
    return json.loads(open(report).readlines()[-1]), used.ru_maxrss / 1024

program, out, *cohorts = sys.argv[1:]
print("| clients | in the sum | CPU of a client, ms | of the aggregator, s "
      "| control a client, KB | virtual, s | CPU in all, s | memory, MiB |\n"
      "|" + "--:|" * 8)
for cohort in cohorts:
    s, memory = run(cohort)
    asked = s["selected"]
    print(f"| {asked} | {s['updates']} "
          f"| {1e3 * s['crypto_client_cpu_s'] / asked:.1f} "
          f"| {s['crypto_server_cpu_s']:.2f} "
          f"| {s['bytes_control'] / asked / 1e3:.1f} | {s['virtual_s']:.1f} "
          f"| {s['cpu_s']:.1f} | {memory:.0f} |", flush=True)
END
