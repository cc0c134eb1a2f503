#!/usr/bin/python3
"""Losses of a small LeNet run, computed by PyTorch in double precision.

    /usr/bin/python3 tests/vectors/lenet_torch.py >tests/vectors/lenet_torch.txt

Parameters, pictures and labels come from one integer hash, so that the test
makes the same ones without a file (tests/support/torch.h):

    h = i * 0x9E3779B1;  h ^= h >> 15;  h *= 0x85EBCA77;  h ^= h >> 13

  parameter i   ((h >> 8) / 2^23 - 1) / sqrt(fan_in), fedge's flat order
  byte i        h(i + 2^24) >> 24, value = byte / 255
  label r       h(r + 2^28) mod 10

Every line: configuration, steps taken, mean loss on all rows after them, L2
norm of all parameters. Each step takes all rows.

SPDX-License-Identifier: Apache-2.0
"""
import numpy as np
import torch

ROWS, SIDE, CLASSES = 24, 28, 10
STEPS = (1, 2, 5, 8)
CONFIGS = {
    "plain": {"lr": 0.1},
    "momentum": {"lr": 0.05, "momentum": 0.9},
    "decay": {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.05},
    "clip": {"lr": 0.2, "momentum": 0.9, "clip": 0.25},
    "cosine": {"lr": 0.2, "cosine": 6},
    "step": {"lr": 0.2, "step": 3, "factor": 0.5},
}


def hash32(i):
    h = (np.asarray(i, np.uint64) * 0x9E3779B1) & 0xFFFFFFFF
    h ^= h >> np.uint64(15)
    h = (h * 0x85EBCA77) & 0xFFFFFFFF
    return h ^ (h >> np.uint64(13))


def parameters():
    """(weight, bias) of each layer; weights OHWI and (O, I)."""
    at, layers = 0, []
    for shape in ((16, 5, 5, 1), (32, 5, 5, 16), (128, 512), (CLASSES, 128)):
        fan_in = int(np.prod(shape[1:]))
        bound = np.float32(1.0 / np.sqrt(float(fan_in)))

        def draw(count, start):
            h = hash32(np.arange(start, start + count))
            unit = (h >> np.uint64(8)).astype(np.float32) / np.float32(2**23)
            return ((unit - np.float32(1)) * bound).astype(np.float64)

        count = int(np.prod(shape))
        weight = torch.tensor(draw(count, at).reshape(shape))
        bias = torch.tensor(draw(shape[0], at + count))
        at += count + shape[0]
        if len(shape) == 4:  # PyTorch wants OIHW
            weight = weight.permute(0, 3, 1, 2).contiguous()
        layers.append((weight.requires_grad_(), bias.requires_grad_()))
    return layers


def forward(layers, x):
    f = torch.nn.functional
    for weight, bias in layers[:2]:
        x = f.max_pool2d(f.relu(f.conv2d(x, weight, bias)), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)  # H, W, C, as fedge flattens
    x = f.relu(f.linear(x, *layers[2]))
    return f.linear(x, *layers[3])


def main():
    data = (hash32(np.arange(ROWS * SIDE * SIDE) + 2**24) >> np.uint64(24))
    x = torch.tensor((data.astype(np.float32) / np.float32(255)).astype(
        np.float64).reshape(ROWS, 1, SIDE, SIDE))
    y = torch.tensor((hash32(np.arange(ROWS) + 2**28) % 10).astype(np.int64))
    loss_of = torch.nn.functional.cross_entropy
    for name, config in CONFIGS.items():
        layers = parameters()
        flat = [p for layer in layers for p in layer]
        sgd = torch.optim.SGD(flat, config["lr"], config.get("momentum", 0),
                              weight_decay=config.get("weight_decay", 0))
        schedule = None
        if "cosine" in config:
            schedule = torch.optim.lr_scheduler.LambdaLR(
                sgd, lambda t: 0.0 if t >= config["cosine"] else
                0.5 * (1 + np.cos(np.pi * t / config["cosine"])))
        if "step" in config:
            schedule = torch.optim.lr_scheduler.StepLR(
                sgd, config["step"], config["factor"])
        for step in range(1, max(STEPS) + 1):
            sgd.zero_grad()
            loss_of(forward(layers, x), y).backward()
            if "clip" in config:
                torch.nn.utils.clip_grad_norm_(flat, config["clip"])
            sgd.step()
            if schedule:
                schedule.step()
            if step in STEPS:
                loss = loss_of(forward(layers, x), y).item()
                norm = sum((p.detach()**2).sum().item() for p in flat)**0.5
                print(f"{name} {step} {loss:.12f} {norm:.12f}")


if __name__ == "__main__":
    main()
