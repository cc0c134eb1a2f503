#!/usr/bin/env python3
"""Tallies as words that can be added, and back (docs/format.md, "Tallies").

SPDX-License-Identifier: Apache-2.0
"""
import random

from notation import Refused, check
from update import Codec, sum_of

TALLY = 9


class Tally:
    """The codec's numbers that are used, and the others as the plan has them."""

    def __init__(self, counts, weight_max, n, seed, clip=1.0):
        self.P, self.n, self.largest = counts, n, (2**32 - 1) // n
        self.codec = Codec(
            TALLY, 0, 0, 0, clip, weight_max, n, seed, 0, 0, 0, 0, []
        )
        self.codec.P = counts

    def encode(self, counts, metrics):
        check(all(count <= self.largest for count in counts), "a large count")
        padded = counts + [0] * (self.P % 2)
        pairs = zip(padded[::2], padded[1::2])
        return self.codec.metrics(*metrics) + [a + (b << 32) for a, b in pairs]

    def decode(self, sums, clients):
        """The sums of the counts, and those of the metrics."""
        metrics = self.codec.told(sums[:3], clients)
        halves = [half for word in sums[3:] for half in divmod(word, 2**32)[::-1]]
        counts = halves[: self.P]
        check(max(counts) <= clients * self.largest, "a large sum")
        check(not any(halves[self.P :]), "no count, and not 0")
        return counts, metrics


def check_sums():
    chance = random.Random(4)
    for n in (1, 2, 7, 300):
        for P in (1, 2, 5):
            tally = Tally(P, 100, n, 0)
            counts = [
                [chance.choice((0, chance.randint(0, tally.largest), tally.largest))
                 for _ in range(P)] for _ in range(n)
            ]  # fmt: skip
            words = [tally.encode(row, (50, 20, 1.5)) for row in counts]
            sums, told = tally.decode(sum_of(words), n)
            assert sums == [sum(column) for column in zip(*counts)]
            assert told == (50 * n, 20 * n, 1.5 * n)


def check_refusals():
    tally = Tally(3, 10, 2, 0)
    tally.decode([20, 20, 0, tally.largest * 2, 0], 2)
    most = tally.largest
    for clients, *sums in (
        (0, 0, 0, 0, 0, 0), (3, 3, 0, 0, 0, 0), (2, 1, 0, 0, 0, 0),
        (2, 9, 10, 0, 0, 0), (1, 9, 9, 0, most + 1, 0),
        (1, 9, 9, 0, most + 1 << 32, 0), (1, 9, 9, 0, 0, 2**32),
    ):  # fmt: skip
        try:
            tally.decode(sums, clients)
        except Refused:
            continue
        raise AssertionError(f"{clients} clients have made {sums}")


if __name__ == "__main__":
    check_sums()
    check_refusals()
