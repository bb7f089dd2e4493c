#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: slurm_suite.py SOURCE_ROOT PAGERANK JACOBI

Starts a cluster of 4 virtual nodes, runs pagerank on it through ssi.sbatch (srun and mpirun, one
and two ranks per node), jacobi through ssi-requeue.sbatch, and takes the cluster down. Prints
TAP."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

import requeue

NODES = 4
RUNS = [f"{launcher} nodes {NODES} ranks {NODES * per_node}"
        for per_node in (1, 2) for launcher in ("srun", "mpirun")]


class Tap:
    def __init__(self):
        self.number, self.good = 0, True

    def check(self, condition, name, output=""):
        self.number += 1
        self.good &= bool(condition)
        print(f"{'ok' if condition else 'not ok'} {self.number} - {name}", flush=True)
        if not condition:
            for line in output.strip().split("\n")[-60:]:
                print(line, file=sys.stderr)


def free_ports(number):
    """First of `number` consecutive ports that nobody listens on now."""
    for first in range(20000 + os.getpid() % 5000, 32000, number):
        sockets = []
        try:
            for port in range(first, first + number):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError("no free ports")


class Testbed:
    def __init__(self, root, folder):
        self.script = os.path.join(root, "scripts/slurm/testbed")
        self.folder = folder

    def __call__(self, *arguments, limit=60):
        try:
            done = subprocess.run([self.script, "--dir", self.folder, *arguments], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                                  stdin=subprocess.DEVNULL, check=False)
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            return 124, f"{error}\n{(error.stdout or b'').decode(errors='replace')}"

    def submit(self, root, work, command, limit):
        """Exit code and output of an ssi.sbatch job."""
        output = os.path.join(work, "job.out")
        code, text = self("run", "sbatch", "--wait", f"--nodes={NODES}", "--ntasks-per-node=2",
                          f"--chdir={work}", f"--output={output}",
                          os.path.join(root, "scripts/slurm/ssi.sbatch"), *command, limit=limit)
        if os.path.exists(output):
            with open(output, encoding="utf-8", errors="replace") as file:
                text += file.read()
            os.remove(output)
        return code, text


def daemons(folder):
    """Processes that still run on this cluster's configuration."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"-f {folder}/slurm.conf" in line:
            found.append(line)
    return found


def run(tap, root, pagerank, jacobi, folder, work):
    testbed = Testbed(root, folder)
    port = free_ports(NODES + 2)
    code, text = testbed("up", str(NODES), "--port", str(port))
    tap.check(code == 0 and f"{NODES} nodes idle" in text, f"{NODES} virtual nodes come up", text)
    if code != 0:
        return
    try:
        code, text = testbed("up", "2")
        tap.check(code != 0 and "is in use" in text, "a second cluster in one place is refused",
                  text)
        code, text = testbed("run", "srun", f"-N{NODES}", "bash", "-c", "echo on $SLURMD_NODENAME")
        tap.check(code == 0 and all(f"on n{i}" in text for i in range(1, NODES + 1)),
                  "a step runs on every node", text)
        code, text = testbed.submit(root, work, [pagerank, "--rmat", "14", "--seed", "1",
                                                 "--verify"], limit=240)
        for name in RUNS:
            tap.check(f"\nok {name}\n" in text, f"pagerank by {name}", text)
        tap.check(code == 0, "the job succeeds", text)
        code, text = testbed.submit(root, work, ["false"], limit=120)
        tap.check(code != 0 and all(f"\nfailed {name}" in text for name in RUNS),
                  "a job whose program fails fails", text)
        requeue.run(tap, testbed, root, jacobi, work)
    finally:
        code, text = testbed("down")
        left = daemons(folder)
        tap.check(code == 0 and not left and not os.path.exists(folder),
                  "down leaves no process and no file", text + "\n".join(left))


def main(arguments):
    if len(arguments) != 3:
        print(__doc__)
        return 2
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not shutil.which("slurmctld"):
        print("1..0 # SKIP no slurmctld: scripts/setup slurm installs it")
        return 0
    tap = Tap()
    # The default place may be too long for the sockets that slurmd and PMIx make in it.
    with tempfile.TemporaryDirectory(prefix="ssi-") as work:
        run(tap, *map(os.path.abspath, arguments), os.path.join(work, "c"), work)
    print(f"1..{tap.number}")
    return 0 if tap.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
