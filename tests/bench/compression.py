#!/usr/bin/env python3
"""Accuracy against bytes: every codec and the defaults, simulated.

    make bench-compression                  the bars: LeNet, 100 rounds, 3 seeds
    make bench-compression WHICH=settings   other models, cohorts, data
    make bench-compression WHICH=codecs SEEDS=4,5 ROUNDS=60

Each run is one fedge-sim on one thread, as many at once as there are cores; what
it printed stays in build/bench/compression and is not run again while the
program is the same. Writes its table into docs/compression.md, that of the
codecs with the picture docs/compression.svg. Ends with 1 when a bar is missed;
other settings have none.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import page
import remembered

BUILD = os.environ.get("B", "build/release")
WHICH = os.environ.get("WHICH", "codecs")
SEEDS = [int(s) for s in os.environ.get("SEEDS", "1,2,3").split(",")]
ROUNDS = int(os.environ.get("ROUNDS", "100"))
FOLDER = "build/bench/compression"

# The setting that the bars are for.
COMMON = {
    "dataset": "fashion-mnist", "model": "lenet", "clients": "100",
    "samples": "600", "partition": "dirichlet:0.3", "cohort": "10",
    "local-epochs": "3", "batch": "20", "lr": "0.1", "lr-decay": "0.99",
}
DENSE = {"aggregation": "clear", "codec": "none", "grid": "0"}

# Name, options, then bars: smallest ratio up, most points below dense.
CODECS = [
    ("dense float32", DENSE, None),
    ("secure: sketch (default)", {}, (100, 0.5)),
    ("secure: sketch, overflow-free", {"overflow-free": None}, (70, 0.5)),
    ("secure: sketch 2 %", {"density": "0.02"}, (200, 1.0)),
    ("clear: sketch1bit (default)", {"aggregation": "clear"}, (300, 0.5)),
    ("clear: sketch1bit 3.6 %",
     {"aggregation": "clear", "density": "0.036", "codec-small": "0.5"},
     (600, 1.0)),
    ("secure: dense:5", {"codec": "dense:5"}, None),
    ("clear: topk 5 %", {"aggregation": "clear", "codec": "topk"}, None),
    ("clear: stc 1 %",
     {"aggregation": "clear", "codec": "stc", "density": "0.01"}, None),
    ("clear: qsgd:4", {"aggregation": "clear", "codec": "qsgd:4"}, None),
    ("clear: fp16", {"aggregation": "clear", "codec": "fp16"}, None),
]

SMALL = {"samples": "300", "local-epochs": "1"}


SETTINGS = [
    ("MLP", {"model": "mlp"}),
    ("10 % dropouts", {"dropout": "0.1"}),
    ("Dirichlet 0.1", {"partition": "dirichlet:0.1"}),
    ("Dirichlet 1.0", {"partition": "dirichlet:1.0"}),
    ("unequal sizes", {"samples": "0"}),
    ("1,000 clients", {"clients": "1000", "samples": "60"}),
    ("ResNet-8", {"model": "resnet8", **SMALL}),
    ("MobileNetV2-tiny", {"model": "mobilenetv2-tiny", **SMALL}),
    ("50 a round", {"cohort": "50", "rounds": "40"}),
    ("100 a round", {"cohort": "100", "rounds": "40"}),
]


def in_setting(title, options):
    """A setting: without compression, then the two defaults."""
    return [(f"{title}: {name}", {**options, **codec}, None)
            for name, codec in (("dense float32", DENSE), ("secure", {}),
                                ("clear", {"aggregation": "clear"}))]


def command(options, seed):
    """The fedge-sim that does it."""
    words = [f"{BUILD}/fedge-sim", "--seed", str(seed), "--threads", "1",
             "--quiet", "--json", "-"]
    for key, value in {"rounds": str(ROUNDS), **COMMON, **options}.items():
        words.append(f"--{key}")
        if value is not None:
            words.append(value)
    return words


def run(options, seed):
    """The JSON lines of one simulation, from the last time if it is there."""
    said = remembered.run(FOLDER, command(options, seed))
    return [json.loads(line) for line in said.splitlines()]


def final(lines):
    """Mean accuracy of the last ten rounds, in percent."""
    last = [line["accuracy"] for line in lines if line["event"] == "round"]
    return 100 * statistics.mean(last[-10:])


def summarise(name, runs):
    """One line of the table."""
    ends = [lines[-1] for lines in runs]

    def mean(key):
        return statistics.mean(end[key] for end in ends)

    raw = 4 * ends[0]["params"]
    return {
        "name": name, "raw": raw,
        "accuracy": statistics.mean(final(lines) for lines in runs),
        "payload": mean("payload_up_per_client"),
        "wire": mean("wire_up_per_client"),
        "one": mean("download_1_behind"), "ten": mean("download_10_behind"),
        "full": mean("download_full"),
    }


def times(row, key):
    """How many times smaller than float32; a dash for what was not there."""
    return f"{row['raw'] / row[key]:.0f}" if row[key] else "-"


def table(rows):
    """As markdown."""
    text = ["| | accuracy, % | bytes up | smaller | on the wire | smaller "
            "| down, 1 behind | 10 behind | whole |",
            "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        text.append(
            f"| {row['name']} | {row['accuracy']:.2f} | {row['payload']:,.0f} "
            f"| {times(row, 'payload')} | {row['wire']:,.0f} "
            f"| {times(row, 'wire')} "
            f"| {row['one']:,.0f} ({times(row, 'one')}) "
            f"| {row['ten']:,.0f} ({times(row, 'ten')}) "
            f"| {row['full']:,.0f} ({times(row, 'full')}) |")
    return "\n".join(text) + "\n"


def settings_table(rows):
    """A line a setting: what the two defaults lose there, and save."""
    text = ["| | dense float32, % | secure, points | smaller | clear, points "
            "| smaller | down, 1 behind | 10 behind | whole |",
            "|---|---|---|---|---|---|---|---|---|"]
    for dense, secure, clear in zip(rows[::3], rows[1::3], rows[2::3]):
        title = dense["name"].split(":")[0]
        cells = [f"{dense['accuracy']:.2f}"]
        for row in (secure, clear):
            cells += [f"{row['accuracy'] - dense['accuracy']:+.2f}",
                      times(row, "payload")]
        cells += [times(secure, key) for key in ("one", "ten", "full")]
        text.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def check(rows, runs):
    """The bars, each said; returns how many were missed."""
    dense, missed = rows[0], 0
    for row, (_, _, bar) in zip(rows, runs):
        if not bar:
            continue
        ratio = row["raw"] / row["payload"]
        loss = dense["accuracy"] - row["accuracy"]
        good = ratio >= bar[0] and loss <= bar[1]
        missed += not good
        print(f"{'ok    ' if good else 'MISSED'} {row['name']}: {ratio:.0f} "
              f"times smaller (bar {bar[0]}), {loss:+.2f} points below dense "
              f"(bar {bar[1]})")
    for key, bar in (("one", 100), ("ten", 20), ("full", 7)):
        row = rows[1]
        ratio = row["raw"] / row[key] if row[key] else 0
        missed += ratio < bar
        print(f"{'ok    ' if ratio >= bar else 'MISSED'} down, {key}: "
              f"{ratio:.1f} times smaller (bar {bar})")
    return missed


def draw(rows, path):
    """Accuracy over bytes, each codec a point with its name."""
    points = "".join(
        f"{row['payload']} {row['accuracy']} \"{row['name']}\"\n"
        for row in rows)
    script = f"""set terminal svg size 860,520 font 'sans-serif,12' background '#ffffff'
