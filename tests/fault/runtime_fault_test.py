#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: runtime_fault_test.py RUNTIME_RANK

What the runtime does when ranks die or do not fit together: real processes under mpirun.
Prints TAP."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

PEER_LOST, TIMED_OUT, BUILD_MISMATCH = "peer_lost", "timed_out", "build_mismatch"
EXIT_CODE = {PEER_LOST: 50, "cancelled": 53, "io": 54}
NOTICE_SECONDS = 2.0
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none",
          "--mca", "pml", "ob1", "--mca", "btl", "self,vader",
          "--mca", "orte_base_help_aggregate", "0"]
WRAPPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pagerank_rank.py")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Job:
    """One mpirun of RUNTIME_RANK; ends all it started. `scenario`: an argument, or a list of
    them; `per_rank`: variables of each rank."""

    def __init__(self, program, scenario, ranks, variables=None, per_rank=None, recovery=True):
        arguments = [scenario] if isinstance(scenario, str) else scenario
        self.folder = tempfile.TemporaryDirectory(prefix="runtime_fault.")
        self.ranks = ranks
        command = MPIRUN + (["--enable-recovery"] if recovery else [])
        for rank in range(ranks):
            own = (per_rank or {}).get(rank, {})
            command += ([":"] if rank else []) + ["-n", "1", "env"]
            command += [f"{name}={value}" for name, value in own.items()]
            command += [sys.executable, WRAPPER, self.folder.name, program,
                        *arguments]
        self.mpirun = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **(variables or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mpirun.poll() is None:
            self.mpirun.send_signal(signal.SIGTERM)
        try:
            self.mpirun.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.mpirun.kill()
            self.mpirun.communicate()
        for rank in range(self.ranks):
            if self.pid(rank) and not self.ended(rank):
                self.signal(rank, signal.SIGKILL)
        self.folder.cleanup()

    def path(self, rank, kind):
        return os.path.join(self.folder.name, f"{rank}.{kind}")

    def log(self, rank):
        return read(self.path(rank, "log"))

    def pid(self, rank):
        return int(read(self.path(rank, "pid")) or 0)

    def ended(self, rank):
        """(return code, time), or None."""
        text = read(self.path(rank, "exit")).split()
        return (int(text[0]), float(text[1])) if text else None

    def signal(self, rank, which):
        try:
            os.kill(self.pid(rank), which)
        except ProcessLookupError:
            pass

    def wait(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.01)
        return condition()

    def wait_ready(self):
        def ready():
            return all(" ready\n" in self.log(r) for r in range(self.ranks))
        self.wait(lambda: ready() or self.mpirun.poll() is not None, 60)
        check(ready(), "the session did not start\n" + self.logs())

    def wait_ended(self, ranks, seconds):
        self.wait(lambda: all(self.ended(r) for r in ranks), seconds)
        for rank in ranks:
            check(self.ended(rank), f"rank {rank} hangs\n" + self.logs())

    def logs(self):
        return "".join(f"--- rank {r}\n{self.log(r)[-6000:]}" for r in range(self.ranks))


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def check_survivors(job, victim, killed_at, limit=NOTICE_SECONDS):
    """Each prints `node K lost` once, in time, and leaves by itself with peer_lost's exit code."""
    survivors = [rank for rank in range(job.ranks) if rank != victim]
    job.wait_ended(survivors, 10)
    slowest = 0.0
    for rank in survivors:
        notices = re.findall(rf"^([\d.]+) .*node {victim} lost", job.log(rank), re.M)
        check(len(notices) == 1,
              f"rank {rank} printed the loss {len(notices)} times\n" + job.logs())
        delay = float(notices[0]) - killed_at
        slowest = max(slowest, delay)
        check(delay <= limit, f"rank {rank} printed the loss after {delay:.2f} s\n" + job.logs())
        check(job.ended(rank)[0] == EXIT_CODE[PEER_LOST],
              f"rank {rank} left with {job.ended(rank)[0]}\n" + job.logs())
    return f"noticed within {slowest * 1000:.0f} ms"


def kill_and_check(job, victim):
    job.wait_ready()
    time.sleep(0.3)
    killed_at = time.monotonic()
    job.signal(victim, signal.SIGKILL)
    return check_survivors(job, victim, killed_at)


# ---- the cases: a docstring says what must happen

def survivors_in_a_barrier(program):
    """survivors that wait name the dead node and leave"""
    with Job(program, "wait", 4) as job:
        return kill_and_check(job, 2)


def death_of_the_root(program):
    """so do they when the root of the tree dies"""
    with Job(program, "wait", 4) as job:
        return kill_and_check(job, 0)


def survivors_that_compute(program):
    """and those that call nothing of libssi, on crowded cores"""
    with Job(program, "compute", 4) as job:
        return kill_and_check(job, 1)


def large_payloads_in_flight(program):
    """memory lent to the dead comes back, memory that waits for them is given up"""
    with Job(program, "large", 3) as job:
        text = kill_and_check(job, 1)
        for rank in (0, 2):
            check("after the loss: 0 lent, 0 incoming" in job.log(rank),
                  f"rank {rank} keeps payloads of the dead\n" + job.logs())
        return text


def large_payloads_in_flight_over_tcp(program):
    """the same over tcp"""
    with Job(program, "large", 3, {"SSI_NET_UCX_TLS": "tcp"}) as job:
        text = kill_and_check(job, 1)
        for rank in (0, 2):
            check("after the loss: 0 lent, 0 incoming" in job.log(rank),
                  f"rank {rank} keeps payloads of the dead\n" + job.logs())
        return text


def stopped_is_not_dead(program):
    """a node that is stopped for 3 s is not declared dead"""
    with Job(program, "wait", 3) as job:
        job.wait_ready()
        job.signal(1, signal.SIGSTOP)
        time.sleep(3)
        check(not any("lost" in job.log(r) for r in range(3)), job.logs())
        job.signal(1, signal.SIGCONT)
        killed_at = time.monotonic()
        job.signal(1, signal.SIGKILL)
        return check_survivors(job, 1, killed_at)


def early_leaver(program):
    """a rank that ends without stopping its session counts as dead"""
    with Job(program, "leave", 3) as job:
        job.wait_ready()
        job.wait_ended([1], 10)
        return check_survivors(job, 1, job.ended(1)[1])


def other_hosts_learn_of_it(program):
    """nodes of other hosts learn of a death from those who have proof"""
    hosts = {0: {"SSI_TEST_HOST_ID": "a"}, 1: {"SSI_TEST_HOST_ID": "b"},
             2: {"SSI_TEST_HOST_ID": "b"}, 3: {"SSI_TEST_HOST_ID": "c"}}
    with Job(program, "wait", 4, {"SSI_NET_UCX_TLS": "tcp"}, hosts) as job:
        return kill_and_check(job, 2)


def alone_on_its_host(program):
    """without a witness a second, fresh connection that fails is the proof"""
    hosts = {r: {"SSI_TEST_HOST_ID": str(r)} for r in range(3)}
    with Job(program, "wait", 3, {"SSI_NET_UCX_TLS": "tcp"}, hosts) as job:
        return kill_and_check(job, 2)


def detection_switched_off(program):
    """with detect.enabled off nobody notices (so the cases above can fail)"""
    with Job(program, "wait", 3, {"SSI_DETECT_ENABLED": "false"}) as job:
        job.wait_ready()
        job.signal(2, signal.SIGKILL)
        time.sleep(3)
        for rank in (0, 1):
            check("lost" not in job.log(rank) and not job.ended(rank), job.logs())
        return ""


def different_builds(program):
    """different builds refuse to form a session, by name, on every rank"""
    builds = {r: {"SSI_TEST_BUILD_ID": "older" if r == 2 else "newer"} for r in range(4)}
    with Job(program, "wait", 4, per_rank=builds) as job:
        job.wait_ended(range(4), 20)
        for rank in range(4):
            check(re.search(r"build_mismatch: .*rank 2 runs build older, "
                            r"but rank 0 runs build newer",
                            job.log(rank)), f"rank {rank} does not say why\n" + job.logs())
            check(job.ended(rank)[0] not in (0, 3, 4), job.logs())
        return ""


def absent_at_start(program):
    """a rank that dies before the session is one clear error on all others, in time"""
    with Job(program, "absent", 3, {"SSI_SESSION_START_TIMEOUT_MS": "2000"}) as job:
        job.wait_ended(range(3), 20)
        for rank in (0, 2):
            errors = re.findall(r"left: timed_out: .*", job.log(rank))
            check(len(errors) == 1, f"rank {rank}: {len(errors)} errors\n" + job.logs())
            check(job.ended(rank)[0] not in (0, 3, 4), job.logs())
        return ""


def hanging_at_start(program):
    """a rank that hangs during the start is named by the others"""
    with Job(program, "hang", 4, {"SSI_SESSION_START_TIMEOUT_MS": "2000"}) as job:
        job.wait(lambda: job.pid(3), 30)
        job.wait_ended([0, 2, 3], 10)
        for rank in (0, 2, 3):
            check(re.search(r"left: timed_out: .*rank 1 did not answer within 2000 ms",
                            job.log(rank)),
                  f"rank {rank} does not name rank 1\n" + job.logs())
        return ""


CASES = [survivors_in_a_barrier, death_of_the_root, survivors_that_compute,
         large_payloads_in_flight, large_payloads_in_flight_over_tcp, stopped_is_not_dead,
         early_leaver, other_hosts_learn_of_it, alone_on_its_host, detection_switched_off,
         different_builds, absent_at_start, hanging_at_start]


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program = os.path.abspath(sys.argv[1])
    chosen = [case for case in CASES if not sys.argv[2:] or case.__name__ in sys.argv[2:]]
    print(f"1..{len(chosen)}", flush=True)
    failures = 0
    for number, case in enumerate(chosen, 1):
        try:
            note = case(program)
            print(f"ok {number} - {case.__doc__}{' # ' + note if note else ''}", flush=True)
        except Failed as failure:
            failures += 1
            print(f"not ok {number} - {case.__doc__}", flush=True)
            print(f"{case.__name__}: {failure}", file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
