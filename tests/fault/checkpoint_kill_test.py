#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: checkpoint_kill_test.py PROGRAM [--thorough] [--rounds N] [--seed S]

Programs that take checkpoints die by kill -9: at each FaultPoint (ckpt/fault_point.hpp) one rank or
all, and N times at a random moment. The next one, on another number of ranks, must go on from the
last checkpoint that was told to be durable, or from one that was being taken, each byte as it was
then (checkpoint_rank.cpp looks). Survivors leave by themselves. Where there is a global store,
those of the ranks are destroyed now and then.
--thorough: each point with every choice of who dies. Prints TAP."""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from runtime_fault_test import EXIT_CODE, PEER_LOST, Failed, Job, check

LEAVE_SECONDS = 20
TAKES = "6"
KILLED = -signal.SIGKILL
SAME_HOST = {"SSI_CHECKPOINT_ALLOW_SAME_HOST": "true"}
LEAVES_WITH = {EXIT_CODE[PEER_LOST], EXIT_CODE["cancelled"], EXIT_CODE["io"]}
# Passed by the first rank alone; by the first of those that share a store.
FIRST_ONLY = {"ballots_counted", "drain_manifest", "drain_pruned"}
LEADERS = {"file_written", "file_renamed", "committed", "manifest_removed", "pruned"}
# Where each rank has a store of its own, and there are several: two takes of six.
COPYING = {"copies_made", "parity_begun", "parity_row", "parity_durable"}
# Where there is a global store.
DRAINING = {"drain_begun", "drain_half", "drain_copied", "drain_manifest", "drain_committed",
            "drain_pruned"}
# On the way to a restart, of which there is one.
ONCE = {"cleaning", "restart_chosen", "member_read", "inbox_read", "restarted"}


class Store:
    """Where one program after the other goes on, and what the next one may find."""

    def __init__(self, directory, volumes, shared=None):
        self.directory = directory
        self.variables = dict(SAME_HOST)
        if shared:
            self.variables["SSI_CHECKPOINT_GLOBAL_DIRECTORY"] = shared
        self.volumes = volumes               # of kDFS, where its files are
        for name in "0123":
            os.makedirs(os.path.join(volumes, name))
        self.taken = self.tried = 0          # steps
        # Of a version that the ranks' stores have, and the global one need not have.
        self.near = 0
        self.destroyed = not shared          # so that none is found in the ranks' stores alone

    def has_global(self):
        return "SSI_CHECKPOINT_GLOBAL_DIRECTORY" in self.variables

    def least(self):
        return max(self.taken, self.near)

    def destroy(self):
        """The stores of the ranks, where there is a global one."""
        for rank in "0123":
            shutil.rmtree(self.directory.replace("%n", rank), ignore_errors=True)
        self.near = 0
        self.destroyed = True

    def judge(self, log):
        """The log of rank 0, in which the run tells what it does."""
        for line in log.splitlines():
            words = line.split()[1:]     # without the time
            check(words[:1] != ["wrong"], line)
            if words[:1] == ["new"]:
                check(self.least() == 0, f"nothing was found, but step {self.least()} was durable")
                self.tried = 0
                self.destroyed = not self.has_global()
            elif words[:1] == ["from"]:
                step = int(words[2])
                check(self.least() <= step <= self.tried and step,
                      f"went on from step {step}: {self.least()} was durable, {self.tried} tried")
                self.tried = step
                if self.destroyed:
                    self.taken = step
                else:
                    self.near = step
                self.destroyed = not self.has_global()
            elif words[:1] == ["take"]:
                self.tried = int(words[1])
            elif words[:1] == ["taken"]:
                self.taken = self.tried = int(words[2])


class Rounds:
    def __init__(self, program, folder, seed):
        self.program = program
        self.choice = random.Random(seed)
        # A store for all ranks; one for each; and with a global one besides.
        self.stores = [Store(os.path.join(folder, name),
                             os.path.join(folder, "volumes", name[:4]), shared)
                       for name, shared in (("shared", None), ("each/%n", None),
                                            ("near/%n", os.path.join(folder, "far")))]
        self.turn = 0

    def store(self, point=None):
        self.turn += 1
        if point in DRAINING:
            return self.stores[2]
        return self.stores[1 if point in COPYING else self.turn % 3]

    def finish(self, job, store, victims):
        job.wait_ended(range(job.ranks), LEAVE_SECONDS)
        for rank in range(job.ranks):
            check("wrong" not in job.log(rank), f"rank {rank}\n{job.logs()}")
            code = job.ended(rank)[0]
            if rank not in victims:
                check(code in LEAVES_WITH or code == 0, f"rank {rank} left with {code}\n"
                      + job.logs())
        try:
            store.judge(job.log(0))
            if store.has_global() and self.choice.random() < 0.5:
                store.destroy()
        except Failed as failure:
            raise Failed(f"{failure}\n{job.logs()}") from failure

    def at_point(self, point, who):
        """`who`: a rank, or None for all."""
        store = self.store(point)
        if point in ONCE and store.taken == 0:
            self.undisturbed(store)
        ranks = self.choice.randint(2 if who != 0 or point in COPYING else 1, 4)
        rare = point in COPYING or point in DRAINING
        times = 1 if point in ONCE else self.choice.randint(1, 2 if rare else 3)
        variables = {"SSI_TEST_FAULT_POINT": f"{point}:{times}", **store.variables}
        if who is not None:
            variables["SSI_TEST_FAULT_RANK"] = str(who)
        arguments = [store.directory, TAKES, store.volumes]
        with Job(self.program, arguments, ranks, variables) as job:
            job.wait_ended(range(ranks), 60)
            dead = [rank for rank in range(ranks) if job.ended(rank)[0] == KILLED]
            self.finish(job, store, dead)
            check(dead, f"{ranks} ranks, and {point} was not passed\n{job.logs()}")
        return f"{ranks} ranks"

    def at_random(self):
        store = self.store()
        ranks = self.choice.randint(1, 4)
        arguments = [store.directory, "1000000", store.volumes]
        with Job(self.program, arguments, ranks, store.variables) as job:
            job.wait(lambda: " take " in job.log(0), 60)
            time.sleep(self.choice.random() * 0.7)
            victims = self.choice.choice([range(ranks), [self.choice.randrange(ranks)]])
            for rank in victims:
                job.signal(rank, signal.SIGKILL)
            self.finish(job, store, victims)
        return f"{ranks} ranks, {len(victims)} killed, step {store.taken}"

    def undisturbed(self, store):
        ranks = self.choice.randint(1, 4)
        before = store.least()
        with Job(self.program, [store.directory, "2", store.volumes], ranks,
                 store.variables) as job:
            job.wait_ended(range(ranks), 60)
            codes = [job.ended(rank)[0] for rank in range(ranks)]
            check(not any(codes), f"left with {codes}\n{job.logs()}")
            store.judge(job.log(0))
        check(store.taken >= before + 2, f"at step {store.taken} after two more than {before}")


def plan(points, thorough):
    """(point, who dies)"""
    for index, point in enumerate(points):
        whose = [0] if point in FIRST_ONLY else [0, 1, None]
        if point in LEADERS:
            whose = [0, None]
        if point == "member_read":
            whose = [0]        # the first always has a member to read
        if not thorough:
            whose = [whose[index % len(whose)]]
        for who in whose:
            yield point, who


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program")
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    points = subprocess.run([options.program, "--points"], capture_output=True, text=True,
                            check=True).stdout.split()
    failed = 0
    steps = [(f"{point}, {'all' if who is None else f'rank {who}'}",
              lambda rounds, point=point, who=who: rounds.at_point(point, who))
             for point, who in plan(points, options.thorough)]
    steps += [(f"random moment {i}", lambda rounds: rounds.at_random())
              for i in range(options.rounds)]
    print(f"1..{len(steps) + 1}")
    with tempfile.TemporaryDirectory(prefix="checkpoint_kill.") as folder:
        for name in ("each", "near"):
            os.mkdir(os.path.join(folder, name))
        rounds = Rounds(options.program, folder, options.seed)
        for number, (name, step) in enumerate(steps, 1):
            try:
                note = step(rounds)
                print(f"ok {number} - {name} # {note}", flush=True)
            except Failed as failure:
                failed += 1
                print(f"not ok {number} - {name}", flush=True)
                print("\n".join(f"# {line}" for line in str(failure).splitlines()), flush=True)
        try:
            for store in rounds.stores:
                rounds.undisturbed(store)
            print(f"ok {len(steps) + 1} - and on without being disturbed")
        except Failed as failure:
            failed += 1
            print(f"not ok {len(steps) + 1} - and on without being disturbed\n# {failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
