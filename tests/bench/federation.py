"""Federated averaging of LeNet as a plain PyTorch loop: what the simulator is
measured against.

SPDX-License-Identifier: Apache-2.0
"""
import gzip

import numpy as np
import torch
from torch import nn

FOLDER = "/usr/share/datasets/fashion-mnist/"
BATCH, LR, TEST_BATCH = 32, 0.05, 500
NHWC = torch.channels_last

torch.set_num_threads(1)


def read(name, offset):
    with gzip.open(FOLDER + name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def load(mean=0.28604, deviation=0.35302):
    """Both parts: pictures (N, 1, 28, 28), standardised, and labels (N)."""
    parts = []
    for part in ("train", "t10k"):
        x = torch.tensor(read(part + "-images-idx3-ubyte.gz", 16))
        x = x.reshape(-1, 1, 28, 28).float().div_(255)
        x = x.sub_(mean).div_(deviation).contiguous(memory_format=NHWC)
        y = torch.tensor(read(part + "-labels-idx1-ubyte.gz", 8)).long()
        parts.append((x, y))
    return parts


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    ).to(memory_format=NHWC)


def train_client(model, data, rows):
    sgd = torch.optim.SGD(model.parameters(), lr=LR)
    x, y = data[0]
    rows = torch.as_tensor(rows)[torch.randperm(len(rows))]
    for at in range(0, len(rows), BATCH):
        batch = rows[at:at + BATCH]
        sgd.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        sgd.step()


def run_round(model, data, clients):
    """Trains each client's rows from the model, then averages by weight."""
    before = [p.detach().clone() for p in model.parameters()]
    total = [torch.zeros_like(p) for p in before]
    weight = sum(len(rows) for rows in clients)
    for rows in clients:
        with torch.no_grad():
            for p, old in zip(model.parameters(), before):
                p.copy_(old)
        train_client(model, data, rows)
        for t, p in zip(total, model.parameters()):
            t.add_(p.detach(), alpha=len(rows) / weight)
    with torch.no_grad():
        for p, t in zip(model.parameters(), total):
            p.copy_(t)


def evaluate(model, data):
    x, y = data[1]
    with torch.no_grad():
        correct = sum(
            (model(x[at:at + TEST_BATCH]).argmax(1) ==
             y[at:at + TEST_BATCH]).sum().item()
            for at in range(0, len(y), TEST_BATCH))
    return correct / len(y)
