// SPDX-License-Identifier: BSD-3-Clause
#include "node_verbs.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

#include "identity.hpp"
#include "ssi/base/json.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::node {
namespace {

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t milliseconds(Nanoseconds duration) {
    return static_cast<std::uint64_t>(std::max<Nanoseconds>(duration, 0)) / 1'000'000;
}

std::string describe_node(Node& node, const NodeFacts& facts) {
    Json json;
    json.object()
        .field("node", node.id().value)
        .field("size", node.size())
        .field("session", facts.session)
        .field("program", facts.program)
        .field("host", host_name())
        .field("pid", static_cast<std::int64_t>(::getpid()))
        .field("cores", facts.cores)
        .field("rss_bytes", resident_bytes())
        .field("uptime_ms", milliseconds(node.doors().clock.now() - facts.started))
        .field("lost_a_node", node.any_lost());
    return json.end().text();
}

std::string describe_waits(Node& node) {
    const Nanoseconds now = node.doors().clock.now();
    const auto known = [](Json& json, const char* key, NodeId id) {
        if (id != no_node) json.field(key, id.value);
    };
    Json json;
    json.object().field("node", node.id().value).array("waits");
    for (const WaitList::Item& item : node.waits().items()) {
        const WaitDescription& what = item.what;
        json.object()
            // Threads have the top bit set, which is of no use to a reader.
            .field("task", item.task & ~(std::uint64_t{1} << 63))
            .field("verb", what.verb)
            .field("ms", milliseconds(now - item.since));
        if (!what.set.empty())
            json.field("set", what.set)
                .field("set_id", what.set_id.value)
                .field("object", what.object)
                .field("hi", what.object_id.hi)
                .field("lo", what.object_id.lo);
        known(json, "home", what.home);
        known(json, "from", what.from);
        json.array("held");
        for (const std::string& held : what.held) json.value(std::string_view(held));
        json.end().end();
    }
    return json.end().end().text();
}

std::string wait_line(const WaitList::Item& item, Nanoseconds now) {
    const WaitDescription& what = item.what;
    std::string line = fmt::format("task {} waits {} ms in {}",
                                   item.task & ~(std::uint64_t{1} << 63),
                                   milliseconds(now - item.since), what.verb);
    if (!what.set.empty()) line += fmt::format(" of object {} of set '{}'", what.object, what.set);
    if (what.home != no_node) line += fmt::format(", home node {}", what.home.value);
    if (what.from != no_node) line += fmt::format(", for node {}", what.from.value);
    if (!what.held.empty()) line += fmt::format(", holding {}", fmt::join(what.held, ", "));
    return line;
}

}  // namespace

std::string program_name() {
    std::array<char, 4096> path;
    const auto n = ::readlink("/proc/self/exe", path.data(), path.size());
    const std::string_view whole(path.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    return std::string(whole.substr(whole.rfind('/') + 1));
}

void add_node_verbs(Node& node, NodeFacts facts) {
    ControlVerbs& verbs = node.control();
    Stats& stats = node.doors().stats;
    verbs.add("ping", [](const JsonValue&) -> Result<std::string> { return "\"pong\""; });
    verbs.add("node", [&node, facts = std::move(facts)](const JsonValue&) -> Result<std::string> {
        return describe_node(node, facts);
    });
    verbs.add("stat", [&verbs, &stats](const JsonValue&) -> Result<std::string> {
        verbs.publish();
        return stats.json();
    });
    verbs.add("metrics", [&verbs, &stats](const JsonValue&) -> Result<std::string> {
        verbs.publish();
        return Json().value(stats.open_metrics()).text();
    });
    verbs.add("waits", [&node](const JsonValue&) -> Result<std::string> {
        return describe_waits(node);
    });
}

std::string dump_text(Node& node, const NodeFacts& facts) {
    const Nanoseconds now = node.doors().clock.now();
    const std::string who = fmt::format("node {} dump: ", node.id().value);
    std::string out = fmt::format("{}session {} of {} nodes, process {}, up {} ms, {} bytes "
                                  "resident\n",
                                  who, facts.session, node.size(), ::getpid(),
                                  milliseconds(now - facts.started), resident_bytes());
    auto to = std::back_inserter(out);
    const auto waits = node.waits().items();
    for (const auto& item : waits) fmt::format_to(to, "{}{}\n", who, wait_line(item, now));
    if (waits.empty()) fmt::format_to(to, "{}no task waits for long\n", who);
    node.control().publish();
    for (const Stats::Value& value : node.doors().stats.counters()) {
        if (value.value == 0) continue;
        fmt::format_to(to, "{}{}{} {}\n", who, value.name,
                       value.labels.empty() ? "" : "{" + value.labels + "}", value.value);
    }
    out.pop_back();
    return out;
}

}  // namespace ssi::node
