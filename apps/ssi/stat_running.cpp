// SPDX-License-Identifier: BSD-3-Clause
// `ssi stat` of a running session: what its nodes count, and who waits for what.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "commands.hpp"
#include "metrics.hpp"
#include "running.hpp"
#include "ssi/sys/task.hpp"
#include "stat.hpp"

namespace ssi::cli {
namespace {

constexpr std::string_view set_prefix = "ssi_kddm_";
constexpr std::size_t most_columns = 8;   // of nodes, beside the sum
constexpr std::size_t most_searched = 16; // waits whose objects' holders are looked for

struct NodeReport {
    node::ContactNode node;
    std::optional<Failure> failure;
    Metrics metrics;
    JsonValue waits;
};

struct Report {
    std::vector<NodeReport> nodes;
    Metrics sum;
    std::vector<std::string> holders;  // JSON, of each wait, in the order of nodes and waits
    std::set<NodeId> silent;           // nodes not to be asked again
};

// Which guards on the waited-for object the nodes have, the waiting one apart: [{"node":1,...}].
std::string find_holders(RunningSession& session, Report& report, const JsonValue& wait) {
    const std::string object = fmt::format(R"(,"set_id":{},"hi":{},"lo":{})",
                                           wait.u64_of("set_id"), wait.u64_of("hi"),
                                           wait.u64_of("lo"));
    Json json;
    json.array();
    for (const node::ContactNode& other : session.contact().nodes) {
        if (report.silent.contains(other.node)) continue;
        const auto seen = session.ask(other, "object", object);
        if (!seen && seen.error().code != Errc::not_found) report.silent.insert(other.node);
        if (!seen || seen->u64_of("guards") == 0) continue;
        json.object()
            .field("node", other.node.value)
            .field("verb", seen->boolean_of("writer_held") ? "grab" : "get")
            .field("guards", seen->u64_of("guards"))
            .end();
    }
    return json.end().text();
}

Result<void> ask_node(RunningSession& session, NodeReport& report, bool waits) {
    auto text = session.ask(report.node, "metrics");
    if (!text) return tl::unexpected(std::move(text).error());
    auto metrics = parse_open_metrics(std::string(text->text()),
                                      fmt::format("node {}", report.node.node.value));
    if (!metrics) return tl::unexpected(std::move(metrics).error());
    report.metrics = std::move(*metrics);
    if (!waits) return {};
    auto waiting = session.ask(report.node, "waits");
    if (!waiting) return tl::unexpected(std::move(waiting).error());
    report.waits = std::move(*waiting);
    return {};
}

Report gather(RunningSession& session, const std::vector<node::ContactNode>& nodes, bool waits) {
    Report report;
    for (const node::ContactNode& node : nodes) {
        NodeReport one{node, {}, {}, {}};
        if (auto asked = ask_node(session, one, waits); !asked) {
            one.failure = std::move(asked).error();
            report.silent.insert(node.node);
        } else {
            report.sum.add(one.metrics);
        }
        report.nodes.push_back(std::move(one));
    }
    std::size_t searched = 0;
    for (const NodeReport& node : report.nodes)
        for (const JsonValue& wait : node.waits.items_of("waits"))
            report.holders.push_back(wait.find("object") && searched++ < most_searched
                                         ? find_holders(session, report, wait)
                                         : "[]");
    return report;
}

double value_of(const Metrics& metrics, const std::string& name, const std::string& labels) {
    const auto at = metrics.values.find({name, labels});
    return at == metrics.values.end() ? 0 : at->second;
}

struct Column {
    const char* title;
    std::vector<const char*> counters;  // added up
};

const std::array set_columns{
    Column{"gets", {"gets"}},         Column{"grabs", {"grabs"}},
    Column{"hits", {"hits"}},         Column{"remote", {"remote_gets", "remote_grabs"}},
    Column{"bytes in", {"bytes_in"}}, Column{"bytes out", {"bytes_out"}},
    Column{"objects", {"objects"}},
};

bool in_set_table(const MetricKey& key) {
    for (const Column& column : set_columns)
        for (const char* counter : column.counters)
            if (key.first == fmt::format("{}{}_total", set_prefix, counter)) return true;
    return false;
}

void print_sets(const Report& report) {
    std::set<std::string> labels;
    std::size_t width = 8;
    for (const auto& [key, value] : report.sum.values)
        if (in_set_table(key)) labels.insert(key.second);
    if (labels.empty()) return;
    const auto name_of = [](const std::string& label) {  // set="name"
        return label.size() > 6 ? label.substr(5, label.size() - 6) : label;
    };
    for (const std::string& label : labels) width = std::max(width, name_of(label).size());
    fmt::print("{:<{}}  {:>5}", "set", width, "node");
    for (const Column& column : set_columns) fmt::print("  {:>12}", column.title);
    fmt::print("\n");
    const auto row = [&](const std::string& name, const std::string& node, const std::string& label,
                         const Metrics& metrics) {
        fmt::print("{:<{}}  {:>5}", name, width, node);
        for (const Column& column : set_columns) {
            double value = 0;
            for (const char* counter : column.counters)
                value += value_of(metrics, fmt::format("{}{}_total", set_prefix, counter), label);
            fmt::print("  {:>12}", number_text(value));
        }
        fmt::print("\n");
    };
    for (const std::string& label : labels) {
        row(name_of(label), "all", label, report.sum);
        for (const NodeReport& node : report.nodes)
            if (!node.failure && report.nodes.size() > 1)
                row("", std::to_string(node.node.node.value), label, node.metrics);
    }
    fmt::print("\n");
}

// `before` and `seconds`: the last round's sums and how long ago that was, when there was one.
void print_counters(const Report& report, const Metrics* before, double seconds) {
    const bool columns = report.nodes.size() > 1 && report.nodes.size() <= most_columns;
    std::size_t width = 20;
    for (const auto& [key, value] : report.sum.values)
        if (!in_set_table(key) && value != 0) width = std::max(width, labelled(key).size());
    fmt::print("{:<{}}  {:>16}", "counter", width, "all");
    if (before) fmt::print("  {:>12}", "a second");
    if (columns)
        for (const NodeReport& node : report.nodes)
            fmt::print("  {:>12}", fmt::format("node {}", node.node.node.value));
    fmt::print("\n");
    for (const auto& [key, value] : report.sum.values) {
        if (in_set_table(key) || value == 0) continue;
        fmt::print("{:<{}}  {:>16}", labelled(key), width, number_text(value));
        if (before)
            fmt::print("  {:>12.1f}", (value - value_of(*before, key.first, key.second)) / seconds);
        if (columns)
            for (const NodeReport& node : report.nodes)
                fmt::print("  {:>12}", node.failure ? "-"
                                                    : number_text(value_of(node.metrics, key.first,
                                                                           key.second)));
        fmt::print("\n");
    }
}

std::string wait_text(const NodeReport& node, const JsonValue& wait, const std::string& holders) {
    std::string line = fmt::format("node {} task {} waits {} in {}", node.node.node.value,
                                   wait.u64_of("task"), human_duration(wait.u64_of("ms")),
                                   wait.text_of("verb"));
    if (wait.find("object"))
        line += fmt::format(" of object {} of set '{}'", wait.text_of("object"),
                            wait.text_of("set"));
    if (wait.find("home")) line += fmt::format(", home node {}", wait.u64_of("home"));
    if (wait.find("from")) line += fmt::format(", for node {}", wait.u64_of("from"));
    const auto held_by = JsonValue::parse(holders);
    for (const JsonValue& holder : held_by->items())
        line += fmt::format(", held at node {} ({})", holder.u64_of("node"),
                            holder.text_of("verb"));
    const auto& held = wait.items_of("held");
    for (std::size_t i = 0; i < held.size(); ++i)
        line += fmt::format("{} {}", i == 0 ? "; holds" : ",", held[i].text());
    return line;
}

void print_waits(const Report& report) {
    std::size_t index = 0;
    fmt::print("\n");
    for (const NodeReport& node : report.nodes)
        for (const JsonValue& wait : node.waits.items_of("waits"))
            fmt::print("{}\n", wait_text(node, wait, report.holders[index++]));
    if (report.holders.empty()) fmt::print("no task waits for long\n");
}

void print_json(const node::Contact& contact, const Report& report, bool waits) {
    Json json;
    json.object().field("session", contact.session).field("program", contact.program);
    add_metrics(json, report.sum);
    json.array("nodes");
    std::size_t index = 0;
    for (const NodeReport& node : report.nodes) {
        json.object().field("node", node.node.node.value);
        if (node.failure) json.field("error", node.failure->to_string());
        add_metrics(json, node.metrics);
        if (waits) {
            json.array("waits");
            for (const JsonValue& wait : node.waits.items_of("waits")) {
                std::string text = wait.to_text();
                text.back() = ',';
                json.raw(text + "\"held_by\":" + report.holders[index++] + "}");
            }
            json.end();
        }
        json.end();
    }
    fmt::print("{}\n", json.end().end().text());
}

// The first failure of a node, after a line for each.
Result<void> tell_failures(const Report& report) {
    const Failure* first = nullptr;
    for (const NodeReport& node : report.nodes) {
        if (!node.failure) continue;
        if (first)
            fmt::print(stderr, "ssi: node {}: {}\n", node.node.node.value,
                       node.failure->to_string());
        else
            first = &*node.failure;
    }
    if (!first) return {};
    Failure failure = *first;
    const auto at = std::find_if(report.nodes.begin(), report.nodes.end(),
                                 [](const NodeReport& node) { return node.failure.has_value(); });
    failure.text = fmt::format("node {}: {}", at->node.node.value, failure.text);
    return tl::unexpected(std::move(failure));
}

}  // namespace

Result<void> run_stat_session(const Config& config, const StatOptions& options) {
    auto session = RunningSession::find(config, options.session);
    if (!session) return tl::unexpected(std::move(session).error());
    const auto nodes = session->nodes(options.node);
    if (!nodes) return tl::unexpected(nodes.error());
    const auto tasks = sys::make_thread_tasks();
    const RealClock clock;
    std::optional<Metrics> before;
    Nanoseconds before_at = 0;
    for (;;) {
        const Report report = gather(*session, *nodes, options.waits);
        const Nanoseconds now = clock.now();
        if (options.json) {
            print_json(session->contact(), report, options.waits);
        } else {
            fmt::print("session {}: {}, {} nodes\n\n", session->contact().session,
                       session->contact().program, session->contact().nodes.size());
            print_sets(report);
            print_counters(report, before ? &*before : nullptr,
                           static_cast<double>(now - before_at) / 1e9);
            print_histograms(report.sum);
            if (options.waits) print_waits(report);
        }
        // Whoever watches sees the session end: that is no failure.
        if (before && !node::is_running(session->contact())) return {};
        if (options.watch_seconds <= 0) return tell_failures(report);
        if (auto told = tell_failures(report); !told && !before) return told;
        if (std::fflush(stdout) != 0) return {};  // told by main
        before = report.sum;
        before_at = now;
        tasks->sleep_for(static_cast<Nanoseconds>(options.watch_seconds * 1e9));
        if (!options.json) fmt::print("\n");
    }
}

}  // namespace ssi::cli
