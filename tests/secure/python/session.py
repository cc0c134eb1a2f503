#!/usr/bin/env python3
"""Whole sessions, of Python with itself and with the C library.

The Python in this folder is a second implementation of a session, slow and
short, written from docs/format.md alone with the names that the document uses.
It shares no code with the programs: when the two understand each other, the
document is enough. It keeps secrets in ordinary memory, and guards nothing.

    session.py [SESSION_PEER]    without the program: only Python

SPDX-License-Identifier: Apache-2.0
"""
import random
import sys

from aggregator import Aggregator
from enrolment import Enrolment, Identity, device_of, enrolment_write
from fields import Codec
from notation import Refused
from party import Party
from peers import Peer, PeerAggregator, PeerParty
from transcript import ADVERTISE, CHOICE, CONFIRM, MASKED, SHARES, UNMASK
from transcript import WORD, Invite


def run(aggregator, clients, words, gone):
    """A whole session: clients[device] answers until the step gone[device],
    which it does not take any more. Returns the sum."""
    while True:
        for device in sorted(clients):
            told = aggregator.message(device)
            if told is None:
                continue
            step, answer = clients[device].step(*told)
            if gone.get(device) == step:
                aggregator.drop(device)
                continue
            if step == MASKED:
                answer = clients[device].mask(words[device])
            aggregator.receive(device, step, answer)
        if aggregator.phase == UNMASK:
            return aggregator.sum()
        aggregator.advance()


class World:
    """Identities, a list, and a session about nothing in particular."""

    def __init__(self, client_count, seed, **changes):
        self.chance = random.Random(seed)
        draw = self.chance.randbytes
        self.identities = [Identity(draw(32)) for _ in range(client_count)]
        self.identities.sort(key=lambda identity: identity.public)
        self.aggregator, self.authority = Identity(draw(32)), Identity(draw(32))
        devices = [
            device_of(identity, f"board-{i}")
            for i, identity in enumerate(self.identities)
        ]
        self.list = enrolment_write(self.authority, 1, devices)
        self.enrolment = Enrolment(self.list)
        self.invite = Invite(
            client_min=3,
            client_cap=client_count,
            word_count=25,
            phase_ms=1000,
            round=5,
            number=9,
            session=draw(32),
            federation=self.aggregator.public,
            model=draw(32),
            task=draw(32),
            enrolment=self.enrolment.hash,
        )
        for name, value in changes.items():
            setattr(self.invite, name, value)
        self.words = [
            [self.chance.randrange(WORD) for _ in range(self.invite.word_count)]
            for _ in range(client_count)
        ]

    def party(self, device, program=None):
        """In Python, or in C when a program is given."""
        identity = self.identities[device]
        if program:
            return PeerParty(program, identity, self.list, self.invite)
        draw = random.Random(self.chance.random()).randbytes
        return Party(identity, self.enrolment, self.invite, draw)

    def leader(self, program=None):
        count = len(self.identities)
        common = self.invite, count
        if program:
            return PeerAggregator(program, self.aggregator, self.list, *common)
        return Aggregator(self.aggregator, self.enrolment, *common)

    def plain_sum(self, survivors):
        rows = [self.words[i] for i in survivors]
        return [sum(column) % WORD for column in zip(*rows)]


def play(world, leads, team, gone):
    """One whole session: who leads and who takes part (a program, or None for
    Python), and {device: step} of those who vanish before they send that."""
    leader = world.leader(leads)
    clients = {i: world.party(i, program) for i, program in enumerate(team)}
    try:
        return run(leader, clients, world.words, gone)
    finally:
        for peer in (leader, *clients.values()):
            if isinstance(peer, Peer):
                peer.close()


def check_sum(world, leads, team, gone):
    words = play(world, leads, team, gone)
    survivors = [i for i in range(len(team)) if gone.get(i, UNMASK) > MASKED]
    assert words == world.plain_sum(survivors)


def check_refusal(world, leads, team, gone):
    try:
        play(world, leads, team, gone)
    except Refused:
        return
    raise AssertionError(f"a session goes on without {gone}")


def check_four(leads, team):
    """Nobody is lost, or one client at each step in turn; then too many."""
    lost = 0 if leads else 1
    check_sum(World(4, "all"), leads, team, {})
    for step in (ADVERTISE, SHARES, MASKED, CONFIRM, UNMASK):
        check_sum(World(4, step), leads, team, {lost: step})
    gone = {0: MASKED, 1: CONFIRM}  # two of three confirm, and t is 3
    check_refusal(World(4, "late"), leads, team, gone)
    # Two senders are client_min, but fewer of a client's holders than t.
    gone, world = {2: SHARES, 3: SHARES}, World(4, "few", client_min=2)
    check_refusal(world, leads, team, gone)


def check_many(leads, program):
    """Above 128 clients, where each chooses neighbours. Two are Python."""
    team = [None, None] + [program] * 128
    gone = {1: UNMASK, 2: CHOICE, 3: SHARES, 4: MASKED, 5: CONFIRM}
    world = World(130, "many", client_min=87)
    check_sum(world, leads, team, gone)


def check_fields(program):
    """C turns updates into the fields that the document says, and back."""
    chance, peer = random.Random(3), Peer(program)
    for L, clip in ((1, 2.0), (15, 0.5), (254, 1.0), (65535, 0.125)):
        codec = Codec(40, L, 100, clip, bytes(32))
        head = codec.param_count, L, codec.weight_max, clip
        sums = [0] * (sum(codec.digit_counts()) + codec.param_count)
        for weight in (1, 99, 250):
            update = [chance.uniform(-2 * clip, 2 * clip) for _ in range(40)]
            numbers = weight, weight // 3, chance.uniform(0, 3 * weight)
            answer = peer.ask("encode", *head, *numbers, *update)
            fields = list(map(int, answer))
            ours = codec.encode(update, *numbers, chance)
            assert fields[:-40] == ours[:-40]
            for field, x in zip(fields[-40:], codec.values(update, weight)):
                assert abs(field - x) < 1.001  # C has it as a float
            sums = [a + b for a, b in zip(sums, fields, strict=True)]
        mean, *metrics = codec.decode(sums, 3)
        answer = list(map(float, peer.ask("decode", *head, 3, *sums)))
        assert answer[:3] == list(map(float, metrics))
        for a, b in zip(answer[3:], mean, strict=True):
            assert abs(a - b) < 1e-5 * clip
    peer.close()


def check_all(program):
    check_fields(program)
    for leads in (None, program):
        for team in ([None] * 4, [program] * 4, [program, None] * 2):
            check_four(leads, team)
        check_many(leads, program)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        check_four(None, [None] * 4)
    else:
        check_all(sys.argv[1])
