#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: fs_kill_test.py FS_RANK SSI ROUNDS [--seed S]

ROUNDS times: 2 to 4 ranks with three volumes check the tree that the round before left, then make,
write, sync, rename and remove files until one of them, or all, die by kill -9 at a random moment.
What was synced must be there in the next round: each block as it was synced or as it was written
later, the file at one path alone, which it was given. The tree must hold together without a repair,
and `ssi log verify` must find no fault. See fs_rank.cpp for the events.
Prints TAP."""
import collections
import os
import sys
import tempfile

from runtime_fault_test import EXIT_CODE, Failed, check
import volumes_kill_test as volumes
from volumes_kill_test import Rounds, events_of, verify


class File:
    def __init__(self):
        self.paths = []                                   # that it had, the newest last
        self.written = collections.defaultdict(list)      # block -> stamps, ascending
        self.synced = None                                # stamp
        self.path_at_sync = 0                             # in self.paths
        self.removed = False
        self.history = []                                 # lines about it

    def fault(self, paths, stamps):
        """Why it must not be found so after the round, or nothing. paths: where it was found."""
        if len(paths) > 1:
            return f"is at {len(paths)} paths: {' '.join(paths)}"
        if not paths:
            return "is gone, but was synced" if self.synced is not None and not self.removed else ""
        if paths[0] not in self.paths[self.path_at_sync:]:
            return f"is at {paths[0]}, where it was not since it was synced"
        for block in set(self.written) | set(range(len(stamps))):
            found = stamps[block] if block < len(stamps) else 0
            known = self.written[block]
            bound = max((s for s in known if self.synced is not None and s <= self.synced),
                        default=0)
            if found < bound:
                return f"block {block} has stamp {found}, but {bound} was synced"
            if found and found not in known:
                return f"block {block} has stamp {found}, which nobody wrote"
        return ""


class FsRounds(Rounds):
    # Who asks a survivor that has just left by itself is told that its calls are cancelled, or its
    # volumes closed.
    leaves_with = Rounds.leaves_with | {EXIT_CODE["cancelled"], EXIT_CODE["io"]}

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.files = {}

    def judge(self, told, ranks, logs):
        found = collections.defaultdict(list)
        stamps, files, complete, syncs, old_removed = {}, {}, False, 0, set()
        for rank, line in events_of(told, ranks):
            what, _, rest = line.partition(" ")
            if what == "X":
                raise Failed(f"rank {rank}: {rest}\n{logs}")
            if what == "E":
                complete = True
                continue
            number, *rest = rest.split(" ")
            if what == "F":
                found[number].append(rest[0])
                stamps[number] = [int(s) for s in rest[1:] if s]
                continue
            if what == "R" and number not in files:
                old_removed.add(number)
                continue
            file = files.setdefault(number, File())
            file.history.append(line)
            if what == "W":
                file.written[int(rest[0])].append(int(rest[1]))
            elif what == "M":
                file.paths.append(rest[0])
            elif what == "S":
                syncs += 1
                file.synced, file.path_at_sync = int(rest[0]), file.paths.index(
                    rest[1], file.path_at_sync)
            elif what == "R":
                file.removed = True
        self.note += f", {len(found)} files found, {len(files)} made, {syncs} syncs"
        if not complete:
            check(not files, "written before all had looked")
        else:
            faults = [f"file {n} {fault}" for n in set(self.files) | set(found)
                      if (fault := self.files.get(n, File()).fault(found.get(n, []),
                                                                   stamps.get(n, [])))]
            told = "\n".join(line for n in self.files if self.files[n].fault(
                found.get(n, []), stamps.get(n, [])) for line in self.files[n].history[-40:])
            check(not faults, f"{len(faults)} faults: " + "; ".join(faults[:5]) +
                  f"\n{told}\n{logs}")
            for number, paths in found.items():       # durable, as a log had it
                old = File()
                old.paths, old.synced = list(paths), max(stamps[number], default=0)
                for block, stamp in enumerate(stamps[number]):
                    if stamp:
                        old.written[block].append(stamp)
                old.removed = number in old_removed
                self.files[number] = old
            for number in set(self.files) - set(found):
                del self.files[number]
            self.files.update(files)
        verify(self.options.ssi, self.folder)


if __name__ == "__main__":
    volumes.Rounds = FsRounds
    sys.exit(volumes.main())
