// SPDX-License-Identifier: BSD-3-Clause
#include "policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "policy_builtin.hpp"
#include "policy_plugin.hpp"

namespace ssi::ckpt {
namespace {

constexpr Nanoseconds patience = 100'000'000;
constexpr int slow_calls = 2;            // one may be the machine's fault
constexpr std::size_t error_bytes = 1024;

ssi_checkpoint_plan no_plan() {
    ssi_checkpoint_plan plan{};
    plan.size = sizeof plan;
    plan.next_s = -1;
    return plan;
}

const ssi_checkpoint_policy* find_builtin(std::string_view name) {
    for (const ssi_checkpoint_policy& one : builtin_policies())
        if (one.name == name) return &one;
    return nullptr;
}

}  // namespace

Result<std::unique_ptr<Policy>> Policy::make(PolicyText text, std::string_view path,
                                             const Clock* clock) {
    std::unique_ptr<Policy> made(new Policy);
    made->text_ = std::move(text);
    made->clock_ = clock;
    made->table_ = find_builtin(made->text_.name);
    if (!made->table_) {
        auto plugin = find_plugin(made->text_.name, path);
        if (!plugin) return tl::unexpected<Failure>(std::move(plugin).error());
        made->origin_ = std::move(plugin->file);
        made->library_ = std::move(plugin->library);
        made->table_ = plugin->table;
    }
    SSI_TRY(made->create());
    made->look_at_keep();
    if (!made->ejected_.empty())
        return fail(Errc::unsupported, fmt::format("{}: {}", made->origin_, made->ejected_));
    return made;
}

// A C function may be a C++ one that throws.
Result<void> Policy::create() {
    std::array<char, error_bytes> error{};
    std::string fault = "it refuses its parameters";
    try {
        made_ = table_->create(text_.parameters.c_str(), error.data(), error.size());
        error.back() = '\0';
        if (error.front() != '\0') fault = error.data();
    } catch (...) {
        fault = "create threw an exception";
    }
    if (made_) return {};
    return fail(Errc::invalid_argument,
                fmt::format("checkpoint policy {}: {}; `ssi checkpoint policy list` explains its "
                            "parameters", text_.name, fault));
}

void Policy::look_at_keep() {
    if (!table_->keep) return;
    try {
        table_->keep(made_, counts_.data());
    } catch (...) {
        return eject("keep threw an exception");
    }
    if (counts_[0] != 0) eject("keep names level 0, which is none");
}

Policy::~Policy() { drop(); }

void Policy::drop() {
    if (made_ && table_->destroy) try {
            table_->destroy(made_);
        } catch (...) {
        }
    made_ = nullptr;
}

void Policy::eject(std::string why) {
    drop();
    ejected_ = std::move(why);
    counts_ = {};
}

void Policy::keep(Policies::Counts& counts) const {
    const auto most = [](std::uint32_t a, std::uint32_t b) {
        if (a == SSI_CHECKPOINT_KEEP_AS_SET && b != 0) return b;   // a number is the better word
        if (b == SSI_CHECKPOINT_KEEP_AS_SET && a != 0) return a;
        return std::max(a, b);
    };
    for (std::size_t level = 0; level < counts.size(); ++level)
        counts[level] = most(counts[level], counts_[level]);
}

// Empty: it is one.
std::string Policy::fault_of(const ssi_checkpoint_plan& plan) const {
    if (plan.take > 1 || plan.leave > plan.take)
        return fmt::format("its plan says take={} leave={}", plan.take, plan.leave);
    if (plan.level >= SSI_CHECKPOINT_LEVELS ||
        (plan.level != 0 && counts_[plan.level] == 0))
        return fmt::format("its plan says level {}, which its keep has not named", plan.level);
    if (plan.kind > SSI_CHECKPOINT_INCREMENTAL)
        return fmt::format("its plan says kind {}, which is none", plan.kind);
    if (std::isnan(plan.next_s)) return "its plan says that next_s is not a number";
    if (!std::memchr(plan.why, '\0', sizeof plan.why)) return "the why of its plan has no end";
    return {};
}

ssi_checkpoint_plan Policy::decide(const ssi_checkpoint_view& view) {
    ssi_checkpoint_plan plan = no_plan();
    if (!ejected_.empty()) return plan;
    const Nanoseconds begun = clock_ ? clock_->now() : 0;
    std::string fault;
    try {
        table_->decide(made_, &view, &plan);
        fault = fault_of(plan);
    } catch (...) {
        fault = "decide threw an exception";
    }
    const Nanoseconds took = clock_ ? clock_->now() - begun : 0;
    slow_ = took > patience && !origin_.empty() ? slow_ + 1 : 0;
    if (fault.empty() && slow_ >= slow_calls)
        fault = fmt::format("decide took {} ms, more than {} ms twice in a row",
                            took / 1'000'000, patience / 1'000'000);
    if (fault.empty()) return plan;
    eject(std::move(fault));
    return no_plan();
}

}  // namespace ssi::ckpt
