#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: restart_test.py JACOBI PAGERANK

Checkpoints of jacobi and pagerank as users take them: on any number of ranks and back on any other
to the same bits, what is refused, signals. Prints TAP."""
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time

from pagerank_support import MPI_ENVIRONMENT, MPIRUN, Done, Tap, mpirun

USAGE, NOT_FOUND, MISMATCH, IO, EXIT_AGAIN = 2, 43, 45, 54, 75


class App:
    def __init__(self, name, program, unit, work, long_work, every):
        self.name, self.program, self.unit = name, program, unit
        self.work, self.long_work, self.every = work, long_work, every

    def run(self, ranks, *arguments):
        return mpirun(ranks, self.program, *self.work, "--json", *arguments)


def ring_with_chords(folder):
    """A graph whose ranks take hundreds of iterations to settle."""
    path = os.path.join(folder, "ring")
    count = 5000
    with open(path, "w", encoding="utf-8") as file:
        for i in range(count):
            file.write(f"{i} {(i + 1) % count}\n")
            if i % 3 == 0:
                file.write(f"{i} {i * i % count}\n")
    return path


def apps_of(jacobi, pagerank, folder):
    plate = ["--rows", "140", "--cols", "90", "--block", "30"]
    graph = ["--edges", ring_with_chords(folder), "--block", "2K", "--tolerance", "0",
             "--no-serial", "--damping"]
    return [App("jacobi", jacobi, "step", [*plate, "--iterations", "95"],
                [*plate, "--iterations", "1000000"], 20),
            App("pagerank", pagerank, "iteration", [*graph, "0.98", "--iterations", "95"],
                [*graph, "0.9999999", "--iterations", "1000000"], 20)]


def check_usage(tap, app, folder):
    file = os.path.join(folder, "file")
    open(file, "w", encoding="utf-8").close()
    cases = [
        (["--checkpoint-every", "5"], USAGE, "--checkpoint-every needs --checkpoint DIR"),
        (["--checkpoint-seconds", "5"], USAGE, "--checkpoint-seconds needs --checkpoint DIR"),
        (["--checkpoint-wait"], USAGE, "--checkpoint-wait needs --checkpoint DIR"),
        (["--restart"], USAGE, "--restart needs --checkpoint DIR"),
        (["--restart-version", "3"], USAGE, "--restart-version needs --checkpoint DIR"),
        (["--checkpoint", ""], USAGE, "--checkpoint needs a name"),
        (["--checkpoint", folder, "--checkpoint-every", "0"], USAGE, "--checkpoint-every 0"),
        (["--checkpoint", folder, "--checkpoint-every", "-1"], USAGE, "--checkpoint-every -1"),
        (["--checkpoint", folder, "--checkpoint-seconds", "nan"], USAGE, "seconds nan is out"),
        (["--checkpoint", folder, "--checkpoint-seconds", "0"], USAGE, "seconds 0 is out"),
        (["--checkpoint", folder, "--restart-version", "x"], USAGE, "--restart-version x"),
        (["--checkpoint", "/no/such/folder/store"], IO, "/no/such/folder/store"),
        (["--checkpoint", file], NOT_FOUND, file),
        (["--checkpoint", os.path.join(folder, "empty"), "--restart-version", "7"], NOT_FOUND,
         "no version 7"),
    ]
    if app.name == "pagerank":
        cases += [(["--checkpoint", folder, "--repeat", "2"], USAGE, "saves one run"),
                  (["--checkpoint", folder, "--min-seconds", "2"], USAGE, "saves one run")]
    for arguments, code, text in cases:
        done = app.run(3, *arguments)
        errors = [line for line in done.stderr.split("\n") if line.startswith(app.name + ": ")]
        tap.check(done.code == code and len(errors) == 1 and text in errors[0]
                  and done.stdout == "", f"{app.name} {' '.join(arguments)}: one error", done)


def check_any_ranks(tap, app, folder):
    """Saved by N ranks, put back on M: the bits of a run that was never stopped."""
    expected = app.run(2).json()
    keys = ("digest", "residual", "change", "iterations")
    for saved in (1, 2, 3, 4):
        store = os.path.join(folder, f"{app.name}-{saved}")
        done = app.run(saved, "--checkpoint", store, "--checkpoint-every", str(app.every),
                       "--restart", *(["--checkpoint-wait"] if saved % 2 else []))
        took = done.json()["checkpoints"]
        tap.check(done.code == 0 and done.json()["digest"] == expected["digest"]
                  and took["taken"] == 4 and took["failed"] == 0 and took["restarted"] is None
                  and "nothing is saved" in done.stderr,
                  f"{app.name}: {saved} ranks save themselves, and find the same", done)
        for ranks in (1, 2, 3, 4):
            done = app.run(ranks, "--checkpoint", store, "--restart")
            report = done.json()
            tap.check(done.code == 0 and all(report[k] == expected[k] for k in keys
                                             if k in expected)
                      and report["checkpoints"]["restarted"] == {
                          "version": 4, app.unit: 80, "saved_ranks": saved}
                      and report["checkpoints"]["taken"] == 0,
                      f"{app.name}: saved by {saved}, put back on {ranks}: every bit", done)
    return expected


def check_versions(tap, app, folder, expected):
    """After check_any_ranks: versions 3 and 4 are in each store."""
    store = os.path.join(folder, f"{app.name}-3")
    done = app.run(2, "--checkpoint", store, "--restart-version", "3")
    tap.check(done.code == 0 and done.json()["digest"] == expected["digest"]
              and done.json()["checkpoints"]["restarted"][app.unit] == 60,
              f"{app.name}: an older version, when asked", done)
    # Gone on from, and saved again: a restart of a restart.
    done = app.run(4, "--checkpoint", store, "--restart-version", "3", "--checkpoint-every", "7")
    tap.check(done.code == 0 and done.json()["checkpoints"]["taken"] == 5
              and done.json()["digest"] == expected["digest"],
              f"{app.name}: a run that went on saves itself again", done)
    done = app.run(1, "--checkpoint", store, "--restart")
    tap.check(done.code == 0 and done.json()["digest"] == expected["digest"]
              and done.json()["checkpoints"]["restarted"][app.unit] == 91,
              f"{app.name}: and is gone on from", done)
    damage_newest(store)
    done = app.run(3, "--checkpoint", store, "--restart")
    tap.check(done.code == 0 and done.json()["digest"] == expected["digest"]
              and done.json()["checkpoints"]["restarted"][app.unit] == 84,
              f"{app.name}: a damaged version is passed over", done)


def damage_newest(store):
    newest = max(glob.glob(os.path.join(store, "v*")), key=lambda path: int(path.split("v")[-1]))
    segment = glob.glob(os.path.join(newest, "m*", "*.seg"))[0]
    with open(segment, "r+b") as file:
        file.seek(os.path.getsize(segment) // 3)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def check_other_blocks(tap, jacobi, folder, expected):
    """Versions of one plate that is cut into blocks in two ways."""
    store = os.path.join(folder, "jacobi-blocks")
    keep = ["--checkpoint", store, "--ssi-checkpoint-keep", "9"]
    jacobi.run(2, *keep, "--checkpoint-every", "20")
    other = ["17" if a == "30" else a for a in jacobi.work]
    done = mpirun(3, jacobi.program, *other, "--json", *keep, "--checkpoint-every", "70")
    tap.check(done.code == 0 and done.json()["checkpoints"]["taken"] == 1,
              "jacobi: other blocks in the same store", done)
    for version, step in (("5", 70), ("2", 40)):
        done = jacobi.run(4, *keep, "--restart-version", version)
        tap.check(done.code == 0 and done.json()["digest"] == expected["digest"]
                  and done.json()["checkpoints"]["restarted"]["step"] == step,
                  f"jacobi: goes on with the blocks of version {version}", done)
    damage_newest(store)
    done = jacobi.run(2, *keep, "--restart")
    tap.check(done.code == MISMATCH and "has other blocks than the newest one" in done.stderr
              and "--restart-version 4" in done.stderr and not done.stdout,
              "jacobi: what is damaged is not replaced by other blocks", done)


def check_refusals(tap, jacobi, pagerank, folder):
    """After check_any_ranks."""
    plates, graphs = (os.path.join(folder, name) for name in ("jacobi-2", "pagerank-2"))
    cases = [
        (jacobi, plates, ["--rows", "141"], "a plate of 140 x 90 cells, not 141 x 90"),
        (jacobi, plates, ["--speed", "0.1"], "a run with --speed 0.2, not 0.1"),
        (jacobi, plates, ["--iterations", "70"], "step 80, beyond --iterations 70"),
        (jacobi, graphs, [], 'application "pagerank", this is "jacobi"'),
        (pagerank, graphs, ["--damping", "0.5"], "--damping 0.98, not 0.5"),
        (pagerank, graphs, ["--block", "1K"], "blocks of 256 vertices, not 128"),
        (pagerank, graphs, ["--iterations", "70"], "iteration 80, beyond --iterations 70"),
        (pagerank, plates, [], 'application "jacobi", this is "pagerank"'),
    ]
    for app, store, changed, text in cases:
        for arguments in (["--restart"], ["--restart-version", "4"]):
            work = [a for i, a in enumerate(app.work)
                    if not ({a, app.work[i - 1] if i else ""} & set(changed[:1]))]
            done = mpirun(2, app.program, *work, *changed, "--checkpoint", store, *arguments)
            errors = [line for line in done.stderr.split("\n")
                      if line.startswith(app.name + ": ")]
            tap.check(done.code == MISMATCH and len(errors) == 1 and text in errors[0]
                      and done.stdout == "", f"{app.name} refuses: {text}", done)
    # Another edge, as many of them.
    ring = pagerank.work[1]
    other = os.path.join(folder, "other-ring")
    with open(ring, encoding="utf-8") as file:
        lines = file.read().split("\n")
    lines[100] = lines[100].split()[0] + " 7"
    with open(other, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    done = mpirun(2, pagerank.program, "--edges", other, *pagerank.work[2:], "--checkpoint",
                  graphs, "--restart")
    tap.check(done.code == MISMATCH and "another graph: the digest of its edges" in done.stderr,
              "pagerank refuses a graph of the same size", done)


class Background:
    """A long run, of which signals are sent to one rank."""

    def __init__(self, app, ranks, *arguments):
        self.command = [*MPIRUN, str(ranks), app.program, *app.long_work, "--json", *arguments]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, env={**os.environ, **MPI_ENVIRONMENT}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def said(self):
        # Where the program writes next must stay where it is.
        return os.pread(self.errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_until_said(self, text):
        deadline = time.monotonic() + 30
        while text not in self.said() and time.monotonic() < deadline:
            time.sleep(0.05)

    def signal_rank(self, which, number):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="utf-8") as file:
            os.kill(int(file.read().split()[which]), number)

    def end(self):
        try:
            out = self.process.communicate(timeout=60)[0]
            code = self.process.returncode
        except subprocess.TimeoutExpired:
            self.process.terminate()
            out = self.process.communicate()[0]
            code = "none: it hung"
        return Done(self.command, code, out, self.said(), 0)


def wait_for_version(store, least):
    """The newest version with a manifest, once it is at least that."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [int(path.split(os.sep)[-2][1:])
                 for path in glob.glob(os.path.join(store, "v*", "manifest"))]
        if found and max(found) >= least:
            return max(found)
        time.sleep(0.02)
    return 0


