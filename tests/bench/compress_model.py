#!/usr/bin/env python3
"""Smaller models: each technique on networks that are trained here first.

    make bench-compress-model                      all parts
    make bench-compress-model PARTS=hqp,siamese    some of them

Every step is a command that anybody can repeat; what a command has made stays in
build/bench/compress-model and is not made again while the program is the same.
Prints a table a part, writes them all into docs/model-compression.md, and ends
with 1 when a bar is missed.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import statistics
import subprocess
import sys

import page
import remembered

BUILD = os.environ.get("B", "build/release")
TOOL, SIM = f"{BUILD}/fedge-compress", f"{BUILD}/fedge-sim"
FOLDER = "build/bench/compress-model"
DATA = ["--dataset", "fashion-mnist"]
THREADS = ["--threads", str(os.cpu_count())]
PAGE = "docs/model-compression.md"
SEEDS = ["1", "2", "3"]  # of small networks


# ---- commands ----

def make(command, *words, **files):
    """Runs a command that writes files; returns their paths and what it said.

    Each keyword is an option that names a file to write, "out" first.
    """
    words = [TOOL, command, *words]
    name = remembered.name_of(words)
    paths = {option: f"{FOLDER}/{name}-{option}{ending}"
             for option, ending in files.items()}
    for option, path in paths.items():
        words += ["--" + option.replace("_", "-"), path]
    said = remembered.run(FOLDER, words, paths.values())
    return list(paths.values()), said


def model(command, *words):
    """A command that makes one model: its path."""
    return make(command, *words, out=".onnx")[0][0]


def ask(command, *words):
    """What a command says as JSON."""
    return json.loads(remembered.run(FOLDER,
                                     [TOOL, command, *words, "--json"]))


def accuracy(path, *words):
    return 100 * ask("evaluate", path, *DATA, *words)["accuracy"]


def speed(path):
    """Microseconds of an example; never from an earlier run."""
    said = subprocess.run([TOOL, "bench", path, "--json", "--runs", "2000",
                           "--seconds", "4"],
                          capture_output=True, text=True, check=True).stdout
    return json.loads(said)["p50_us"]


def trained(name, seed, *words, size=(), **training):
    options = {"epochs": 6, "batch": 64, "lr": 0.05, **training}
    fresh = model("new", name, *DATA, *size, *words, "--seed", seed)
    return model("train", fresh, *DATA, *size, *THREADS, "--seed", seed,
                 "--schedule", "cosine", "--quiet",
                 *[x for key, value in options.items()
                   for x in ("--" + key.replace("_", "-"), str(value))])


# ---- parts: each gives its table, and its bars ----

class Bars:
    def __init__(self):
        self.lines, self.missed = [], 0

    def at_least(self, what, value, bar):
        self._say(what, value, f"at least {bar}", value >= bar)

    def at_most(self, what, value, bar):
        self._say(what, value, f"at most {bar}", value <= bar)

    def _say(self, what, value, bar, is_met):
        self.missed += not is_met
        word = "met" if is_met else "missed"
        self.lines.append(f"- {what}: {value:.4g} ({bar}): {word}")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "|---" + "|--:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# The smaller network learns its rows by heart: it must not see the guard's.
HQP = [("resnet18", "32x32", {"epochs": 4}, ["--importance", "magnitude"]),
       ("mobilenetv3-small", "64x64", {"epochs": 6, "holdout": 0.1}, [])]


def hqp(bars):
    """HQP on networks of ImageNet's kind, their first layers as published."""
    rows = []
    for name, pixels, training, how in HQP:
        size = ["--resize", pixels]
        dense = trained(name, "1", size=size, **training)
        (out, pruned), said = make(
            "hqp", dense, *DATA, *size, *THREADS, "--batch", "64",
            "--teacher", dense, "--target", "0.58", "--step", "0.3",
            "--epochs", "1", "--final-epochs", "2", "--rows", "512",
            *how, "--json", out=".onnx", float_out="-float.onnx")
        forms = {form["name"]: form for form in json.loads(said)["models"]}
        us = {"dense": speed(dense), "pruned": speed(pruned),
              "int8": speed(out)}
        for key, title in (("dense", "dense float32"), ("pruned", "pruned"),
                           ("int8", "pruned + INT8")):
            form = forms[key]
            rows.append([f"{name} at {pixels}: {title}",
                         f"{100 * form['accuracy']:.2f} %",
                         f"{form['parameters']:,}", f"{form['bytes']:,}",
                         f"{form['macs'] / 1e6:.2f}", f"{us[key]:.1f}"])
        first, last = forms["dense"], forms["int8"]
        bars.at_least(f"{name}, parameters removed, %",
                      100 - 100 * last["parameters"] / first["parameters"], 55)
        bars.at_least(f"{name}, file smaller, %",
                      100 - 100 * last["bytes"] / first["bytes"], 85)
        bars.at_least(f"{name}, times faster than float32",
                      us["dense"] / us["int8"], 3.12)
        bars.at_most(f"{name}, points lost",
                     100 * (first["accuracy"] - last["accuracy"]), 1.5)
    return table(["", "accuracy", "parameters", "bytes", "MMAC", "us"], rows)


