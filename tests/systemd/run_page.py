#!/usr/bin/env python3
# Runs the commands of a page of docs/ on machines that have booted:
#
#   run_page.py PAGE NAME=PID... [SOURCE=TARGET...]
#
# PID is the first process of machine NAME. Fenced blocks whose first line is
# "sh NAME" are commands, "ini NAME PATH" files; all others are for people. A name
# can stand for several, in turn: "board" is every machine but the laptop. A comment
#
#   <!-- until NAME SECONDS COMMAND -->
#
# waits for a command to succeed, and <!-- rounds N --> for N more rounds than the
# laptop's aggregator has finished at that moment. SOURCE=TARGET replaces a text of the page; a
# `fedge-client join` with ID.SECRET is the next line that `token` has printed.
# SPDX-License-Identifier: Apache-2.0
import re
import subprocess
import sys
import time

STEP = re.compile(
    r"^```(sh|ini) (\w+) ?(\S*)\n(.*?)^```$|"
    r"^<!-- until (\w+) (\d+) (.*?) -->$|^<!-- rounds (\d+) -->$",
    re.M | re.S)
ROUNDS = ("fedge-aggregator status --json | "
          "sed -n 's/.*\"round\":\\([0-9]*\\).*/\\1/p' | tail -n 1")
JOIN = re.compile(r"^\s*(fedge-client join \S+ --token \S+ --pin \S+)\s*$", re.M)


class Machines:
    def __init__(self, pids):
        self.pids = pids
        self.joins = []  # lines that are not used yet

    def named(self, name):
        if name == "board":
            return [board for board in self.pids if board != "laptop"]
        return [name]

    def run(self, name, command):
        return subprocess.run(
            ["nsenter", "-t", self.pids[name], "-a", "env", "-i", "HOME=/root",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TERM=dumb",
             "DEBIAN_FRONTEND=noninteractive", "sh", "-c", "cd /root\n" + command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=300)

    def command(self, name, line):
        if "ID.SECRET" in line:
            line = "sudo " + self.joins.pop(0)
        done = self.run(name, line)
        print(f"{name}$ {line}\n{done.stdout}", flush=True)
        self.joins += JOIN.findall(done.stdout)
        if done.returncode != 0:
            sys.exit(f"FAILED: exit code {done.returncode} on {name}: {line}")

    def write(self, name, path, text):
        folder = path.rpartition("/")[0]
        quoted = text.replace("'", "'\\''")
        done = self.run(name, f"mkdir -p {folder}\nprintf %s '{quoted}' >{path}")
        if done.returncode != 0:
            sys.exit(f"FAILED: {path} on {name}: {done.stdout}")

    def wait(self, name, seconds, command):
        end = time.monotonic() + seconds
        while (done := self.run(name, command)).returncode != 0:
            if time.monotonic() > end:
                sys.exit(f"FAILED: for {seconds} s on {name}: {command}\n"
                         f"{done.stdout}\n"
                         + self.run(name, "journalctl --no-pager -n 60").stdout)
            time.sleep(0.5)
        print(f"{name}: {command}", flush=True)

    def wait_for_rounds(self, count):
        goal = self.rounds() + count
        self.wait("laptop", 120, "[ $(%s) -ge %d ]" % (ROUNDS, goal))

    def rounds(self):
        return int(self.run("laptop", ROUNDS).stdout)


def commands(block):
    """Lines; one that ends with a backslash goes on."""
    return block.replace("\\\n", "").strip().splitlines()


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    pids = {}
    for word in sys.argv[2:]:
        source, target = word.split("=", 1)
        if target.isdigit():
            pids[source] = target
        else:
            page = page.replace(source, target)
    machines = Machines(pids)
    count = 0
    for (kind, name, path, block, waiter, seconds, command,
         rounds) in STEP.findall(page):
        if waiter:
            machines.wait(waiter, int(seconds), command)
        elif rounds:
            machines.wait_for_rounds(int(rounds))
        elif name != "build":  # what the caller has done
            for machine in machines.named(name):
                if kind == "ini":
                    machines.write(machine, path, block)
                    continue
                for line in commands(block):
                    machines.command(machine, line)
                    count += 1
    if machines.joins:
        sys.exit(f"FAILED: {len(machines.joins)} lines of token are not used")
    print(f"{count} commands")


main()
