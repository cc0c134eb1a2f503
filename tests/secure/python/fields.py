#!/usr/bin/env python3
"""Fields: an update as small integers, and these in words
(docs/format.md, "Fields").

SPDX-License-Identifier: Apache-2.0
"""
import math
import random
import struct
from dataclasses import dataclass
from fractions import Fraction

from notation import Refused, check, labelled
from primitives import H
from transcript import WORD


# ---- fields in words ----


def fields_per_word(radix):
    m = 1
    while radix ** (m + 1) <= WORD:
        m += 1
    return m


def pack(fields, radix):
    m = fields_per_word(radix)
    groups = [fields[i : i + m] for i in range(0, len(fields), m)]
    return [sum(f * radix**i for i, f in enumerate(g)) for g in groups]


def unpack(words, radix, field_count):
    m = fields_per_word(radix)
    check(all(word < radix**m for word in words), "no sum of packed words")
    digits = [word // radix**i % radix for word in words for i in range(m)]
    return digits[:field_count]


# ---- an update as fields: docs/format.md, "Fields" ----


LOSS_UNIT = Fraction(1, 2**20)
LOSS_MAX = 64  # an example


def recipe_of(model, numbers, seed):
    """How to train, hashed: the plan's numbers in the document's order."""
    packed = struct.pack("<2I4f2IfIQ", *numbers, seed)
    return H(labelled("fedge recipe 1", model + packed))


@dataclass
class Codec:
    param_count: int
    field_max: int  # L
    weight_max: int
    clip: float
    recipe: bytes

    def task_bytes(self):
        numbers = self.param_count, self.field_max, self.weight_max, self.clip
        packed = struct.pack("<QIIf", *numbers)
        return labelled("fedge fields 1", packed + self.recipe)

    def task(self):
        return H(self.task_bytes())

    def maxima(self):
        """Of the three numbers: weight, correct count, loss sum in units."""
        loss = self.weight_max * LOSS_MAX / LOSS_UNIT
        return self.weight_max, self.weight_max, int(loss)

    def digit_counts(self):
        base = self.field_max + 1
        return [digit_count(most, base) for most in self.maxima()]

    def values(self, update, weight):
        """Every parameter as a point between two fields."""
        clip, L = Fraction(self.clip), self.field_max
        weight = min(weight, self.weight_max)
        for difference in map(Fraction, update):
            d = max(-clip, min(clip, difference))
            yield (d * weight / (clip * self.weight_max) + 1) * L / 2

    def encode(self, update, weight, correct, loss_sum, chance):
        factor = min(Fraction(1), Fraction(self.weight_max, weight))
        loss = max(Fraction(0), min(Fraction(loss_sum), LOSS_MAX * weight))
        numbers = weight * factor, correct * factor, loss * factor / LOSS_UNIT
        fields = []
        for number, count in zip(numbers, self.digit_counts()):
            whole = math.floor(number + Fraction(1, 2))
            fields += digits_of(whole, self.field_max + 1, count)
        for x in self.values(update, weight):
            below = math.floor(x)
            fields.append(below + (chance.random() < x - below))
        return fields

    def decode(self, sums, n):
        """The mean, and what rides along: weight, correct count, loss sum."""
        check(max(sums) <= n * self.field_max, "a field above n L")
        at, numbers = 0, []
        for most, count in zip(self.maxima(), self.digit_counts()):
            number = number_of(sums[at : at + count], self.field_max + 1)
            check(number <= n * most, "a number above n times its maximum")
            numbers.append(number)
            at += count
        W, correct, units = numbers
        loss = units * LOSS_UNIT
        check(n <= W and correct <= W and loss <= LOSS_MAX * W, "no clients'")
        scale = Fraction(self.clip) * self.weight_max / W
        values = (Fraction(2 * S, self.field_max) - n for S in sums[at:])
        return [value * scale for value in values], W, correct, loss


def number_of(digits, base):
    return sum(digit * base**i for i, digit in enumerate(digits))


def digit_count(largest, base):
    return 1 if largest < base else 1 + digit_count(largest // base, base)


def digits_of(number, base, count):
    return [number // base**i % base for i in range(count)]


def check_words():
    """Packed fields can be added; what is no sum is refused."""
    vectors = [list(range(12)), [15] * 12, [15 - i for i in range(12)]]
    words = [sum(column) for column in zip(*(pack(v, 46) for v in vectors))]
    assert unpack(words, 46, 12) == [30] * 12
    try:
        unpack([46**11], 46, 12)
    except Refused:
        return
    raise AssertionError("a word of more than its fields")


def check_fields():
    """The mean of updates comes back, but for the rounding."""
    codec, chance = Codec(3, 15, 100, 0.5, bytes(32)), random.Random(2)
    updates = [[0.25, -0.5, 0.0], [0.5, 0.5, -0.125], [9.0, -9.0, 0.1]]
    weights = [100, 50, 400]  # the last one counts as 100
    numbers = zip(updates, weights, [80, 50, 200], [1.5, 20.0, 8.0])
    fields = [codec.encode(*row, chance) for row in numbers]
    sums = [sum(column) for column in zip(*fields)]
    mean, weight, correct, loss = codec.decode(sums, 3)
    assert (weight, correct, loss) == (250, 180, 23.5)
    step = 3 * 2 * 0.5 / 15 * 100 / 250
    for got, want in zip(mean, (0.4, -0.3, 0.015)):
        assert abs(got - want) < step


if __name__ == "__main__":
    check_words()
    check_fields()
