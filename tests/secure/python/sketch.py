#!/usr/bin/env python3
"""Sketches: streams that a seed names, rotations, and what of them is sent
(docs/format.md, "Updates").

Numbers of Python are binary64. Where the document says "float", single() or
singles() rounds them.

SPDX-License-Identifier: Apache-2.0
"""
import math
import struct

LARGE, SMALL, EXACT, SKIPPED = range(4)
SIGNS, SUPPORT, ORDER, MIX, DITHER, CODEC_SEED = range(14, 20)
U32 = 2**32


# ---- floats ----


def singles(values):
    form = f"<{len(values)}f"
    return list(struct.unpack(form, struct.pack(form, *values)))


def single(value):
    return singles([value])[0]


# ---- random streams ----


def philox(counter, key):
    """Philox 4x32-10: the section on it in the paper that is named."""
    a, b, c, d = counter
    key0, key1 = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b = q // U32 ^ b ^ key0, q % U32
        c, d = p // U32 ^ d ^ key1, p % U32
        key0, key1 = (key0 + 0x9E3779B9) % U32, (key1 + 0xBB67AE85) % U32
    return a, b, c, d


class Stream:
    def __init__(self, seed, purpose, number):
        self.numbers = self.blocks(seed, purpose, number)

    @staticmethod
    def blocks(seed, purpose, number):
        i = 0
        while True:
            counter = i, purpose, number % U32, number // U32
            yield from philox(counter, (seed % U32, seed // U32))
            i += 1

    def u32(self):
        return next(self.numbers)

    def u64(self):
        return self.u32() + self.u32() * U32

    def below(self, b):
        while True:
            product = self.u32() * b
            if product % U32 >= U32 % b:
                return product // U32

    def shuffle(self, sequence):
        for i in range(len(sequence), 1, -1):
            j = self.below(i)
            sequence[i - 1], sequence[j] = sequence[j], sequence[i - 1]


# ---- blocks and rotations ----


def blocks(N):
    """Number, first coordinate and size of each block."""
    b = at = 0
    while at < N:
        size = 8192
        while size > N - at:
            size //= 2
        yield b, at, size
        b, at = b + 1, at + size


def padded(count):
    """N: whole blocks, and one that is a power of two."""
    rest, last = count % 8192, 1
    while last < rest:
        last *= 2
    return count - rest + last if rest else count


def flip(x, stream):
    signs = [stream.u32() for _ in range((len(x) + 31) // 32)]
    return [-v if signs[i // 32] >> i % 32 & 1 else v for i, v in enumerate(x)]


def transform(x):
    h = 1
    while h < len(x):
        for i in range(0, len(x), 2 * h):
            pairs = list(zip(x[i : i + h], x[i + h : i + 2 * h]))
            x[i : i + h] = [a + b for a, b in pairs]
            x[i + h : i + 2 * h] = [a - b for a, b in pairs]
        x, h = singles(x), 2 * h
    scale = single(1 / math.sqrt(len(x)))
    return singles([v * scale for v in x])


def rotated(values, seed, purpose, group, back=False):
    result = []
    for b, at, size in blocks(len(values)):
        stream = Stream(seed, purpose, group * U32 + b)
        x = values[at : at + size]
        x = flip(transform(x), stream) if back else transform(flip(x, stream))
        result += x
    return result


# ---- sketches ----


class Sketch:
    """Of one group: `count` values become k numbers, and back."""

    def __init__(self, seed, group, count, density):
        self.seed, self.group, self.count = seed, group, count
        self.N = self.k = padded(count)
        if density < 1:
            k = math.floor(density * count + 0.5)
            self.k = min(max(k - k % 16, 16), self.N)

    def stream(self, purpose, b=0):
        return Stream(self.seed, purpose, self.group * U32 + b)

    def sent(self):
        """Which of the N coordinates, in their order."""
        k, N = self.k, self.N
        if k == N:
            return list(range(N))
        o, chosen = self.stream(SUPPORT, U32 - 1).u64() % N, []
        for b, a, size in blocks(N):
            stream, places = self.stream(SUPPORT, b), list(range(size))
            number = (k * (a + size) + o) // N - (k * a + o) // N
            for i in range(number):
                j = i + stream.below(size - i)
                places[i], places[j] = places[j], places[i]
            chosen += [a + place for place in places[:number]]
        return chosen

    def shuffled(self):
        """The same, shuffled."""
        chosen = self.sent()
        Stream(self.seed, ORDER, self.group).shuffle(chosen)
        return chosen

    def apply(self, values):
        zeros = [0.0] * (self.N - self.count)
        x = rotated(values + zeros, self.seed, SIGNS, self.group)
        chosen = [x[i] for i in self.shuffled()]
        return rotated(chosen, self.seed, MIX, self.group)

    def lift(self, numbers, factor):
        if not self.N:
            return []
        chosen = rotated(numbers, self.seed, MIX, self.group, back=True)
        x, factor = [0.0] * self.N, factor * (self.N / self.k)
        for i, number in zip(self.shuffled(), chosen, strict=True):
            x[i] = single(number * factor)
        x = rotated(x, self.seed, SIGNS, self.group, back=True)
        return x[: self.count]


# ---- checks ----


def check_philox():
    """Vectors that its authors publish (Random123, kat_vectors)."""
    pi = 0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344
    known = 0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1
    assert philox(pi, (0xA4093822, 0x299F31D0)) == known
    known = 0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8
    assert philox((0, 0, 0, 0), (0, 0)) == known


def check_below():
    """All numbers are as likely, also where products are not."""
    stream, seen = Stream(1, SIGNS, 0), [0, 0, 0]
    for _ in range(3000):
        seen[stream.below(3 * 2**30) % 3] += 1
    assert all(900 < count < 1100 for count in seen)


def check_rotation():
    """It keeps lengths, is undone, and says in every number a bit of all."""
    values = [1.0] + [0.0] * 8192 + [2.0, 0.0]
    there = rotated(values, 1, SIGNS, LARGE)
    assert set(map(abs, there[:8192])) == {single(8192**-0.5)}
    assert abs(sum(v * v for v in there) - 5) < 1e-5
    for a, b in zip(rotated(there, 1, SIGNS, LARGE, back=True), values):
        assert abs(a - b) < 1e-6


if __name__ == "__main__":
    check_philox()
    check_below()
    check_rotation()
