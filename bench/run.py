#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a benchmark suite: its programs under mpirun, one table and one JSON file out."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import results as results_module
from targets import (DISK, IO_RECOVERY, IO_STRIPES, NODES, SCENARIO_ROWS, SUITES,
                     UPGRADE_NODES)

CORES = len(os.sched_getaffinity(0))
PART_TIMEOUT_S = 600
TCP = "/net:tcp"
BY_RMA = "/by:rma"
BY_MESSAGE = "/by:message"
# One-sided MPI: the fastest of Open MPI's components that works on one host, which rows name; see
# bench/peers/README.md.
RMA = {"OMPI_MCA_osc": "sm"}
# Rows of bench/io/fs_metadata.cpp between two ranks.
PAIR_METADATA = ("io/stat_remote", "io/stat_remote_again", "io/readdir_100k",
                 "floor/am_roundtrip_8B")


@dataclass(frozen=True)
class Part:
    """One start of one program."""
    program: str                    # below the build directory
    ranks: int                      # 0: not an MPI program
    rows: tuple                     # what it measures, to skip it under --filter
    cores: int = 0                  # fewer than this many: said so and skipped
    bound: bool = True              # a rank has one core; else all of them
    environment: dict = field(default_factory=dict)
    suffix: str = ""
    arguments: tuple = ()
    starts: int = 1
    rename: dict = field(default_factory=dict)


def kddm_parts(quick):
    program = lambda name: f"bench/kddm/kddm_{name}"
    no_pool = {"SSI_ARENA_WARM_BYTES": "0"}
    starts = 3 if quick else 5
    return [
        Part(program("floors"), 2, ("floor/ucx_get_1MiB", "floor/memcpy", "floor/minor_fault",
                                    "floor/memfd_fresh"), cores=2),
        Part(program("pair"), 2, (
            "floor/am_roundtrip_8B", "floor/am_roundtrip_4KiB", "kddm/get_remote_8B",
            "kddm/grab_remote_8B", "kddm/upgrade_remote_8B", "kddm/read_remote_8B",
            "kddm/barrier", "kddm/lock_cycle",
            "kddm/fetch_add_remote", "kddm/apply_remote", "kddm/get_remote_4KiB"), cores=2),
        Part(program("many"), 2, ("kddm/get_many_64KiB", "floor/ucx_get_1MiB"), cores=2),
        Part(program("gups_batched"), 2, ("kddm/gups_batched", "peer/mpi_gups_alltoallv"), cores=2),
        Part(program("cached"), 2, ("kddm/get_put_cached", "floor/shared_mutex"), cores=2),
        Part(program("ring"), 4, ("kddm/get_remote_8B/ranks:4",), cores=2),
        Part(program("ring"), 8, ("kddm/get_remote_8B/ranks:8",), cores=2),
        Part(program("busy"), 2, ("kddm/get_remote_busy", "floor/wake_busy"), cores=2),
        Part(program("memory"), 2, ("kddm/bytes_per_object",), environment=no_pool),
        Part(program("pair"), 2, ("kddm/get_remote_8B" + TCP, "kddm/grab_remote_8B" + TCP,
                                  "floor/am_roundtrip_8B" + TCP), cores=2, suffix=TCP,
             environment={"UCX_TLS": "tcp", "SSI_NET_SAME_HOST": "off"}),
        Part(program("pair"), 2, ("kddm/read_remote_8B" + BY_RMA, "floor/am_roundtrip_8B" + BY_RMA),
             cores=2, suffix=BY_RMA,
             environment={"SSI_KDDM_READ_WAY": "rma", "SSI_NET_SAME_HOST": "off"}),
        Part(program("pair"), 2, ("kddm/read_remote_8B" + BY_MESSAGE,
                                  "floor/am_roundtrip_8B" + BY_MESSAGE), cores=2,
             suffix=BY_MESSAGE, environment={"SSI_KDDM_READ_WAY": "message"}),
        Part(program("mpi_rma"), 2, ("peer/mpi_get_8B", "peer/mpi_fetch_add"), cores=2,
             environment=RMA),
        Part(program("gups"), 2, ("kddm/gups", "peer/mpi_gups_accumulate", "peer/mpi_gups_shm"),
             cores=2, environment=RMA),
        Part(program("pagerank"), 2, ("app/pagerank_rmat", "peer/mpi_pagerank"), cores=2),
        Part(program("jacobi"), 2, ("app/jacobi", "peer/mpi_jacobi"), cores=2),
        Part(program("scenarios"), 4, SCENARIO_ROWS, cores=2),
        Part(program("rss_bare"), 2, ("node/idle_rss",)),
        Part(program("session"), 2, ("node/idle_rss",), environment=no_pool),
        Part(program("session"), 2, ("node/idle_rss",),
             rename={"raw/rss_session": "raw/rss_session_default"}),
        Part(program("session"), 4, ("node/start_time",), starts=starts,
             rename={"raw/rss_session": "raw/rss_unused"}),
    ]


