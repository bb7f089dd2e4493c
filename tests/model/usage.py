#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The command line of ssi-sim: exit codes and what is printed where.

usage: usage.py SSI-SIM PLANT ...     the plants that the suite plants
"""
import json
import os
import subprocess
import sys


def run(*arguments, **environment):
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False,
                          env=dict(os.environ, **environment))
    return done.returncode, done.stdout, done.stderr


def main():
    code, out, err = run("--nodes", "none")
    assert (code, out) == (2, "") and err.count("\n") == 1 and "--nodes" in err, (code, out, err)
    code, out, err = run("--faults", "kill_in_cut")
    assert (code, out) == (2, "") and "needs --cuts" in err, (code, out, err)
    code, out, err = run("--help")
    assert code == 0 and "--faults" in out and err == "", (code, err)
    code, out, err = run("--list-plants")
    plants = out.split()
    assert code == 0 and sorted(plants) == sorted(sys.argv[2:]), out
    code, out, err = run("--ops", "500", "--json", "--seed", "1..2")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [line["seed"] for line in lines] == [1, 2], out
    assert lines[0]["verbs"]["get"]["operations"] > 10, lines[0]
    code, out, err = run("--ops", "500", SSI_SEED="7")
    assert code == 0 and out.startswith("seed 7: "), out
    code, out, err = run("--ops", "5000", "--plant", "skip_invalidation", "--faults", "none")
    assert code == 3 and out.rstrip().rsplit("\n", 1)[-1].startswith("checker "), out[-500:]
    return 0


sys.exit(main())
