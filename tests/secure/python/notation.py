#!/usr/bin/env python3
"""What docs/format.md writes its bytes with: labels, signatures, bitmaps; and
a reader that takes bytes apart.

SPDX-License-Identifier: Apache-2.0
"""
from primitives import ed25519_check, little


def labelled(label, data):
    """A label in quotes: its ASCII characters and one byte 0."""
    return label.encode("ascii") + b"\0" + data


class Refused(Exception):
    """Bytes that nobody should go on with; the text says why."""


def check(condition, why):
    if not condition:
        raise Refused(why)


def check_signature(label, data, signature, public):
    signed = ed25519_check(signature, public, labelled(label, data))
    check(signed, f'bad signature for "{label}"')


class Reader:
    """Takes bytes apart from the front; nothing may be left over."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        part = self.data[self.at : self.at + length]
        check(len(part) == length, "too short")
        self.at += length
        return part

    def number(self, length):
        return little(self.take(length))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        check(self.at == len(self.data), "too long")


def rising(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))


# ---- bitmaps over slots ----


def bitmap(slots, n):
    data = bytearray((n + 7) // 8)
    for slot in slots:
        data[slot // 8] |= 1 << slot % 8
    return bytes(data)


def slots_of(data, n):
    slots = {i for i in range(n) if data[i // 8] >> i % 8 & 1}
    check(data == bitmap(slots, n), "bits beyond the slots")
    return slots
