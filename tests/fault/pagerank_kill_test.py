#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: pagerank_kill_test.py PAGERANK ROUNDS [--seed S] [--break detection|recovery]

ROUNDS times: R-MAT PageRank on 4 ranks under `mpirun --enable-recovery`; after a logged iteration a
random rank dies by kill -9. Every survivor must itself print `node K lost` within 2 s of the kill
and leave with peer_lost's exit code; one that mpirun kills has no exit code and fails the round.
With --break every round must fail, which shows that this test can: `detection` switches off
libssi's detection, so that survivors hang; `recovery` also lets mpirun kill them. Prints TAP."""
import argparse
import glob
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

RANKS = 4
PEER_LOST_EXIT_CODE = 50
NOTICE_SECONDS = 2.0
LEAVE_SECONDS = 8.0          # after the kill: then whoever is left counts as hung
START_SECONDS = 60.0
RUN_SECONDS = 30             # far beyond the kill: nobody ends by himself
GRAPH = ["--rmat", "16", "--no-serial", "--log-iterations", "--min-seconds", str(RUN_SECONDS)]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Round:
    """One mpirun; removes what it started."""

    def __init__(self, program, folder, broken):
        self.folder, self.slowest = folder, 0.0
        wrapper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pagerank_rank.py")
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "SSI_DETECT_ENABLED": "false" if broken else "true"}
        recovery = [] if broken == "recovery" else ["--enable-recovery"]
        self.mpirun = subprocess.Popen(
            ["mpirun", *recovery, "--oversubscribe", "--bind-to", "none", "-n", str(RANKS),
             sys.executable, wrapper, folder, program, *GRAPH],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def log(self, rank):
        return read(os.path.join(self.folder, f"{rank}.log"))

    def pid(self, rank):
        return int(read(os.path.join(self.folder, f"{rank}.pid")) or 0)

    def ended(self, rank):
        """(return code, time), or None."""
        text = read(os.path.join(self.folder, f"{rank}.exit")).split()
        return (int(text[0]), float(text[1])) if text else None

    def wait_for_iteration(self, iteration):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.mpirun.poll() is None:
            if f" iteration {iteration}\n" in self.log(0):
                return True
            time.sleep(0.02)
        return False

    def kill(self, rank):
        self.victim, self.killed_at = rank, time.monotonic()
        os.kill(self.pid(rank), signal.SIGKILL)

    def wait_for_survivors(self):
        survivors = [rank for rank in range(RANKS) if rank != self.victim]
        deadline = self.killed_at + LEAVE_SECONDS
        while time.monotonic() < deadline and not all(self.ended(r) for r in survivors):
            time.sleep(0.02)
        return survivors

    def faults(self):
        """What the survivors did wrong, one sentence each."""
        for rank in self.wait_for_survivors():
            notice = re.search(rf"^([\d.]+) .*node {self.victim} lost", self.log(rank), re.M)
            delay = float(notice.group(1)) - self.killed_at if notice else None
            end = self.ended(rank)
            self.slowest = max(self.slowest, delay or 0)
            if delay is None:
                yield f"rank {rank} did not print that node {self.victim} was lost"
            elif delay > NOTICE_SECONDS:
                yield f"rank {rank} printed the loss only after {delay:.2f} s"
            if end is None:
                yield f"rank {rank} has no exit code: it hangs, or mpirun killed it"
            elif end[0] != PEER_LOST_EXIT_CODE:
                yield f"rank {rank} ended with {end[0]}, not {PEER_LOST_EXIT_CODE}"

    def close(self):
        """Ends what is left; returns what mpirun printed."""
        if self.mpirun.poll() is None:
            self.mpirun.send_signal(signal.SIGTERM)
        try:
            printed = self.mpirun.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            self.mpirun.kill()
            printed = self.mpirun.communicate()[0]
        for path in glob.glob(os.path.join(self.folder, "*.pid")):
            if not os.path.exists(path[:-len("pid")] + "exit"):
                end_process(int(read(path)))
        return printed


def end_process(pid):
    try:
        if b"pagerank" in open(f"/proc/{pid}/cmdline", "rb").read():
            os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass


def play(program, choice, broken):
    """Faults of one round, the slowest notice, and what to print when it fails."""
    with tempfile.TemporaryDirectory(prefix="pagerank_kill.") as folder:
        this = Round(program, folder, broken)
        try:
            if not this.wait_for_iteration(choice.randrange(2, 12)):
                faults = ["the run did not reach its first iterations"]
            else:
                time.sleep(choice.random())
                this.kill(choice.randrange(RANKS))
                faults = list(this.faults())
        finally:
            printed = this.close()
        logs = "".join(f"--- rank {r}\n{this.log(r)[-1500:]}" for r in range(RANKS))
        return faults, this.slowest, printed[-1500:] + logs


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("rounds", type=int)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SSI_SEED", "1")))
    parser.add_argument("--break", dest="broken", choices=["detection", "recovery"])
    options = parser.parse_args()
    choice = random.Random(options.seed)
    good = True
    for number in range(1, options.rounds + 1):
        faults, slowest, logs = play(os.path.abspath(options.program), choice, options.broken)
        if options.broken:
            # The run must have been healthy until the kill: only the survivors' faults count.
            passed = sum("has no exit code" in fault for fault in faults) == RANKS - 1
            name = f"without {options.broken} no survivor leaves"
        else:
            passed = not faults
            name = f"every survivor names the lost node within {slowest:.2f} s and leaves"
        print(f"{'ok' if passed else 'not ok'} {number} - {name}", flush=True)
        good &= passed
        if not passed:
            print("\n".join(f"# {fault}" for fault in faults) + "\n" + logs, file=sys.stderr)
    print(f"1..{options.rounds}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
