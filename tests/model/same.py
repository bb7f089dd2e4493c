#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Same seed, same trace, byte for byte; another seed, another trace.

usage: same.py SSI-SIM [OPTION ...]
"""
import hashlib
import os
import subprocess
import sys


def trace(seed, environment):
    command = [sys.argv[1], "--trace", "--seed", str(seed), *sys.argv[2:]]
    run = subprocess.run(command, capture_output=True, check=True, env=environment)
    return hashlib.sha256(run.stdout).hexdigest(), len(run.stdout)


def main():
    # What a run must not depend on: where memory is, and what is in it.
    other = dict(os.environ, MALLOC_PERTURB_="85", MALLOC_ARENA_MAX="1",
                 MALLOC_TOP_PAD_="1048576", PADDING="x" * 5000)
    for seed in (1, 2, 3):
        first, again = trace(seed, os.environ), trace(seed, other)
        print(f"seed {seed}: {first[1]} bytes, sha256 {first[0][:16]}")
        if first != again:
            print("the second run printed another trace")
            return 1
        if first[1] < 100000:
            print("the trace is too short to tell anything")
            return 1
    if trace(1, os.environ) == trace(2, os.environ):
        print("two seeds gave the same trace")
        return 1
    return 0


sys.exit(main())
