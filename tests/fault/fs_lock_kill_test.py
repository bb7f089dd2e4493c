#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: fs_lock_kill_test.py FS_LOCK_RANK

A rank dies by kill -9 while it has locks of kDFS's files for which two others wait: each gets its
lock, one after the other, and the locks of the living stay. When the dead rank was the home of the
file, both are told. Nobody hangs. Prints TAP."""
import collections
import sys
import tempfile

import victims

LIMIT_SECONDS = 40
RELEASED = {"try: would_block": 2, "wait: got it": 2, "a survivor's: would_block": 2,
            "the victim's: got it": 2}
EXPECTED = {
    "bytes": RELEASED,
    "whole": RELEASED,
    "home": {"try: would_block": 2, "wait: peer_lost": 2},
}


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    failed = 0
    print(f"1..{len(EXPECTED)}")
    for number, (role, expected) in enumerate(EXPECTED.items(), 1):
        with tempfile.TemporaryDirectory(prefix="ssi-fs-lock-") as directory:
            hung, lines = victims.run(LIMIT_SECONDS, sys.argv[1], directory, role)
        told = collections.Counter(line for line in lines if line in expected)
        good = not hung and told == expected
        print(f"{'ok' if good else 'not ok'} {number} - {role}: the holder dies", flush=True)
        if not good:
            failed += 1
            print(f"# hung: {hung}\n" + "".join(f"# {line}\n" for line in lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
