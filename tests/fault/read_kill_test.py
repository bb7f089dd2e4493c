#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: read_kill_test.py READ_RANK

A home whose memory others have mapped is killed, or stopped, while they read it: whole values or
peer_lost, never a crash or a hang. Prints TAP."""
import os
import re
import signal
import sys

from runtime_fault_test import EXIT_CODE, PEER_LOST, Failed, Job, check

ENDED = re.compile(r"(\d+) messages, (\d+) by rma, in the end after (\d+) ms: .*peer_lost")


def wait_reading(job):
    """until every reader has met many writes"""
    job.wait_ready()
    readers = [rank for rank in range(job.ranks) if rank != 1]
    job.wait(lambda: all("reading\n" in job.log(rank) for rank in readers), 60)


def check_readers(job, by_rma=False):
    readers = [rank for rank in range(job.ranks) if rank != 1]
    job.wait_ended(readers, 15)
    for rank in readers:
        check(job.ended(rank)[0] == EXIT_CODE[PEER_LOST],
              f"rank {rank} left with {job.ended(rank)[0]}\n" + job.logs())
        ended = ENDED.search(job.log(rank))
        check(ended, f"rank {rank} does not say how its reads ended\n" + job.logs())
        check((int(ended.group(2)) > 0) == by_rma, f"rank {rank} read otherwise\n" + job.logs())
        check(int(ended.group(3)) < 5000, f"rank {rank} hung\n" + job.logs())


def killed_while_it_is_read(program):
    """the mapped memory of a killed home is read whole, or the read fails with peer_lost"""
    for _ in range(3):
        with Job(program, "", 3) as job:
            wait_reading(job)
            job.signal(1, signal.SIGKILL)
            check_readers(job)
    return ""


def killed_while_it_is_asked(program):
    """the same where every read is a message"""
    with Job(program, "", 3, {"SSI_NET_SAME_HOST": "off"}) as job:
        wait_reading(job)
        job.signal(1, signal.SIGKILL)
        check_readers(job)
    return ""


def killed_while_it_is_read_by_the_network(program):
    """the same where memory is read by the network"""
    for variables in ({}, {"SSI_NET_UCX_TLS": "tcp"}):
        with Job(program, "", 3, {"SSI_NET_SAME_HOST": "off", "SSI_KDDM_READ_WAY": "rma",
                                  **variables}) as job:
            wait_reading(job)
            job.signal(1, signal.SIGKILL)
            check_readers(job, by_rma=True)
    return ""


def without_control_sockets(program):
    """memory is mapped by /proc where nobody has a control socket"""
    with Job(program, "", 3, {"SSI_CONTROL_SOCKET": "off", "SSI_LOG_LEVEL": "debug"}) as job:
        wait_reading(job)
        job.signal(1, signal.SIGKILL)
        check_readers(job)
        for rank in (0, 2):
            check("the memory of node 1 is mapped, by /proc" in job.log(rank), job.logs())
    return ""


def by_control_sockets(program):
    """and by the control socket where there is one"""
    with Job(program, "", 3, {"SSI_LOG_LEVEL": "debug"}) as job:
        wait_reading(job)
        job.signal(1, signal.SIGKILL)
        check_readers(job)
        for rank in (0, 2):
            check("the memory of node 1 is mapped, by its control socket" in job.log(rank),
                  job.logs())
    return ""


CASES = [killed_while_it_is_read, killed_while_it_is_asked,
         killed_while_it_is_read_by_the_network, without_control_sockets, by_control_sockets]


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program = os.path.abspath(sys.argv[1])
    print(f"1..{len(CASES)}", flush=True)
    failures = 0
    for number, case in enumerate(CASES, 1):
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
