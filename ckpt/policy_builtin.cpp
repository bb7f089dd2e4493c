// SPDX-License-Identifier: BSD-3-Clause
#include "policy_builtin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "levels.hpp"
#include "policy_parameters.hpp"
#include "ssi/ckpt/policies.hpp"

namespace ssi::ckpt {
namespace {

using View = ssi_checkpoint_view;
using Plan = ssi_checkpoint_plan;

constexpr double longest_s = 1e10;       // 317 years
constexpr double most_kept = 1e6;
constexpr double assumed_mtbf_s = 86'400;
constexpr std::string_view kinds[] = {"full", "incremental"};

template <class... Args>
void say(Plan& plan, fmt::format_string<Args...> format, Args&&... args) {
    const auto end = fmt::format_to_n(plan.why, sizeof plan.why - 1, format,
                                      std::forward<Args>(args)...);
    *end.out = '\0';
}

// A sentence and next_s of what is due after `left` seconds.
void due_in(Plan& plan, double left) {
    plan.take = left <= 0;
    plan.next_s = std::max(0.0, left);
}

double since(const View& view, std::uint32_t level) {
    double least = view.levels[level].since_s;
    for (std::uint32_t l = level + 1; level != 0 && l < SSI_CHECKPOINT_LEVELS; ++l)
        if (view.levels[l].taken != 0) least = std::min(least, view.levels[l].since_s);
    return least;
}

// Negative blocked_s: not known yet.
ssi_checkpoint_cost cost_of(const View& view, std::uint32_t level, std::uint32_t kind) {
    const ssi_checkpoint_level_view& seen = view.levels[level];
    const bool full = kind == SSI_CHECKPOINT_FULL || seen.incremental.blocked_s < 0;
    const ssi_checkpoint_cost& first = full ? seen.full : seen.incremental;
    return first.blocked_s >= 0 ? first : full ? seen.incremental : seen.full;
}

// The parameters that all strategies have: level, kind, keep.
struct How {
    explicit How(PolicyParameters& given) {
        std::array<std::string_view, level_names.size()> names;
        std::ranges::transform(level_names, names.begin(), &LevelName::name);
        if (const auto chosen = given.choice("level", names)) level = level_names[*chosen].index();
        if (const auto chosen = given.choice("kind", kinds))
            kind = static_cast<std::uint32_t>(*chosen) + SSI_CHECKPOINT_FULL;
        if (given.has("keep") && level == 0) given.refuse("keep needs level: of which level");
        count = static_cast<std::uint32_t>(given.number("keep", SSI_CHECKPOINT_KEEP_AS_SET, 1,
                                                        most_kept));
    }
    void keep(std::uint32_t* counts) const {
        if (level != 0) counts[level] = count;
    }
    void into(Plan& plan) const {
        plan.level = level;
        plan.kind = kind;
    }

