#!/usr/bin/env python3
"""The aggregator's side of one session (docs/format.md, "Secure aggregation:
one session").

SPDX-License-Identifier: Apache-2.0
"""
import struct

from notation import Reader, bitmap, check, check_signature, rising
from primitives import DH, shamir_join, u16, u32, x25519_public
from transcript import ADVERTISE, CHOICE, CONFIRM, CONFIRMATIONS, INBOX
from transcript import INVITE, MASKED, NEIGHBOURS, ROSTER, SHARES, SURVIVORS
from transcript import UNMASK, WORD, Entry, Transcript, add_stream
from transcript import commitment, context, leaf, pair_sign
from transcript import threshold_min, tree_levels, tree_proof


class Aggregator:
    """The aggregator's side of one session. `message` is what a device is to
    be told, `receive` takes its answer (the object too), and `advance` ends a
    phase with those that have answered."""

    def __init__(self, identity, enrolment, invite, count):
        """Invites the first `count` devices of the list."""
        self.enrolment, self.invite = enrolment, invite
        self.invite_data = invite.encode(identity)
        self.ctx = context(self.invite_data)
        self.phase = ADVERTISE  # named by what clients send in it
        self.awaited = set(range(count))
        self.answers = {}  # of this phase, by slot; by device in ADVERTISE

    def message(self, device):
        """Step and bytes; None: nothing is to be told to that device."""
        if device not in self.awaited:
            return None
        if self.phase == ADVERTISE:
            return INVITE, self.invite_data
        slot = self.slots[device]
        if self.phase == CHOICE or self.phase == SHARES and not self.k:
            return ROSTER, self.roster(slot)
        if self.phase == SHARES:
            return NEIGHBOURS, self.neighbours(slot)
        if self.phase == MASKED:
            return INBOX, self.inbox(slot)
        if self.phase == CONFIRM:
            return SURVIVORS, self.survivors_bitmap
        return CONFIRMATIONS, self.confirmations(slot)

    def receive(self, device, step, data):
        """Refused: the device has dropped out."""
        assert step == self.phase and device in self.awaited
        self.awaited.remove(device)
        if step == ADVERTISE:
            self.answers[device] = self.take_advertise(device, data)
            return
        slot = self.slots[device]
        take = {
            CHOICE: self.take_choice,
            SHARES: self.take_shares,
            MASKED: self.take_masked,
            CONFIRM: self.take_confirm,
            UNMASK: self.take_unmask,
        }[step]
        self.answers[slot] = take(slot, data)

    def drop(self, device):
        self.awaited.discard(device)

    def advance(self):
        answers, self.answers = self.answers, {}
        check(len(answers) >= self.invite.client_min, "too few are left")
        end = {
            ADVERTISE: self.end_advertise,
            CHOICE: self.end_choice,
            SHARES: self.end_shares,
            MASKED: self.end_masked,
            CONFIRM: self.end_confirm,
        }[self.phase]
        self.phase, slots = end(answers)
        self.awaited = {self.entries[slot].device for slot in slots}

    def public_of(self, slot):
        return self.enrolment.devices[self.entries[slot].device].identity

    # -- ADVERTISE, and the roster

    def take_advertise(self, device, data):
        check(len(data) == 160, "an advertise has 160 bytes")
        entry = Entry(u32(device) + data)
        entry.check(self.ctx, self.enrolment)
        return entry

    def end_advertise(self, answers):
        self.entries = [answers[device] for device in sorted(answers)]
        self.slots = {e.device: slot for slot, e in enumerate(self.entries)}
        self.n = len(self.entries)
        self.t, self.k = threshold_min(self.n)
        leaves = [leaf(i, entry) for i, entry in enumerate(self.entries)]
        self.tree = tree_levels(leaves)
        (self.root,) = self.tree[-1]
        self.transcript = Transcript(self.ctx, self.n, self.root)
        self.choices = dict.fromkeys(range(self.n), [])
        return (CHOICE if self.k else SHARES), range(self.n)

    def roster(self, slot):
        head = u32(self.n) + u32(slot) + u16(self.k) + u16(self.t)
        if self.k:
            return head + self.root + tree_proof(self.tree, slot)
        return head + b"".join(entry.data for entry in self.entries)

    # -- CHOICE, and neighbours

    def take_choice(self, slot, data):
        reader = Reader(data)
        chosen = [reader.number(2) for _ in range(self.k)]
        reader.end()
        check(rising(chosen) and chosen[-1] < self.n, "malformed")
        check(slot not in chosen, "chose itself")
        return chosen

    def end_choice(self, answers):
        self.choices |= answers
        return SHARES, answers

    def holders(self, owner):
        return self.choices[owner] if self.k else list(range(self.n))

    def partners(self, slot):
        others = set(range(self.n)) - {slot}
        return {
            other for other in others
            if other in self.holders(slot) or slot in self.holders(other)
        }  # fmt: skip

    def neighbours(self, slot):
        partners = sorted(self.partners(slot))
        data = u32(len(partners))
        for other in partners:
            data += u16(other) + bytes([slot in self.holders(other)])
            data += self.entries[other].data + tree_proof(self.tree, other)
        return data

    # -- SHARES, and the inbox

    def take_shares(self, slot, data):
        """Hashes by holder and half, and sealed shares by holder."""
        body, signature = data[:-64], data[-64:]
        signed = self.transcript.shares_signed(slot, body)
        check_signature("fedge shares", signed, signature, self.public_of(slot))
        reader, holders = Reader(body), self.holders(slot)
        hashes = {v: (reader.take(8), reader.take(8)) for v in holders}
        sealed = {v: reader.take(80) for v in holders if v != slot}
        reader.end()
        return hashes, sealed

    def end_shares(self, answers):
        self.shares = answers
        self.senders_bitmap = bitmap(answers, self.n)
        self.transcript.set_senders(self.senders_bitmap)
        self.words = [0] * self.invite.word_count
        return MASKED, answers

    def inbox(self, slot):
        data = self.senders_bitmap
        for _, (_, sealed) in sorted(self.shares.items()):
            data += sealed.get(slot, b"")
        return data

    # -- MASKED, and the survivors

    def take_masked(self, _slot, data):
        count = len(self.words)
        check(len(data) == 8 * count, "not word_count words")
        words = struct.unpack(f"<{count}Q", data)
        self.words = [(a + b) % WORD for a, b in zip(self.words, words)]

    def end_masked(self, answers):
        self.survivors = set(answers)
        self.survivors_bitmap = bitmap(answers, self.n)
        return CONFIRM, answers

    # -- CONFIRM, and the confirmations

    def take_confirm(self, slot, data):
        signed = self.transcript.survivors_signed(self.survivors_bitmap)
        check_signature("fedge survivors", signed, data, self.public_of(slot))
        return data

    def end_confirm(self, answers):
        self.confirmed = answers
        return UNMASK, answers

    def confirmations(self, slot):
        some = [v for v in self.holders(slot) if v in self.confirmed]
        return u16(len(some)) + b"".join(
            u16(v) + self.confirmed[v] for v in some
        )

    # -- UNMASK, and the sum

    def take_unmask(self, slot, data):
        """Halves of shares by owner; those that are not what their owner has
        dealt are left out."""
        reader, halves = Reader(data), {}
        for _ in range(reader.number(2)):
            owner, half = reader.number(2), reader.take(32)
            check(owner in self.shares, "a share of nobody")
            check(slot in self.holders(owner), "a share of another holder")
            x = self.holders(owner).index(slot) + 1
            want = self.shares[owner][0][slot][owner not in self.survivors]
            if self.transcript.share_hash(owner, x, half) == want:
                halves[owner] = half
        reader.end()
        return halves

    def seed_of(self, owner):
        """b of a survivor, s of a sender that has dropped out."""
        shares = {
            x: self.answers[holder][owner]
            for x, holder in enumerate(self.holders(owner), 1)
            if owner in self.answers.get(holder, {})
        }
        check(len(shares) >= self.t, f"too few shares of slot {owner}")
        return shamir_join(dict(list(shares.items())[: self.t]))

    def sum(self):
        """Takes the masks away; in UNMASK, when the shares are in."""
        words = self.words
        for owner in self.shares:
            seed, entry = self.seed_of(owner), self.entries[owner]
            if owner in self.survivors:
                check(commitment(self.ctx, seed) == entry.commitment, "wrong b")
                key = self.transcript.self_mask(owner, seed)
                words = add_stream(words, key, -1)
                continue
            check(x25519_public(seed) == entry.M, "wrong s")
            for v in self.partners(owner) & self.survivors:
                M_v = self.entries[v].M
                pair = owner, entry.M, v, M_v
                key = self.transcript.pair_mask(DH(seed, M_v), *pair)
                words = add_stream(words, key, -pair_sign(v, owner))
        return words
