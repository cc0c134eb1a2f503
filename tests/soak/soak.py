#!/usr/bin/env python3
# A soak: one aggregator that runs, and for minutes a herd of real clients that
# come, work, vanish and come back over a network that loses packets. Then the
# aggregator is killed as by a power cut. When this fails, an aggregator in the
# field grows until it is killed, or forgets rounds that its clients have seen.
#
#   SOAK_CLIENTS=1000 SOAK_SECONDS=600 SOAK_CHURN=20 SOAK_LOSS=5 SOAK_IDLE=10000
#
# CHURN: percent of the clients that vanish in a minute, at any moment; LOSS:
# percent of all TCP packets, dropped by nftables in a network namespace; IDLE:
# clients of a second run, that only hold their sealed connections; 0: none.
# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

B = os.environ.get("B", "build/release")
CLIENTS, SECONDS, CHURN, LOSS, IDLE = (
    float(os.environ.get("SOAK_" + name, value))
    for name, value in (("CLIENTS", 1000), ("SECONDS", 600), ("CHURN", 20),
                        ("LOSS", 5), ("IDLE", 10000)))
COHORT = 50
IDLE_SECONDS = 90
IDLE_MB = 64.0
# Growth over the second half that is no leak: the allocator's dust.
GROWTH_MB, GROWTH_SHARE = 1.0, 0.03
started = []  # processes, to end with this one


def enter_namespace():
    """Starts again where the loopback belongs to nobody else."""
    if os.environ.get("SOAK_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    flags = "-n" if os.geteuid() == 0 else "-rn"
    os.environ["SOAK_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", flags, sys.executable, __file__])


def lose_packets(percent):
    rules = "flush ruleset\n"
    if percent:
        rules += ("add table inet soak\n"
                  "add chain inet soak in { type filter hook input priority 0; }\n"
                  "add rule inet soak in meta l4proto tcp numgen random mod 1000"
                  f" < {int(percent * 10)} drop\n")
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def make_table(path):
    draw = random.Random(3)
    with open(path, "w", encoding="ascii") as table:
        table.write("height,width,noise,label\n")
        for _ in range(2400):
            kind = draw.randrange(3)
            table.write(f"{kind + draw.random():.3f},{draw.random() - kind:.3f},"
                        f"{draw.random():.3f},{('fern', 'moss', 'reed')[kind]}\n")


class Aggregator:
    def __init__(self, folder, table, *options):
        self.state = os.path.join(folder, "state")
        self.log = os.path.join(folder, "log")
        self.out = os.path.join(folder, "out")
        with open(self.log, "w") as log, open(self.out, "w") as out:
            self.process = subprocess.Popen(
                [f"{B}/fedge-aggregator", "run", "--state", self.state,
                 "--listen", "tcp://127.0.0.1:0", "--join", "open",
                 "--model", "mlp", "--dataset", table,
                 "--rounds", "1000000", "--cohort", str(COHORT),
                 "--json", "--quiet", *options], stdout=out, stderr=log)
        started.append(self.process)
        for _ in range(200):
            with open(self.log) as log:
                port = re.search(r"event=listening.* port=(\d+)", log.read())
            if port:
                break
            time.sleep(0.05)
        else:
            sys.exit("the aggregator does not listen")
        self.url = f"tcp://127.0.0.1:{port.group(1)}"

    def rss_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1)) / 1024

    def cut_power(self):
        self.process.kill()
        self.process.wait()

    def told_rounds(self):
        """Those on standard output: said after they were saved."""
        rounds = set()
        with open(self.out) as out:
            for line in out:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # the power was cut within the line
                if said["event"] == "round":
                    rounds.add(said["round"])
        return rounds

    def kept_rounds(self):
        """The updates of each round, and whether it went well at once."""
        with sqlite3.connect(os.path.join(self.state, "fedge.sqlite")) as store:
            return {number: (updates, attempt == 1 and aborted == 0)
                    for number, updates, attempt, aborted in store.execute(
                        "SELECT round, update_count, attempt, sessions_aborted"
                        " FROM round WHERE round > 0")}

    def events(self, name):
        with open(self.log) as log:
            return sum(f"event={name} " in line for line in log)


def follow(aggregator, table, clients, seconds, churn):
    """Runs the herd; returns the samples of memory and what it said last."""
    herd = subprocess.Popen(
        [f"{B}/tests/soak/herd", aggregator.url, table, str(int(clients)),
         str(seconds), str(churn)], stdout=subprocess.PIPE, text=True)
    started.append(herd)
    samples, last, start = [], {}, time.monotonic()
    for line in herd.stdout:
        last = json.loads(line)
        passed = time.monotonic() - start
        samples.append((passed, aggregator.rss_mb(), last["connected"]))
        if sys.stderr.isatty():
            print(f"\r{passed:5.0f} s  {samples[-1][1]:6.1f} MB  "
                  f"{last['connected']} connected  round {last['newest_round']} ",
                  end="", file=sys.stderr)
    if herd.wait() != 0 or last.get("event") != "end":
        sys.exit("the herd has failed")
    return samples, last


