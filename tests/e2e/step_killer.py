#!/usr/bin/env python3
"""Kills a client in the moment in which it says a step of a session.

    step_killer.py TARGET_PORT STEP PID_FILE PORT_FILE

Stands between a client and the aggregator at TARGET_PORT, on a port that it
writes to PORT_FILE. Frames are sealed, but their types are not: STEP is 16,
OPEN is 11. When the client sends STEP (advertise, shares, masked, confirm or
unmask) for the first time, the process in PID_FILE is killed with SIGKILL and
the frame never arrives.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import socket
import struct
import sys
import threading

OPEN, STEP = 11, 16
# Which frame of which type it is; the first STEP says that it has trained.
MOMENTS = {"advertise": (STEP, 2), "shares": (STEP, 3), "masked": (OPEN, 1),
           "confirm": (STEP, 4), "unmask": (STEP, 5)}


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            return None
        data += more
    return data


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def watch(client, server, moment, pid_file):
    """Passes the client's frames on, up to the one that it dies for."""
    kind, left = moment
    while (head := read_exactly(client, 4)) is not None:
        frame = read_exactly(client, struct.unpack("<I", head)[0])
        if frame is None:
            return
        if frame[3] == kind:
            left -= 1
        if left == 0:
            with open(pid_file, encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
            server.close()
            os._exit(0)
        server.sendall(head + frame)


def main():
    target, step, pid_file, port_file = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0))
    with open(port_file + ".new", "w", encoding="ascii") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename(port_file + ".new", port_file)
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", int(target)))
        except ConnectionRefusedError:
            client.close()
            continue
        threading.Thread(target=copy, args=(server, client),
                         daemon=True).start()
        watch(client, server, MOMENTS[step], pid_file)


main()
