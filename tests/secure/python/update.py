#!/usr/bin/env python3
"""Updates as words that can be added, and back (docs/format.md, "Updates").

SPDX-License-Identifier: Apache-2.0
"""
import math
import random
import struct
from dataclasses import dataclass

from notation import Refused, check, labelled
from primitives import H
from sketch import CODEC_SEED, DITHER, EXACT, LARGE, SKIPPED, SMALL, U32
from sketch import Sketch, Stream, single, singles
from transcript import WORD

SKETCH, DENSE = 1, 2
ROUNDING = 13  # of the example in the document: a client's own


# ---- words ----


def radix_of(per_word):
    """The largest r with r^per_word <= 2^63."""
    r = int(2 ** (63 / per_word)) + 2
    while r**per_word > 2**63:
        r -= 1
    return r


def per_word_of(radix):
    most = 1
    while radix ** (most + 1) <= 2**63:
        most += 1
    return most


def pack(integers, r, M):
    parts = [integers[i : i + M] for i in range(0, len(integers), M)]
    return [sum(a * r**i for i, a in enumerate(p)) % WORD for p in parts]


def unpack(words, r, M, count):
    integers = []
    for T in words:
        T -= WORD * (T >= WORD // 2)
        for _ in range(M):
            A = (T + r // 2) % r - r // 2
            integers.append(A)
            T = (T - A) // r
    return integers[:count]


# ---- how to train ----


def recipe_of(model, ranges, numbers, seed):
    """Hashed: the plan's numbers in the document's order."""
    packed = struct.pack("<5I4f2IfIQ", *numbers, seed)
    return H(labelled("fedge recipe 2", model + ranges + packed))


def codec_seed(plan_seed, number):
    return Stream(plan_seed, CODEC_SEED, number).u64()


# ---- the codec ----


def limited(value, most):
    return max(-most, min(most, value))


@dataclass
class Codec:
    kind: int
    bits: int
    density: float
    density_small: float
    clip: float
    weight_max: int
    n: int  # client_cap
    seed: int
    m: int  # per_word
    value_max: int
    step_large: float
    step_small: float
    runs: list  # of (count, group)

    def __post_init__(self):
        for name in ("density", "density_small", "clip"):
            setattr(self, name, single(getattr(self, name)))
        self.step_large = single(self.step_large)
        self.step_small = single(self.step_small)
        self.P = sum(count for count, _ in self.runs)

    def numbers(self):
        """In the order of the task."""
        return (
            self.kind, self.P, self.bits, self.density, self.density_small,
            self.clip, self.weight_max, self.n, self.seed, self.m,
            self.value_max, self.step_large, self.step_small,
            len(self.runs), *(4 * count + group for count, group in self.runs),
        )  # fmt: skip

    def task_bytes(self, recipe):
        form = f"<IQI3f2IQ2I2fI{len(self.runs)}I"
        packed = struct.pack(form, *self.numbers())
        return labelled("fedge update 1", packed + recipe)

    def task(self, recipe):
        return H(self.task_bytes(recipe))

    def places(self, group):
        """The parameters of a group."""
        at, found = 0, []
        for count, of in self.runs:
            found += range(at, at + count) if of == group else []
            at += count
        return found

    def sketches(self):
        densities = self.density, self.density_small
        for group, density in zip((LARGE, SMALL), densities):
            density = 1 if self.kind == DENSE else density
            count = len(self.places(group))
            yield Sketch(self.seed, group, count, density)

    def step(self, group):
        return (self.step_large, self.step_small, self.clip / 32767)[group]

    def sections(self):
        """(radix, integers a word, integers) of EXACT and of the others."""
        r = 2 * self.n * 32767 + 1
        yield r, per_word_of(r), len(self.places(EXACT))
        yield radix_of(self.m), self.m, sum(s.k for s in self.sketches())

    def word_count(self):
        return 3 + sum(-(-count // M) for _, M, count in self.sections())

    def round(self, values, group, place, own):
        """A group's numbers as integers."""
        step, dither = self.step(group), Stream(self.seed, DITHER, group)
        most = 32767 if group == EXACT else self.value_max
        integers = []
        for value in values:
            turn = (place + dither.below(self.n)) % self.n
            u = (turn + own.u32() / U32) / self.n
            integers.append(limited(math.floor(value / step + u), most))
        return integers

    def metrics(self, weight, correct, loss_sum):
        w = min(weight, self.weight_max)
        correct = (2 * correct * w + weight) // (2 * weight)
        loss = max(0.0, min(loss_sum * (w / weight), 64.0 * w))
        return [w, correct, math.floor(2**20 * loss + 0.5)]

    def encode(self, update, metrics, place):
        """The client's own draws are those of the document's example."""
        words, own = self.metrics(*metrics), Stream(self.seed, ROUNDING, place)
        f = single(words[0] / self.weight_max)
        values = singles([limited(d, self.clip) * f for d in update])
        exact = [values[i] for i in self.places(EXACT)]
        parts = [self.round(exact, EXACT, place, own), []]
        for sketch in self.sketches():
            group = sketch.group
            numbers = sketch.apply([values[i] for i in self.places(group)])
            parts[1] += self.round(numbers, group, place, own)
        for integers, (r, M, _) in zip(parts, self.sections()):
            words += pack(integers, r, M)
        return words

    def told(self, sums, clients):
        """The sums of weight, correct count and loss."""
        W, correct, loss = sums
        check(1 <= clients <= self.n, "no client, or more than n")
        check(clients <= W <= clients * self.weight_max, "no weight of clients")
        check(correct <= W and loss <= 64 * W * 2**20, "no clients' metrics")
        return W, correct, loss / 2**20

    def decode(self, sums, clients):
        """The mean, and what the metrics tell."""
        told, words = self.told(sums[:3], clients), sums[3:]
        F, parts = self.weight_max / told[0], []
        for r, M, count in self.sections():
            used = -(-count // M)
            parts.append(unpack(words[:used], r, M, count))
            words = words[used:]

        exact, rest = parts
        mean, s = [0.0] * self.P, self.step(EXACT)
        for i, A in zip(self.places(EXACT), exact, strict=True):
            mean[i] = single(A * s * F)
        for sketch in self.sketches():
            step, A = self.step(sketch.group), rest[: sketch.k]
            values = sketch.lift(singles([a * step for a in A]), F)
            for i, v in zip(self.places(sketch.group), values, strict=True):
                mean[i] = v
            rest = rest[sketch.k :]
        return mean, told


def sum_of(vectors):
    return [sum(column) % WORD for column in zip(*vectors, strict=True)]


# ---- checks ----


def check_words():
    """Signed integers can be added; one that wraps takes one from the next."""
    r = radix_of(12)
    assert r == 38 and radix_of(10) == 78 and per_word_of(38) == 12
    vectors = [[-5, 4, 0] * 5, [-6, 6, -1] * 5, [-7, 8, 1] * 5]
    sums = sum_of(pack(v, r, 12) for v in vectors)
    assert unpack(sums, r, 12, 15) == [-18, 18, 0] * 5
    assert unpack(pack([19, 0], r, 12), r, 12, 2) == [-19, 1]


def check_codec():
    """All that is sent comes back, but for the rounding; and of a part of it
    the mean over many seeds."""
    runs = [(3, SMALL), (40, LARGE), (2, SKIPPED), (5, EXACT)]
    numbers = DENSE, 8, 0.5, 1, 0.5, 100, 3, 2, 5, 1000, 2**-9, 2**-9, runs
    codec, chance = Codec(*numbers), random.Random(2)
    updates = [[chance.uniform(-0.1, 0.1) for _ in range(50)] for _ in range(3)]
    updates[0][1] = 9.0  # counts as 0.5
    weights = 100, 50, 400  # the last one counts as 100
    metrics = list(zip(weights, (80, 50, 200), (1.5, 20.0, 8.0)))
    rows = zip(updates, metrics, range(3))
    mean, told = codec.decode(sum_of(codec.encode(*row) for row in rows), 3)
    assert told == (250, 180, 23.5)
    shares = list(zip((0.4, 0.2, 0.4), updates))
    true = [sum(s * limited(u[i], 0.5) for s, u in shares) for i in range(50)]
    true[43:45] = [0.0, 0.0]
    assert all(abs(a - b) < 0.01 for a, b in zip(mean, true))

    codec.kind, totals = SKETCH, [0.0] * 50
    for codec.seed in range(400):
        words = codec.encode(updates[1], (100, 50, 0), 0)
        totals = [a + b for a, b in zip(totals, codec.decode(words, 1)[0])]
    for i in codec.places(LARGE):
        assert abs(totals[i] / 400 - updates[1][i]) < 0.025


def check_refusals():
    codec = Codec(DENSE, 8, 1, 1, 1, 10, 2, 0, 8, 9, 1, 1, [(1, SMALL)])
    codec.decode([20, 20, 64 * 20 * 2**20, 0], 2)
    for clients, *head in (
        (0, 0, 0, 0), (3, 3, 0, 0), (2, 1, 0, 0), (2, 21, 0, 0), (2, 9, 10, 0),
        (1, 1, 0, 2**26 + 1),
    ):  # fmt: skip
        try:
            codec.decode([*head, 0], clients)
        except Refused:
            continue
        raise AssertionError(f"{clients} clients have made {head}")


if __name__ == "__main__":
    check_words()
    check_codec()
    check_refusals()