set logscale x
set grid
set key off
set xlabel 'bytes of one upload'
set ylabel 'accuracy, %'
set offsets graph 0.02, graph 0.16, graph 0.05, graph 0.2
plot '-' using 1:2:3 with labels point pointtype 7 rotate by -28 offset 0.7,-0.5 left
{points}e
"""
    with open(path, "wb") as out:
        subprocess.run(["gnuplot"], input=script.encode(), stdout=out,
                       check=True)


def main():
    runs = {"codecs": CODECS,
            "settings": [run for setting in SETTINGS
                         for run in in_setting(*setting)]}[WHICH]
    wanted = os.environ.get("ONLY")
    if wanted:
        runs = [r for r in runs if re.search(wanted, r[0])]
    os.makedirs(FOLDER, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [(name, [pool.submit(run, options, s)
                           for s in SEEDS]) for name, options, _ in runs]
        rows = [summarise(name, [one.result() for one in all_seeds])
                for name, all_seeds in waiting]
    text = (table if WHICH == "codecs" or wanted else settings_table)(rows)
    text += (f"\n{page.stamp()}; {ROUNDS} rounds, mean of seeds "
             f"{', '.join(map(str, SEEDS))}.\n")
    print(text)
    if wanted:
        return 0
    page.put("docs/compression.md", WHICH, text)
    if WHICH == "settings":
        return 0
    draw(rows, "docs/compression.svg")
    return 1 if check(rows, runs) else 0


if __name__ == "__main__":
    sys.exit(main())
