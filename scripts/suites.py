#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/test asks meson about test suites.

usage: suites.py names BUILD_DIR              suite and number of test programs, one suite a line
       suites.py targets BUILD_DIR [--without=SUITE] SUITE...
                                              files that ninja must build for these suites
       suites.py count BUILD_DIR SUITE        "passed failed skipped", then one line per failure
       suites.py why BUILD_DIR SUITE          what each program that failed said of it, shortened
"""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

FAILURE = re.compile(r"failure|not ok|\bFAIL|error|abort|assert|traceback|terminat|WARNING: Thread",
                     re.IGNORECASE)
PASSED = re.compile(r"\[ RUN |\[       OK|ok ")   # whatever the test's name has in it


def introspect(build_dir, what):
    answer = subprocess.run(["meson", "introspect", "--" + what, build_dir], check=True,
                            stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


def suite_names(test):
    """meson writes `project:suite`; the project's own name alone is not a suite."""
    return [name.split(":", 1)[1] for name in test["suite"] if ":" in name]


def names(build_dir):
    programs = {}
    for test in introspect(build_dir, "tests"):
        for suite in suite_names(test):
            programs[suite] = programs.get(suite, 0) + 1
    for suite, number in programs.items():
        print(suite, number)


def targets(build_dir, suites, without):
    needed = set()
    for test in introspect(build_dir, "tests"):
        if set(suites) & set(suite_names(test)) and without not in suite_names(test):
            needed.update(test["depends"])
    files = []
    for target in introspect(build_dir, "targets"):
        if target["id"] in needed:
            files += [os.path.relpath(name, build_dir) for name in target["filename"]]
    print("\n".join(sorted(files)))


def cases_of(junit, test_name):
    """(passed, failed names, skipped) of a program's gtest or TAP cases; None when it kept none."""
    passed, failed, skipped, seen = 0, [], 0, False
    for suite in junit.iter("testsuite"):
        parts = suite.get("name", "").split(".", 1)
        if len(parts) < 2 or not (parts[1] + ".").startswith(test_name + "."):
            continue
        for case in suite.iter("testcase"):
            seen = True
            if case.find("failure") is not None or case.find("error") is not None:
                group = parts[1][len(test_name):].lstrip(".")
                failed.append(f"{group}.{case.get('name')}" if group else case.get("name"))
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                skipped += 1
            else:
                passed += 1
    return (passed, failed, skipped) if seen else None


def runs_of(build_dir, suite):
    logs = os.path.join(build_dir, "meson-logs", "suite-" + suite)
    with open(logs + ".json", encoding="utf-8", errors="replace") as log:
        return [json.loads(line) for line in log]


def around_failures(lines):
    """The lines near a word of failure, at most 60, and the last 15 whatever they say."""
    kept = set(range(max(0, len(lines) - 15), len(lines)))
    for number, line in enumerate(lines):
        if len(kept) > 75:
            break
        if FAILURE.search(line) and not PASSED.match(line):
            kept.update(range(max(0, number - 1), min(len(lines), number + 6)))
    return [lines[number] for number in sorted(kept)]


def why(build_dir, suite):
    try:
        runs = runs_of(build_dir, suite)
    except (OSError, ValueError):
        return
    for run in runs:
        if run["result"] in ("OK", "EXPECTEDFAIL", "SKIP"):
            continue
        print(f"-- {run['name']}: {run['result'].lower()} after {run['duration']:.0f} s")
        said = run.get("stdout", "") + "\n" + run.get("stderr", "")
        for line in around_failures([line for line in said.splitlines() if line.strip()]):
            print("   ", line[:300])


def count(build_dir, suite):
    """A program that dies counts as failed whatever its cases said before."""
    logs = os.path.join(build_dir, "meson-logs", "suite-" + suite)
    try:
        runs = runs_of(build_dir, suite)
        junit = ElementTree.parse(logs + ".junit.xml").getroot()
    except (OSError, ElementTree.ParseError):
        print("0 0 0")
        return
    passed = failed = skipped = 0
    failures = []
    for run in runs:
        name = run["name"].split(" / ")[-1]
        cases = cases_of(junit, run["name"])
        if cases:
            passed += cases[0]
            skipped += cases[2]
            failed += len(cases[1])
            failures += [f"{name}: {case}" for case in cases[1]]
        if run["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 0 if cases else 1
        elif run["result"] == "SKIP":
            skipped += 0 if cases else 1
        elif not cases or not cases[1]:
            failed += 1
            failures.append(f"{name}: {run['result'].lower()}, exit code {run['returncode']}")
    print(passed, failed, skipped)
    print("\n".join(failures))


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "names":
        names(arguments[1])
    elif len(arguments) > 2 and arguments[0] == "targets":
        without = None
        suites = arguments[2:]
        if suites[0].startswith("--without="):
            without, suites = suites[0].split("=", 1)[1], suites[1:]
        targets(arguments[1], suites, without)
    elif len(arguments) == 3 and arguments[0] == "count":
        count(arguments[1], arguments[2])
    elif len(arguments) == 3 and arguments[0] == "why":
        why(arguments[1], arguments[2])
    else:
        print(__doc__)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
