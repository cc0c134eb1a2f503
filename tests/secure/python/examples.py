#!/usr/bin/env python3
"""The examples of docs/format.md, "Secure aggregation: one session",
"Updates", "Tallies" and "Enrolment list", made from nothing:

    examples.py docs/format.md

SPDX-License-Identifier: Apache-2.0
"""
import re
import struct
import sys
from types import SimpleNamespace

from enrolment import Enrolment, Identity, device_of, enrolment_write
from notation import bitmap
from party import Party
from primitives import u16, u32, u64
from sketch import EXACT, LARGE, SKIPPED, SMALL
from tally import Tally
from transcript import CONFIRM, INBOX, INVITE, MASKED, ROSTER, SHARES
from transcript import SURVIVORS, WORD, Invite, stream
from update import SKETCH, Codec, codec_seed, recipe_of, sum_of


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


def check_plan(example):
    training = 2, 32, 0.25, 0.875, 2**-12, 1.5, 2, 100, 0.5, 0
    seed = 0x0123456789ABCDEF
    model, ranges = bytes([0x33]) * 32, bytes([0x77]) * 32
    recipe = recipe_of(model, ranges, (0, 10, 0, *training), seed)
    assert recipe == example["plan_recipe"]
    assert u64(codec_seed(seed, 9)) == example["plan_codec_seed"]


def check_updates(example):
    runs = (14, LARGE), (8, SMALL), (4, EXACT), (4, SKIPPED), (10, LARGE)
    numbers = 0, 0.5, 1, 1, 100, 3, 7, 12, 1000, 1 / 16, 1 / 16
    codec = Codec(SKETCH, *numbers, runs)
    assert codec.task_bytes(bytes([0x55]) * 32) == example["update_task"]
    words = []
    for place, metrics in enumerate(
        ((50, 40, 25.5), (100, 75, 60.25), (20, 9, 30))
    ):
        update = [(7 * (i + place) % 41 - 20) / 32 for i in range(40)]
        words.append(codec.encode(update, metrics, place))
    assert struct.pack("<7Q", *words[0]) == example["update_words"]
    sums = sum_of(words)
    assert struct.pack("<7Q", *sums) == example["update_sums"]
    mean, _ = codec.decode(sums, 3)
    assert struct.pack("<40f", *mean) == example["update_mean"]


def check_tallies(example):
    tally = Tally(5, 100, 3, 7)
    recipe = bytes([0x55]) * 32
    assert tally.codec.task_bytes(recipe) == example["tally_task"]
    most = 1431655765
    rows = (
        ([0, 1, 2**20, 2**30, most - 4], (50, 40, 25.5)),
        ([most] * 5, (100, 75, 60.25)),
        ([0, 1, 2, 3, most], (20, 9, 30)),
    )
    words = [tally.encode(*row) for row in rows]
    assert struct.pack("<6Q", *words[0]) == example["tally_words"]
    sums = sum_of(words)
    assert struct.pack("<6Q", *sums) == example["tally_sums"]
    counts, told = tally.decode(sums, 3)
    assert counts == [most, most + 2, 1432704343, 2505397592, 3 * most - 4]
    assert told == (170, 124, 115.75)


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
    check_plan(examples)
    check_updates(examples)
    check_tallies(examples)
    check_enrolment(examples)
