// SPDX-License-Identifier: BSD-3-Clause
// `ssi checkpoint policy`: what a running session tells of its strategies, all that there are, and
// what they are worth.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint.hpp"
#include "checkpoint_simulate.hpp"
#include "ssi/ckpt/policies.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

void print_known(const std::vector<ckpt::KnownPolicy>& all) {
    for (const ckpt::KnownPolicy& one : all) {
        if (!one.error.empty()) {
            say("{}: cannot be used: {}\n", readable(one.origin), readable(one.error));
            continue;
        }
        say("{}{}\n    {}\n", readable(one.name),
            one.origin.empty() ? "" : fmt::format("  ({})", readable(one.origin)),
            readable(one.help));
        if (!one.parameters.empty()) say("    {}\n", readable(one.parameters));
    }
}

void print_known_json(const std::vector<ckpt::KnownPolicy>& all) {
    Json json;
    json.object().array("policies");
    for (const ckpt::KnownPolicy& one : all) {
        json.object();
        if (!one.origin.empty()) json.field("file", one.origin);
        if (one.error.empty())
            json.field("name", one.name).field("help", one.help).field("parameters",
                                                                       one.parameters);
        else
            json.field("error", one.error);
        json.end();
    }
    say("{}\n", json.end().end().text());
}

struct Row {
    std::string text;
    SimulatedRun run;
};

Result<Row> simulate_one(const Config& config, const std::string& text, const SimulatedJob& job) {
    auto policies = ckpt::Policies::make(text, config.text("checkpoint.policy_path"), nullptr);
    if (!policies) return tl::unexpected<Failure>(std::move(policies).error());
    const auto run = simulate(*policies, job);
    if (!run) return tl::unexpected<Failure>(run.error());
    for (const auto& one : policies->shown())
        if (!one.ejected.empty())
            return fail(Errc::bad_message, fmt::format("{}: {}", one.text.name, one.ejected));
    return Row{policies->text(), *run};
}

void print_rows(const std::vector<Row>& rows) {
    std::size_t width = 8;
    for (const Row& row : rows) width = std::max(width, row.text.size());
    const auto padded = [&](std::string text) {
        text.resize(std::max(width, text.size()), ' ');
        return text;
    };
    say("{}  {:>10}  {:>11}  {:>8}  {:>10}\n", padded("strategy"), "efficiency", "checkpoints",
        "failures", "lost work");
    for (const Row& row : rows)
        say("{}  {:>8.2f} %  {:>11}  {:>8}  {:>8.2f} %\n", padded(readable(row.text)),
            100 * row.run.efficiency(), row.run.taken, row.run.failures,
            100 * row.run.lost_s / row.run.total_s);
}

void print_rows_json(const std::vector<Row>& rows) {
    Json json;
    json.object().array("runs");
    for (const Row& row : rows)
        json.object().field("policy", row.text).field("efficiency", row.run.efficiency())
            .field("checkpoints", row.run.taken).field("failures", row.run.failures)
            .field("lost_s", row.run.lost_s).field("saving_s", row.run.saving_s)
            .field("restarting_s", row.run.restarting_s).field("total_s", row.run.total_s).end();
    say("{}\n", json.end().end().text());
}

// That one, and fixed intervals around what Daly's formula says.
Result<void> compare(const Config& config, const CheckpointRequest& request) {
    const SimulatedJob job{.mtbf_s = request.mtbf_s,
                           .cost_s = request.cost_s,
                           .restart_s = request.restart_s < 0 ? request.cost_s : request.restart_s,
                           .seconds = request.hours * 3600,
                           .seed = request.seed};
    const double best = ckpt::daly_interval(job.cost_s, job.mtbf_s) + job.cost_s;
    std::vector<std::string> texts{request.policy_text};
    for (const double factor : {0.25, 0.5, 1.0, 2.0, 4.0})
        texts.push_back(fmt::format("interval every_s={:.4g}", factor * best));
    std::vector<Row> rows;
    for (const std::string& text : texts) {
        auto row = simulate_one(config, text, job);
        if (!row) return tl::unexpected<Failure>(std::move(row).error());
        rows.push_back(std::move(*row));
    }
    request.json ? print_rows_json(rows) : print_rows(rows);
    return {};
}

void print_decision(const JsonValue& report) {
    const JsonValue* const last = report.find("decision");
    if (!last) return say("nothing decided yet: the program has not called need()\n");
    say("{:.1f} s ago: {}{}\n", last->number_of("ago_s"),
        last->boolean_of("take") ? "take one: " : "not now: ", readable(last->text_of("why")));
    if (report.find("next_s"))
        say("the next one is expected in {:.1f} s\n", report.number_of("next_s"));
    if (report.find("last_why"))
        say("the last one was taken because: {}\n", readable(report.text_of("last_why")));
}

void print_costs(const JsonValue& level) {
    for (const char* kind : {"full", "incremental"})
        if (const JsonValue* const cost = level.find(kind))
            say("level {}, {}: the program stood {:.3g} s, durable after {:.3g} s\n",
                readable(level.text_of("name")), kind, cost->number_of("blocked_s"),
                cost->number_of("durable_s"));
}

}  // namespace

void print_policy(const JsonValue& report) {
    for (const JsonValue& one : report.items_of("strategies")) {
        say("{} {}", readable(one.text_of("name")), readable(one.text_of("parameters")));
        if (one.find("file")) say(" ({})", readable(one.text_of("file")));
        if (one.find("ejected"))
            say(": replaced by on_request: {}", readable(one.text_of("ejected")));
        say("\n");
    }
    if (report.boolean_of("pending"))
        say("from the next point of the program on: {}\n", readable(report.text_of("policy")));
    print_decision(report);
    if (report.find("mtbf_s")) say("a failure each {} s, as set\n", report.number_of("mtbf_s"));
    if (report.find("observed_mtbf_s"))
        say("a failure each {:.4g} s, as observed ({} until now)\n",
            report.number_of("observed_mtbf_s"), report.u64_of("observed_failures"));
    if (report.find("left_s"))
        say("the job ends in {:.0f} s\n", report.number_of("left_s"));
    for (const JsonValue& level : report.items_of("levels")) print_costs(level);
}

Result<void> run_checkpoint_policy(const Config& config, const CheckpointRequest& request) {
    if (request.policy_verb == "simulate") return compare(config, request);
    const auto all = ckpt::known_policies(config.text("checkpoint.policy_path"));
    request.json ? print_known_json(all) : print_known(all);
    return {};
}

}  // namespace ssi::cli
