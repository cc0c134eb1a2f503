#!/usr/bin/python3
"""Losses of small batches and their gradients, by PyTorch's autograd.

    /usr/bin/python3 tests/vectors/loss_torch.py >tests/vectors/loss_torch.txt

All in double precision; u(i) is the hash of tests/support/torch.h as a number
from -1 to 1, h(i) the hash itself.

  outputs   (7, 5), 3 * u(k); of losses on embeddings u(k)
  teacher   (7, 5), 3 * u(k + 1000)
  labels    h(r + 2000) mod 5; of losses on embeddings r mod 3

Every line: name, mean loss, its gradient with respect to the outputs.

SPDX-License-Identifier: Apache-2.0
"""
import numpy as np
import torch
from lenet_torch import hash32

N, O = 7, 5
f = torch.nn.functional


def unit(count, first):
    h = hash32(np.arange(first, first + count)) >> np.uint64(8)
    return torch.tensor(h.astype(np.float64) / 2**23 - 1)


def softmax(x, smoothing=0.0, weight=0.0, t=1.0):
    y = torch.tensor((hash32(np.arange(N) + 2000) % O).astype(np.int64))
    teacher = 3 * unit(N * O, 1000).reshape(N, O)
    of_labels = f.cross_entropy(x, y, label_smoothing=smoothing)
    of_teacher = f.kl_div(f.log_softmax(x / t, 1),
                          f.log_softmax(teacher / t, 1),
                          reduction="batchmean", log_target=True)
    return (1 - weight) * of_labels + weight * t * t * of_teacher


def contrastive(x, margin):
    y, losses = torch.arange(N) % 3, []
    for i in range(N):
        for j in range(i):
            d = (x[i] - x[j]).norm()
            losses.append(d**2 / 2 if y[i] == y[j]
                          else f.relu(margin - d)**2 / 2)
    return torch.stack(losses).mean()


def triplet(x, margin):
    y, losses = torch.arange(N) % 3, []
    for i in range(N):
        d = [(x[i] - x[j]).norm() for j in range(N) if j != i]
        same = [bool(y[i] == y[j]) for j in range(N) if j != i]
        farthest = max(v for v, s in zip(d, same) if s)
        nearest = min(v for v, s in zip(d, same) if not s)
        losses.append(f.relu(margin + farthest - nearest))
    return torch.stack(losses).mean()


def matched(x, margin, weight):
    teacher = 3 * unit(N * O, 1000).reshape(N, O)
    of_teacher = ((x - teacher)**2).sum(1).mean()
    return (1 - weight) * contrastive(x, margin) + weight * of_teacher


CASES = {
    "plain": (3, softmax, {}),
    "smooth": (3, softmax, {"smoothing": 0.25}),
    "distill": (3, softmax, {"weight": 0.75, "t": 3.0}),
    "both": (3, softmax, {"smoothing": 0.125, "weight": 0.5, "t": 2.0}),
    "contrastive": (1, contrastive, {"margin": 2.0}),
    "triplet": (1, triplet, {"margin": 0.5}),
    "matched": (1, matched, {"margin": 2.0, "weight": 0.75}),
}


def main():
    for name, (scale, loss_of, arguments) in CASES.items():
        x = (scale * unit(N * O, 0).reshape(N, O)).requires_grad_()
        loss = loss_of(x, **arguments)
        loss.backward()
        print(name, f"{loss.item():.12f}",
              *(f"{g:.12f}" for g in x.grad.flatten().tolist()))


if __name__ == "__main__":
    main()
