#!/usr/bin/env python3
"""Peers that do not keep to the protocol: hostile_peer.py PORT SECONDS FILE

Listens for one honest client, writes its port to FILE, passes on what that
client and the aggregator at PORT say, and remembers it. Until the time is over
it attacks the aggregator: garbage, lengths beyond every limit, half frames,
300 connections that stay silent, and what the honest client has said, again,
whole, cut and with bits turned. Ends with 0 when connections are still taken.
SPDX-License-Identifier: Apache-2.0
"""
import random
import socket
import struct
import sys
import threading
import time

PORT = int(sys.argv[1])
UNTIL = time.monotonic() + float(sys.argv[2])
SILENT = 300
KEPT = 400_000
chance = random.Random(5)
overheard = bytearray()  # what the honest client has said


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=5)


def pass_on(source, target, memory):
    try:
        while data := source.recv(65536):
            target.sendall(data)
            if memory is not None and len(memory) < KEPT:
                memory += data
    except OSError:
        pass
    target.close()


def listen():
    door = socket.create_server(("127.0.0.1", 0))
    with open(sys.argv[3], "w", encoding="ascii") as file:
        file.write(f"{door.getsockname()[1]}\n")
    while True:
        client, _ = door.accept()
        server = connect()
        server.settimeout(None)
        for args in ((client, server, overheard), (server, client, None)):
            threading.Thread(target=pass_on, args=args, daemon=True).start()


def say(data):
    """Sends on a connection of its own, and reads what comes back."""
    try:
        with connect() as peer:
            peer.settimeout(0.02)
            peer.sendall(data)
            while peer.recv(4096):
                pass
    except OSError:
        pass  # hung up on, or no answer: just what is deserved


def attacks():
    yield chance.randbytes(chance.randrange(1, 5000))
    for size in (0, 43, 44, 1 << 18, 1 << 20, (1 << 31) - 1, (1 << 32) - 1):
        yield struct.pack("<I", size) + chance.randbytes(100)
    yield struct.pack("<I", 1000) + b"half"
    yield b"\x2c"
    yield b"GET / HTTP/1.1\r\nHost: fedge\r\n\r\n"
    yield bytes(4) * 1000
    again = bytes(overheard)
    yield again
    yield again[: chance.randrange(len(again) + 1)]
    for _ in range(5):
        turned = bytearray(again[:5000])
        for _ in range(3):
            if turned:
                turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
        yield bytes(turned)


silent = [connect() for _ in range(SILENT)]
threading.Thread(target=listen, daemon=True).start()
count = 0
while time.monotonic() < UNTIL:
    for attack in attacks():
        say(attack)
        count += 1
connect().close()
print(f"{count} attacks, {len(overheard)} bytes overheard")
