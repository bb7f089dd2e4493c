#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs ssi-sim with a planted bug, one seed after another, until a checker catches it.

usage: caught.py SSI-SIM PLANT [OPTION ...]     exit 0: caught within 60 seeds
"""
import re
import subprocess
import sys

MOST_SEEDS = 60


def main():
    simulator, plant, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    for seed in range(1, MOST_SEEDS + 1):
        run = subprocess.run([simulator, "--plant", plant, "--seed", str(seed), *options],
                             capture_output=True, text=True, check=False)
        if run.returncode == 0:
            continue
        last = run.stdout.rstrip().rsplit("\n", 1)[-1]
        if run.returncode == 3 and re.fullmatch(rf"checker \w+ seed {seed}", last):
            print(f"{plant}: {last}")
            return 0
        print(run.stdout[-4000:], run.stderr[-4000:], sep="\n")
        print(f"{plant}: exit code {run.returncode} instead of 3")
        return 1
    print(f"{plant}: no checker noticed it in {MOST_SEEDS} seeds")
    return 1


sys.exit(main())
