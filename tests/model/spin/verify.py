#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Verifies the Spin model of the coherence protocol, exhaustively.

usage: verify.py SCRATCH CHECK
    SCRATCH   a directory for the verifiers' sources and programs; it is made when missing
    CHECK     one of: coherent, home, progress, plants, large

Prints states, seconds and memory of every run. Exit code 0: verified; 1: an error, an incomplete
search, a transition that no run reached, or a planted bug that was not found; 77: spin is missing.
"""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
MEMORY_MIB = 3500
SAFETY = ("-O1", "-DSAFETY")
PROGRESS = ("-O0", "-DNP")

# name: (defines, flags of the verifier's compiler, options of the verifier)
VARIANTS = {
    "coherent": [({"EXTRAS": 1, "HOOK": 1}, SAFETY, ())],
    "home": [({"HOME_MODE": 1, "EXTRAS": 1}, SAFETY, ())],
    "progress": [({"PROGRESS": 1, "HOME_MODE": mode}, PROGRESS, ("-l",)) for mode in (0, 1)],
    "large": [({"TASKS": 2, "HOME_MODE": mode}, SAFETY, ()) for mode in (0, 1)] +
             [({"HOME_MODE": 1, "EXTRAS": 1, "HOOK": 1}, SAFETY, ())] +
             [({"PROGRESS": 1, "EXTRAS": 1}, PROGRESS, ("-l",))],
}
COVERED_BY = "coherent"   # reaches every transition and every statement of the model

HOME = {"HOME_MODE": 1, "EXTRAS": 1}
LIVELOCK = {"PROGRESS": 1}
# Planted bugs, and the variant that shows each.
PLANTS = {
    # as the simulator plants them
    "SKIP_INVALIDATION_ACK": {}, "SKIP_INVALIDATION": {}, "LOST_UPGRADE": {}, "EARLY_GRANT": {},
    "EVICT_WITHOUT_ACK": {}, "FORGET_COPY": {}, "STALE_DATA": {}, "LOST_WRITE": {},
    "UNFAIR_QUEUE": {},
    # one rule of the protocol taken out each
    "IGNORE_AFTER": {}, "NO_DONE": {}, "FORGET_ASKED": {}, "LOST_UNPIN": {},
    "KEEP_PREFETCHED": HOME, "RETRY": LIVELOCK,
}


def run(command, folder, seconds=600):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout


def verifier(folder, defines, flags):
    """Makes the verifier of a variant in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    command = ["spin", "-a"] + [f"-D{name}={value}" for name, value in defines.items()]
    code, text = run(command + [os.path.join(HERE, "kddm.pml")], folder)
    if code or "Error" in text or not os.path.exists(os.path.join(folder, "pan.c")):
        sys.exit(f"spin -a failed with exit code {code}:\n{text}")
    # One process: partial order reduction has nothing to reduce.
    code, text = run(["cc", "-w", *flags, "-DNOREDUCE", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan",
                      "pan.c"], folder)
    if code:
        sys.exit(f"the verifier does not compile:\n{text}")


def verify(folder, options):
    """(error or None, output). An error is what the verifier found, or why it did not finish."""
    _, text = run(["./pan", "-m2000000", *options], folder)
    found = re.search(r"^pan:1: (.*)", text, re.M)
    if found:
        return found.group(1), text
    errors = re.search(r"errors: (\d+)", text)
    incomplete = re.search(r"^(Warning: Search not completed|error: .*)", text, re.M)
    if not errors or errors.group(1) != "0" or incomplete:
        return incomplete.group(1) if incomplete else "the verifier did not finish", text
    return None, text


STATES = r"([0-9.e+]+) states, stored"
MEMORY = r"([0-9.]+)\s+total actual memory usage"


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0.0


def counterexample(folder):
    """The steps that lead to the error, as the model tells them."""
    _, text = run(["./pan", "-r"], folder)
    lines = [line for line in text.splitlines() if re.match(r"(node \d|home): ", line)]
    return "\n".join(lines[-60:])


def unreached(text):
    """Statements of the model that the verifier never ran, and transitions that nobody took."""
    part = text.partition("unreached in proctype world")[2].partition("\n\n")[0]
    lines = [line.strip() for line in part.splitlines() if ", state " in line]
    wanted = set()
    for name in sorted(os.listdir(HERE)):
        if name.endswith(".pml"):
            with open(os.path.join(HERE, name), encoding="utf-8") as file:
                wanted |= set(re.findall(r"^(?!#define).*?\bcover\(([a-z_]+)\)", file.read(), re.M))
    reached = set(re.findall(r"^reached (\w+)$", text, re.M))
    if not wanted or not part:
        return ["the verifier said nothing of what it reached"]
    return lines + [f"transition {name}" for name in sorted(wanted - reached)]


def check(scratch, name):
    bad = 0
    for index, (defines, flags, options) in enumerate(VARIANTS[name]):
        folder = os.path.join(scratch, f"{name}{index}")
        verifier(folder, defines, flags)
        start = time.monotonic()
        error, text = verify(folder, options)
        title = " ".join(f"{key}={value}" for key, value in defines.items())
        if error:
            print(f"{title}: {error}\n{counterexample(folder)}")
            bad = 1
            continue
        print(f"{title}: {number(STATES, text):.0f} states, "
              f"{time.monotonic() - start:.0f} s, {number(MEMORY, text):.0f} MiB")
        missing = unreached(text) if name == COVERED_BY else []
        for line in missing:
            print(f"    never reached: {line}")
            bad = 1
        shutil.rmtree(folder)
    return bad


def plants(scratch):
    bad = 0
    with open(os.path.join(HERE, "plants.pml"), encoding="utf-8") as file:
        known = set(re.findall(r"#ifndef PLANT_(\w+)", file.read()))
    if known != set(PLANTS):
        print(f"plants.pml and verify.py disagree about {sorted(known ^ set(PLANTS))}")
        bad = 1
    for name, defines in PLANTS.items():
        folder = os.path.join(scratch, "plant_" + name.lower())
        progress = "PROGRESS" in defines
        verifier(folder, {**defines, "PLANT_" + name: 1},
                 PROGRESS if progress else ("-O0", "-DSAFETY"))
        error, text = verify(folder, ("-l",) if progress else ())
        if not error or "errors: 1" not in text:
            print(f"{name}: the verifier found nothing wrong ({error})")
            bad = 1
            continue
        print(f"{name}: {error[:60]} after {number(STATES, text):.0f} states")
        shutil.rmtree(folder)
    return bad


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in [*VARIANTS, "plants"]:
        print(__doc__)
        return 2
    if not shutil.which("spin"):
        print("spin is not installed: scripts/setup test installs it; nothing was verified")
        return SKIPPED
    scratch, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    return plants(scratch) if name == "plants" else check(scratch, name)


sys.exit(main())