def check_signals(tap, app, folder):
    store = os.path.join(folder, f"{app.name}-signals")
    run = Background(app, 3, "--checkpoint", store, "--checkpoint-seconds", "0.2")
    tap.check(wait_for_version(store, 3) >= 3, f"{app.name}: --checkpoint-seconds saves in time")
    run.signal_rank(2, signal.SIGTERM)
    done = run.end()
    tap.check(done.code == EXIT_AGAIN and "asked to leave" in done.stderr and done.stdout == "",
              f"{app.name}: SIGTERM to one rank ends all with exit code {EXIT_AGAIN}", done)
    newest = wait_for_version(store, 1)
    run = Background(app, 2, "--checkpoint", store, "--restart")
    run.wait_until_said("goes on from version")   # from then on signals are requests
    time.sleep(0.5)
    tap.check(wait_for_version(store, 1) == newest, f"{app.name}: unasked, it does not save")
    run.signal_rank(0, signal.SIGUSR1)
    tap.check(wait_for_version(store, newest + 1) == newest + 1,
              f"{app.name}: SIGUSR1 saves once and goes on")
    run.signal_rank(1, signal.SIGTERM)
    done = run.end()
    tap.check(done.code == EXIT_AGAIN and f"goes on from version {newest} " in done.stderr
              and wait_for_version(store, 1) == newest + 2,
              f"{app.name}: what left went on, and left again", done)


def check_text(tap, app, folder):
    store = os.path.join(folder, f"{app.name}-1")
    done = mpirun(2, app.program, *app.work, "--checkpoint", store, "--restart",
                  "--checkpoint-every", "5")
    tap.check(done.code == 0 and "restarted   from version 4, " in done.stdout
              and f"checkpoints 2 in {store}" in done.stdout, f"{app.name}: the report tells all",
              done)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="restart_test.") as folder:
        apps = apps_of(*sys.argv[1:], folder)
        for app in apps:
            check_usage(tap, app, folder)
            expected = check_any_ranks(tap, app, folder)
            check_versions(tap, app, folder, expected)
            check_text(tap, app, folder)
            check_signals(tap, app, folder)
            if app.name == "jacobi":
                check_other_blocks(tap, app, folder, expected)
        check_refusals(tap, *apps, folder)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
