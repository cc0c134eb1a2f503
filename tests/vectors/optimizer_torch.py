#!/usr/bin/python3
"""Steps of PyTorch's optimisers on 19 parameters, in double precision.

    /usr/bin/python3 tests/vectors/optimizer_torch.py \\
        >tests/vectors/optimizer_torch.txt

With u(i) the hash of tests/support/torch.h as a number from -1 to 1:

  parameter i        u(i + 10000)         gradient of step t, from 0
  FedProx's anchor   u(i + 20000)             u(i + 100 * t)
  control_global     u(i + 30000)
  control_local      u(i + 40000)

FedProx and SCAFFOLD add to the gradient after it has been clipped. Every
line: configuration, steps taken, the parameters after them.

SPDX-License-Identifier: Apache-2.0
"""
import torch
from loss_torch import unit

COUNT, STEPS = 19, (1, 2, 12)
SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
CONFIGS = {
    "sgd": (SGD, {"lr": 0.125}, {}),
    "momentum": (SGD, {"lr": 0.125, "momentum": 0.75}, {}),
    "nesterov": (SGD, {"lr": 0.125, "momentum": 0.75, "nesterov": True,
                       "weight_decay": 0.125}, {}),
    "adam": (ADAM, {"lr": 0.0625}, {}),
    "adam-decay": (ADAM, {"lr": 0.0625, "betas": (0.75, 0.875), "eps": 0.25,
                          "weight_decay": 0.5}, {}),
    "adamw": (ADAMW, {"lr": 0.0625, "weight_decay": 0.5}, {}),
    "clip": (SGD, {"lr": 0.125, "momentum": 0.75}, {"clip": 0.5}),
    "prox": (SGD, {"lr": 0.125, "momentum": 0.75}, {"prox": 0.5, "clip": 0.5}),
    "prox-adamw": (ADAMW, {"lr": 0.0625, "weight_decay": 0.5}, {"prox": 0.5}),
    "scaffold": (SGD, {"lr": 0.125}, {"control": True, "clip": 0.5}),
}


def main():
    anchor, of_all, own = (unit(COUNT, at) for at in (20000, 30000, 40000))
    for name, (kind, arguments, hooks) in CONFIGS.items():
        p = unit(COUNT, 10000).requires_grad_()
        optimizer = kind([p], **arguments)
        for step in range(max(STEPS)):
            p.grad = unit(COUNT, 100 * step)
            if "clip" in hooks:
                torch.nn.utils.clip_grad_norm_([p], hooks["clip"])
            if "prox" in hooks:
                p.grad += hooks["prox"] * (p.detach() - anchor)
            if "control" in hooks:
                p.grad += of_all - own
            optimizer.step()
            if step + 1 in STEPS:
                print(name, step + 1, *(f"{v:.12f}" for v in p.tolist()))


if __name__ == "__main__":
    main()
