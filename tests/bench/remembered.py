"""Runs of our programs that are not repeated while the program is the same.

What a run printed stays in a folder, named by the hash of the program's file
and of the command line; so does nothing else: files that a run writes are the
caller's to name after the run (name_of).

SPDX-License-Identifier: Apache-2.0
"""
import functools
import hashlib
import os
import shlex
import subprocess
import sys


@functools.lru_cache(maxsize=None)
def program_hash(path):
    with open(path, "rb") as program:
        return hashlib.sha256(program.read()).hexdigest()


def name_of(words):
    """A name for this run of this program."""
    text = program_hash(words[0]) + shlex.join(words)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def run(folder, words, makes=()):
    """What it prints; run when it has not been, or a file it makes is gone."""
    path = f"{folder}/{name_of(words)}.jsonl"
    if not all(os.path.exists(p) for p in [path, *makes]):
        print("bench:", shlex.join(words), file=sys.stderr, flush=True)
        with open(path + ".tmp", "w", encoding="utf-8") as out:
            subprocess.run(words, stdout=out, check=True)
        os.rename(path + ".tmp", path)  # whole, or not there
    with open(path, encoding="utf-8") as said:
        return said.read()
