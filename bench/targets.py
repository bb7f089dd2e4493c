# SPDX-License-Identifier: BSD-3-Clause
"""What each row must reach. Rows with no requirement are reported only."""

import math
from dataclasses import dataclass

MIB = 1 << 20
KIB = 1 << 10


@dataclass(frozen=True)
class Target:
    """Limits on the ratio to a floor measured beside the row and on counters of the row."""
    floor: str = ""             # with `times`: ours <= times * floor
    times: float = 0.0
    counters: tuple = ()        # pairs (name, most); a missing counter is a miss
    flat_with: str = ""         # `messages` and `delays` at most 5 % above that row's

    def text(self):
        parts = []
        if self.floor:
            parts.append(f"<= {self.times:g}x {self.floor}")
        parts += [f"{name} <= {most:g}" for name, most in self.counters]
        if self.flat_with:
            parts.append(f"flat with {self.flat_with}")
        return ", ".join(parts) or "reported"

    def required(self):
        return bool(self.floor or self.counters or self.flat_with)

    def met(self, entry, entries):
        """Of an entry, given all entries by name."""
        if entry.get("error_occurred"):
            return False
        if self.floor and not (entry.get("floor") == self.floor and
                               entry["ratio"] <= self.times):
            return False
        if any(not entry.get(name, math.inf) <= most for name, most in self.counters):
            return False
        base = entries.get(self.flat_with, {}) if self.flat_with else None
        return base is None or all(
            entry.get(name, math.inf) <= 1.05 * base.get(name, -math.inf)
            for name in ("messages", "delays"))


def ratio(times, floor):
    return Target(floor=floor, times=times)


def counters(**most):
    return Target(counters=tuple(most.items()))


REPORTED = Target()
AM_8B = "floor/am_roundtrip_8B"

# Kerrighed's own scenarios and sets: bench/kddm/scenarios.cpp.
SCENARIOS = ("get_first_touch", "get_from_home", "get_from_third", "grab_first_touch",
             "grab_local_copy", "grab_remote_copies:1", "grab_remote_copies:2",
             "grab_remote_copies:3", "grab_local_copy_remote_copies:3", "remove_local_copy",
             "remove_remote_copies:1", "remove_remote_copies:2", "remove_remote_copies:3")
SCENARIO_ROWS = tuple(f"kddm/scenario/{scenario}/{kind}"
                      for kind in ("local_4B", "remote_4B", "remote_4KiB")
                      for scenario in SCENARIOS)

KDDM = {
    "floor/am_roundtrip_8B": REPORTED,
    "floor/am_roundtrip_4KiB": REPORTED,
    "floor/ucx_get_1MiB": REPORTED,
    "floor/memcpy": REPORTED,
    "floor/shared_mutex": REPORTED,
    "floor/minor_fault": REPORTED,
    "floor/memfd_fresh": REPORTED,
    "floor/wake_busy": REPORTED,
    "kddm/get_put_cached": ratio(3.0, "floor/shared_mutex"),
    "kddm/get_remote_8B": ratio(2.0, AM_8B),
    "kddm/grab_remote_8B": ratio(2.0, AM_8B),
    "kddm/upgrade_remote_8B": ratio(2.5, AM_8B),
    "kddm/read_remote_8B": ratio(0.5, AM_8B),
    "kddm/get_remote_4KiB": ratio(2.0, "floor/am_roundtrip_4KiB"),
    "kddm/get_many_64KiB": ratio(1.0, "floor/ucx_get_1MiB"),
    "peer/mpi_gups_alltoallv": REPORTED,
    "kddm/gups_batched": ratio(1.0, "peer/mpi_gups_alltoallv"),
    "kddm/fetch_add_remote": ratio(1.5, AM_8B),
    "kddm/apply_remote": ratio(1.5, AM_8B),
    "kddm/barrier": ratio(4.0, AM_8B),
    "kddm/lock_cycle": ratio(4.0, AM_8B),
    "kddm/get_remote_8B/ranks:4": ratio(100.0, AM_8B),
    "kddm/get_remote_8B/ranks:8": ratio(300.0, AM_8B),
    "kddm/get_remote_busy": ratio(1.5, "floor/wake_busy"),
    "kddm/bytes_per_object": counters(bytes=128),
    "floor/am_roundtrip_8B/net:tcp": REPORTED,
    "kddm/get_remote_8B/net:tcp": REPORTED,
    "kddm/grab_remote_8B/net:tcp": REPORTED,
    "floor/am_roundtrip_8B/by:rma": REPORTED,
    "kddm/read_remote_8B/by:rma": REPORTED,
    "floor/am_roundtrip_8B/by:message": REPORTED,
    "kddm/read_remote_8B/by:message": REPORTED,
    "peer/mpi_get_8B": REPORTED,
    "peer/mpi_fetch_add": REPORTED,
    "peer/mpi_gups_accumulate": REPORTED,
    "peer/mpi_gups_shm": REPORTED,
    "kddm/gups": ratio(1 / 2.0, "peer/mpi_gups_accumulate"),
    "peer/mpi_pagerank": REPORTED,
    "app/pagerank_rmat": ratio(1 / 0.8, "peer/mpi_pagerank"),
    "peer/mpi_jacobi": REPORTED,
    "app/jacobi": ratio(1 / 0.9, "peer/mpi_jacobi"),
    **{row: REPORTED for row in SCENARIO_ROWS},
    "node/idle_rss": counters(bytes=32 * MIB),
    "node/start_time": REPORTED,
}

