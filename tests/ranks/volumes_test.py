#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: volumes_test.py VOLUMES

Chains of sessions over the same volumes, on a real disk: each is an mpirun with another number of
ranks, which finds what the one before wrote, and writes anew. Prints TAP."""
import os
import signal
import subprocess
import sys
import tempfile

LIMIT_SECONDS = 60
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
# Directories by rank, and so the number of ranks; sessions of a chain one after the other.
CHAINS = {
    "a volume of each rank, then of fewer, of more, of one": [
        ["a", "b", "c"], ["a,c", "b"], ["", "c", "a", "b"], ["b,a,c"], ["c", "a", "b"]],
    "one volume of one rank goes round": [["a"], ["", "", "a", ""], ["", "a"], ["a", "", ""]],
    "two volumes a rank": [["a,b", "c,d"], ["a", "b", "c", "d"], ["d,c,b,a", "", ""]],
}


def run(program, generation, layout, folder):
    """(exit code or None when it hung, all output)"""
    directories = ";".join(
        ",".join(os.path.join(folder, name) for name in rank.split(",") if name)
        for rank in layout)
    process = subprocess.Popen(
        [*MPIRUN, "-n", str(len(layout)), program, str(generation), directories],
        env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True)
    try:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
        return None, output


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program, failed, number = os.path.abspath(sys.argv[1]), 0, 0
    print(f"1..{sum(len(layouts) for layouts in CHAINS.values())}")
    for name, layouts in CHAINS.items():
        with tempfile.TemporaryDirectory(prefix="ssi-volumes-") as folder:
            for generation, layout in enumerate(layouts, 1):
                number += 1
                code, output = run(program, generation, layout, folder)
                good = code == 0
                print(f"{'ok' if good else 'not ok'} {number} - {name}: {len(layout)} ranks",
                      flush=True)
                print("".join(f"# {line}\n" for line in output.splitlines()), end="", flush=True)
                if not good:
                    failed += 1
                    print(f"# exit code {code}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
