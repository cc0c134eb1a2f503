#!/usr/bin/env python3
"""The C library as a client, as an aggregator and as a codec:
tests/secure/session_peer.c behind the methods of Party, Aggregator and Codec.

SPDX-License-Identifier: Apache-2.0
"""
import subprocess

from notation import Refused
from sketch import singles
from transcript import ADVERTISE


class Peer:
    def __init__(self, program, *opening):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if opening:
            self.ask(*opening)

    def ask(self, *words):
        """A command; the words of its answer."""
        line = " ".join(w.hex() or "-" if isinstance(w, bytes) else str(w)
                        for w in words)  # fmt: skip
        self.process.stdin.write(line.encode("ascii") + b"\n")
        self.process.stdin.flush()
        verdict, *answer = self.process.stdout.readline().decode().split()
        if verdict == "refused":
            raise Refused(" ".join(answer))
        assert verdict == "ok"
        return answer

    def close(self):
        """Fails when the program does: a sanitiser has found something."""
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0


def taken_apart(answer):
    step, data = answer
    return int(step), b"" if data == "-" else bytes.fromhex(data)


class PeerParty(Peer):
    def __init__(self, program, identity, enrolment_list, plan):
        super().__init__(
            program, "party", identity.seed, enrolment_list, plan.federation,
            plan.round, plan.model, plan.task, plan.word_count,
            plan.client_min, plan.number - 1,
        )  # fmt: skip

    def step(self, step, data):
        return taken_apart(self.ask("step", step, data))

    def mask(self, words):
        return taken_apart(self.ask("mask", *words))[1]


class PeerAggregator(Peer):
    def __init__(self, program, identity, enrolment_list, invite, count):
        super().__init__(
            program, "secagg", identity.seed, enrolment_list, count,
            invite.client_min, invite.client_cap, invite.word_count,
            invite.phase_ms, invite.round, invite.number, invite.session,
            invite.model, invite.task,
        )  # fmt: skip
        self.phase = ADVERTISE

    def message(self, device):
        answer = self.ask("message", device)
        return taken_apart(answer) if answer else None

    def receive(self, device, step, data):
        self.ask("receive", device, step, data)

    def drop(self, device):
        self.ask("drop", device)

    def advance(self):
        self.phase = int(self.ask("advance")[0])

    def sum(self):
        return [int(word) for word in self.ask("sum")]


class PeerCodec(Peer):
    def __init__(self, program, codec):
        super().__init__(program)
        recipe = bytes(range(32))
        task = self.ask("codec", recipe, *codec.numbers())
        assert bytes.fromhex(task[0]) == codec.task_bytes(recipe)

    def encode(self, update, metrics, place):
        answer = self.ask("encode", *metrics, place, *update)
        return [int(word) for word in answer]

    def decode(self, sums, clients):
        answer = self.ask("decode", clients, *sums)
        weight, correct, loss, *mean = answer
        told = int(weight), int(correct), float(loss)
        return singles(list(map(float, mean))), told