NODES = (4, 64, 1024, 10000)
# Upgrade rows run with this many nodes; N copies are all of them.
UPGRADE_NODES = 10000


def tree_delays(nodes):
    """The longest way through one group's invalidation tree, down and, with the acks, up again."""
    group = math.ceil(nodes / 512)
    levels = math.floor(math.log2(group)) + 1
    return 2 * levels - 1


def collective(rounds, nodes):
    """`rounds` passes over a binomial tree; and what a node may occupy."""
    return counters(delays=rounds * math.ceil(math.log2(nodes)),
                    bytes_per_node_idle=256 * KIB, bytes_per_node_active=MIB)


SCALE = {
    **{f"scale/{verb}/nodes:{n}": Target(counters=(("delays", 3),),
                                         flat_with=f"scale/{verb}/nodes:4")
       for verb in ("get", "grab", "create", "stat", "stat_changed") for n in NODES},
    **{f"scale/stat_again/nodes:{n}": counters(messages=0, delays=0) for n in NODES},
    # More than one thing is not known yet, or to be given back.
    **{f"scale/{verb}/nodes:{n}": Target(flat_with=f"scale/{verb}/nodes:4")
       for verb in ("create_cold", "create_watched", "stat_cold", "stat_new", "close")
       for n in NODES},
    **{f"scale/mount/nodes:{n}": REPORTED for n in NODES},
    "scale/upgrade/copies:0": counters(delays=3),
    "scale/upgrade/copies:4": counters(delays=3),
    "scale/upgrade/copies:64": counters(delays=2 + tree_delays(UPGRADE_NODES)),
    "scale/upgrade/copies:N": counters(delays=2 + tree_delays(UPGRADE_NODES)),
    **{f"scale/barrier/nodes:{n}": collective(2, n) for n in NODES},
    **{f"scale/broadcast/nodes:{n}": collective(1, n) for n in NODES},
    # Five reductions, each up the tree and down again: all gates are closed; two looks find all at
    # rest; the cut's number; all have begun.
    **{f"scale/checkpoint_cut/nodes:{n}": collective(5 * 2, n) for n in NODES},
}

# The door to disks may take a tenth more than libaio itself.
DISK = (("io/disk_write", "floor/disk_write"), ("io/disk_read", "floor/disk_read"),
        ("io/disk_random_read", "floor/disk_random_read"),
        ("io/disk_durable_write", "floor/fdatasync"))
