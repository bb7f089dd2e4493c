#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: pagerank_kdfs_test.py PAGERANK SSI FIXTURES

pagerank on a file in kDFS, which `ssi fs cp` brought there: the same graph and ranks as from the
file of the machine, by any number of ranks, each of which reads a part. Prints TAP."""
import os
import random
import sys
import tempfile

from pagerank_support import Tap, alone, mpirun

USAGE, NOT_FOUND, PARSE, IO = 2, 43, 61, 54


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def same(ours, theirs):
    """Vertices are numbered alike, so that all ranks are the same, every bit."""
    keys = ("vertices", "edges", "iterations", "block_vertices", "digest", "top")
    return len(ours["top"]) > 0 and all(ours[key] == theirs[key] for key in keys)


def large_index(folder):
    """Packages of several parts: names that come twice, virtual packages, long fields."""
    chance = random.Random(3)
    stanzas, needs_of = [], {}
    for i in range(20000):
        needs = [f"p{chance.randrange(22000)}" for _ in range(chance.randrange(6))]
        needs += [f"v{chance.randrange(300)} | v{chance.randrange(300)}"] * (i % 7 == 0)
        name = f"p{i if i % 97 else i // 2}"
        needs = needs_of.setdefault(name, needs) + needs   # what comes twice counts once
        lines = [f"Package: {name}",
                 "Description: " + "x" * chance.randrange(90),
                 " " * chance.randrange(1, 9) + "more of it"]
        if needs:
            lines.append("Depends: " + ", ".join(needs))
        if i % 11 == 0:
            lines.append(f"Provides: v{chance.randrange(200)}")
        stanzas.append("\n".join(lines) + "\n")
    return write(folder, "index", "\n".join(stanzas))


def large_list(folder):
    chance = random.Random(4)
    return write(folder, "list", "# edges\n" + "".join(
        f"n{chance.randrange(3000)} n{chance.randrange(3000)}\n" for _ in range(30000)))


def main():
    if len(sys.argv) != 4 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program, ssi, fixtures = sys.argv[1:]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="pagerank_kdfs_test.") as folder:
        volume = os.path.join(folder, "%n")
        malformed = write(folder, "malformed", "a b\n" * 1000 + "lonely\n" + "b c\n" * 1000
                          + "d e f\n")
        inputs = [("--packages", os.path.join(fixtures, "packages.txt"), "/small"),
                  ("--packages", large_index(folder), "/index"),
                  ("--edges", large_list(folder), "/list")]
        staged = [(path, name) for _, path, name in inputs] + [
            (malformed, "/malformed"), (write(folder, "empty", ""), "/empty")]
        for path, name in staged:
            done = mpirun(2, ssi, "fs", "--volume", volume, "--create", "cp", path, f"fs:{name}")
            tap.check(done.code == 0 and "verified" in done.stdout, f"{name} is staged", done)
        for option, path, name in inputs:
            local = mpirun(2, program, option, path, "--json", "--no-serial")
            for ranks in (1, 2, 3, 4):
                done = mpirun(ranks, program, "--volume", volume, option, f"fs:{name}", "--json",
                              "--verify", "--components", "--progress")
                tap.check(done.code == 0 and same(done.json(), local.json())
                          and done.json()["verify"]["passed"],
                          f"{name} in kDFS, {ranks} ranks: ranks as from the file", done)
                tap.check(any(f"each of {ranks} ranks read its own part" in note
                              for note in done.json()["notes"])
                          and f"reading fs:{name}" in done.stderr,
                          f"{name}, {ranks} ranks: says who read what, and shows that it reads",
                          done)
        bad = [
            ("a missing file", ["--edges", "fs:/nowhere"], NOT_FOUND, "fs:/nowhere"),
            ("a directory", ["--edges", "fs:/"], IO, "fs:/"),
            ("an empty file", ["--edges", "fs:/empty"], USAGE, "the graph is empty"),
            ("an empty index", ["--packages", "fs:/empty"], USAGE, "the graph is empty"),
            ("malformed lines", ["--edges", "fs:/malformed"], PARSE,
             "2 malformed lines"),
        ]
        for name, arguments, code, text in bad:
            for ranks in (1, 3):
                done = mpirun(ranks, program, "--volume", volume, *arguments)
                errors = [line for line in done.stderr.split("\n")
                          if line.startswith("pagerank: ")]
                tap.check(done.code == code and len(errors) == 1 and text in done.stderr
                          and not done.stdout, f"{name}: one error, {ranks} ranks", done)
        tap.check("line 1001: one name" in done.stderr and "line 2002: more than" in done.stderr,
                  "malformed lines are numbered through all parts", done)
        done = alone(program, "--edges", "fs:/list")
        tap.check(done.code == USAGE and "--volume" in done.stderr, "fs: needs --volume", done)
        done = alone(program, "--volume", volume, "--edges", malformed)
        tap.check(done.code == USAGE and "fs:/PATH" in done.stderr, "--volume needs fs:", done)
        done = mpirun(2, program, "--volume", os.path.join(folder, "no", "%n"), "--edges",
                      "fs:/list")
        tap.check(done.code == NOT_FOUND and "there is no such volume" in done.stderr,
                  "volumes that are not there are not made", done)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
