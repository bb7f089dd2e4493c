// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include <algorithm>

#include "check.hpp"
#include "commands.hpp"
#include "ssi/base/json.hpp"

namespace ssi::cli {
namespace {

Plan make_plan(const DoctorOptions& options, const Config& config) {
    Plan plan;
    const int launched = detect_launcher().local_ranks;
    if (options.ranks > 0) {
        plan.ranks = options.ranks;
        plan.ranks_from = "--ranks";
    } else if (launched > 0) {
        plan.ranks = launched;
        plan.ranks_from = "the launcher's variables";
    } else {
        plan.ranks = sys::usable_cores();
        plan.ranks_from = "one per core";
    }
    const auto limit = static_cast<std::uint64_t>(config.integer("arena.limit_bytes"));
    plan.arena_bytes = options.arena_bytes.value_or(limit);
    plan.arena_from = options.arena_bytes ? "--arena" : "arena.limit_bytes";
    plan.warm_bytes = static_cast<std::uint64_t>(config.integer("arena.warm_bytes"));
    plan.progress = config.text("progress");
    return plan;
}

int count(const std::vector<Check>& checks, Status status) {
    return static_cast<int>(std::count_if(checks.begin(), checks.end(), [&](const Check& check) {
        return check.status == status;
    }));
}

void print_text(const std::vector<Check>& checks) {
    for (const Check& check : checks) {
        fmt::print("{:<5} {:<17} {}\n", status_name(check.status), check.name, check.measured);
        if (!check.advice.empty()) fmt::print("{:<5} {:<17} -> {}\n", "", "", check.advice);
    }
    const int failed = count(checks, Status::fail);
    fmt::print("{}: {} ok, {} warned, {} failed\n", failed == 0 ? "healthy" : "not healthy",
               count(checks, Status::ok), count(checks, Status::warn), failed);
}

void print_json(const std::vector<Check>& checks, const Plan& plan) {
    const Budget budget = memory_budget(sys::read_memory_limits(), plan.ranks);
    Json json;
    json.object().field("healthy", count(checks, Status::fail) == 0).array("checks");
    for (const Check& check : checks)
        json.object()
            .field("name", check.name)
            .field("status", status_name(check.status))
            .field("measured", check.measured)
            .field("advice", check.advice)
            .end();
    json.end()
        .object("budget")
        .field("ranks", plan.ranks)
        .field("limit", budget.limit)
        .field("left_bytes", budget.left_bytes)
        .field("object_bytes_per_rank", budget.per_rank_bytes)
        .end()
        .end();
    fmt::print("{}\n", json.text());
}

}  // namespace

int run_doctor(const DoctorOptions& options, const Config& config,
               const std::optional<Failure>& config_failure) {
    const Plan plan = make_plan(options, config);
    const auto checks = gather_checks(plan, config, config_failure);
    if (options.json)
        print_json(checks, plan);
    else
        print_text(checks);
    return count(checks, Status::fail) == 0 ? 0 : 1;
}

}  // namespace ssi::cli