# kDFS: how much of the floor's rate it must reach.
FILES = (("io/easy_write", 0.8, "floor/tmpfs_write"), ("io/easy_read", 0.8, "floor/tmpfs_read"),
         ("io/easy_write_sync", 0.9, "floor/disk_write"),
         ("io/cold_read", 0.9, "floor/disk_read"),
         ("io/hard_write", 0.6, "floor/tmpfs_hard_write"),
         ("io/hard_read", 0.6, "floor/tmpfs_hard_read"),
         ("io/create", 1.0, "floor/tmpfs_create"), ("io/stat", 2.0, "floor/tmpfs_stat"),
         ("io/unlink", 0.8, "floor/tmpfs_unlink"), ("io/create_shared", 0.5, "io/create"),
         ("io/small_3901", 0.8, "floor/tmpfs_small_3901"),
         ("io/create_durable", 0.8, "floor/fdatasync"),
         ("io/create_durable/writers:8", 4.0, "io/create_durable"))
IO_AT = {"": {}, "/ranks:2": {}}   # by the suffix of rows of so many ranks
for suffix, rows in IO_AT.items():
    for name, floor in DISK:
        rows[floor + suffix] = REPORTED
        rows[name + suffix] = ratio(1.1, floor + suffix)
    for name, share, floor in FILES:
        if floor.startswith("floor/"):
            rows[floor + suffix] = REPORTED
        rows[name + suffix] = ratio(1 / share, floor + suffix)
    rows["io/easy_write_fresh" + suffix] = REPORTED
    rows["io/easy_write_2x_cache" + suffix] = REPORTED
# Between two ranks.
IO_PAIR = {
    "io/easy_read_remote": ratio(1 / 0.5, "floor/tmpfs_read/ranks:2"),
    AM_8B: REPORTED,
    "io/stat_remote": ratio(16, AM_8B),
    "io/stat_remote_again": ratio(1 / 0.8, "io/stat"),
    "io/readdir_100k": counters(ns_per_entry=1000),
}
# A disk of 200 MB/s for each volume, emulated: 1 is as many times as fast as there are volumes.
# The floor is plain writes to such disks.
IO_STRIPES = {}
for n in (1, 2, 4):
    stripes_floor = f"floor/stripe_scaling/volumes:{n}"
    IO_STRIPES[stripes_floor] = REPORTED
    IO_STRIPES[f"io/stripe_scaling/volumes:{n}"] = Target(
        floor=stripes_floor, times=1 / 0.9, counters=(("of_linear", 1 / 0.9),))
# A mount after a kill.
IO_RECOVERY = {"io/recovery_100k": counters(seconds=5)}
IO = {**IO_AT[""], **IO_AT["/ranks:2"], **IO_PAIR, **IO_STRIPES, **IO_RECOVERY}

# How many times as long as the floor.
CKPT = {
    "ckpt/blocking_full": ratio(1.5, "floor/memcpy_shadow"),
    "ckpt/blocking_spans": ratio(1.5, "floor/memcpy_shadow"),
    "ckpt/first_touch_after": ratio(2.0, "floor/memcpy_shadow"),
    "ckpt/durable_full": ratio(1.15, "floor/disk_write"),
    "ckpt/incr_1pct_random": ratio(0.35, "floor/disk_write"),
    "ckpt/incr_10pct_contiguous": ratio(0.40, "floor/disk_write"),
    "ckpt/objects_100k_4KiB": ratio(1.5, "floor/disk_write"),
    "ckpt/partner": ratio(2 * 1.2, "ckpt/durable_full"),   # two copies
    "ckpt/rebuild": REPORTED,
    "ckpt/xor": REPORTED,                                  # of two ranks: as much as two copies
    "ckpt/xor_rebuild": REPORTED,
    "ckpt/drain": REPORTED,                                # the same disk is read and written
    "ckpt/slowdown": counters(percent=3),
    "ckpt/restart_same": ratio(1.5, "floor/disk_read"),
    "ckpt/restart_other_count": ratio(2.5, "floor/disk_read"),
}

SUITES = {"kddm": KDDM, "io": IO, "ckpt": CKPT, "scale": SCALE}