    std::uint32_t level = 0, kind = SSI_CHECKPOINT_AS_PROGRAM, count = 0;
};

// "local|partner", "local_s=S, partner_s=S": of all levels.
std::string of_levels(std::string_view before, std::string_view after) {
    std::string all;
    for (const LevelName& one : level_names)
        all += fmt::format("{}{}{}", all.empty() ? "" : before, one.name, after);
    return all;
}

std::string how_help() {
    return "level=" + of_levels("|", "") +
           " (default: as the program says), kind=full|incremental (the same), keep=N of that "
           "level (default checkpoint.keep)";
}

std::string levels_help() {
    return of_levels(", ", "_s=S") + ": from one of this level to the next; " +
           of_levels(", ", "=full|incremental") + " (default: as the program says); " +
           of_levels(", ", "_keep=N") + " (default checkpoint.keep)";
}

struct OnRequest : How {
    using How::How;
    void decide(const View&, Plan& plan) const {
        into(plan);
        say(plan, "only when somebody asks");
    }
};

struct Interval : How {
    explicit Interval(PolicyParameters& given)
        : How(given), every_s(given.number("every_s", 0, 0, longest_s)) {}
    void decide(const View& view, Plan& plan) const {
        into(plan);
        if (every_s == 0) return say(plan, "no interval is set");
        due_in(plan, every_s - since(view, level));
        say(plan, "each {:.10g} s", every_s);
    }
    double every_s;
};

// The cost counts what the program stands still, and a part of the time in which it computes while
// the rest is saved. Overhead, not latency, sets the interval: N. H. Vaidya, Impact of checkpoint
// latency on overhead ratio of a checkpointing scheme, IEEE Transactions on Computers 46(8), 1997.
struct YoungDaly : How {
    explicit YoungDaly(PolicyParameters& given)
        : How(given),
          mtbf_s(given.number("mtbf_s", 0, 1, longest_s)),
          cost_s(given.number("cost_s", 0, 0, longest_s)),
          first_s(given.number("first_s", 60, 0, longest_s)),
          least_s(given.number("least_s", 1, 0, longest_s)),
          slowdown(given.number("slowdown", 0.03, 0, 1)) {
        constexpr std::string_view words[] = {"young", "daly"};
        by_young = given.choice("order", words) == std::size_t{0};
    }
    void decide(const View& view, Plan& plan) const {
        into(plan);
        const bool assumed = mtbf_s == 0 && view.mtbf_s <= 0 && view.observed_mtbf_s <= 0;
        const double mtbf = mtbf_s > 0             ? mtbf_s
                            : view.mtbf_s > 0      ? view.mtbf_s
                            : view.observed_mtbf_s > 0 ? view.observed_mtbf_s
                                                       : assumed_mtbf_s;
        const char* const whence = assumed ? "assumed"
                                   : mtbf_s > 0 || view.mtbf_s > 0 ? "as set" : "observed";
        ssi_checkpoint_cost cost = cost_of(view, level, kind);
        if (cost.blocked_s < 0 && cost_s == 0) {
            due_in(plan, first_s - since(view, level));
            return say(plan, "the first one, after {:.10g} s: what one costs is not known",
                       first_s);
        }
        if (cost.blocked_s < 0) cost = {.blocked_s = cost_s, .durable_s = cost_s, .bytes = 0};
        const double hidden = std::max(0.0, cost.durable_s - cost.blocked_s);
        const double lost = cost.blocked_s + slowdown * hidden;
        const double best = by_young ? young_interval(lost, mtbf) : daly_interval(lost, mtbf);
        const double every = std::max({best + cost.blocked_s, cost.durable_s, least_s});
        // The point of the program that is nearest.
        const double half_step = std::max(0.0, view.between_points_s) / 2;
        due_in(plan, every - half_step - since(view, level));
        say(plan, "each {:.4g} s, the best for a cost of {:.3g} s and a failure each {:.4g} s ({})",
            every, lost, mtbf, whence);
    }
    double mtbf_s, cost_s, first_s, least_s, slowdown;
    bool by_young = false;
};

struct Levels {
    struct Row {
        std::uint32_t level = 0;
        double every_s = 0;
        std::uint32_t kind = SSI_CHECKPOINT_AS_PROGRAM, count = 0;
    };
    explicit Levels(PolicyParameters& given) {
        std::string names;
        for (const LevelName& one : level_names) {
            const std::string name(one.name);
            names.append(names.empty() ? "" : ", ").append(name).append("_s");
            Row row{.level = one.index(), .every_s = given.number(name + "_s", 0, 1e-3, longest_s)};
            const bool more = given.has(name) || given.has(name + "_keep");
            if (const auto chosen = given.choice(name, kinds))
                row.kind = static_cast<std::uint32_t>(*chosen) + SSI_CHECKPOINT_FULL;
            row.count = static_cast<std::uint32_t>(
                given.number(name + "_keep", SSI_CHECKPOINT_KEEP_AS_SET, 1, most_kept));
            if (row.every_s > 0) rows.push_back(row);
            else if (more) given.refuse(name + " needs " + name + "_s, too");
        }
        if (rows.empty()) given.refuse("needs one of " + names);
    }
    void keep(std::uint32_t* counts) const {
        for (const Row& row : rows) counts[row.level] = row.count;
    }
    void decide(const View& view, Plan& plan) const {
        const Row* chosen = view.asked != 0 ? &rows.back() : nullptr;
        double soonest = longest_s;
        for (const Row& row : rows) {   // the strongest that is due; else the one due first
            const double left = row.every_s - since(view, row.level);
            if (left <= 0 && view.asked == 0) chosen = &row;
            soonest = std::min(soonest, left);
        }
        due_in(plan, soonest);
        const Row& shown = chosen ? *chosen : rows.front();
        plan.level = shown.level;
        plan.kind = shown.kind;
        if (!chosen) return say(plan, "level {} next", level_name(next(view).level));
        say(plan, "level {} each {:.10g} s", level_name(chosen->level), chosen->every_s);
    }
    const Row& next(const View& view) const {
        return *std::ranges::min_element(rows, {}, [&](const Row& row) {
            return row.every_s - since(view, row.level);
        });
    }
    std::vector<Row> rows;               // ascending by level
};

struct TimeLimit : How {
    explicit TimeLimit(PolicyParameters& given)
        : How(given),
          factor(given.number("factor", 2, 1, 1000)),
          margin_s(given.number("margin_s", 30, 0, longest_s)),
          cost_s(given.number("cost_s", 60, 0, longest_s)),
          exit(given.flag("exit", false)) {}
    void decide(const View& view, Plan& plan) const {
        into(plan);
        if (view.left_s < 0)
            return say(plan, "when the job ends is not known: checkpoint.job_end_s tells it");
        double cost = -1;
        for (const auto& one : {view.levels[level].full, view.levels[level].incremental})
            if (one.blocked_s >= 0) cost = std::max(cost, one.durable_s);
        if (cost < 0) cost = cost_s;
        // Two points may pass: one until it is seen, one until the program may leave.
        const double margin = margin_s + factor * cost + 2 * std::max(0.0, view.between_points_s);
        const bool late = view.left_s <= margin;
        const bool saved = since(view, level) + view.left_s <= margin &&
                           view.levels[level].taken != 0;
        const bool leaves = exit && view.leaving == 0;
        plan.take = late && (leaves || !saved);
        plan.leave = plan.take && leaves;
        if (!late || plan.take) plan.next_s = std::max(0.0, view.left_s - margin);
        say(plan, "{:.4g} s before the job ends, {:.4g} s are left{}", margin, view.left_s,
            late && !plan.take ? ": done" : "");
    }
    double factor, margin_s, cost_s;
    bool exit;
};

// What C sees of a strategy in C++. Its parameters, and those that all have.
template <class S>
ssi_checkpoint_policy entry(const char* name, const char* help, const char* parameters) {
    static const std::string all = !std::is_base_of_v<How, S> ? levels_help()
                                   : *parameters == '\0'       ? how_help()
                                       : std::string(parameters) + "; " + how_help();
    return {
        .abi = SSI_CHECKPOINT_POLICY_ABI,
        .reserved = 0,
        .name = name,
        .help = help,
        .parameters = all.c_str(),
        .create = [](const char* text, char* error, std::size_t bytes) -> void* {
            PolicyParameters given(text);
            auto made = std::make_unique<S>(given);
            const std::string fault = given.fault();
            if (fault.empty()) return made.release();
            fault.copy(error, bytes - 1);
            error[std::min(fault.size(), bytes - 1)] = '\0';
            return nullptr;
        },
        .keep = [](const void* policy, std::uint32_t* counts) {
            static_cast<const S*>(policy)->keep(counts);
        },
        .decide = [](const void* policy, const View* view, Plan* plan) {
            static_cast<const S*>(policy)->decide(*view, *plan);
        },
        .destroy = [](void* policy) { delete static_cast<S*>(policy); },
    };
}

}  // namespace

double young_interval(double cost, double mtbf) { return std::sqrt(2 * cost * mtbf); }

double daly_interval(double cost, double mtbf) {
    if (cost >= 2 * mtbf) return mtbf;
    const double ratio = cost / (2 * mtbf);
    return young_interval(cost, mtbf) * (1 + std::sqrt(ratio) / 3 + ratio / 9) - cost;
}

std::span<const ssi_checkpoint_policy> builtin_policies() {
    static const std::array all{
        entry<Interval>("interval", "Each so many seconds.",
                        "every_s=S (default 0: never)"),
        entry<YoungDaly>(
            "young_daly",
            "At the interval that loses least by checkpoints and failures together, by Young "
            "(1974) and Daly (2006), from what one has cost and the mean time between failures.",
            "mtbf_s=S (default checkpoint.mtbf_s, else as observed, else a day), order=young|daly "
            "(default daly), cost_s=S until one was measured (default: see first_s), first_s=S "
            "(default 60): when the first is taken, to measure, least_s=S (default 1) from one to "
            "the next, slowdown=F (default 0.03) of computing while one is saved"),
        entry<Levels>(
            "levels", "A schedule for each level; a stronger one counts for the weaker ones, too.",
            ""),
        entry<TimeLimit>(
            "time_limit", "Once, in time before the job ends.",
            "exit=true|false (default false): have the program leave then; margin_s=S (default 30) "
            "before the end, besides factor=F (default 2) times what one takes, cost_s=S (default "
            "60) until that was measured"),
        entry<OnRequest>("on_request", "Only when somebody asks.", ""),
    };
    return all;
}

}  // namespace ssi::ckpt