def scale_parts(_quick):
    parts = []
    for nodes in NODES:
        rows = tuple(row for row in SUITES["scale"] if row.endswith(f"/nodes:{nodes}"))
        if nodes == UPGRADE_NODES:
            rows += tuple(row for row in SUITES["scale"] if row.startswith("scale/upgrade/"))
        parts.append(Part("bench/scale/scale", 0, rows, arguments=("--nodes", str(nodes))))
    return parts


def io_parts(_quick):
    program = lambda name: f"bench/io/io_{name}"
    two = "/ranks:2"
    door = tuple(row for pair in DISK for row in pair)
    data = ("io/easy_write", "io/easy_write_fresh", "io/easy_read", "io/easy_write_sync",
            "io/cold_read", "io/hard_write", "io/hard_read", "floor/tmpfs_write",
            "floor/tmpfs_read", "floor/tmpfs_hard_write", "floor/tmpfs_hard_read",
            "floor/disk_write", "floor/disk_read")
    metadata = ("io/create", "io/stat", "io/unlink", "io/create_shared", "io/small_3901",
                "io/create_durable", "io/create_durable/writers:8", "floor/tmpfs_create",
                "floor/tmpfs_stat", "floor/tmpfs_unlink", "floor/tmpfs_small_3901",
                "floor/fdatasync")
    large = ("io/easy_write_2x_cache",)
    little = {"BENCH_CACHE_MIB": "128"}
    parts = []
    for ranks, suffix in ((1, ""), (2, two)):
        at = lambda rows, suffix=suffix: tuple(row + suffix for row in rows)
        pair = ranks == 2
        parts += [
            Part(program("disk"), ranks, at(door), cores=ranks, suffix=suffix),
            Part(program("fs_data"), ranks, at(data) + ("io/easy_read_remote",) * pair,
                 cores=ranks, suffix=suffix),
            Part(program("fs_data"), ranks, at(large), cores=ranks, suffix=suffix,
                 environment=little),
            Part(program("fs_metadata"), ranks, at(metadata) + PAIR_METADATA * pair, cores=ranks,
                 suffix=suffix)]
    return parts + [Part(program("fs_stripes"), 1, tuple(IO_STRIPES), bound=False),
                    Part(program("fs_recovery"), 1, tuple(IO_RECOVERY))]


def ckpt_parts(_quick):
    rows = tuple(SUITES["ckpt"])
    other, slowdown = "ckpt/restart_other_count", "ckpt/slowdown"
    return [
        Part("bench/ckpt/ckpt_checkpoint", 2,
             tuple(row for row in rows if row not in (other, slowdown)), cores=2,
             environment={"SSI_CHECKPOINT_ALLOW_SAME_HOST": "true"}),
        Part("bench/ckpt/ckpt_checkpoint", 3, (other,), cores=2),
        Part("bench/ckpt/ckpt_slowdown", 2, (slowdown,), cores=2),
    ]


PARTS = {"kddm": kddm_parts, "io": io_parts, "ckpt": ckpt_parts, "scale": scale_parts}


def mpirun(ranks, bound=True):
    """Ranks pinned one per core where cores allow."""
    command = ["mpirun", "-n", str(ranks)]
    if ranks <= CORES and bound:
        command += ["--map-by", "core", "--bind-to", "core"]
    else:
        command += ["--oversubscribe", "--bind-to", "none"]
    return command


def environment(part):
    merged = dict(os.environ)
    if os.geteuid() == 0:
        merged.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    merged.update(part.environment)
    return merged


