#!/usr/bin/env python3
"""Identities and enrolment lists, from docs/format.md, "Enrolment list".

SPDX-License-Identifier: Apache-2.0
"""
import re
from dataclasses import dataclass

from notation import Refused, check, check_signature, labelled
from primitives import H, K, ed25519_public, ed25519_sign, x25519_public


class Identity:
    def __init__(self, seed):
        self.seed = seed
        self.public = ed25519_public(seed)
        self.channel_secret = K(seed, labelled("fedge channel key", b""))
        self.channel = x25519_public(self.channel_secret)

    def sign(self, label, data):
        return ed25519_sign(self.seed, labelled(label, data))


@dataclass
class Device:
    identity: bytes
    channel: bytes
    card: bytes
    name: str

    def line(self):
        keys = f"{self.identity.hex()} {self.channel.hex()} {self.card.hex()}"
        return f"device {keys} {self.name}\n"


def device_of(identity, name):
    card = identity.sign("fedge card", identity.channel)
    return Device(identity.public, identity.channel, card, name)


def check_card(device):
    """Asked of who wants to be enrolled, before the authority signs."""
    check_signature("fedge card", device.channel, device.card, device.identity)


def enrolment_write(authority, serial, devices):
    """The file, signed."""
    text = f"fedge enrolment 1\nauthority {authority.public.hex()}\n"
    text += f"serial {serial}\n"
    text += "".join(d.line() for d in sorted(devices, key=lambda d: d.identity))
    body = text.encode("ascii")
    signature = authority.sign("fedge enrolment", H(body))
    return body + f"signature {signature.hex()}\n".encode("ascii")


DIGITS = r"([0-9a-f]{%d})"
NAME = r"([a-z0-9._-]{1,63})"
DEVICE = rf"device {DIGITS % 64} {DIGITS % 64} {DIGITS % 128} {NAME}\n"
LIST = re.compile(
    rf"fedge enrolment 1\nauthority {DIGITS % 64}\nserial ([1-9][0-9]*)\n"
    rf"((?:{DEVICE})*)signature {DIGITS % 128}\n"
)


class Enrolment:
    """A list that has been read and checked."""

    def __init__(self, data):
        check(data.isascii(), "not ASCII")
        form = LIST.fullmatch(data.decode("ascii"))
        check(form, "not an enrolment list")
        authority, serial, lines, *_, signature = form.groups()
        self.hash = H(data)
        self.authority = bytes.fromhex(authority)
        self.serial = int(serial)
        self.devices = [
            Device(*map(bytes.fromhex, keys), name)
            for *keys, name in re.findall(DEVICE, lines)
        ]
        check(self.serial < 2**64, "a serial above 2^64 - 1")
        check(len(self.devices) <= 65535, "more than 65,535 devices")
        identities = [device.identity for device in self.devices]
        check(identities == sorted(set(identities)), "devices do not rise")
        body = data[: data.rindex(b"signature ")]
        check_signature(
            "fedge enrolment", H(body), bytes.fromhex(signature), self.authority
        )

    def place(self, identity):
        """A device's number: its place in the list, from 0."""
        return [device.identity for device in self.devices].index(identity)


def check_all():
    """A list is read as it was written, and no other."""
    authority = Identity(bytes(32))
    devices = [device_of(Identity(bytes([i]) * 32), f"b-{i}") for i in range(3)]
    for device in devices:
        check_card(device)
    data = enrolment_write(authority, 7, devices)
    read = Enrolment(data)
    assert read.serial == 7 and read.authority == authority.public
    assert [d.line() for d in read.devices] == sorted(d.line() for d in devices)
    for bad in (
        data.replace(b"serial 7", b"serial 8"),
        data.replace(b"serial 7", b"serial 07"),
        data.replace(b"b-0", b"B-0"),
        data[:-1],
        data + b"\n",
        enrolment_write(authority, 7, devices + devices[:1]),
    ):
        try:
            Enrolment(bad)
        except Refused:
            continue
        raise AssertionError("a bad list is read")


if __name__ == "__main__":
    check_all()
