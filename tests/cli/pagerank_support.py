# SPDX-License-Identifier: BSD-3-Clause
"""For pagerank_test.py: running programs, TAP, and PageRank written a second time."""
import collections
import json
import os
import re
import subprocess
import sys
import time

LIMIT_SECONDS = 60
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n"]
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class Done:
    """How a command ended."""

    def __init__(self, command, code, stdout, stderr, seconds):
        self.command, self.code, self.stdout, self.stderr = command, code, stdout, stderr
        self.seconds = seconds

    def json(self):
        """The report, or an empty one: the check that looks at it then fails and prints all."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            return collections.defaultdict(lambda: collections.defaultdict(int))


def run(command, environment, stdout=subprocess.PIPE, seconds=LIMIT_SECONDS):
    begin = time.monotonic()
    with subprocess.Popen(command, env={**os.environ, **MPI_ENVIRONMENT, **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.terminate()  # mpirun ends its ranks
            out, err = process.communicate()
            code, err = "none: it hung", err + f"\nno end within {seconds} s"
    return Done(command, code, out or "", err, time.monotonic() - begin)


def alone(program, *arguments, stdout=subprocess.PIPE, **environment):
    return run([program, *arguments], environment, stdout)


def mpirun(ranks, program, *arguments, **environment):
    return run([*MPIRUN, str(ranks), program, *arguments], environment)


class Tap:
    def __init__(self):
        self.number, self.good = 0, True

    def check(self, condition, name, done=None):
        self.number += 1
        self.good &= bool(condition)
        print(f"{'ok' if condition else 'not ok'} {self.number} - {name}", flush=True)
        if not condition and done:
            print(f"# {' '.join(done.command)}\n# exit code {done.code}", file=sys.stderr)
            print(done.stdout[-3000:] + done.stderr[-3000:], file=sys.stderr, flush=True)

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)

    def finish(self):
        print(f"1..{self.number}")
        return 0 if self.good else 1


def clauses_of(stanza, fields):
    for field in fields:
        match = re.search(rf"^{field}: (.*)$", stanza, re.MULTILINE)
        for clause in match.group(1).split(",") if match else []:
            names = (re.sub(r"\(.*?\)", "", part).strip() for part in clause.split("|"))
            yield [name.split(":")[0] for name in names]


def independent_edges(path):
    """The rules of apps/pagerank/graph/packages.hpp, once more, for well-formed input."""
    with open(path, encoding="utf-8") as file:
        stanzas = {re.search(r"^Package: (.*)$", s, re.MULTILINE).group(1): s
                   for s in file.read().split("\n\n") if s.strip()}
    providers = collections.defaultdict(set)
    for name, stanza in stanzas.items():
        for (virtual,) in clauses_of(stanza, ["Provides"]):
            providers[virtual].add(name)
    edges = {name: set() for name in stanzas}
    for name, stanza in stanzas.items():
        for clause in clauses_of(stanza, ["Depends", "Pre-Depends"]):
            targets = {t for t in clause if t in stanzas}
            if not targets:
                targets = set().union(*(providers[t] for t in clause))
            edges[name] |= targets - {name}
    return edges


def independent_ranks(path, damping=0.85, iterations=300):
    edges = independent_edges(path)
    ranks = {name: 1 / len(edges) for name in edges}
    for _ in range(iterations):
        dangling = sum(ranks[name] for name, targets in edges.items() if not targets)
        base = (1 - damping + damping * dangling) / len(edges)
        following = dict.fromkeys(edges, base)
        for name, targets in edges.items():
            for target in targets:
                following[target] += damping * ranks[name] / len(targets)
        ranks = following
    return ranks
