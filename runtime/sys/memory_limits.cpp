// SPDX-License-Identifier: BSD-3-Clause
// Sources: proc(5), cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
#include "ssi/sys/memory_limits.hpp"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "ssi/base/assert.hpp"

namespace ssi::sys {
namespace {

// Version 1 says "unlimited" by the largest multiple of a page; nothing real is beyond 2^60.
constexpr std::uint64_t no_limit = std::uint64_t{1} << 60;

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

std::optional<std::uint64_t> read_number(const std::string& path) {
    const auto text = read_text(path);
    if (!text) return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{}) return std::nullopt;  // "max" of version 2
    return number;
}

// The number after `key` at the start of a line of "key number" or "key: number kB" lines.
std::uint64_t field(std::string_view text, std::string_view key) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(key)) continue;
        const auto digits = line.find_first_of("0123456789", key.size());
        if (digits == std::string_view::npos) return 0;
        std::uint64_t number = 0;
        std::from_chars(line.data() + digits, line.data() + line.size(), number);
        return number;
    }
    return 0;
}

struct Files {
    const char* limit;
    const char* used;
    const char* inactive_cache;
    const char* active_cache;
};
constexpr Files version_1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ",
                          "total_active_file "};
constexpr Files version_2{"memory.max", "memory.current", "inactive_file ", "active_file "};

struct Mount {
    std::string path;    // where it is mounted
    std::string origin;  // which directory of the hierarchy is mounted there
};

// The mount of the given control group hierarchy. mountinfo: id parent dev origin path options
// [optional fields] - type source super_options.
std::optional<Mount> find_mount(const std::string& root, bool unified) {
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const auto dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::istringstream right(line.substr(dash + 3));
        std::string type, source, options;
        right >> type >> source >> options;
        if (type != (unified ? "cgroup2" : "cgroup")) continue;
        if (!unified && ("," + options + ",").find(",memory,") == std::string::npos) continue;
        std::istringstream left(line.substr(0, dash));
        std::string skip;
        Mount mount;
        left >> skip >> skip >> skip >> mount.origin >> mount.path;
        return mount;
    }
    return std::nullopt;
}

// This process's path in the hierarchy. Lines: id:controllers:path; version 2 is "0::path".
std::optional<std::string> find_group(const std::string& root, bool unified) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool matches = unified
                                 ? controllers.empty()
                                 : ("," + controllers + ",").find(",memory,") != std::string::npos;
        if (matches) return line.substr(second + 1);
    }
    return std::nullopt;
}

std::optional<MemoryLimit> limit_of(const std::string& directory, const std::string& group,
                                    const Files& files) {
    const auto limit = read_number(directory + "/" + files.limit);
    if (!limit || *limit >= no_limit) return std::nullopt;
    const std::uint64_t used = read_number(directory + "/" + files.used).value_or(0);
    const std::string stat = read_text(directory + "/memory.stat").value_or("");
    const std::uint64_t cache = field(stat, files.inactive_cache) + field(stat, files.active_cache);
    return MemoryLimit{std::string(files.limit) + " of cgroup " + (group.empty() ? "/" : group),
                       *limit, used - std::min(used, cache)};
}

void add_groups(std::vector<MemoryLimit>& out, const std::string& root, bool unified) {
    const auto mount = find_mount(root, unified);
    auto group = find_group(root, unified);
    if (!mount || !group) return;
    // Inside a container the mount may show only our part of the hierarchy.
    if (mount->origin != "/" && group->starts_with(mount->origin))
        group->erase(0, mount->origin.size());
    while (group->ends_with('/')) group->pop_back();
    for (;;) {
        if (auto limit = limit_of(root + mount->path + *group, *group,
                                  unified ? version_2 : version_1))
            out.push_back(std::move(*limit));
        if (group->empty()) return;
        group->resize(std::min(group->rfind('/'), group->size()));
    }
}

}  // namespace

std::vector<MemoryLimit> read_memory_limits(const std::string& root) {
    std::vector<MemoryLimit> out;
    const std::string memory = read_text(root + "/proc/meminfo").value_or("");
    const std::uint64_t total = field(memory, "MemTotal:") * 1024;
    const std::uint64_t available = field(memory, "MemAvailable:") * 1024;
    out.push_back({"memory of the machine", total, total - std::min(total, available)});
    add_groups(out, root, true);
    add_groups(out, root, false);
    return out;
}

const MemoryLimit& tightest(const std::vector<MemoryLimit>& limits) {
    SSI_ASSERT(!limits.empty(), "pass what read_memory_limits returned");
    return *std::min_element(limits.begin(), limits.end(), [](const auto& a, const auto& b) {
        return a.left_bytes() < b.left_bytes();
    });
}

}  // namespace ssi::sys
