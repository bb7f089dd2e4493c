#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: iobench_test.py IOBENCH [--crowd FILES]

Runs apps/iobench as users do; or, with --crowd, makes one directory of that many files by four
ranks. Prints TAP."""
import os
import sys
import tempfile

from pagerank_support import MPIRUN, Tap, alone, mpirun, run

USAGE, IO = 2, 54
PATTERNS = "easy,hard,metadata,small,rename,shared,find,crowd"
PHASES = {"easy": ["write", "read"], "hard": ["write", "read"],
          "metadata": ["create", "stat", "unlink"],
          "small": ["create", "stat", "read", "unlink"],
          "rename": ["create", "rename", "unlink"],
          "shared": ["create", "list", "stat", "unlink"], "find": ["create", "walk", "remove"],
          "crowd": ["create", "list", "stat", "unlink"]}
BAD = (
    ("no place", [], "either --volume or --posix"),
    ("two places", ["--volume", "a", "--posix", "b"], "either --volume or --posix"),
    ("an unknown pattern", ["--posix", "/tmp", "--pattern", "hardest"], "--pattern hardest"),
    ("no size", ["--posix", "/tmp", "--size", "0"], "--size 0 is out of range"),
    ("a unit that is no power of two", ["--posix", "/tmp", "--unit", "100K"], "--unit 100K"),
    ("too many stripes", ["--posix", "/tmp", "--stripes", "256"], "--stripes 256"),
    ("a top that is no path", ["--posix", "/tmp", "--top", "x"], "--top x"),
    ("a bad libssi setting", ["--ssi-no-such-setting", "1"], "no-such-setting"),
)


def check_help(tap, program):
    for option, text in (("--help", "--pattern"), ("--version", "iobench ")):
        done = alone(program, option)
        tap.check(done.code == 0 and text in done.stdout and not done.stderr,
                  f"{option} succeeds without a launcher", done)


def check_bad_input(tap, program):
    for name, arguments, text in BAD:
        done = mpirun(2, program, *arguments)
        errors = [line for line in done.stderr.split("\n") if line.startswith("iobench: ")]
        tap.check(done.code == USAGE and len(errors) == 1 and text in done.stderr
                  and done.stdout == "", f"{name}: one error", done)
    done = alone(program, "--posix", "/nonexistent")
    tap.check(done.code == IO and "ENOENT" in done.stderr, "a place that is not there", done)
    done = alone(program, "--volume", "/nonexistent/v")
    tap.check(done.code != 0 and "/nonexistent/v" in done.stderr, "a volume nowhere", done)


def check_patterns(tap, program, folder):
    for ranks in (1, 2, 3):
        volumes = os.path.join(folder, f"v{ranks}-%n")
        for place in (["--volume", volumes], ["--posix", folder]):
            done = mpirun(ranks, program, *place, "--pattern", PATTERNS, "--size", "8M",
                          "--files", "150", "--json", "--shift")
            report = done.json() if done.code == 0 else {}
            phases = {}
            for phase in report.get("phases", []):
                phases.setdefault(phase["pattern"], []).append(phase["phase"])
            tap.check(done.code == 0 and phases == PHASES and report["ranks"] == ranks,
                      f"every pattern on {place[0]} by {ranks} ranks, verified", done)
            amounts = {(p["pattern"], p["phase"]): p for p in report.get("phases", [])}
            shares = report.get("shares", [])
            kept = sum(share["files"] for share in shares)
            tap.check(len(shares) == ranks and kept == (ranks * 150 if "--volume" in place else 0)
                      and all(share["after_bytes"] > 1 << 20 for share in shares),
                      f"and tell what {ranks} ranks keep of a large directory", done)
            tap.check(done.code == 0 and amounts["easy", "write"]["bytes"] == ranks * 8 << 20
                      and amounts["metadata", "create"]["operations"] == ranks * 150,
                      f"and {ranks} ranks do as much as was asked for", done)
        tap.check(not os.path.exists(os.path.join(folder, "iobench")), "nothing is left", done)


def check_choices(tap, program, folder):
    volume = os.path.join(folder, "kept-%n")
    place = ["--volume", volume, "--size", "4M"]
    done = mpirun(2, program, *place, "--sync", "--keep", "--unit", "64K", "--stripes", "2",
                  "--cache", "64M", "--progress")
    tap.check(done.code == 0 and "kDFS on 2 volumes" in done.stdout and "GB/s" in done.stdout,
              "text, with stripes, sync and a cache", done)
    done = mpirun(2, program, *place, "--cold", "--shift", "--transfer", "100000")
    tap.check(done.code == 0, "over the files that were kept, cold", done)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = alone(program, "--posix", folder, "--size", "1M", stdout=full)
    tap.check(done.code == IO and "cannot write the report" in done.stderr,
              "a full disk under the report is an error", done)


def check_crowd(tap, program, files, folder):
    ranks = 4
    done = run([*MPIRUN, str(ranks), program, "--volume", os.path.join(folder, "%n"), "--pattern",
                "crowd", "--files", str(files // ranks), "--json"], {}, seconds=3600)
    print("\n".join("# " + line for line in done.stdout.splitlines()), flush=True)
    tap.check(done.code == 0, f"{files} files in one directory are made, listed and removed", done)
    shares = done.json()["shares"]
    tap.check(all(abs(share["files"] * ranks / files - 1) < 0.2 for share in shares)
              and len(shares) == ranks, "each of four nodes keeps about a quarter", done)
    grown = sum(share["after_bytes"] - share["before_bytes"] for share in shares)
    tap.check(len(shares) == ranks and grown / files < 4096,
              "a file takes less than 4 KiB of memory, of all nodes together", done)


def main():
    crowd = int(sys.argv[3]) if sys.argv[2:3] == ["--crowd"] and len(sys.argv) == 4 else 0
    if len(sys.argv) != (4 if crowd else 2) or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    tap, program = Tap(), os.path.abspath(sys.argv[1])
    if crowd:
        with tempfile.TemporaryDirectory(prefix="ssi-iobench-") as folder:
            check_crowd(tap, program, crowd, folder)
        return tap.finish()
    check_help(tap, program)
    check_bad_input(tap, program)
    with tempfile.TemporaryDirectory(prefix="ssi-iobench-") as folder:
        check_patterns(tap, program, folder)
        check_choices(tap, program, folder)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
