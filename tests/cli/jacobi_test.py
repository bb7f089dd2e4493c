#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: jacobi_test.py JACOBI MPI_JACOBI

Runs apps/jacobi and its twin as users do. Prints TAP."""
import os
import sys
import tempfile

import png_file
from pagerank_support import Tap, alone, mpirun

USAGE, IO, PARSE, OUT_OF_MEMORY = 2, 54, 61, 47


def check_help(tap, program):
    for option, text in (("--help", "--frames"), ("-h", "--verify"), ("--version", "jacobi ")):
        done = alone(program, option)
        tap.check(done.code == 0 and text in done.stdout and not done.stderr,
                  f"{option} succeeds without a launcher", done)
    done = mpirun(3, program, "--version")
    tap.check(done.code == 0 and done.stdout.count("jacobi ") == 1,
              "--version under mpirun is printed once", done)


def bad_inputs(folder):
    """(name, arguments, exit code, what the one error must say)"""
    missing = os.path.join(folder, "missing.json")
    other = os.path.join(folder, "other.json")
    with open(other, "w", encoding="utf-8") as file:
        file.write("{\"program\": \"none\"}\n")
    return [
        ("a plate without cells", ["--size", "0"], USAGE, "--size 0 is out of range"),
        ("a size that is no number", ["--size", "ten"], USAGE, "--size ten"),
        ("size and rows", ["--size", "9", "--rows", "9"], USAGE, "give it or them"),
        ("an unstable step", ["--speed", "0.3"], USAGE, "--speed 0.3"),
        ("frames without a rhythm", ["--frames", folder], USAGE, "--frames needs --every"),
        ("an unknown option", ["--frobnicate"], USAGE, "--frobnicate"),
        ("a picture that cannot be written", ["--size", "9", "--png", "/no/such/p.png"], IO,
         "cannot write /no/such/p.png: No such file"),
        ("a folder that cannot be made",
         ["--size", "9", "--frames", "/dev/null/x", "--every", "1"], IO, "cannot make /dev/null/x"),
        ("a report that is not there", ["--size", "9", "--beside", missing], PARSE,
         f"cannot read {missing}"),
        ("a report of something else", ["--size", "9", "--beside", other], PARSE,
         f"{other} is no report"),
        ("a plate that cannot fit", ["--size", "1000000"], OUT_OF_MEMORY, "the plate needs about"),
        ("a bad libssi setting", ["--size", "9", "--ssi-no-such-setting", "1"], USAGE,
         "no-such-setting"),
    ]


def check_bad_input(tap, program, folder):
    for name, arguments, code, text in bad_inputs(folder):
        for ranks in (0, 3):
            done = mpirun(ranks, program, *arguments) if ranks else alone(program, *arguments)
            errors = [line for line in done.stderr.split("\n") if line.startswith("jacobi: ")]
            good = (done.code == code and len(errors) == 1 and text in done.stderr
                    and done.stdout == "")
            tap.check(good, f"{name}: one error, exit code {code}, {ranks or 'no'} mpirun ranks",
                      done)


# (rows, columns, block, iterations): even and odd, thin, smaller than the ranks, one block, many.
PLATES = ((64, 64, 16, 30), (97, 61, 13, 41), (1, 50, 8, 20), (50, 1, 8, 20), (3, 2, 1, 9),
          (1, 1, 4, 5), (130, 70, 512, 25), (40, 40, 7, 0))


def check_plates(tap, program):
    for rows, cols, block, iterations in PLATES:
        digests = set()
        for ranks in (1, 2, 3, 4, 6):
            done = mpirun(ranks, program, "--rows", str(rows), "--cols", str(cols), "--block",
                          str(block), "--iterations", str(iterations), "--verify", "--json")
            report = done.json()
            digests.add(report["digest"])
            tap.check(done.code == 0 and report["verify"]["passed"] and report["ranks"] == ranks,
                      f"{rows} x {cols} in blocks of {block}: every bit on {ranks} ranks", done)
        tap.check(len(digests) == 1, f"{rows} x {cols}: one digest on any number of ranks")


def check_twin(tap, program, twin, folder):
    if not os.path.exists(twin):
        tap.skip("the plain-MPI twin finds the same bits", "benchmarks are not built")
        return
    arguments = ["--rows", "75", "--cols", "90", "--iterations", "33"]
    for ranks in (1, 2, 3):
        done = mpirun(ranks, twin, *arguments, "--verify", "--json")
        tap.check(done.code == 0 and done.json()["verify"]["passed"],
                  f"the twin agrees with a serial run on {ranks} ranks", done)
        path = os.path.join(folder, "twin.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(done.stdout)
        done = mpirun(2, program, *arguments, "--block", "20", "--beside", path)
        tap.check(done.code == 0 and "by mpi_jacobi: ratio " in done.stdout
                  and "the same result, every bit" in done.stdout,
                  f"jacobi finds the bits that the twin found on {ranks} ranks", done)
    done = mpirun(2, program, "--rows", "75", "--cols", "90", "--iterations", "34", "--beside",
                  path, "--json")
    tap.check(done.code == 0 and done.json()["beside"]["same_result"] is False,
              "another number of steps is not the same result", done)
    done = mpirun(5, twin, "--rows", "3", "--cols", "9", "--iterations", "7", "--verify")
    tap.check(done.code == 0 and "every bit agrees" in done.stdout,
              "the twin has more ranks than rows", done)


def check_pictures(tap, program, folder):
    if "not in this build" in alone(program, "--help").stdout:
        tap.skip("pictures", "this build has no libpng")
        return
    pictures = {}
    for ranks in (1, 4):
        path = os.path.join(folder, f"plate{ranks}.png")
        done = mpirun(ranks, program, "--rows", "90", "--cols", "70", "--block", "17",
                      "--iterations", "40", "--png", path)
        tap.check(done.code == 0 and f"picture     {path}" in done.stdout,
                  f"a picture is written by {ranks} ranks", done)
        pictures[ranks] = png_file.read(path) if done.code == 0 else (0, 0, [])
    width, height, rows = pictures[1]
    tap.check(pictures[1] == pictures[4], "every rank count paints the same pixels")
    tap.check((width, height) == (70, 90), "a small plate has a pixel for each cell")
    colours = {pixel for row in rows for pixel in row}
    light = lambda row: sum(sum(pixel) for pixel in row)
    tap.check(len(colours) > 40, "the picture has many colours")
    tap.check(light(rows[0]) > 2 * light(rows[-1]), "the north is hot, the south is cold")
    frames = os.path.join(folder, "deep", "frames")
    done = mpirun(3, program, "--size", "100", "--iterations", "10", "--frames", frames, "--every",
                  "4", "--pixels", "30", "--json")
    names = sorted(os.listdir(frames)) if done.code == 0 else []
    tap.check(names == [f"frame-{k:06}.png" for k in range(3)] and done.json()["frames"] == 3,
              "one frame each --every steps, from the start", done)
    sizes = {png_file.read(os.path.join(frames, name))[:2] for name in names}
    tap.check(sizes == {(25, 25)}, "--pixels limits the longer side")
    contents = {str(png_file.read(os.path.join(frames, name))[2]) for name in names}
    tap.check(len(contents) == 3, "frames show a plate that changes")
    # A link, so that a program that removes what it could not write removes only the link.
    full = os.path.join(folder, "full.png")
    os.symlink("/dev/full", full)
    done = mpirun(2, program, "--size", "300", "--iterations", "2", "--png", full)
    tap.check(done.code == IO and f"cannot write {full}: No space left" in done.stderr
              and not done.stdout, "a full disk under a picture is an error", done)
    tap.check(os.path.islink(full), "and what stood there is still there")


def check_output(tap, program):
    done = mpirun(2, program, "--size", "500", "--iterations", "60", "--progress")
    tap.check(done.code == 0 and "M cell updates/s" in done.stderr and "step " in done.stderr
              and "rate " in done.stdout, "--progress shows steps and the rate", done)
    done = mpirun(2, program, "--size", "64", "--iterations", "10", "--block", "16", "--json")
    report = done.json()
    sets = {s["set"]: s for s in report.get("kddm", [])}
    tap.check(done.code == 0 and set(sets) == {"jacobi.blocks", "jacobi.edges"}
              and report["updates_per_second"] > 0 and report["blocks"] == 16
              and report["state_bytes"] == 64 * 64 * 16, "the report is whole", done)
    # Between two ranks of one column each: 4 blocks a side, both ways, each step.
    tap.check(sets and sets["jacobi.edges"]["remote_gets"] == 2 * 4 * 10
              and sets["jacobi.blocks"]["remote_gets"] == 0,
              "only edges move, and each once a step", done)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = alone(program, "--size", "16", stdout=full)
    tap.check(done.code == IO and "cannot write the report" in done.stderr,
              "a full disk under the report is an error", done)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    program, twin = sys.argv[1:]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jacobi_test.") as folder:
        check_help(tap, program)
        check_bad_input(tap, program, folder)
        check_plates(tap, program)
        check_twin(tap, program, twin, folder)
        check_pictures(tap, program, folder)
        check_output(tap, program)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
