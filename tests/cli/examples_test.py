#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: examples_test.py SOURCE_ROOT EXAMPLE...

Runs the example programs on 1, 2 and 4 ranks; compares what they print with what docs/guide says
that they print, and the code in the guide with the files it says it is from. Prints TAP."""
import glob
import os
import re
import sys
import tempfile
import textwrap

from pagerank_support import Tap, mpirun

MAX_LINES = 100
EXIT_AGAIN = 75   # ssi::Checkpoint::exit_again
# How the output in the guide, made on 4 ranks, reads on another number of them.
DEPENDS_ON_RANKS = {
    "01_hello": lambda n: "".join(f"hello from node {r} of {n}\n" for r in range(n)),
    "02_shared_counter": lambda n: f"{n} nodes counted to {1000 * n}, and to {1000 * n}\n",
    "10_files_in_c": lambda n: f"{100 * n} lines of {n} nodes\n",
}
# These take a directory for their volumes: a new one for each run.
WITH_DIRECTORY = ("09_files", "10_files_in_c")
FROM = re.compile(r"<!-- from (\S+) -->\n```\w+\n(.*?)```", re.S)
OUTPUT = re.compile(r"<!-- output of (\S+) on 4 nodes -->\n```text\n(.*?)```", re.S)
FENCE = re.compile(r"^```(cpp|c|cmake|text)$", re.M)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_code(tap, root, page, text):
    """Every block of code names its file and stands in it, line by line, at some indentation."""
    blocks = FROM.findall(text) + OUTPUT.findall(text)
    tap.check(len(blocks) == len(FENCE.findall(text)),
              f"{page}: every block of code or output says where it is from")
    for path, block in FROM.findall(text):
        try:
            there = read(os.path.join(root, path))
        except OSError:
            there = ""
        wanted = textwrap.dedent(block)
        lines = there.split("\n")
        height = wanted.count("\n")
        parts = (textwrap.dedent("\n".join(lines[i:i + height]) + "\n")
                 for i in range(len(lines) - height))
        tap.check(wanted in parts, f"{page}: shows {path} as it is")


def check_kept(tap, program, shown):
    """The one that goes on where the last run ended: on 4 ranks, then on fewer and on more."""
    name = os.path.basename(program)
    with tempfile.TemporaryDirectory(prefix="ssi-kept-") as work:
        for run, ranks in enumerate((4, 1, 2, 3), 1):
            wanted = (f"run {run}, 4 volumes on {ranks} nodes: "
                      "0 of 1000 counters are wrong\n")
            done = mpirun(ranks, program, os.path.join(work, "kept"))
            tap.check(done.code == 0 and done.stdout == wanted,
                      f"{name}: run {run}, on {ranks} ranks, finds what the last one kept", done)
            if run == 1:
                tap.check(shown.get(name) == wanted, f"{name}: the guide shows that for 4 ranks")


def check_checkpoint(tap, program, shown):
    """The one that saves itself: stops in the first run, and goes on in the second."""
    name = os.path.basename(program)
    for first, second in ((4, 4), (4, 1), (1, 3)):
        with tempfile.TemporaryDirectory(prefix="ssi-example-") as work:
            runs = [mpirun(ranks, program, os.path.join(work, "kept")) for ranks in (first, second)]
        tap.check([run.code for run in runs] == [EXIT_AGAIN, 0],
                  f"{name}: on {first} ranks it asks to be run again, on {second} it ends", runs[1])
        tap.check("".join(run.stdout for run in runs) == shown.get(name),
                  f"{name}: prints on {first} and {second} ranks what the guide says", runs[1])


def check_example(tap, program, shown):
    name = os.path.basename(program)
    if name == "11_checkpoint":
        return check_checkpoint(tap, program, shown)
    if name == "08_kept_set":
        return check_kept(tap, program, shown)
    tap.check(name in shown, f"{name}: the guide says what it prints")
    for ranks in (1, 2, 4):
        wanted = DEPENDS_ON_RANKS.get(name, lambda _: shown.get(name))(ranks)
        with tempfile.TemporaryDirectory(prefix="ssi-example-") as work:
            done = mpirun(ranks, program, *([work] if name in WITH_DIRECTORY else []))
        tap.check(done.code == 0 and done.stdout == wanted,
                  f"{name}: prints on {ranks} ranks what the guide says", done)
        if ranks == 4 and name in DEPENDS_ON_RANKS:
            tap.check(shown.get(name) == wanted, f"{name}: the guide shows that for 4 ranks")
    return None


def main():
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    root, programs = sys.argv[1], sys.argv[2:]
    tap = Tap()
    shown = {}
    for path in sorted(glob.glob(os.path.join(root, "docs/guide/*.md"))):
        text = read(path)
        shown.update(OUTPUT.findall(text))
        check_code(tap, root, os.path.basename(path), text)
    for program in programs:
        name = os.path.basename(program)
        sources = glob.glob(os.path.join(root, "apps/examples", name + ".c*"))
        tap.check(len(sources) == 1 and read(sources[0]).count("\n") < MAX_LINES,
                  f"{name}: one file of fewer than {MAX_LINES} lines")
        check_example(tap, program, shown)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
