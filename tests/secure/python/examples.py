#!/usr/bin/env python3
"""The examples of docs/format.md, "Secure aggregation: one session", "Fields"
and "Enrolment list", made from nothing:

    examples.py docs/format.md

SPDX-License-Identifier: Apache-2.0
"""
import random
import re
import struct
import sys
from types import SimpleNamespace

from enrolment import Enrolment, Identity, device_of, enrolment_write
from fields import Codec, pack, recipe_of
from notation import bitmap
from party import Party
from primitives import u16, u32
from transcript import CONFIRM, INBOX, INVITE, MASKED, ROSTER, SHARES
from transcript import SURVIVORS, WORD, Invite, stream


def blocks(document):
    """The bytes of every block marked hex, by name."""
    with open(document, encoding="utf-8") as file:
        text = re.sub(r" *#.*", "", file.read())
    found = re.findall(r"^```hex (\w+)\n([^`]*)```$", text, re.M)
    return {name: bytes.fromhex(digits) for name, digits in found}


def client(slot, identity, enrolment, invite):
    """A client that draws what the example says."""
    drawn = iter([0x10 + slot, 0x20 + slot, 0x30 + slot, 0x40, 0x41])

    def draw(length):
        return bytes([next(drawn)]) * length

    enrolment = SimpleNamespace(devices=enrolment, place=lambda _: slot)
    return Party(identity, enrolment, invite, draw)


def check_session(example):
    identities = [Identity(bytes([i]) * 32) for i in (1, 4, 3)]
    aggregator = Identity(bytes([2]) * 32)
    enrolment = [SimpleNamespace(identity=i.public) for i in identities]

    invite = Invite.decode(example["session_invite"])
    assert invite.encode(aggregator) == example["session_invite"]
    assert (invite.word_count, invite.phase_ms) == (2, 30_000)

    parties = [client(i, identity, enrolment, invite)
               for i, identity in enumerate(identities)]  # fmt: skip
    advertised = [p.step(INVITE, example["session_invite"])[1] for p in parties]
    first, second, _ = parties
    assert first.ctx == example["session_ctx"]
    assert advertised[0] == example["session_advertise"]

    entries = b"".join(u32(i) + a for i, a in enumerate(advertised))
    shares = []
    for slot, party in enumerate(parties):
        head = u32(3) + u32(slot) + u16(0) + u16(3)
        step, message = party.step(ROSTER, head + entries)
        assert step == SHARES
        shares.append(message)
    assert first.transcript.rho == example["session_rho"]
    hashes, sealed = shares[0][:48], shares[0][48:-64]
    assert hashes[16:24] == example["session_share_hash"]
    assert sealed[:80] == example["session_sealed_share"]

    inbox = bitmap({0, 1, 2}, 3)
    second.step(INBOX, inbox + sealed[:80] + shares[2][48 + 80 : 48 + 160])
    assert second.held[0] == example["session_share"]
    first.step(INBOX, inbox + shares[1][48:128] + shares[2][48:128])
    assert first.transcript.sigma == example["session_sigma"]

    key = first.transcript.self_mask(0, first.b)
    assert key == example["session_self_mask"]
    assert struct.pack("<2Q", *stream(key, 2)) == example["session_stream"]
    assert first.pair_key(1) == second.pair_key(0)
    assert first.pair_key(1) == example["session_pair_mask"]
    assert first.due == {MASKED}
    assert first.mask([1, WORD - 1]) == example["session_masked"]
    confirm = first.step(SURVIVORS, bitmap({0, 1, 2}, 3))
    assert confirm == (CONFIRM, example["session_confirm"])


def check_fields(example):
    numbers = 2, 32, 0.25, 0.875, 2**-12, 1.5, 2, 100, 0.5, 0
    recipe = recipe_of(bytes([0x33]) * 32, numbers, 0x0123456789ABCDEF)
    assert recipe == example["plan_recipe"]
    codec = Codec(4, 16, 100, clip=1.0, recipe=bytes([0x55]) * 32)
    assert codec.task_bytes() == example["fields_task"]
    update, seen = [0.5, 0.0, -3.0, 1 / 32], set()
    for seed in range(100):
        chance = random.Random(seed)
        fields = bytes(codec.encode(update, 50, 40, 25.5, chance))
        assert fields[:-1] == example["fields"][:-1]
        seen.add(fields[-1])
    assert seen == {8, 9}
    words = pack(list(range(12)), 46)
    assert struct.pack("<2Q", *words) == example["fields_words"]


def check_enrolment(example):
    authority, device = Identity(bytes([4]) * 32), Identity(bytes([1]) * 32)
    written = enrolment_write(authority, 7, [device_of(device, "board-1")])
    assert written == example["enrolment"]
    read = Enrolment(example["enrolment"])
    assert read.hash == example["enrolment_hash"]
    assert read.place(device.public) == 0


if __name__ == "__main__":
    examples = blocks(sys.argv[1])
    check_session(examples)
    check_fields(examples)
    check_enrolment(examples)
