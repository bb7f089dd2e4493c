#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: restart_kill_test.py JACOBI PAGERANK ROUNDS [--seed S]

ROUNDS times, of jacobi and pagerank in turn: a run that saves itself loses all its ranks by
kill -9, up to three times, at random moments or while a checkpoint is being written, and each time
goes on from what it saved, on another number of ranks. At last it may end: its digest must be that
of a run that nobody disturbed. Prints TAP."""
import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

LIMIT_SECONDS = 120.0
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
EVERY = {"jacobi": 97, "pagerank": 49}   # odd: steps end in both planes


def work_of(folder):
    """By program: what it is to do. The graph is one whose ranks take long to settle."""
    path, count = os.path.join(folder, "ring"), 20000
    with open(path, "w", encoding="utf-8") as file:
        for i in range(count):
            file.write(f"{i} {(i + 1) % count}\n" + f"{i} {i * i % count}\n" * (i % 3 == 0))
    return {"jacobi": ["--size", "400", "--block", "100", "--iterations", "5000"],
            "pagerank": ["--edges", path, "--iterations", "2500", "--damping", "0.99",
                         "--block", "8K", "--tolerance", "0", "--no-serial"]}


class Run:
    """One mpirun of a program."""

    def __init__(self, ranks, program, *arguments):
        self.command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks),
                        program, *arguments, "--json"]
        self.output = tempfile.TemporaryFile("w+")   # a pipe that nobody reads would stop the run
        self.errors = tempfile.TemporaryFile("w+")
        self.mpirun = subprocess.Popen(self.command, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                       stdout=self.output, stderr=self.errors)
        self.begin = time.monotonic()

    def is_over(self):
        return self.mpirun.poll() is not None

    def ranks(self):
        try:
            with open(f"/proc/{self.mpirun.pid}/task/{self.mpirun.pid}/children") as file:
                return [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            return []

    def kill_ranks(self):
        for pid in self.ranks():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def end(self):
        """(exit code, standard output, standard error); None as code: it hung."""
        try:
            code = self.mpirun.wait(max(1.0, self.begin + LIMIT_SECONDS - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill_ranks()
            self.mpirun.terminate()
            self.mpirun.wait()
            code = None
        texts = []
        for file in (self.output, self.errors):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return code, *texts


def report_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return {}


def newest(store, *, committed):
    """The highest number of a version, of those with a manifest or of all; 0: none."""
    try:
        names = [name for name in os.listdir(store) if re.fullmatch(r"v\d+", name)]
    except FileNotFoundError:
        return 0
    return max((int(name[1:]) for name in names if not committed or os.path.exists(
        os.path.join(store, name, "manifest"))), default=0)


def wait_until(run, condition, limit_seconds):
    """False: the run ended before."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end and not condition():
        if run.is_over():
            return False
        time.sleep(0.001)
    return not run.is_over()


def wait_for_moment(run, store, before, choice, typical_seconds):
    """Until it is time to kill; mostly after this run has saved something, which `before` has not,
    and every other time while it saves. False: the run ended before."""
    if choice.random() < 0.8:
        if not wait_until(run, lambda: newest(store, committed=True) > before, 30):
            return False
        pause = 0.4 * choice.random() * typical_seconds
    else:
        pause = choice.random() * typical_seconds
    if not wait_until(run, lambda: False, pause):
        return False
    if choice.random() < 0.5:
        return wait_until(run, lambda: newest(store, committed=False) >
                          newest(store, committed=True), 10)
    return True


class Round:
    def __init__(self, name, program, work, choice, typical_seconds):
        self.name, self.program, self.work, self.choice = name, program, work, choice
        self.typical_seconds = typical_seconds
        self.log, self.kills, self.restarts = [], 0, 0

    def start(self, store, before):
        self.ranks = self.choice.choice([ranks for ranks in (1, 2, 3, 4) if ranks != before])
        waits = ["--checkpoint-wait"] if self.choice.random() < 0.3 else []
        return Run(self.ranks, self.program, *self.work, "--checkpoint", store,
                   "--checkpoint-every", str(EVERY[self.name]), "--restart", *waits)

    def note(self, run, errors):
        self.restarts += "goes on from version" in errors
        self.log.append(" ".join(run.command) + "\n" + errors[-1500:])

    def play(self, store):
        """The digest, or None when a run failed by itself."""
        before = 0
        for _ in range(self.choice.randrange(1, 4)):
            run = self.start(store, before)
            killed = wait_for_moment(run, store, newest(store, committed=True), self.choice,
                                     self.typical_seconds)
            if killed:
                run.kill_ranks()
                self.kills += 1
            code, output, errors = run.end()
            self.note(run, errors)
            if not killed:
                return report_of(output).get("digest") if code == 0 else None
            before = self.ranks
        run = self.start(store, before)
        code, output, errors = run.end()
        self.note(run, errors)
        return report_of(output).get("digest") if code == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jacobi")
    parser.add_argument("pagerank")
    parser.add_argument("rounds", type=int)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SSI_SEED", "1")))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="restart_kill.") as folder:
        return play_all(options, work_of(folder), random.Random(options.seed))


def play_all(options, work, choice):
    good, number = True, 0
    for name, program in (("jacobi", options.jacobi), ("pagerank", options.pagerank)):
        undisturbed = Run(2, program, *work[name])
        expected = report_of(undisturbed.end()[1]).get("digest")
        seconds = time.monotonic() - undisturbed.begin
        kills = restarts = 0
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory(prefix="restart_kill.") as folder:
                this = Round(name, program, work[name], choice, seconds)
                digest = this.play(os.path.join(folder, "store"))
            kills += this.kills
            restarts += this.restarts
            number += 1
            passed = expected is not None and digest == expected
            good &= passed
            print(f"{'ok' if passed else 'not ok'} {number} - {name}, killed {this.kills} times, "
                  f"went on {this.restarts} times: the same digest", flush=True)
            if not passed:
                print(f"# expected {expected}, found {digest}\n" + "\n".join(this.log),
                      file=sys.stderr)
        number += 1
        passed = kills >= options.rounds // 2 and restarts > 0
        good &= passed
        print(f"{'ok' if passed else 'not ok'} {number} - {name} was killed {kills} times and went "
              f"on {restarts} times", flush=True)
    print(f"1..{number}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
