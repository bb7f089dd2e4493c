#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: lint.py rules ROOT                     all rules over the tree, as TAP
       lint.py headers ROOT CACHE COMPILER...   every public header compiles alone, as TAP
       lint.py file ROOT PATH...                the rules on some files, one line per violation"""
import os
import sys

import headers
import rules_code
import rules_text
import rules_tree
from tree import load

PER_FILE = {**rules_text.PER_FILE, **rules_code.PER_FILE, **rules_tree.PER_FILE}
PER_TREE = {**rules_text.PER_TREE, **rules_tree.PER_TREE}


def report(number, name, violations):
    """One TAP line per rule; violations go to stderr, which meson shows. Warnings do not fail."""
    errors = [v for v in violations if not v.warning]
    print(f"{'not ok' if errors else 'ok'} {number} - {name}", flush=True)
    for violation in violations:
        print(violation, file=sys.stderr)
    return not errors


def run_rules(root):
    sources = load(root)
    good = True
    print(f"1..{len(PER_FILE) + len(PER_TREE)}")
    number = 0
    for name, rule in PER_FILE.items():
        number += 1
        good &= report(number, name, [v for source in sources for v in rule(source)])
    for name, rule in PER_TREE.items():
        number += 1
        good &= report(number, name, list(rule(root, sources)))
    return good


def run_headers(root, cache_path, compiler):
    print("1..1")
    return report(1, "public headers compile alone",
                  list(headers.check(root, compiler, cache_path)))


def run_files(root, paths):
    wanted = {os.path.relpath(os.path.abspath(p), os.path.abspath(root)) for p in paths}
    good = True
    for source in load(root):
        if source.path in wanted:
            for rule in PER_FILE.values():
                for violation in rule(source):
                    print(violation)
                    good = False
    return good


def main(arguments):
    if len(arguments) > 1:
        arguments[1] = os.path.abspath(arguments[1])
    if len(arguments) == 2 and arguments[0] == "rules":
        good = run_rules(arguments[1])
    elif len(arguments) > 3 and arguments[0] == "headers":
        good = run_headers(arguments[1], arguments[2], arguments[3:])
    elif len(arguments) > 2 and arguments[0] == "file":
        good = run_files(arguments[1], arguments[2:])
    else:
        print(__doc__)
        return 0 if "--help" in arguments else 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
