#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: gups_test.py GUPS MPI_GUPS

Runs apps/gups and its plain-MPI peers as users do. Prints TAP."""
import os
import sys

from pagerank_support import Tap, alone, mpirun

USAGE, OUT_OF_MEMORY, IO = 2, 47, 54
BAD = (
    ("no words", ["--words", "0"], USAGE, "--words 0 is out of range"),
    ("words that are no number", ["--words", "many"], USAGE, "--words many"),
    ("an object that is no power of two", ["--object", "100"], USAGE, "a power of two"),
    ("a mode of the peers", ["--mode", "shm"], USAGE, "--mode"),
    ("a table that cannot fit", ["--words", "512G"], OUT_OF_MEMORY, "the table needs about"),
    ("a bad libssi setting", ["--ssi-no-such-setting", "1"], USAGE, "no-such-setting"),
)


def check_help(tap, program):
    for option, text in (("--help", "--object"), ("--version", "gups ")):
        done = alone(program, option)
        tap.check(done.code == 0 and text in done.stdout and not done.stderr,
                  f"{option} succeeds without a launcher", done)


def check_bad_input(tap, program):
    for name, arguments, code, text in BAD:
        done = mpirun(3, program, *arguments)
        errors = [line for line in done.stderr.split("\n") if line.startswith("gups: ")]
        tap.check(done.code == code and len(errors) == 1 and text in done.stderr
                  and done.stdout == "", f"{name}: one error, exit code {code}", done)


def check_tables(tap, program):
    for ranks in (1, 2, 3, 4):
        for words, size in (("4096", "4096"), ("1001", "64"), ("3", "8")):
            done = mpirun(ranks, program, "--words", words, "--object", size, "--updates", "3000",
                          "--verify", "--json")
            report = done.json()
            tap.check(done.code == 0 and report["verify"]["passed"]
                      and report["updates"] == 3000 * ranks and report["ranks"] == ranks,
                      f"{words} words in objects of {size} hold every update of {ranks} ranks",
                      done)
            tap.check(report.get("kddm", [{}])[0].get("transfers") == 0,
                      f"and none of the {words} words' objects moved", done)
    done = mpirun(2, program, "--words", "2K", "--verify")
    tap.check(done.code == 0 and "for 8,192 updates" in done.stdout and "GUPS" in done.stdout
              and "every word holds" in done.stdout, "four updates for each word by default", done)
    done = mpirun(2, program, "--words", "1K", "--updates", "100K", "--progress")
    tap.check(done.code == 0 and "% done" in done.stderr, "--progress shows how far it is", done)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = alone(program, "--words", "16", stdout=full)
    tap.check(done.code == IO and "cannot write the report" in done.stderr,
              "a full disk under the report is an error", done)


def check_peers(tap, peer):
    if not os.path.exists(peer):
        tap.skip("the peers' tables hold every update", "benchmarks are not built")
        return
    for mode in ("accumulate", "shm", "alltoallv"):
        for ranks in (1, 3):
            done = mpirun(ranks, peer, "--mode", mode, "--words", "1001", "--updates", "3000",
                          "--batch", "700", "--verify", "--json", OMPI_MCA_osc="sm")
            tap.check(done.code == 0 and done.json()["verify"]["passed"],
                      f"peer {mode}: every update of {ranks} ranks", done)
    done = mpirun(2, peer, "--mode", "telepathy")
    tap.check(done.code == USAGE and "none of accumulate, shm, alltoallv" in done.stderr,
              "a mode that is none is an error", done)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program, peer = sys.argv[1:]
    tap = Tap()
    check_help(tap, program)
    check_bad_input(tap, program)
    check_tables(tap, program)
    check_peers(tap, peer)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