def int8(bars):
    """Quantisation after training, and training in 8 bits."""
    rows, drops = [], {"minmax": [], "qat": []}
    for seed in SEEDS:
        dense = trained("mobilenetv2-tiny", seed)
        exact = accuracy(dense)
        after = accuracy(model("quantize", dense, *DATA))
        during = accuracy(model("qat", dense, *DATA, *THREADS, "--batch", "64",
                                "--seed", seed, "--quiet"))
        drops["minmax"].append(exact - after)
        drops["qat"].append(exact - during)
        rows.append([f"seed {seed}", f"{exact:.2f} %", f"{after:.2f} %",
                     f"{during:.2f} %"])
    bars.at_most("mobilenetv2-tiny, points lost by quantize",
                 statistics.mean(drops["minmax"]), 0.5)
    bars.at_most("mobilenetv2-tiny, points lost by qat",
                 statistics.mean(drops["qat"]), 0.2)
    return table(["mobilenetv2-tiny", "float32", "quantize", "qat"], rows)


def packed(path):
    """Bytes behind zstd, which is how clients get them."""
    return len(subprocess.run(["zstd", "-19", "-c", path], capture_output=True,
                              check=True).stdout)


def mixed(bars):
    """A network that 4 bits hurt, and one that gives some layers more."""
    rows, gained, grown = [], [], []
    for seed in SEEDS:
        dense = trained("mobilenetv3-small", seed, epochs=3)
        uniform = model("quantize", dense, *DATA, "--nibble-layers", "*")
        mix = model("quantize", dense, *DATA, "--mode", "mixed",
                    "--base-bits", "4", "--rows", "512")
        eight = model("quantize", dense, *DATA)
        for path, title in ((dense, "float32"), (eight, "INT8"),
                            (uniform, "4-bit weights"), (mix, "mixed")):
            rows.append([f"seed {seed}: {title}", f"{accuracy(path):.2f} %",
                         f"{packed(path):,}"])
        gained.append(accuracy(mix) - accuracy(uniform))
        grown.append(100 * packed(mix) / packed(uniform) - 100)
    bars.at_least("mobilenetv3-small, points won by the mix",
                  statistics.mean(gained), 0.0)
    bars.at_most("mobilenetv3-small, bytes more, %", statistics.mean(grown), 10)
    return table(["", "accuracy", "bytes behind zstd"], rows)


