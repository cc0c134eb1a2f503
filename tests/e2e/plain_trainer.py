#!/usr/bin/python3
"""A trainer without any library, for tests: it trains the last layer of an MLP
on rows of a table, one row at a time.

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import random
import struct
import sys
from operator import mul


def say(kind, **values):
    print(json.dumps({"version": 1, "type": kind, **values}), flush=True)


def read(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        kind = {"F32": "f", "I64": "q"}[about["dtype"]]
        values = struct.unpack(
            f"<{math.prod(about['shape'])}{kind}", data[begin:end])
        tensors[name] = (about["shape"], list(values))
    return tensors


def write(path, tensors):
    header, at = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [at, at + 4 * len(values)]}
        at += 4 * len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            file.write(struct.pack(f"<{len(values)}f", *values))


def split(values, width):
    return [values[i:i + width] for i in range(0, len(values), width)]


def layer(weights, bias, x):
    return [sum(map(mul, row, x)) + b for row, b in zip(weights, bias)]


def softmax(logits):
    top = max(logits)
    shares = [math.exp(v - top) for v in logits]
    return [s / sum(shares) for s in shares]


task = json.loads(sys.stdin.readline())
random.seed(task["seed"])
model, examples = read(task["model"]), read(task["examples"])
names = list(model)  # weight and bias of each layer
layers = [(split(model[w][1], model[w][0][1]), model[b][1])
          for w, b in zip(names[::2], names[1::2])]
width = task["input"][0]
rows = split(examples["inputs"][1], width)
labels = examples["labels"][1]

# The first layers of the graph standardise; this is near enough.
columns = list(zip(*rows))
means = [sum(c) / len(c) for c in columns]
deviations = [math.sqrt(sum((v - m) ** 2 for v in c) / len(c)) or 1
              for c, m in zip(columns, means)]
hidden = []
for row in rows:
    x = [(v - m) / d for v, m, d in zip(row, means, deviations)]
    for weights, bias in layers[:-1]:
        x = [max(v, 0.0) for v in layer(weights, bias, x)]
    hidden.append(x)

weights, bias = layers[-1]
loss = right = 0
for epoch in range(task["epochs"]):
    for i in random.sample(range(len(rows)), len(rows)):
        shares = softmax(layer(weights, bias, hidden[i]))
        if epoch == 0:
            loss -= math.log(shares[labels[i]] + 1e-30)
            right += shares.index(max(shares)) == labels[i]
        for k, share in enumerate(shares):
            rate = task["lr"] / 8 * ((k == labels[i]) - share)
            weights[k] = [w + rate * h for w, h in zip(weights[k], hidden[i])]
            bias[k] += rate
    say("progress", step=epoch + 1, steps=task["epochs"])
model[names[-2]] = (model[names[-2]][0], [v for row in weights for v in row])
model[names[-1]] = (model[names[-1]][0], bias)
write(task["result"], model)
print("trained on", len(rows), "rows", file=sys.stderr)
say("done", examples=len(rows), loss=loss / len(rows),
    accuracy=right / len(rows))
