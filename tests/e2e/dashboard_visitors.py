#!/usr/bin/env python3
"""Visitors of a dashboard: dashboard_visitors.py PORT LAST_ROUND

One follows the events up to the last round and prints each round as a line of
JSON. Meanwhile others ask for everything, in hundreds, and send garbage, half
requests and requests without end. Fails when a visitor who behaves is not
answered, or the stream ends too early.

SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
import socket
import sys
import threading
import time

PORT, LAST = int(sys.argv[1]), int(sys.argv[2])
PATHS = ("/", "/metrics", "/api/v1/status", "/api/v1/rounds?after=0&limit=50")
over = threading.Event()
answers = []


def get(path):
    link = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    link.request("GET", path)
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, body


def ask_for_everything():
    while not over.is_set():
        for path in PATHS:
            try:
                answers.append(get(path)[0])
            except OSError:
                pass  # one address has so many places, and others are here too


def be_hostile():
    say = (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nX: ", b"GET /" + b"x" *
           100000, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           b"999999999\r\n\r\n" + b"x" * 100000, b"\0" * 5000)
    while not over.is_set():
        links = []
        for i in range(200):
            try:
                # From a neighbouring address, which has places of its own.
                link = socket.create_connection(
                    ("127.0.0.1", PORT), timeout=1,
                    source_address=(f"127.0.0.{2 + i % 3}", 0))
                links.append(link)
                link.sendall(say[i % len(say)])
            except OSError:
                pass
        time.sleep(0.05)
        for link in links:
            link.close()


def follow():
    link = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    link.request("GET", "/api/v1/events?after=0")
    answer = link.getresponse()
    assert answer.status == 200, answer.status
    event = ""
    while True:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            event = line[7:]
        elif line.startswith("data: ") and event == "round":
            print(line[6:], flush=True)
            if json.loads(line[6:])["round"] == LAST:
                return


threads = [threading.Thread(target=ask_for_everything, daemon=True),
           threading.Thread(target=be_hostile, daemon=True)]
for thread in threads:
    thread.start()
follow()
over.set()
for thread in threads:
    thread.join(10)
assert answers and set(answers) == {200}, answers
