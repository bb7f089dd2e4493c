#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: fs_compare_test.py FS_COMPARE [--long]
       fs_compare_test.py FS_COMPARE --ranks N [--volumes DIRS] -- ARGUMENTS

Random operations on kDFS under mpirun, compared with a local directory (see fs_compare.cpp), on
fresh directories. --long: 20 seeds of 25,000 operations at 1, 2 and 4 ranks. The second form runs
fs-compare once with ARGUMENTS, as it proposes itself when it has found a difference.
Prints TAP."""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile

MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none",
          "--mca", "pml", "ob1", "--mca", "btl", "self,vader",
          "--mca", "btl_base_warn_component_unused", "0"]
# Volumes by rank.
LAYOUTS = {1: "a", 2: "a;b", 4: "a,b;c;;d"}
# Who looks at the tree afterwards: fewer ranks and more, with the same volumes.
AFTERWARDS = {1: ";a", 2: "b,a", 4: "d,c,b;a"}


class Place:
    """Fresh directories for one comparison."""

    def __init__(self, folder):
        self.folder = folder
        self.reference = os.path.join(folder, "reference")
        os.mkdir(self.reference)
        os.chmod(self.reference, 0o755)

    def layout(self, text):
        path = lambda name: os.path.join(self.folder, name) if name else ""
        return ";".join(",".join(map(path, rank.split(","))) for rank in text.split(";"))

    def system(self, text):
        """Arguments for kDFS with these volumes; "local": for another local directory."""
        if text != "local":
            return ["--volumes", self.layout(text)]
        other = os.path.join(self.folder, "other")
        os.makedirs(other, exist_ok=True)
        return ["--against", other]


def run(program, place, ranks, layout, arguments, limit):
    """(exit code or None when it hung, all output)"""
    process = subprocess.Popen(
        [*MPIRUN, "-n", str(ranks), program, "--reference", place.reference,
         *place.system(layout), *arguments],
        env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
        return None, output
    finally:
        if process.poll() is None:   # we are ended ourselves
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


class Tap:
    def __init__(self, program, limit):
        self.program, self.limit, self.number, self.failed = program, limit, 0, 0

    def result(self, name, good, output=""):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}")
        print("".join(f"# {line}\n" for line in output.splitlines()), end="", flush=True)

    def same(self, name, ranks, layout, arguments, afterwards=None, seed=1):
        """Without a difference; then a later session finds the same."""
        with tempfile.TemporaryDirectory(prefix="ssi-compare-") as folder:
            place = Place(folder)
            code, output = run(self.program, place, ranks, layout,
                               ["--seed", str(seed), *arguments], self.limit)
            self.result(name, code == 0, output)
            if afterwards is None or code != 0:
                return
            ranks = afterwards.count(";") + 1
            seeds = int(arguments[arguments.index("--seeds") + 1]) if "--seeds" in arguments else 1
            code, output = run(self.program, place, ranks, afterwards,
                               ["--seed", str(seed + seeds - 1), "--verify"], self.limit)
            self.result(f"{name}: found again by {ranks} ranks", code == 0, output)

    def caught(self, name, arguments, pattern):
        """A deliberate fault of the reference is found, named and shrunk."""
        with tempfile.TemporaryDirectory(prefix="ssi-compare-") as folder:
            code, output = run(self.program, Place(folder), 2, "local", arguments, self.limit)
            good = code == 1 and re.search(pattern, output, re.DOTALL) is not None
            self.result(name, good, output)


def short(tap):
    tap.same("two local directories do the same", 2, "local", ["--operations", "3000"])
    tap.same("two local directories do the same for several users", 2, "local",
             ["--operations", "3000", "--users"])
    tap.same("two local directories do the same for all at once", 2, "local",
             ["--operations", "1000", "--apart", "--threads", "3"])
    tap.caught("an answer that lies is found among many at once",
               ["--operations", "1000", "--apart", "--lie", "500", "--threads", "3"],
               r"operation 500, .*issuer \d+ differs by itself, too.*shrunk in \d+ tries to 1 ")
    tap.caught("an answer that lies is found and shrunk to itself",
               ["--operations", "3000", "--lie", "1234", "--seed", "3"],
               r"seed 3, operation 1234, .*shrunk in \d+ tries to 1 operations.*"
               r"replay: .* --seed 3 .*--only 1234\n")
    tap.caught("an operation that was not carried out is found later and shrunk to few",
               ["--operations", "3000", "--lose", "1000", "--seed", "5"],
               r"seed 5, operation \d+, .*shrunk in \d+ tries to \d operations.*"
               r"replay: .* --seed 5 .*--only ")
    for ranks, layout in LAYOUTS.items():
        tap.same(f"kDFS on {ranks} ranks", ranks, layout, ["--operations", "4000"],
                 AFTERWARDS[ranks], seed=10 + ranks)
        tap.same(f"kDFS on {ranks} ranks, all at once, apart from each other", ranks, layout,
                 ["--operations", "1500", "--apart", "--threads", "3"], AFTERWARDS[ranks],
                 seed=30 + ranks)
        tap.same(f"kDFS on {ranks} ranks, several users, little cache", ranks, layout,
                 ["--operations", "2000", "--users", "--cache", str(8 << 20)], seed=20 + ranks)


def long(tap):
    for ranks, layout in LAYOUTS.items():
        tap.same(f"kDFS on {ranks} ranks", ranks, layout,
                 ["--operations", "25000", "--seeds", "20"], AFTERWARDS[ranks], seed=100)
        tap.same(f"kDFS on {ranks} ranks, several users", ranks, layout,
                 ["--operations", "25000", "--seeds", "4", "--users"], seed=200)
        tap.same(f"kDFS on {ranks} ranks, all at once, apart from each other", ranks, layout,
                 ["--operations", "20000", "--seeds", "5", "--apart", "--threads", "4"],
                 AFTERWARDS[ranks], seed=300)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--ranks", type=int)
    parser.add_argument("--volumes", help="of each rank: a,b;c; or local")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options, arguments = parser.parse_args(sys.argv[1:at]), sys.argv[at + 1:]
    program = os.path.abspath(options.program)
    if options.ranks:
        with tempfile.TemporaryDirectory(prefix="ssi-compare-") as folder:
            layout = options.volumes or LAYOUTS.get(options.ranks, "a" + ";" * (options.ranks - 1))
            code, output = run(program, Place(folder), options.ranks, layout, arguments, 3600)
            print(output, end="")
            return 1 if code is None else code
    if os.geteuid() != 0:
        print("1..0 # SKIP the reference needs root, for a root directory of its own")
        return 0
    tap = Tap(program, 2400 if options.long else 170)
    (long if options.long else short)(tap)
    print(f"1..{tap.number}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
