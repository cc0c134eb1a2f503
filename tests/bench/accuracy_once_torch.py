#!/usr/bin/python3
"""The peer of accuracy_once_bench.sh: the same federations (first model,
partition, cohorts) as a plain PyTorch loop; only the order of rows differs.

SPDX-License-Identifier: Apache-2.0
"""
import csv
import json
import sys

import federation
import onnx
import torch
from onnx import numpy_helper

FOLDER = "build/bench/"


def first_model(seed):
    tensors = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in
               onnx.load(f"{FOLDER}first-{seed}.onnx").graph.initializer}
    by_shape = {tuple(t.shape): t for t in tensors.values()}
    model = federation.lenet()
    with torch.no_grad():
        for p in model.parameters():  # every shape occurs once in LeNet
            p.copy_(by_shape[tuple(p.shape)])
    return model


def partition(seed):
    parts = [[] for _ in range(100)]
    with open(f"{FOLDER}partition-{seed}.csv", encoding="ascii") as file:
        for line in csv.DictReader(file):
            parts[int(line["client"])].append(int(line["row"]))
    return parts


def run(seed, data):
    torch.manual_seed(seed)
    model, parts = first_model(seed), partition(seed)
    with open(f"{FOLDER}run-{seed}.jsonl", encoding="utf-8") as file:
        rounds = [json.loads(line) for line in file]
    for r in rounds:
        if r["event"] == "round":
            federation.run_round(model, data, [parts[c] for c in r["cohort"]])
    return 100 * federation.evaluate(model, data)


DATA = federation.load()
ACCURACIES = [run(seed, DATA) for seed in (1, 2, 3)]
print("# seeds 1, 2, 3:", ACCURACIES, file=sys.stderr)
print("accuracy_after_50_rounds", sum(ACCURACIES) / 3, "%")
