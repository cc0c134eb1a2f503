#!/usr/bin/python3
"""The peer of train_bench.c: the same network, rows and batch in PyTorch, one
thread, at its best: channels_last (NHWC), which is its faster layout here,
pictures turned into floats beforehand, activations in place, gradients set to
None, large batches where it only evaluates.

    train_torch.py NETWORK

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import resource
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

RUNS, BATCH, TEST_BATCH = 7, 32, 500
FOLDER = "/usr/share/datasets/fashion-mnist/"


# ---- networks ----

def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.ReLU(True), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.ReLU(True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 128), nn.ReLU(True), nn.Linear(128, 10))


def conv_norm(inputs, outputs, kernel, stride=1, groups=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2,
                      groups=groups, bias=False), nn.BatchNorm2d(outputs)]


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(inputs, outputs, 3, stride), nn.ReLU(True),
            *conv_norm(outputs, outputs, 3))
        self.shortcut = nn.Identity() if stride == 1 else \
            nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        return torch.relu_(self.body(x) + self.shortcut(x))


def resnet8():
    """MLPerf Tiny's."""
    return nn.Sequential(
        *conv_norm(1, 16, 3), nn.ReLU(True), BasicBlock(16, 16, 1),
        BasicBlock(16, 32, 2), BasicBlock(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        hidden = inputs * expansion
        expand = [] if expansion == 1 else \
            [*conv_norm(inputs, hidden, 1), nn.ReLU6(True)]
        self.body = nn.Sequential(
            *expand, *conv_norm(hidden, hidden, 3, stride, hidden),
            nn.ReLU6(True), *conv_norm(hidden, outputs, 1))
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.is_residual else self.body(x)


def mobilenetv2_tiny():
    layers, channels = [*conv_norm(1, 16, 3), nn.ReLU6(True)], 16
    for expansion, outputs, count, stride in [
            (1, 16, 1, 1), (4, 24, 2, 2), (4, 32, 2, 2)]:
        for i in range(count):
            layers.append(InvertedResidual(
                channels, outputs, expansion, stride if i == 0 else 1))
            channels = outputs
    return nn.Sequential(
        *layers, *conv_norm(channels, 128, 1), nn.ReLU6(True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


# What it is made by, and how many pictures one run trains on.
NETWORKS = {
    "lenet": (lenet, 9600),
    "resnet8": (resnet8, 1920),
    "mobilenetv2-tiny": (mobilenetv2_tiny, 1920),
}


# ---- measurements ----

def load(name):
    def read(suffix, offset):
        with gzip.open(FOLDER + name + suffix) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    images = read("-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read("-labels-idx1-ubyte.gz", 8).astype(np.int64)
    x = torch.tensor(images).float().div_(255)
    return x.contiguous(memory_format=torch.channels_last), torch.tensor(labels)


def train(model, data, count):
    images, labels = data
    sgd = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    order = torch.randperm(count)
    model.train()
    start = time.process_time()
    for at in range(0, count, BATCH):
        rows = order[at:at + BATCH]
        x, y = images[rows], labels[rows]
        sgd.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), y).backward()
        sgd.step()
    return count / (time.process_time() - start)


def evaluate(model, data, count):
    correct = 0
    model.eval()
    start = time.process_time()
    with torch.no_grad():
        for at in range(0, count, TEST_BATCH):
            rows = slice(at, min(at + TEST_BATCH, count))
            x, y = (part[rows] for part in data)
            logits = model(x)
            nn.functional.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
    return count / (time.process_time() - start), correct


def main(name):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    make, count = NETWORKS[name]
    data, test = load("train"), load("t10k")
    model = make().to(memory_format=torch.channels_last)
    rates = [train(model, data, count) for _ in range(RUNS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    beyond = peak - sum(t.numel() * t.element_size() for t in data + test)
    results = [evaluate(model, test, count) for _ in range(RUNS)]
    print(f"{name}_params", sum(value.numel()
                                for value in model.state_dict().values()
                                if value.is_floating_point()), "floats")
    print(f"{name}_train_images_per_s {statistics.median(rates):.0f} images/s")
    print(f"{name}_evaluate_images_per_s "
          f"{statistics.median(r[0] for r in results):.0f} images/s")
    print(f"{name}_train_rss_mib {beyond / 2**20:.2f} MiB")
    print(f"{name}_train_accuracy_pct {results[0][1] / count * 100:.2f} %")


if __name__ == "__main__":
    main(sys.argv[1])
