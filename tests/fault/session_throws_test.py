#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: session_throws_test.py PROGRAM

An exception that leaves main's Session on one rank must neither hang the others nor let their
barriers pass as if nothing had happened; one on all ranks must end in order. Prints TAP."""
import os
import signal
import subprocess
import sys

LIMIT_SECONDS = 20
INVALID_ARGUMENT_EXIT_CODE = 2


def run(program, ranks, who):
    """(exit code or None when it hung, all output)"""
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), program, who]
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    try:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
        return None, output


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    failed = 0
    cases = [(ranks, who) for ranks in (2, 3) for who in ("0", str(ranks - 1), "all")]
    print(f"1..{len(cases)}")
    for number, (ranks, who) in enumerate(cases, 1):
        code, output = run(sys.argv[1], ranks, who)
        good = code not in (None, 0) and "out of range" in output and "its end" not in output
        if who == "all":
            good = good and code == INVALID_ARGUMENT_EXIT_CODE and "finalize" not in output
        print(f"{'ok' if good else 'not ok'} {number} - rank {who} of {ranks} throws")
        if not good:
            failed += 1
            print(f"# exit code {code}\n" + "".join(f"# {l}\n" for l in output.splitlines()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
