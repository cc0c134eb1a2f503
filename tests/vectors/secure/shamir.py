#!/usr/bin/python3
"""Shares of known secrets, by other means than secure/shamir.c: products from
tables of logarithms, polynomials as sums of powers.

    python3 tests/vectors/secure/shamir.py >tests/vectors/secure/shamir.md

Byte i of everything drawn is h(i) mod 256, h the hash of
tests/support/torch.h: bytes 0 to 63 are the secret, then the coefficients.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib

SHARE_BYTES = 64
LOW = 0xFFFFFFFF

exponential, logarithm = [0] * 255, [0] * 256
power = 1
for exponent in range(255):  # 3 generates all 255
    exponential[exponent] = power
    logarithm[power] = exponent
    power ^= power << 1 ^ (0x11B if power & 0x80 else 0)


def drawn(i):
    h = i * 0x9E3779B1 & LOW
    h ^= h >> 15
    h = h * 0x85EBCA77 & LOW
    return (h ^ h >> 13) & 0xFF


def term(coefficient, x, degree):
    if coefficient == 0:
        return 0
    return exponential[(logarithm[coefficient] + degree * logarithm[x]) % 255]


def share(x, threshold):
    result = bytearray(SHARE_BYTES)
    for degree in range(threshold):
        for i in range(SHARE_BYTES):
            result[i] ^= term(drawn(degree * SHARE_BYTES + i), x, degree)
    return bytes(result)


def block(name, data):
    rows = [data[i:i + 32].hex() for i in range(0, len(data), 32)]
    print('\n```hex', name)
    print('\n'.join(rows))
    print('```')


print('# Shamir shares')
print()
print('Written by shamir.py, which says what is drawn. `shares 3 of 5` are all')
print('shares, `hash 67 of 100` is BLAKE2b-256 over a hundred of them.')
block('secret', bytes(map(drawn, range(SHARE_BYTES))))
block('shares 3 of 5', b''.join(share(x, 3) for x in range(1, 6)))
hundred = b''.join(share(x, 67) for x in range(1, 101))
block('hash 67 of 100', hashlib.blake2b(hundred, digest_size=32).digest())