def siamese(bars):
    """A large tower, and a small one that learns its distances."""
    size = ["--resize", "32x32"]
    large = trained("siamese", "1", "--tower", "resnet50", size=size, epochs=2,
                    batch=64, lr=0.02, loss="triplet")
    small = model("distill", large, *DATA, *size, *THREADS, "--student",
                  "mobilenetv2", "--epochs", "4", "--batch", "64", "--lr",
                  "0.05", "--quiet")
    tiny = model("quantize", small, *DATA, *size)
    rows, pairs, bytes_of = [], {}, {}
    for path, title in ((large, "ResNet-50 tower"), (small, "MobileNetV2"),
                        (tiny, "MobileNetV2, INT8")):
        said = ask("evaluate", path, *DATA, *size, "--pairs", "10000")
        pairs[title] = 100 * said["verification_accuracy"]
        bytes_of[title] = os.path.getsize(path)
        rows.append([title, f"{pairs[title]:.2f} %", f"{bytes_of[title]:,}",
                     f"{2 * speed(path) / 1000:.2f}"])
    first, last = "ResNet-50 tower", "MobileNetV2, INT8"
    bars.at_least("siamese, times smaller", bytes_of[first] / bytes_of[last],
                  35)
    bars.at_most("siamese, MB", bytes_of[last] / 1e6, 5)
    bars.at_most("siamese, ms a pair", 2 * speed(tiny) / 1000, 100)
    bars.at_most("siamese, points lost", pairs[first] - pairs[last], 1.5)
    return table(["", "right about pairs", "bytes", "ms a pair"], rows)


FEDERATION = ["--model", "lenet", "--clients", "100", "--samples", "600",
              "--partition", "iid", "--cohort", "10", "--local-epochs", "3",
              "--batch", "20", "--lr", "0.1", "--lr-decay", "0.99", "--quiet",
              "--json", "-", *DATA, *THREADS]


def federated(bars):
    """HQP in a federation, and centrally on the pooled data."""
    rows, lost, params = [], [], []
    for seed in SEEDS:
        words = [SIM, *FEDERATION, "--seed", seed, "--rounds", "100"]
        name = f"{FOLDER}/{remembered.name_of(words)}.onnx"
        dense = json.loads(remembered.run(
            FOLDER, [*words, "--out", name], [name]).splitlines()[-1])
        rounds = [json.loads(line) for line in remembered.run(
            FOLDER, [*words, "--prune", "0.55", "--int8", "--prune-start",
                     "60"]).splitlines()]
        pruned = rounds[-1]
        (out, _), said = make(
            "hqp", name, *DATA, *THREADS, "--target", "0.55", "--batch", "20",
            "--seed", seed, "--json", out=".onnx", float_out="-float.onnx")
        central = {f["name"]: f for f in json.loads(said)["models"]}["int8"]
        rows += [[f"seed {seed}: dense, federated",
                  f"{100 * dense['accuracy']:.2f} %",
                  f"{dense['dense_params']:,}"],
                 [f"seed {seed}: HQP, federated",
                  f"{100 * pruned['int8_accuracy']:.2f} %",
                  f"{pruned['pruned_params']:,}"],
                 [f"seed {seed}: HQP of the dense one, on pooled data",
                  f"{100 * central['accuracy']:.2f} %",
                  f"{central['parameters']:,}"]]
        lost.append(100 * (central["accuracy"] - pruned["int8_accuracy"]))
        params.append(pruned["pruned_params"] / central["parameters"])
        down = [r["download_full"] for r in rounds[:-1]
                if r.get("download_full")][-1]
        bars.at_least(f"seed {seed}, whole model down, times smaller",
                      4 * dense["dense_params"] / down, 10)
    bars.at_most("federated, points below central", statistics.mean(lost), 1.0)
    bars.at_most("federated, parameters against central",
                 statistics.mean(params), 1.05)
    return table(["", "accuracy", "parameters"], rows)


PARTS = {part.__name__: part for part in (hqp, int8, mixed, siamese, federated)}


# ---- all together ----

def main():
    os.makedirs(FOLDER, exist_ok=True)
    missed = 0
    for name in os.environ.get("PARTS", ",".join(PARTS)).split(","):
        bars = Bars()
        text = (PARTS[name](bars) + "\n" + "\n".join(bars.lines) + "\n\n" +
                page.stamp() + ".\n")
        print(f"{name}: {PARTS[name].__doc__}\n\n{text}", flush=True)
        page.put(PAGE, name, text)
        missed += bars.missed
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