def run_once(part, arguments, directory):
    """The part's rows, or a sentence on why there are none."""
    out = os.path.join(directory, "part.json")
    if os.path.exists(out):
        os.unlink(out)
    command = mpirun(part.ranks, part.bound) if part.ranks else []
    for name, value in part.environment.items():
        if part.ranks:
            command += ["-x", f"{name}={value}"]
    # A floor is measured beside the rows that need it, so it takes the whole part.
    names_a_floor = any(arguments.filter in row for row in part.rows if row.startswith("floor/"))
    command += [os.path.join(arguments.build_dir, part.program), "--out", out,
                "--filter", "" if names_a_floor else arguments.filter]
    command += part.arguments
    if arguments.quick:
        command.append("--quick")
    if part.suffix:
        command += ["--suffix", part.suffix]
    # A group of its own, so that a program that hangs is ended with all its ranks.
    process = subprocess.Popen(command, env=environment(part), start_new_session=True)
    try:
        code = process.wait(timeout=PART_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        code = f"nothing after {PART_TIMEOUT_S} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if code != 0:
        return None, f"{os.path.basename(part.program)} failed: {code}"
    part_results = results_module.read_part(out)
    for row in part_results["rows"]:
        row["name"] = part.rename.get(row["name"], row["name"])
    return part_results, ""


def run_suite(arguments):
    collected = results_module.Results()
    reasons = {}
    with tempfile.TemporaryDirectory(prefix="ssi-bench-") as directory:
        for part in PARTS[arguments.suite](arguments.quick):
            if not any(arguments.filter in row for row in part.rows):
                continue
            label = " ".join((os.path.basename(part.program) + part.suffix, *part.arguments))
            if part.cores > CORES:
                why = f"needs {part.cores} cores, there are {CORES}"
                print(f"{label}: skipped: {why}", file=sys.stderr)
                reasons.update({row: why for row in part.rows})
                continue
            ranks = f", {part.ranks} ranks" if part.ranks else ""
            print(f"{label}{ranks} ...", file=sys.stderr, flush=True)
            for _ in range(part.starts):
                part_results, why = run_once(part, arguments, directory)
                if part_results is None:
                    print(f"{label}: {why}", file=sys.stderr)
                    reasons.update({row: why for row in part.rows})
                    break
                collected.add(part_results)
    collected.rows.pop("raw/rss_unused", None)
    collected.add_idle_rss()
    return collected, reasons


def entries_of(arguments, collected, reasons):
    entries = []
    for name, target in SUITES[arguments.suite].items():
        row = collected.rows.pop(name, None)
        if row is not None:
            if arguments.filter in name:
                entries.append(results_module.entry(row, target))
        elif arguments.filter in name:
            why = reasons.get(name, "not measured")
            entries.append(results_module.missing_entry(name, target, why))
    results_module.judge(entries, SUITES[arguments.suite])
    return entries


# What bench/kddm/profile.cpp calls the verb of a row.
PROFILED = {"kddm/get_put_cached": "cached", "kddm/get_remote_8B": "get",
            "kddm/grab_remote_8B": "grab", "kddm/upgrade_remote_8B": "upgrade",
            "kddm/fetch_add_remote": "fetch_add", "kddm/apply_remote": "apply"}


def profile_missed(arguments, entries):
    """Gives each missed row the engine's share of it: the work of both nodes in one thread, without
    a network, over objects that stay in the processor's cache and over as many as the row has."""
    l2_bytes = subprocess.run(["getconf", "LEVEL2_CACHE_SIZE"], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()
    objects = max(4 * int(l2_bytes or 0) // 128, 10_000)
    program = os.path.join(arguments.build_dir, "bench/kddm/kddm_profile")
    for item in entries:
        verb = PROFILED.get(item["name"])
        if item.get("target_met") is not False or not verb:
            continue
        for counter, count, passes in (("engine_hot_ns", 1000, 200), ("engine_ns", objects, 7)):
            passes_ns = subprocess.run([program, verb, str(count), str(passes)], check=True,
                                       stdout=subprocess.PIPE, text=True).stdout.splitlines()
            item[counter] = statistics.median(float(line.split()[1]) for line in passes_ns)
        yield (f"{item['name']}: {item['real_time']:.0f} ns, floor {item['floor_time']:.0f} ns, "
               f"engine {item['engine_hot_ns']:.0f} ns in cache, {item['engine_ns']:.0f} ns over "
               f"{objects} objects")


def main():
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--suite", choices=sorted(PARTS), required=True)
    parser.add_argument("--build-dir", required=True, help="a release build of this tree")
    parser.add_argument("--json", metavar="FILE", help="where Google Benchmark's JSON goes")
    parser.add_argument("--quick", action="store_true",
                        help="5 short repetitions instead of 15: a look, not a result")
    parser.add_argument("--filter", default="", metavar="SUBSTR",
                        help="only rows whose name contains it")
    arguments = parser.parse_args()
    arguments.build_dir = os.path.abspath(arguments.build_dir)

    collected, reasons = run_suite(arguments)
    context = results_module.machine_context(collected)
    context["suite"] = arguments.suite
    context["quick"] = arguments.quick
    entries = entries_of(arguments, collected, reasons)
    if not entries:
        parser.error(f"no row of suite {arguments.suite} contains '{arguments.filter}'")
    libraries = [context[name] for name in ("mpi", "ucx") if name in context]
    print("\n" + ", ".join([context["machine"], f"{context['num_cpus']} cores",
                            f"kernel {context['kernel']}", *libraries]) + "\n")
    print(results_module.table(entries))
    for number, line in enumerate(profile_missed(arguments, entries)):
        print(("" if number else "\nWhere the time of missed rows goes:\n") + "  " + line)
    missed = [item["name"] for item in entries if item.get("target_met") is False]
    broken = [item["name"] for item in entries if item.get("error_occurred")]
    print(f"\n{len(entries)} rows, {len(missed)} targets missed, {len(broken)} rows not measured")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"context": context, "benchmarks": entries}, file, indent=1)
            file.write("\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
