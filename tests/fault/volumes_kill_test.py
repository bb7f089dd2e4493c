#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: volumes_kill_test.py VOLUMES_RANK SSI ROUNDS [--seed S]

ROUNDS times: 2 to 4 ranks on three volumes find what the round before left, write, remove and sync
objects until one of them, or all, die by kill -9 at a random moment. What a sync had returned for
must be there in the next round, or something newer that was really written; `ssi log verify` must
find no fault in any volume; survivors leave by themselves with peer_lost's exit code.
Prints TAP."""
import argparse
import collections
import glob
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from runtime_fault_test import EXIT_CODE, PEER_LOST, Failed, Job, check, read

OBJECTS = 300
VOLUMES = ["a", "b", "c"]
LEAVE_SECONDS = 10
START_SECONDS = 60


class Expected:
    """What the volumes may have of an object; see volumes_rank.cpp for the events."""

    def __init__(self):
        self.found = dict.fromkeys(range(OBJECTS), 0)     # stamp; 0: not there
        self.start_round()

    def start_round(self):
        self.written = collections.defaultdict(set)       # id -> stamps
        self.puts = collections.defaultdict(list)         # id -> (done at, stamp)
        self.removes = collections.defaultdict(dict)      # id -> from -> done at, or None
        self.synced, self.home = {}, {}                   # node -> from; id -> node

    def take(self, events):
        """The lines of all ranks, each (rank, line). What was found is returned by id."""
        found = {}
        for rank, line in events:
            what, *rest = line.split()
            check(what != "X", f"rank {rank}: {line[2:]}")
            numbers = [int(number) for number in rest]
            if what == "H":
                self.home[numbers[0]] = numbers[1]
            elif what == "F":
                found[numbers[0]] = numbers[1]
            elif what == "W":
                self.written[numbers[0]].add(numbers[1])
            elif what == "P":
                self.puts[numbers[0]].append((numbers[2], numbers[1]))
            elif what == "R":
                self.removes[numbers[0]].setdefault(numbers[1], None)
            elif what == "Q":
                self.removes[numbers[0]][numbers[1]] = numbers[2]
            elif what == "S":
                self.synced[rank] = max(self.synced.get(rank, 0), numbers[0])
        return found

    def fault(self, number, stamp):
        """Why the object must not have this stamp after the round, or nothing."""
        synced = self.synced.get(self.home.get(number), 0)
        newest = max((s for done, s in self.puts[number] if done <= synced), default=0)
        gone = max((begun for begun, done in self.removes[number].items()
                    if done and done <= synced), default=0)
        bound = max(self.found[number], newest, gone)
        if stamp == 0:
            fine = bound == 0 or any(done is None or done >= bound
                                     for done in self.removes[number].values())
            return "" if fine else f"is gone, but {bound} was synced"
        if stamp < bound:
            return f"has stamp {stamp}, but {bound} was synced"
        if stamp != self.found[number] and stamp not in self.written[number]:
            return f"has stamp {stamp}, which nobody wrote"
        return ""

    def check(self, found):
        faults = [f"object {i} {fault}" for i, stamp in sorted(found.items())
                  if (fault := self.fault(i, stamp))]
        check(not faults, f"{len(faults)} faults: " + "; ".join(faults[:5]))


def events_of(folder, ranks):
    for rank in range(ranks):
        text = read(os.path.join(folder, f"{rank}.events"))
        for line in text.splitlines():
            yield rank, line


def layout_of(choice, first):
    """Volumes of each rank."""
    ranks = 3 if first else choice.choice([2, 3, 3, 4])
    places = choice.sample(range(ranks), min(ranks, 3)) + [choice.randrange(ranks)]
    layout = [[] for _ in range(ranks)]
    for name, place in zip(choice.sample(VOLUMES, 3), places):
        layout[place].append(name)
    return layout


def verify(ssi, folder):
    for name in VOLUMES:
        log = os.path.join(folder, name, "log")
        if not glob.glob(os.path.join(log, "*.seg")):
            continue              # nobody came so far
        result = subprocess.run([ssi, "log", "verify", log], capture_output=True, text=True,
                                timeout=60, check=False)
        check(result.returncode == 0, f"ssi log verify {name}: {result.stdout}{result.stderr}")


class Rounds:
    leaves_with = {EXIT_CODE[PEER_LOST]}

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.choice = random.Random(options.seed)
        self.expected = Expected()
        self.first = True
        self.note = ""

    def play(self):
        layout = layout_of(self.choice, self.first)
        self.first = False
        directories = ";".join(",".join(os.path.join(self.folder, name) for name in names)
                               for names in layout)
        victims = (list(range(len(layout))) if self.choice.random() < 0.3 else
                   [self.choice.randrange(len(layout))])
        early = self.choice.random() < 0.2
        pause = self.choice.random() * (0.15 if early else 1.5)
        self.note = f"{len(layout)} ranks, {len(victims)} killed" + (" early" if early else "")
        seed = self.choice.randrange(2**31)
        with tempfile.TemporaryDirectory(prefix="volumes_kill.") as told:
            with Job(os.path.abspath(self.options.program), [told, directories, str(seed)],
                     len(layout), {"SSI_SEED": "0"}) as job:
                self.wait_for(job, "mounting" if early else "running")
                time.sleep(pause)
                for victim in victims:
                    job.signal(victim, signal.SIGKILL)
                survivors = [rank for rank in range(len(layout)) if rank not in victims]
                job.wait_ended(range(len(layout)), LEAVE_SECONDS)
                for rank in survivors:
                    check(job.ended(rank)[0] in self.leaves_with,
                          f"rank {rank} left with {job.ended(rank)[0]}\n" + job.logs())
                logs = job.logs()
            self.judge(told, len(layout), logs)

    @staticmethod
    def wait_for(job, what):
        def there():
            return all(f" {what}\n" in job.log(rank) for rank in range(job.ranks))
        job.wait(lambda: there() or job.mpirun.poll() is not None, START_SECONDS)
        check(there(), f"not all ranks came to {what}\n" + job.logs())

    def judge(self, told, ranks, logs):
        after = Expected()
        found = after.take(events_of(told, ranks))
        self.note += f", {len(found)} objects found, {sum(map(len, after.puts.values()))} puts, " \
                     f"{len(after.synced)} nodes synced"
        try:
            self.expected.check(found)
            verify(self.options.ssi, self.folder)
        except Failed as failure:
            raise Failed(f"{failure}\n{logs}") from failure
        if len(found) < OBJECTS:
            # Killed before all was looked at: nothing was written, so the volumes are as before.
            check(not after.written, "written before all had looked")
            return
        after.found = found
        self.expected = after


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("ssi")
    parser.add_argument("rounds", type=int)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SSI_SEED", "1")))
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="ssi-volumes-") as folder:
        rounds = Rounds(options, folder)
        for number in range(1, options.rounds + 1):
            fault = ""
            try:
                rounds.play()
            except Failed as failure:
                fault = str(failure)
            print(f"{'not ok' if fault else 'ok'} {number} - {rounds.note}", flush=True)
            if fault:
                good = False
                print(fault, file=sys.stderr)
                break                     # what comes after would be judged by what is wrong
    print(f"1..{options.rounds}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
