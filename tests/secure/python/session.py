#!/usr/bin/env python3
"""Whole sessions, of Python with itself and with the C library.

The Python in this folder is a second implementation of sessions and of what
they sum, slow and short, written from docs/format.md alone with the names that
the document uses. It shares no code with the programs: when the two understand
each other, the document is enough. It keeps secrets in ordinary memory, and
guards nothing.

    session.py [SESSION_PEER]    without the program: only Python

SPDX-License-Identifier: Apache-2.0
"""
import random
import struct
import sys

from aggregator import Aggregator
from enrolment import Enrolment, Identity, device_of, enrolment_write
from notation import Refused
from party import Party
from peers import Peer, PeerAggregator, PeerCodec, PeerParty
from sketch import EXACT, LARGE, SKIPPED, SMALL, singles
from transcript import ADVERTISE, CHOICE, CONFIRM, MASKED, SHARES, UNMASK
from transcript import Invite
from update import DENSE, SKETCH, Codec, sum_of


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
    """Identities, a list, a session, and what each client has trained."""

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
        self.codec = small_model(client_count, self.chance.getrandbits(64))
        self.list = enrolment_write(self.authority, 1, devices)
        self.enrolment = Enrolment(self.list)
        self.invite = Invite(
            client_min=3,
            client_cap=client_count,
            word_count=self.codec.word_count(),
            phase_ms=1000,
            round=5,
            number=9,
            session=draw(32),
            federation=self.aggregator.public,
            model=draw(32),
            task=self.codec.task(draw(32)),
            enrolment=self.enrolment.hash,
        )
        for name, value in changes.items():
            setattr(self.invite, name, value)
        results = random_results(self.codec, client_count, self.chance)
        self.results = list(results)

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

    def encoded(self, team):
        """Every client's words, in Python or in C as the client is."""
        codecs = {program: self.coder(program) for program in set(team)}
        rows = [
            codecs[program].encode(*self.results[i], place=i)
            for i, program in enumerate(team)
        ]
        close(codecs.values())
        return rows

    def coder(self, program=None):
        return PeerCodec(program, self.codec) if program else self.codec


def small_model(client_count, seed):
    """The codec of a few layers; so many sums of 5 at most fit their room."""
    runs = [(216, LARGE), (24, SMALL), (84, LARGE), (10, SMALL), (12, EXACT)]
    return Codec(
        SKETCH, 0, 0.25, 1, 1, 100, client_count, seed, 6, 5, 0.125, 0.25,
        [*runs, (20, SKIPPED), (3, SMALL)],
    )  # fmt: skip


def close(things):
    for thing in things:
        if isinstance(thing, Peer):
            thing.close()


def play(world, leads, team, gone):
    """One whole session: who leads and who takes part (a program, or None for
    Python), and {device: step} of those who vanish before they send that.
    Returns the sum, which is that of the survivors, and these."""
    words = world.encoded(team)
    leader = world.leader(leads)
    clients = {i: world.party(i, program) for i, program in enumerate(team)}
    survivors = [i for i in clients if gone.get(i, UNMASK) > MASKED]
    try:
        sums = run(leader, clients, words, gone)
    finally:
        close([leader, *clients.values()])
    assert sums == sum_of(words[i] for i in survivors)
    return sums, survivors


def check_same(one, other):
    """Means and metrics, to the last bit."""
    (mean, told), (other_mean, other_told) = one, other
    form = f"<{len(mean)}f"
    assert struct.pack(form, *mean) == struct.pack(form, *other_mean)
    assert told == other_told


def check_sum(world, leads, team, gone):
    """What is left of a session is the mean of those who stayed."""
    sums, survivors = play(world, leads, team, gone)
    decoded = world.codec.decode(sums, len(survivors))
    weights = [world.results[i][1][0] for i in survivors]
    assert decoded[1][0] == sum(min(weight, 100) for weight in weights)
    coders = [world.coder(program) for program in {leads, *team}]
    for coder in coders:
        check_same(coder.decode(sums, len(survivors)), decoded)
    close(coders)


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


def random_results(codec, count, chance):
    """What clients have trained: some of it beyond what the codec takes."""
    for _ in range(count):
        spread = chance.choice((0.1, 0.5, 3)) * codec.clip
        update = [chance.uniform(-spread, spread) for _ in range(codec.P)]
        weight = chance.randint(1, 2 * codec.weight_max)
        loss = chance.uniform(-1, 70) * weight
        yield singles(update), (weight, chance.randint(0, weight), loss)


def random_codec(chance, **numbers):
    """With numbers that a plan may have, whether or not they are wise."""
    per_word, cohort = chance.randint(2, 16), chance.randint(1, 9)
    defaults = {
        "kind": chance.choice((SKETCH, DENSE)),
        "bits": chance.randint(2, 20),
        "density": chance.uniform(0.01, 1),
        "density_small": chance.choice((0.25, 1)),
        "clip": chance.uniform(0.1, 9),
        "weight_max": chance.choice((1, 100, 2**20)),
        "n": cohort,
        "seed": chance.getrandbits(64),
        "m": per_word,
        "value_max": chance.choice((1, 300, 2**30)),
        "step_large": 10 ** chance.uniform(-9, 0),
        "step_small": 10 ** chance.uniform(-9, 0),
        "runs": [
            (chance.randint(1, 200), chance.choice(range(4))) for _ in range(7)
        ],
    }
    return Codec(**{**defaults, **numbers})


def check_codec(program, codec, chance):
    """C makes the words that the document says, and the mean of their sum."""
    peer, rows = PeerCodec(program, codec), []
    for place, row in enumerate(random_results(codec, codec.n, chance)):
        rows.append(codec.encode(*row, place))
        assert peer.encode(*row, place) == rows[-1]
    sums = sum_of(rows)
    check_same(codec.decode(sums, codec.n), peer.decode(sums, codec.n))
    for clients in (0, codec.n + 1):
        try:
            peer.decode(sums, clients)
        except Refused:
            continue
        raise AssertionError(f"a sum of {clients} clients")
    peer.close()


def check_updates(program):
    chance = random.Random(3)
    for _ in range(16):
        check_codec(program, random_codec(chance), chance)
    for runs in (
        [(1, LARGE)], [(1, SMALL)], [(3, EXACT)], [(2, SKIPPED)],
        [(10, LARGE), (17, SMALL)], [(9000, LARGE)],
    ):  # fmt: skip
        # Of 64 among 9,216, a block's last one depends on where they begin.
        numbers = {"kind": SKETCH, "density": 0.0072, "n": 2, "runs": runs}
        check_codec(program, random_codec(chance, **numbers), chance)


def check_all(program):
    check_updates(program)
    for leads in (None, program):
        for team in ([None] * 4, [program] * 4, [program, None] * 2):
            check_four(leads, team)
        check_many(leads, program)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        check_four(None, [None] * 4)
    else:
        check_all(sys.argv[1])
