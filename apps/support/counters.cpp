// SPDX-License-Identifier: BSD-3-Clause
#include "support/counters.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "support/text.hpp"

namespace support {

std::string counters_json(std::span<const SetCounters> sets, const char* indent) {
    std::string out = "[";
    for (const SetCounters& set : sets) {
        if (out.size() > 1) out += ',';
        out += fmt::format("\n{}  {{\"set\": {}", indent, json_string(set.set));
        for (const auto& [name, value] : set.values)
            out += fmt::format(", \"{}\": {}", name, value);
        out += '}';
    }
    return out + (sets.empty() ? std::string("]") : fmt::format("\n{}]", indent));
}

std::string counters_text(std::span<const SetCounters> sets) {
    if (sets.empty()) return {};
    std::size_t width = 16;
    for (const SetCounters& set : sets) width = std::max(width, set.set.size());
    std::string out = fmt::format("\nKDDM statistics, summed over ranks\n{:<{}}", "set", width);
    for (const auto& counter : sets.front().values) out += fmt::format(" {:>13}", counter.first);
    for (const SetCounters& set : sets) {
        out += fmt::format("\n{:<{}}", set.set, width);
        for (const auto& counter : set.values)
            out += fmt::format(" {:>13}", thousands(counter.second));
    }
    return out + '\n';
}

}  // namespace support
