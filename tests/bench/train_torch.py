#!/usr/bin/python3
"""The peer of train_bench.c: the same LeNet, rows and batch in PyTorch, one
thread, at its best: channels_last (NHWC), which is its faster layout here,
pictures turned into floats beforehand, large batches where it only evaluates.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import resource
import statistics
import time

import numpy as np
import torch
from torch import nn

RUNS, TRAIN_ROWS, TEST_ROWS, BATCH, TEST_BATCH = 7, 9600, 10000, 32, 500
FOLDER = "/usr/share/datasets/fashion-mnist/"


def load(name):
    def read(suffix, offset):
        with gzip.open(FOLDER + name + suffix) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    images = read("-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read("-labels-idx1-ubyte.gz", 8).astype(np.int64)
    x = torch.tensor(images).float().div_(255)
    return x.contiguous(memory_format=torch.channels_last), torch.tensor(labels)


def batch_of(data, rows):
    images, labels = data
    return images[rows], labels[rows]


def train(model, data):
    sgd = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    order = torch.randperm(TRAIN_ROWS)
    start = time.process_time()
    for at in range(0, TRAIN_ROWS, BATCH):
        x, y = batch_of(data, order[at:at + BATCH])
        sgd.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        sgd.step()
    return TRAIN_ROWS / (time.process_time() - start)


def evaluate(model, data):
    correct = 0
    start = time.process_time()
    with torch.no_grad():
        for at in range(0, TEST_ROWS, TEST_BATCH):
            x, y = (part[at:at + TEST_BATCH] for part in data)
            logits = model(x)
            nn.functional.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
    return TEST_ROWS / (time.process_time() - start), correct


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    data, test = load("train"), load("t10k")
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    ).to(memory_format=torch.channels_last)
    rates = [train(model, data) for _ in range(RUNS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    beyond = peak - sum(t.numel() * t.element_size() for t in data + test)
    results = [evaluate(model, test) for _ in range(RUNS)]
    print(f"lenet_train_images_per_s {statistics.median(rates):.0f} images/s")
    print("lenet_evaluate_images_per_s "
          f"{statistics.median(r[0] for r in results):.0f} images/s")
    print(f"lenet_train_rss_mib {beyond / 2**20:.2f} MiB")
    print(f"lenet_train_accuracy_pct {results[0][1] / TEST_ROWS * 100:.2f} %")


if __name__ == "__main__":
    main()
