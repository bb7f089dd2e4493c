#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: pagerank_test.py PAGERANK MPI_PAGERANK FIXTURES

Runs pagerank and its plain-MPI twin as a user would: bad input, 1 to 4 ranks against an independent
implementation (pagerank_support.py), every option. Prints TAP."""
import os
import random
import stat
import sys
import tempfile

from pagerank_support import MPIRUN, Tap, alone, independent_ranks, mpirun, run

# The error table of libssi (runtime/base): 40 plus the number, 2 for wrong usage.
USAGE, NOT_FOUND, MISMATCH, OUT_OF_MEMORY, IO, PARSE = 2, 43, 45, 47, 54, 61


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def bad_inputs(folder):
    """(name, arguments, exit code, what the one error must say)"""
    malformed = write(folder, "malformed.txt", "a b\nlonely\nc d e\n")
    index = write(folder, "index.txt", "Package: a\nDepends: b (>= 1\n\nVersion: 1\n")
    empty = write(folder, "empty.txt", "")
    comments = write(folder, "comments.txt", "# nothing\n\n")
    missing = os.path.join(folder, "missing.txt")
    cases = [
        ("missing edge list", ["--edges", missing], NOT_FOUND, f"cannot open {missing}"),
        ("missing index", ["--packages", missing], NOT_FOUND, "No such file"),
        ("directory", ["--edges", folder], IO, "it is a directory"),
        ("malformed edge list", ["--edges", malformed], PARSE, "line 2: one name"),
        ("malformed index", ["--packages", index], PARSE, "line 2: a bracket"),
        ("empty file", ["--edges", empty], USAGE, "the graph is empty"),
        ("only comments", ["--edges", comments], USAGE, "the graph is empty"),
        ("empty index", ["--packages", empty], USAGE, "the graph is empty"),
        ("no input", [], USAGE, "an input is needed"),
        ("two inputs", ["--rmat", "4", "--edges", malformed], USAGE, "only one of"),
        ("unknown option", ["--rmat", "4", "--frobnicate"], USAGE, "--frobnicate"),
        ("scale out of range", ["--rmat", "31"], USAGE, "--rmat 31 is out of range"),
        ("a graph that cannot fit", ["--rmat", "30", "--edge-factor", "1024"], OUT_OF_MEMORY,
         "the graph needs about"),
        ("damping out of range", ["--rmat", "4", "--damping", "1.5"], USAGE, "--damping"),
        ("block that is no power of two", ["--rmat", "4", "--block", "1000"], USAGE, "--block"),
        ("bad libssi setting", ["--rmat", "4", "--ssi-no-such-setting", "1"], USAGE,
         "no-such-setting"),
    ]
    if os.geteuid() != 0:
        unreadable = write(folder, "unreadable.txt", "a b\n")
        os.chmod(unreadable, 0)
        cases.append(("unreadable file", ["--edges", unreadable], IO, "Permission denied"))
    return cases


def check_bad_input(tap, program, folder):
    for name, arguments, code, text in bad_inputs(folder):
        for ranks in (0, 3):
            done = mpirun(ranks, program, *arguments) if ranks else alone(program, *arguments)
            errors = [line for line in done.stderr.split("\n") if line.startswith("pagerank: ")]
            good = (done.code == code and len(errors) == 1 and text in done.stderr
                    and done.stdout == "")
            tap.check(good, f"{name}: one error, exit code {code}, {ranks or 'no'} mpirun ranks",
                      done)


def check_help(tap, program):
    for option, text in (("--help", "--skip-malformed"), ("-h", "--rmat"),
                         ("--version", "pagerank ")):
        done = alone(program, option)
        tap.check(done.code == 0 and text in done.stdout and not done.stderr,
                  f"{option} succeeds without a launcher", done)
    done = mpirun(3, program, "--version")
    tap.check(done.code == 0 and done.stdout.count("pagerank ") == 1,
              "--version under mpirun is printed once", done)


def check_rmat(tap, program):
    arguments = ["--rmat", "12", "--seed", "5", "--verify", "--json", "--no-serial"]
    runs = {}
    for ranks in (1, 2, 3, 4):
        done = mpirun(ranks, program, *arguments, "--components")
        report = done.json()
        runs[ranks] = report
        tap.check(done.code == 0 and report["verify"]["passed"] and report["ranks"] == ranks
                  and report["converged"], f"R-MAT agrees with a serial run on {ranks} ranks", done)
        tap.check(report.get("edges") == 16 << 12 and len(report.get("top", [])) == 20
                  and report.get("edges_per_second", 0) > 0, f"the report is whole, {ranks} ranks",
                  done)
    first = runs[1]
    same = all(r.get("components") and r["components"]["count"] == first["components"]["count"]
               and r["iterations"] == first["iterations"]
               and r["residual"] == first["residual"] and r["digest"] == first["digest"]
               and r["top"] == first["top"] for r in runs.values())
    tap.check(same, "every rank count finds the same bits, components and iterations")
    # Converged ranks forgive a stale block on the way; ranks after four iterations do not.
    for ranks in (2, 4):
        done = mpirun(ranks, program, *arguments, "--iterations", "4", "--tolerance", "0")
        tap.check(done.code == 0 and done.json()["verify"]["passed"],
                  f"R-MAT agrees before it converges, {ranks} ranks", done)
    done = mpirun(4, program, "--rmat", "4", "--verify", "--components", "--json")
    tap.check(done.code == 0 and done.json()["verify"]["passed"],
              "more ranks than blocks agree too", done)
    for block in ("512", "512K"):
        done = mpirun(3, program, "--rmat", "13", "--verify", "--components", "--block", block,
                      "--json")
        tap.check(done.code == 0 and done.json()["verify"]["passed"],
                  f"blocks of {block} agree on 3 ranks", done)


def check_twin(tap, program, twin):
    arguments = ["--rmat", "12", "--seed", "5", "--json", "--no-serial"]
    if not os.path.exists(twin):
        tap.skip("the plain-MPI twin finds the same bits", "benchmarks are not built")
        return
    ours = mpirun(2, program, *arguments).json()
    for ranks in (1, 2, 3):
        theirs = mpirun(ranks, twin, *arguments)
        tap.check(theirs.json().get("top") == ours["top"]
                  and theirs.json()["digest"] == ours["digest"],
                  f"the plain-MPI twin finds the same bits on {ranks} ranks", theirs)


def check_packages(tap, program, fixtures):
    index = os.path.join(fixtures, "packages.txt")
    expected = independent_ranks(index)
    digests = set()
    for ranks in (1, 2, 3, 4):
        done = mpirun(ranks, program, "--packages", index, "--verify", "--components", "--block",
                      "512", "--json")
        report = done.json()
        good = done.code == 0 and report["verify"]["passed"]
        tap.check(good, f"the package index agrees with a serial run on {ranks} ranks", done)
        digests.add(report["digest"])
        best = sorted(expected, key=lambda name: (-expected[name], name))[:20]
        close = good and report["vertices"] == len(expected) and all(
            abs(entry["rank"] - expected[entry["name"]]) < 1e-8 for entry in report["top"]) \
            and {e["name"] for e in report["top"]} == set(best)
        tap.check(close, f"and with an independent implementation, {ranks} ranks", done)
    tap.check(len(digests) == 1, "the package index has the same bits on any number of ranks")


def check_debian(tap, program, folder, fixtures):
    """--debian with a stand-in for apt-cache."""
    tools = os.path.join(folder, "bin")
    os.mkdir(tools)
    stub = os.path.join(tools, "apt-cache")

    def run_with(body):
        write(tools, "apt-cache", f"#!/bin/sh\n{body}\n")
        os.chmod(stub, os.stat(stub).st_mode | stat.S_IXUSR)
        return mpirun(2, program, "--debian", "--json", "--no-serial",
                      PATH=tools + os.pathsep + os.environ["PATH"])

    done = run_with(f'test "$1" = dumpavail && cat {fixtures}/packages.txt')
    tap.check(done.code == 0 and done.json()["top"][0]["name"] == "libc6",
              "--debian reads what apt-cache dumpavail prints", done)
    done = run_with("exit 100")
    tap.check(done.code == IO and "apt-cache dumpavail failed with exit code 100" in done.stderr,
              "--debian reports a failing apt-cache", done)
    done = run_with("exit 0")
    tap.check(done.code == USAGE and "apt-get update" in done.stderr,
              "--debian names the way out of an empty index", done)


def check_graphs(tap, program, folder):
    done = mpirun(2, program, "--edges", write(folder, "skip.txt", "a b\nx\nb a\n"),
                  "--skip-malformed", "--verify")
    tap.check(done.code == 0 and "note: " in done.stdout and "line 2" in done.stdout,
              "--skip-malformed skips and says so", done)
    index = write(folder, "lonely.txt", "\n".join(f"Package: p{i}\n" for i in range(700)))
    done = mpirun(3, program, "--packages", index, "--verify", "--components", "--json")
    report = done.json()
    tap.check(done.code == 0 and report["verify"]["passed"]
              and report["components"]["count"] == 700 and report["components"]["largest"] == 1,
              "a graph without edges has a component for each vertex", done)
    names = list(range(4000))
    random.Random(1).shuffle(names)
    path = write(folder, "path.txt", "".join(f"{a} {b}\n" for a, b in zip(names, names[1:])))
    done = mpirun(4, program, "--edges", path, "--verify", "--components", "--block", "512",
                  "--json")
    report = done.json()
    tap.check(done.code == 0 and report["verify"]["passed"]
              and report["components"]["count"] == 1 and report["components"]["rounds"] <= 20,
              "a path of 4000 vertices over 4 ranks takes few rounds", done)


def check_output(tap, program):
    done = mpirun(2, program, "--rmat", "10", "--log-iterations", "--iterations", "5",
                  "--tolerance", "0")
    logged = [line for line in done.stderr.split("\n") if line.startswith("iteration ")]
    tap.check(done.code == 0 and logged == [f"iteration {k}" for k in range(1, 6)]
              and "not converged" in done.stdout, "--log-iterations counts every iteration", done)
    done = mpirun(2, program, "--rmat", "10", "--repeat", "3", "--json", "--top", "2")
    report = done.json()
    tap.check(done.code == 0 and report["repeats"] == 3 and len(report["top"]) == 2
              and report["serial"]["seconds"] > 0, "--repeat and --top are obeyed", done)
    sets = {s["set"] for s in report.get("kddm", []) if s["gets"] > 0}
    tap.check(sets == {"pagerank.adjacency", "pagerank.ranks", "pagerank.shares"},
              "the sets' statistics are there", done)
    done = mpirun(2, program, "--rmat", "10", "--min-seconds", "1", "--progress")
    tap.check(done.code == 0 and done.seconds >= 1 and "M edges/s" in done.stderr
              and "mean of" in done.stdout, "--min-seconds repeats, --progress shows", done)
    done = mpirun(2, program, "--rmat", "10", "--verify", "--verify-limit", "0")
    tap.check(done.code == MISMATCH and "DIFFERS" in done.stdout,
              "--verify fails when the difference exceeds the limit", done)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = alone(program, "--rmat", "6", stdout=full)
    tap.check(done.code == IO and "cannot write the report" in done.stderr,
              "a full disk under the report is an error", done)


def check_starved_rank(tap, program):
    """One rank of two runs out of memory: it says so, and the other does not wait for ever."""
    arguments = [program, "--rmat", "21", "--no-serial"]
    starved = ["sh", "-c", 'ulimit -v 500000; exec "$@"', "starved", *arguments]
    done = run([*MPIRUN, "1", *arguments, ":", "-n", "1", *starved], {})
    tap.check(isinstance(done.code, int) and done.code != 0 and "memory" in done.stderr
              and not done.stdout, "a rank without memory ends the run with an error", done)


def main():
    if len(sys.argv) != 4 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program, twin, fixtures = sys.argv[1:]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="pagerank_test.") as folder:
        check_help(tap, program)
        check_bad_input(tap, program, folder)
        check_rmat(tap, program)
        check_twin(tap, program, twin)
        check_packages(tap, program, fixtures)
        check_debian(tap, program, folder, fixtures)
        check_graphs(tap, program, folder)
        check_output(tap, program)
        check_starved_rank(tap, program)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
