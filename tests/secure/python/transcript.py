#!/usr/bin/env python3
"""What both sides of a session compute alike: bytes of steps, hashes, keys
(docs/format.md, "Secure aggregation: one session").

SPDX-License-Identifier: Apache-2.0
"""
import struct
from dataclasses import dataclass

from notation import check, check_signature, labelled, rising
from primitives import H, H8, K, chacha20, little, u32

INVITE, ADVERTISE, ROSTER, CHOICE, NEIGHBOURS = 2, 3, 4, 5, 6
SHARES, INBOX, MASKED, SURVIVORS, CONFIRM = 7, 8, 9, 10, 11
CONFIRMATIONS, UNMASK = 12, 13

COMPLETE_MAX = 128  # clients; above, they choose neighbours
WORDS_MAX = 40 * 2**20
WORD = 2**64


# ---- the invite ----


@dataclass
class Invite:
    client_min: int
    client_cap: int
    word_count: int
    phase_ms: int
    round: int
    number: int
    session: bytes
    federation: bytes
    model: bytes
    task: bytes
    enrolment: bytes

    FORM = "<6IQ32s32s32s32s32s"

    def encode(self, aggregator):
        """Signed by the aggregator, which is the federation."""
        body = struct.pack(
            self.FORM, 2, self.client_min, self.client_cap, self.word_count,
            self.phase_ms, self.round, self.number, self.session,
            self.federation, self.model, self.task, self.enrolment,
        )  # fmt: skip
        return body + aggregator.sign("fedge invite", body)

    @classmethod
    def decode(cls, data):
        check(len(data) == 256, "an invite has 256 bytes")
        version, *told = struct.unpack(cls.FORM, data[:192])
        check(version == 2, "another version")
        invite = cls(*told)
        check(2 <= invite.client_min <= invite.client_cap <= 16384, "clients")
        check(1 <= invite.word_count <= WORDS_MAX, "words")
        check(min(invite.phase_ms, invite.round) >= 1, "a phase or round of 0")
        public = invite.federation
        check_signature("fedge invite", data[:192], data[192:], public)
        return invite


def context(invite_data):
    return H(labelled("fedge session 1", invite_data[:192]))


def threshold_min(n):
    """The least t, and the least k (0: the complete graph)."""
    if n <= COMPLETE_MAX:
        return 2 * n // 3 + 1, 0
    table = {256: 80, 512: 88, 1024: 96, 2048: 104, 4096: 112, 16384: 122}
    k = next(k for most, k in table.items() if n <= most)
    return 7 * k // 10, k


# ---- advertise and roster ----


def commitment(ctx, b):
    return H(labelled("fedge commitment", ctx + b))


def advertise(identity, ctx, C, M, commit):
    body = C + M + commit
    return body + identity.sign("fedge advertise", ctx + body)


class Entry:
    """A client in the roster: u32 device || advertise."""

    def __init__(self, data):
        self.data = data
        self.device = little(data[:4])
        self.advertise = data[4:]
        self.C, self.M = data[4:36], data[36:68]
        self.commitment, self.signature = data[68:100], data[100:]

    def check(self, ctx, enrolment):
        check(self.device < len(enrolment.devices), "not enrolled")
        identity = enrolment.devices[self.device].identity
        signed = ctx + self.advertise[:96]
        check_signature("fedge advertise", signed, self.signature, identity)


def check_entries(entries, ctx, enrolment):
    """What a client asks of all entries that it sees, in their order."""
    for entry in entries:
        entry.check(ctx, enrolment)
    check(rising([entry.device for entry in entries]), "devices do not rise")
    keys = [key for entry in entries for key in (entry.C, entry.M)]
    check(len(set(keys)) == len(keys), "a key is there twice")


def leaf(slot, entry):
    """A node: u32 the first device below || a hash of all below."""
    return entry.data[:4] + H(labelled("fedge leaf", u32(slot) + entry.data))


def node(left, right):
    return left[:4] + H(labelled("fedge node", left + right))


def tree_levels(leaves):
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [below[i : i + 2] for i in range(0, len(below), 2)]
        levels.append([node(*p) if len(p) == 2 else p[0] for p in pairs])
    return levels


def tree_proof(levels, slot):
    """The siblings from the leaf upwards."""
    siblings = []
    for level in levels[:-1]:
        siblings += level[slot ^ 1 : (slot ^ 1) + 1]
        slot //= 2
    return b"".join(siblings)


def tree_climb(entry, slot, n, proof):
    """The root that a proof, taken from a reader, leads to."""
    top = leaf(slot, entry)
    while n > 1:
        if slot ^ 1 < n:
            sibling = proof.take(36)
            low, high = (sibling, entry.data) if slot & 1 else (
                entry.data, sibling)  # fmt: skip
            check(little(low[:4]) < little(high[:4]), "devices do not rise")
            top = node(sibling, top) if slot & 1 else node(top, sibling)
        slot, n = slot // 2, (n + 1) // 2
    return top


# ---- everything that is bound to ctx, rho and sigma ----


class Transcript:
    def __init__(self, ctx, n, root):
        self.ctx = ctx
        self.rho = H(labelled("fedge roster", ctx + u32(n) + root))
        self.sigma = None

    def set_senders(self, senders_bitmap):
        bound = self.ctx + self.rho + senders_bitmap
        self.sigma = H(labelled("fedge senders", bound))

    def share_hash(self, owner, x, half):
        bound = self.ctx + u32(owner) + bytes([x]) + half
        return H8(labelled("fedge share", bound))

    def shares_signed(self, slot, body):
        return self.ctx + self.rho + u32(slot) + H(body)

    def share_box(self, u, v, C_u, C_v, shared):
        """Key, nonce and associated data of a share from u to v."""
        data = self.ctx + self.rho + u32(u) + u32(v)
        key = K(shared, labelled("fedge share key", data + C_u + C_v))
        return key, bytes(12), data

    def self_mask(self, slot, b):
        bound = self.ctx + self.rho + self.sigma + u32(slot)
        return K(b, labelled("fedge self mask", bound))

    def pair_mask(self, shared, a, M_a, b, M_b):
        (low, M_low), (high, M_high) = sorted([(a, M_a), (b, M_b)])
        bound = self.ctx + self.rho + self.sigma
        bound += u32(low) + u32(high) + M_low + M_high
        return K(shared, labelled("fedge pair mask", bound))

    def survivors_signed(self, survivors_bitmap):
        return self.ctx + self.rho + self.sigma + H(survivors_bitmap)


def stream(key, word_count):
    data = chacha20(key, 0, bytes(12), 8 * word_count)
    return struct.unpack(f"<{word_count}Q", data)


def add_stream(words, key, sign):
    added = zip(words, stream(key, len(words)), strict=True)
    return [(word + sign * mask) % WORD for word, mask in added]


def pair_sign(slot, partner):
    return 1 if slot < partner else -1