def growth(samples):
    """MB over the second half, by least squares."""
    half = samples[len(samples) // 2:]
    times, sizes = [s[0] for s in half], [s[1] for s in half]
    slope = statistics.linear_regression(times, sizes).slope
    return slope * (times[-1] - times[0]), statistics.median(sizes)


class Table:
    failed = False

    def row(self, what, value, bar="", is_good=True):
        verdict = "" if not bar else "ok" if is_good else "FAILED"
        print(f"| {what} | {value} | {bar} | {verdict} |")
        self.failed |= not is_good


def work(table, folder, data):
    lose_packets(LOSS)
    aggregator = Aggregator(folder, data, "--quorum", str(COHORT * 3 // 5),
                            "--over-select", "0.2", "--min-survivors", "10",
                            "--deadline", "30", "--phase", "10",
                            "--evaluate-every", "5")
    samples, herd = follow(aggregator, data, CLIENTS, SECONDS, CHURN)
    aggregator.cut_power()
    told, kept = aggregator.told_rounds(), aggregator.kept_rounds()
    more, size = growth(samples)
    # Who was asked to train in a round has been told that the one before it is
    # finished.
    seen = set(range(1, herd["newest_round"]))
    lost = (told | seen) - set(kept)
    # Who vanishes before it hears so is in a sum that it does not count.
    acknowledged = {int(number): count for number, count in herd["acked"].items()}
    forgotten = [number for number, (updates, is_plain) in kept.items()
                 if is_plain and acknowledged.get(number, 0) > updates]
    connected = [s[2] for s in samples[len(samples) // 4:]]
    table.row("clients; seconds", f"{CLIENTS:.0f}; {SECONDS:.0f}")
    table.row("packets lost; clients that vanish in a minute",
              f"{LOSS:g} %; {CHURN:g} %")
    table.row("connected: median, fewest",
              f"{statistics.median(connected):.0f}, {min(connected)}")
    table.row("vanished; sealed connections made",
              f"{herd['vanished']}; {herd['connects']}")
    table.row("rounds in the store; told; seen by clients",
              f"{len(kept)}; {len(told)}; {len(seen)}", "> 0", len(kept) > 0)
    table.row("finished rounds lost", len(lost), "0", not lost)
    table.row("updates in these sums; acknowledged to clients",
              f"{sum(updates for updates, _ in kept.values())}; "
              f"{sum(acknowledged.get(number, 0) for number in kept)}")
    table.row("rounds that acknowledged more than they hold", len(forgotten), "0",
              not forgotten)
    table.row("attempts that failed; sessions given up",
              f"{aggregator.events('round_failed')}; "
              f"{aggregator.events('session_aborted')}")
    table.row("aggregator's memory: median, most",
              f"{size:.1f} MB, {max(s[1] for s in samples):.1f} MB")
    table.row("its growth over the second half", f"{more:+.2f} MB",
              f"<= {max(GROWTH_MB, GROWTH_SHARE * size):.2f} MB",
              more <= max(GROWTH_MB, GROWTH_SHARE * size))


def idle(table, folder, data):
    lose_packets(0)
    aggregator = Aggregator(folder, data, "--min-clients", "1000000")
    samples, herd = follow(aggregator, data, IDLE, IDLE_SECONDS, 0)
    aggregator.cut_power()
    size = max(s[1] for s in samples)
    table.row("idle sealed connections", herd["connected"], f">= {IDLE:.0f}",
              herd["connected"] >= IDLE)
    table.row("aggregator's memory, at most", f"{size:.1f} MB",
              f"<= {IDLE_MB:.0f} MB", size <= IDLE_MB)
    table.row("of it for one connection",
              f"{(size - samples[0][1]) / IDLE * 1024:.2f} kB")


def main():
    enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    scratch = tempfile.mkdtemp(prefix="fedge-soak.")
    table = Table()
    try:
        data = "csv:" + os.path.join(scratch, "table.csv")
        make_table(data[4:])
        print("| what | measured | bar | |\n|---|---|---|---|")
        for run, wanted in ((work, CLIENTS), (idle, IDLE)):
            folder = os.path.join(scratch, run.__name__)
            os.mkdir(folder)
            if wanted:
                run(table, folder, data)
    finally:
        for child in started:
            child.kill()
            child.wait()
        shutil.rmtree(scratch)
    sys.exit(table.failed)


if __name__ == "__main__":
    main()
