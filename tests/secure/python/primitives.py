#!/usr/bin/env python3
"""The cryptography of fedge, slowly, from the RFCs.

Nothing here runs in constant time or is meant to guard anything: it is the
second opinion of the tests. Run as a program it checks itself against the
vectors that the RFCs print.

SPDX-License-Identifier: Apache-2.0
"""
import functools
import hashlib
import hmac
import itertools
import random
import struct


def u16(number):
    return struct.pack("<H", number)


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def little(data):
    return int.from_bytes(data, "little")


# ---- BLAKE2b, RFC 7693 ----


def H(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def H8(data):
    return H(data)[:8]


def K(key, data):
    assert len(key) == 32
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


# ---- X25519, RFC 7748 ----

P = 2**255 - 19
BASE_U = u64(9) + bytes(24)


class WeakKey(Exception):
    """A public key whose shared secret is zero with any partner."""


@functools.cache
def x25519(scalar, u_bytes):
    """RFC 7748, section 5: the Montgomery ladder, in its names."""
    clamped = bytearray(scalar)
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    k = little(clamped)
    x_1 = little(u_bytes) % 2**255 % P
    x_2, z_2, x_3, z_3 = 1, 0, x_1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x_2, x_3, z_2, z_3 = x_3, x_2, z_3, z_2
        a, b = (x_2 + z_2) % P, (x_2 - z_2) % P
        aa, bb = a * a % P, b * b % P
        e = (aa - bb) % P
        da, cb = (x_3 - z_3) * a % P, (x_3 + z_3) * b % P
        x_3, z_3 = (da + cb) ** 2 % P, x_1 * (da - cb) ** 2 % P
        x_2, z_2 = aa * bb % P, e * (aa + 121665 * e) % P
        if bit:
            x_2, x_3, z_2, z_3 = x_3, x_2, z_3, z_2
    return (x_2 * pow(z_2, P - 2, P) % P).to_bytes(32, "little")


def x25519_public(scalar):
    return x25519(scalar, BASE_U)


def DH(scalar, public):
    shared = x25519(scalar, public)
    if shared == bytes(32):
        raise WeakKey
    return shared


# ---- Ed25519, RFC 8032 ----

L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL = (0, 1, 1, 0)


def point_add(p, q):
    """Section 5.1.4, points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


@functools.cache
def doublings(p):
    """p, 2 p, 4 p, ...; kept, since keys are used again and again."""
    points = [p]
    for _ in range(254):  # clamped scalars have 255 bits
        points.append(point_add(points[-1], points[-1]))
    return points


def point_multiply(scalar, p):
    q = NEUTRAL
    for i, power in enumerate(doublings(p)):
        if scalar >> i & 1:
            q = point_add(q, power)
    return q


def point_equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (
        p[1] * q[2] - q[1] * p[2]
    ) % P == 0


def point_encode(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def point_decode(data):
    """Section 5.1.3; None: these bytes are no point."""
    y, sign = little(data) % 2**255, data[31] >> 7
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def sha512_number(data):
    return little(hashlib.sha512(data).digest())


def ed25519_expand(seed):
    """Section 5.1.5: the secret scalar and the prefix."""
    digest = hashlib.sha512(seed).digest()
    scalar = little(digest[:32]) & (2**254 - 8) | 2**254
    return scalar, digest[32:]


@functools.cache
def ed25519_public(seed):
    return point_encode(point_multiply(ed25519_expand(seed)[0], BASE))


def ed25519_sign(seed, message):
    scalar, prefix = ed25519_expand(seed)
    r = sha512_number(prefix + message) % L
    R = point_encode(point_multiply(r, BASE))
    k = sha512_number(R + ed25519_public(seed) + message) % L
    return R + ((r + k * scalar) % L).to_bytes(32, "little")


def ed25519_check(signature, public, message):
    A, R = point_decode(public), point_decode(signature[:32])
    s = little(signature[32:])
    if len(signature) != 64 or A is None or R is None or s >= L:
        return False
    k = sha512_number(signature[:32] + public + message) % L
    left = point_multiply(s, BASE)
    return point_equal(left, point_add(R, point_multiply(k, A)))


# ---- ChaCha20 and Poly1305, RFC 8439 ----

QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
WORD = 2**32 - 1


def rotated(word, bits):
    return (word << bits | word >> 32 - bits) & WORD


def chacha20_block(key, counter, nonce):
    words = b"expand 32-byte k" + key + u32(counter) + nonce
    start = struct.unpack("<16I", words)
    x = list(start)
    for _ in range(10):
        for a, b, c, d in QUARTERS:
            x[a] = x[a] + x[b] & WORD
            x[d] = rotated(x[d] ^ x[a], 16)
            x[c] = x[c] + x[d] & WORD
            x[b] = rotated(x[b] ^ x[c], 12)
            x[a] = x[a] + x[b] & WORD
            x[d] = rotated(x[d] ^ x[a], 8)
            x[c] = x[c] + x[d] & WORD
            x[b] = rotated(x[b] ^ x[c], 7)
    return struct.pack("<16I", *((a + b) & WORD for a, b in zip(x, start)))


def chacha20(key, counter, nonce, length):
    """The first bytes of the stream, from this block on."""
    blocks = range(counter, counter + (length + 63) // 64)
    return b"".join(chacha20_block(key, i, nonce) for i in blocks)[:length]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def poly1305(key, message):
    r = little(key[:16]) & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    tag = 0
    for at in range(0, len(message), 16):
        tag = (tag + little(message[at : at + 16] + b"\1")) * r % (2**130 - 5)
    return ((tag + little(key[16:])) % 2**128).to_bytes(16, "little")


def aead_tag(key, nonce, data, sealed):
    def padded(part):
        return part + bytes(-len(part) % 16)

    message = padded(data) + padded(sealed) + u64(len(data)) + u64(len(sealed))
    return poly1305(chacha20(key, 0, nonce, 32), message)


def aead_seal(key, nonce, data, plain):
    """Section 2.8, `data` being the associated data."""
    sealed = xor(plain, chacha20(key, 1, nonce, len(plain)))
    return sealed + aead_tag(key, nonce, data, sealed)


def aead_open(key, nonce, data, sealed):
    """The plain bytes, or None."""
    body, tag = sealed[:-16], sealed[-16:]
    if not hmac.compare_digest(tag, aead_tag(key, nonce, data, body)):
        return None
    return xor(body, chacha20(key, 1, nonce, len(body)))


# ---- Shamir's secret sharing over GF(2^8) ----


@functools.cache
def gf_multiply(a, b):
    """Modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


@functools.cache
def gf_invert(a):
    """a^254: the non-zero elements are a group of order 255."""
    inverse = 1
    for _ in range(254):
        inverse = gf_multiply(inverse, a)
    return inverse


def shamir_deal(secret, holders, threshold, draw):
    """A share for each x from 1 to `holders`, in this order."""
    powers = [secret] + [draw(len(secret)) for _ in range(threshold - 1)]
    shares = []
    for x in range(1, holders + 1):
        share = bytes(len(secret))
        for coefficients in reversed(powers):  # Horner
            times_x = bytes(gf_multiply(byte, x) for byte in share)
            share = xor(times_x, coefficients)
        shares.append(share)
    return shares


def shamir_join(shares):
    """The secret, from {x: share}: Lagrange's polynomial at 0."""
    secret = bytes(len(next(iter(shares.values()))))
    for x, share in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                quotient = gf_multiply(other, gf_invert(other ^ x))
                weight = gf_multiply(weight, quotient)
        secret = xor(secret, bytes(gf_multiply(byte, weight) for byte in share))
    return secret


# ---- what the RFCs print ----

h = bytes.fromhex


def check_x25519():
    """RFC 7748, sections 5.2 and 6.1."""
    assert x25519(
        h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
    ) == h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    assert x25519(BASE_U, BASE_U) == h(
        "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    )
    one, two, shared = (
        h("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
        h("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        h("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    )
    assert DH(one, x25519_public(two)) == shared
    assert DH(two, x25519_public(one)) == shared
    for weak in (bytes(32), u64(1) + bytes(24)):
        try:
            DH(one, weak)
        except WeakKey:
            continue
        raise AssertionError("a weak key is taken")


def check_ed25519():
    """RFC 8032, section 7.1, tests 1 and 3."""
    for seed, public, message, signature in (
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ):
        seed, public, message = h(seed), h(public), h(message)
        assert ed25519_public(seed) == public
        assert ed25519_sign(seed, message) == h(signature)
        assert ed25519_check(h(signature), public, message)
        assert not ed25519_check(h(signature), public, message + b"x")
        assert not ed25519_check(h(signature[:-1] + "c"), public, message)


def check_chacha20_poly1305():
    """RFC 8439, sections 2.3.2, 2.5.2 and 2.8.2."""
    assert chacha20(
        bytes(range(32)), 1, h("000000090000004a00000000"), 64
    ) == h(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    assert poly1305(
        h("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
        b"Cryptographic Forum Research Group",
    ) == h("a8061dc1305136c6c22b8baf0c0127a9")
    key, nonce = bytes(range(0x80, 0xA0)), h("070000004041424344454647")
    data = h("50515253c0c1c2c3c4c5c6c7")
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you "
        b"only one tip for the future, sunscreen would be it."
    )
    sealed = aead_seal(key, nonce, data, plain)
    assert sealed[:16] == h("d31a8d34648e60db7b86afbc53ef7ec2")
    assert sealed[-16:] == h("1ae10b594f09e26a7e902ecbd0600691")
    assert aead_open(key, nonce, data, sealed) == plain
    assert aead_open(key, nonce, data + b"x", sealed) is None


def check_shamir():
    """FIPS 197, section 4.2; then every way to leave shares out."""
    assert gf_multiply(0x57, 0x83) == 0xC1
    assert all(gf_multiply(a, gf_invert(a)) == 1 for a in range(1, 256))
    secret, chance = bytes(range(64)), random.Random(1)
    shares = dict(enumerate(shamir_deal(secret, 5, 3, chance.randbytes), 1))
    for some in itertools.combinations(shares.items(), 3):
        assert shamir_join(dict(some)) == secret
    for some in itertools.combinations(shares.items(), 2):
        assert shamir_join(dict(some)) != secret


def check_all():
    check_x25519()
    check_ed25519()
    check_chacha20_poly1305()
    check_shamir()


if __name__ == "__main__":
    check_all()
