#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: sync_fault_test.py SYNC_WAITS

A rank dies by kill -9 while others wait for a mutex that it holds or keeps, in barriers, for
messages and for notifications: every one of them is told, and nobody hangs. Prints TAP."""
import collections
import sys

import victims

LIMIT_SECONDS = 25
# Waits of ranks 0 and 1 together.
EXPECTED = {
    "holder": {"mutex": 2, "barrier": 2, "channel": 2, "condition": 2},
    "home": {"mutex": 1, "barrier": 2, "channel": 2, "condition": 2},
    "nobody": {"barrier": 2, "channel": 2, "condition": 2},
}


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    failed = 0
    print(f"1..{len(EXPECTED)}")
    for number, (role, expected) in enumerate(EXPECTED.items(), 1):
        hung, lines = victims.run(LIMIT_SECONDS, sys.argv[1], role)
        told = collections.Counter(line.removesuffix(": peer_lost") for line in lines
                                   if line.endswith(": peer_lost"))
        wrong = [line for line in lines if line.endswith("it did not fail")]
        good = not hung and not wrong and all(told[what] == n for what, n in expected.items())
        print(f"{'ok' if good else 'not ok'} {number} - {role} dies")
        if not good:
            failed += 1
            print(f"# hung: {hung}\n" + "".join(f"# {line}\n" for line in lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
