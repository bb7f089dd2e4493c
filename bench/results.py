# SPDX-License-Identifier: BSD-3-Clause
"""From the part files of the programs to Google Benchmark's JSON and a table.

A part file holds slices: real_time is their median, cv their spread, a ratio the median of the
ratios of neighbouring slices. Rows of one name from several parts are one row.
"""

import datetime
import json
import os
import platform
import statistics
import subprocess

MIB = 1 << 20


def read_part(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Results:
    def __init__(self):
        self.context = {}
        self.rows = {}

    def add(self, part):
        self.context.update(part["context"])
        for row in part["rows"]:
            known = self.rows.setdefault(row["name"], row)
            if known is not row:
                known["slices"] += row["slices"]
                known["floor_slices"] += row["floor_slices"]
                known["iterations"] += row["iterations"]
                known["counters"].update(row["counters"])

    def add_idle_rss(self):
        """node/idle_rss from the raw values: with a session and no warm pool, less a bare rank."""
        raw = {name: self.rows.pop(name, None)
               for name in ("raw/rss_bare", "raw/rss_session", "raw/rss_session_default")}
        if raw["raw/rss_bare"] is None or raw["raw/rss_session"] is None:
            return
        bare = statistics.median(raw["raw/rss_bare"]["slices"])
        idle = statistics.median(raw["raw/rss_session"]["slices"])
        counters = {"bytes": idle - bare, "mib": (idle - bare) / MIB, "bare_bytes": bare}
        default = raw["raw/rss_session_default"]
        if default is not None:
            counters["bytes_with_warm_pool"] = statistics.median(default["slices"]) - bare
            counters["warm_bytes"] = default["counters"]["warm_bytes"]
        self.rows["node/idle_rss"] = {
            "name": "node/idle_rss", "time_unit": "ns", "slices": [], "floor": "",
            "floor_slices": [], "p50": 0, "p99": 0, "iterations": 1, "items_per_operation": 0,
            "bytes_per_operation": 0, "counters": counters,
            "note": "largest rank; arena.warm_bytes is off for `bytes`, on for the other"}


UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def entry(row, target):
    slices = row["slices"]
    middle = statistics.median(slices) if slices else 0.0
    mean = statistics.fmean(slices) if slices else 0.0
    spread = statistics.stdev(slices) / mean if len(slices) > 1 and mean else 0.0
    out = {
        "name": row["name"], "run_name": row["name"], "run_type": "iteration",
        "repetitions": max(len(slices), 1), "iterations": row["iterations"],
        "real_time": middle, "cpu_time": middle, "time_unit": row["time_unit"],
        "p50": row["p50"] or middle,
        "p99": row["p99"] or (max(slices) if slices else 0.0),
        "cv": spread,
    }
    seconds = middle * UNIT_SECONDS[row["time_unit"]]
    for what in ("items", "bytes"):
        if row[f"{what}_per_operation"] and seconds:
            out[f"{what}_per_second"] = row[f"{what}_per_operation"] / seconds
    out.update(row["counters"])
    if row["note"]:
        out["label"] = row["note"]
    if row["floor_slices"]:
        out["floor"] = row["floor"]
        out["floor_time"] = statistics.median(row["floor_slices"])
        out["ratio"] = statistics.median(
            ours / floor for ours, floor in zip(slices, row["floor_slices"]))
    if out.get("floor_p50"):
        out["p50_ratio"] = out["p50"] / out["floor_p50"]
    out["target"] = target.text()
    return out


def missing_entry(name, target, why):
    return {"name": name, "run_name": name, "run_type": "iteration", "repetitions": 0,
            "iterations": 0, "real_time": 0.0, "cpu_time": 0.0, "time_unit": "ns",
            "target": target.text(), "error_occurred": True, "error_message": why}


def judge(entries, targets):
    by_name = {item["name"]: item for item in entries}
    for item in entries:
        target = targets[item["name"]]
        if target.required():
            item["target_met"] = target.met(item, by_name)


def machine_context(results):
    context = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "host_name": platform.node(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "machine": cpu_model(),
        "kernel": platform.release(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "caches": caches(),
        "load_avg": list(os.getloadavg()),
        "library_build_type": "release",
    }
    context.update(results.context)
    return context


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def caches():
    found = []
    for level, kind, key in ((1, "Data", "LEVEL1_DCACHE_SIZE"), (2, "Unified", "LEVEL2_CACHE_SIZE"),
                             (3, "Unified", "LEVEL3_CACHE_SIZE")):
        answer = subprocess.run(["getconf", key], capture_output=True, text=True, check=False)
        size = answer.stdout.strip()
        if size.isdigit() and int(size) > 0:
            found.append({"type": kind, "level": level, "size": int(size)})
    return found


def shown(item):
    """The figure that matters, as text."""
    if item.get("error_occurred"):
        return "-"
    if "delays" in item:
        return f"{item['delays']:g} d {item['messages']:.5g} m"
    if item["target"].startswith("bytes "):
        return amount(item["bytes"], "B")
    if item["name"].startswith(("app/", "peer/mpi_pagerank", "peer/mpi_jacobi", "kddm/gups",
                                "peer/mpi_gups")):
        return f"{item['items_per_second'] / 1e6:.4g} M/s"
    if "bytes_per_second" in item:
        return f"{item['bytes_per_second'] / 1e9:.2f} GB/s"
    return amount(item["real_time"], item["time_unit"])


def amount(value, unit):
    if unit == "ns" and value >= 1e6:
        return f"{value / 1e6:.2f} ms"
    if unit == "ns" and value >= 1e4:
        return f"{value / 1e3:.1f} us"
    if unit == "B" and value >= MIB:
        return f"{value / MIB:.1f} MiB"
    return f"{value:.1f} {unit}" if value < 1e4 else f"{value:.0f} {unit}"


def table(entries):
    lines = [f"{'name':<34} {'ours':>13} {'floor':>12} {'ratio':>8} {'p50':>7} {'cv':>5}  target"]
    for item in entries:
        floor = amount(item["floor_time"], item["time_unit"]) if "floor_time" in item else ""
        times = f"{item['ratio']:.2f}x" if "ratio" in item else ""
        typical = f"{item['p50_ratio']:.2f}x" if "p50_ratio" in item else ""
        spread = f"{100 * item['cv']:.0f}%" if item.get("cv") else ""
        verdict = {True: "ok  ", False: "MISS"}.get(item.get("target_met"), "    ")
        goal = item["target"] if item["target"] != "reported" else ""
        goal = goal.replace("delays <= ", "d <= ")
        if item.get("error_occurred"):
            goal += f" ({item['error_message']})"
        lines.append(f"{item['name']:<34} {shown(item):>13} {floor:>12} {times:>8} {typical:>7} "
                     f"{spread:>5}  {verdict} {goal}".rstrip())
    return "\n".join(lines)
