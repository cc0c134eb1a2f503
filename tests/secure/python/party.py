#!/usr/bin/env python3
"""A client's side of one session (docs/format.md, "Secure aggregation: one
session").

SPDX-License-Identifier: Apache-2.0
"""
import random
import struct

from notation import Reader, Refused, check, check_signature, rising
from notation import slots_of
from primitives import DH, WeakKey, aead_open, aead_seal
from primitives import shamir_deal, u16, u32, x25519_public
from transcript import ADVERTISE, CHOICE, CONFIRM, CONFIRMATIONS, INBOX
from transcript import INVITE, MASKED, NEIGHBOURS, ROSTER, SHARES, SURVIVORS
from transcript import UNMASK, Entry, Invite, Transcript
from transcript import add_stream, advertise, check_entries, commitment
from transcript import context, leaf, pair_sign
from transcript import threshold_min, tree_climb, tree_levels


class Party:
    """One client's side of one session: step() takes what the aggregator says
    and gives the answer, or raises Refused and answers nothing ever again."""

    def __init__(self, identity, enrolment, plan, draw):
        """`plan` is the invite that this client would sign itself: what it
        knows of round, model, task, words, and the least it accepts."""
        self.identity, self.enrolment = identity, enrolment
        self.plan, self.draw = plan, draw
        self.device = enrolment.place(identity.public)
        self.answers = {
            INVITE: self.on_invite,
            ROSTER: self.on_roster,
            NEIGHBOURS: self.on_neighbours,
            INBOX: self.on_inbox,
            SURVIVORS: self.on_survivors,
            CONFIRMATIONS: self.on_confirmations,
        }
        self.due = {INVITE}

    def step(self, step, data):
        due, self.due = self.due, set()
        check(step in due, "not due")
        try:
            return self.answers[step](data)
        except WeakKey:
            raise Refused("a weak key") from None

    def on_invite(self, data):
        self.invite, plan = Invite.decode(data), self.plan
        for same in ("federation", "round", "model", "task", "enrolment",
                     "word_count"):  # fmt: skip
            check(getattr(self.invite, same) == getattr(plan, same), same)
        check(self.invite.client_min >= plan.client_min, "hides among too few")
        check(self.invite.number >= plan.number, "the number does not grow")

        self.ctx = context(data)
        self.c, self.s, self.b = self.draw(32), self.draw(32), self.draw(32)
        self.C, self.M = x25519_public(self.c), x25519_public(self.s)
        commit = commitment(self.ctx, self.b)
        self.own = advertise(self.identity, self.ctx, self.C, self.M, commit)
        self.due = {ROSTER}
        return ADVERTISE, self.own

    def on_roster(self, data):
        reader = Reader(data)
        self.n, self.slot = reader.number(4), reader.number(4)
        self.k, self.t = reader.number(2), reader.number(2)
        check(self.n >= self.invite.client_min, "the roster is too small")
        check(self.n <= self.invite.client_cap, "the roster is too large")
        check(self.slot < self.n, "the slot is not in the roster")
        t_min, k_min = threshold_min(self.n)
        check(self.k >= k_min and self.k <= (254 if k_min else 0), "neighbours")
        check(t_min <= self.t <= (self.k or self.n), "the threshold")
        if self.k:
            return self.on_sparse_roster(reader)

        entries = [Entry(reader.take(164)) for _ in range(self.n)]
        reader.end()
        check(entries[self.slot].data == self.own_entry().data, "altered")
        check_entries(entries, self.ctx, self.enrolment)
        leaves = [leaf(i, entry) for i, entry in enumerate(entries)]
        (root,) = tree_levels(leaves)[-1]
        self.transcript = Transcript(self.ctx, self.n, root)
        self.entries = dict(enumerate(entries))
        self.holders = list(range(self.n))
        self.owners = set(range(self.n))  # whose shares this client holds
        return self.shares()

    def own_entry(self):
        return Entry(u32(self.device) + self.own)

    def on_sparse_roster(self, reader):
        self.root = reader.take(36)
        own = self.own_entry()
        top = tree_climb(own, self.slot, self.n, reader)
        reader.end()
        check(top == self.root, "itself missing or altered")
        self.entries = {self.slot: own}
        self.transcript = Transcript(self.ctx, self.n, self.root)
        others = [slot for slot in range(self.n) if slot != self.slot]
        chance = random.Random(self.draw(32))
        self.holders = sorted(chance.sample(others, self.k))
        self.due = {NEIGHBOURS}
        return CHOICE, b"".join(map(u16, self.holders))

    def on_neighbours(self, data):
        reader, slots, self.owners = Reader(data), [], set()
        for _ in range(reader.number(4)):
            slots.append(reader.number(2))
            chose = reader.number(1)
            slot, entry = slots[-1], Entry(reader.take(164))
            check(slot < self.n and slot != self.slot, "no neighbour's slot")
            check(chose <= 1, "malformed")
            check(chose or slot in self.holders, "neither chose the other")
            top = tree_climb(entry, slot, self.n, reader)
            check(top == self.root, "not in the roster")
            self.entries[slot] = entry
            if chose:
                self.owners.add(slot)
        reader.end()
        check(rising(slots), "slots do not rise")
        check(set(self.holders) <= set(slots), "a chosen neighbour is missing")
        in_order = [entry for _, entry in sorted(self.entries.items())]
        check_entries(in_order, self.ctx, self.enrolment)
        return self.shares()

    def shares(self):
        secret, count = self.b + self.s, len(self.holders)
        held = shamir_deal(secret, count, self.t, self.draw)
        dealt = dict(zip(self.holders, held))
        hashes, sealed, transcript = b"", b"", self.transcript
        for x, (holder, share) in enumerate(dealt.items(), 1):
            for half in (share[:32], share[32:]):
                hashes += transcript.share_hash(self.slot, x, half)
            if holder != self.slot:
                sealed += aead_seal(*self.box(self.slot, holder), share)
        self.held = {}
        if self.slot in dealt:
            self.held[self.slot] = dealt[self.slot]
        body = hashes + sealed
        signed = transcript.shares_signed(self.slot, body)
        self.due = {INBOX}
        return SHARES, body + self.identity.sign("fedge shares", signed)

    def box(self, u, v):
        C_u, C_v = self.entries[u].C, self.entries[v].C
        peer = C_v if u == self.slot else C_u
        return self.transcript.share_box(u, v, C_u, C_v, DH(self.c, peer))

    def on_inbox(self, data):
        reader = Reader(data)
        senders_bitmap = reader.take((self.n + 7) // 8)
        self.senders = slots_of(senders_bitmap, self.n)
        check(self.slot in self.senders, "this client is not a sender")
        check(len(self.senders) >= self.invite.client_min, "too few senders")
        holding = self.senders & set(self.holders)
        check(len(holding) >= self.t, "too few of its holders are senders")
        for owner in sorted(self.owners & self.senders - {self.slot}):
            share = aead_open(*self.box(owner, self.slot), reader.take(80))
            if share:  # otherwise as if it had not come
                self.held[owner] = share
        reader.end()
        self.transcript.set_senders(senders_bitmap)
        self.due = {MASKED}
        return MASKED, None

    def mask(self, words):
        """The object: once, after MASKED."""
        assert self.due == {MASKED}
        assert len(words) == self.invite.word_count
        own = self.transcript.self_mask(self.slot, self.b)
        words = add_stream(words, own, 1)
        for v in self.senders & set(self.entries) - {self.slot}:
            key = self.pair_key(v)
            words = add_stream(words, key, pair_sign(self.slot, v))
        self.due = {SURVIVORS}
        return struct.pack(f"<{len(words)}Q", *words)

    def pair_key(self, v):
        M_v = self.entries[v].M
        pair = self.slot, self.M, v, M_v
        return self.transcript.pair_mask(DH(self.s, M_v), *pair)

    def on_survivors(self, data):
        reader = Reader(data)
        self.survivors_bitmap = reader.take((self.n + 7) // 8)
        reader.end()
        self.survivors = slots_of(self.survivors_bitmap, self.n)
        check(self.survivors <= self.senders, "a survivor that sent nothing")
        check(self.slot in self.survivors, "this client is no survivor")
        check(len(self.survivors) >= self.invite.client_min, "few survivors")
        self.due = {CONFIRMATIONS}
        signed = self.transcript.survivors_signed(self.survivors_bitmap)
        return CONFIRM, self.identity.sign("fedge survivors", signed)

    def on_confirmations(self, data):
        reader, slots = Reader(data), []
        signed = self.transcript.survivors_signed(self.survivors_bitmap)
        for _ in range(reader.number(2)):
            slots.append(reader.number(2))
            signature = reader.take(64)
            check(slots[-1] in self.holders, "no holder confirms")
            check(slots[-1] in self.survivors, "no survivor confirms")
            device = self.entries[slots[-1]].device
            public = self.enrolment.devices[device].identity
            check_signature("fedge survivors", signed, signature, public)
        reader.end()
        check(rising(slots), "slots do not rise")
        check(len(slots) >= self.t, "too few confirmations")
        return UNMASK, self.unmask()

    def unmask(self):
        """Of every sender one half of its share, never both."""
        data = u16(len(self.held))
        for owner, share in sorted(self.held.items()):
            is_survivor = owner in self.survivors
            data += u16(owner) + (share[:32] if is_survivor else share[32:])
        return data
