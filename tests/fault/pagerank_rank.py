#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: mpirun ... pagerank_rank.py FOLDER COMMAND...

Runs COMMAND as one rank and records what only this process sees of it, in FOLDER:
    RANK.pid     the process to kill
    RANK.log     its standard error, each line after the monotonic time at which it arrived
    RANK.exit    how it ended: return code (minus the signal) and time
Then ends the same way, so that the launcher sees what it would see without this program."""
import ctypes
import os
import signal
import subprocess
import sys
import time


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def record(path, text):
    """Appears whole or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    rank = os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ["PMIX_RANK"]
    base = os.path.join(sys.argv[1], rank)
    with subprocess.Popen(sys.argv[2:], stderr=subprocess.PIPE,
                          preexec_fn=die_with_parent) as child:
        record(base + ".pid", str(child.pid))
        with open(base + ".log", "wb", buffering=0) as log:
            for line in child.stderr:
                log.write(b"%.6f " % time.monotonic() + line)
        code = child.wait()
    record(base + ".exit", f"{code} {time.monotonic():.6f}")
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
