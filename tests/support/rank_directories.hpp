// SPDX-License-Identifier: BSD-3-Clause
// What the programs of tests with volumes are told: the directories of each rank in one argument,
// `a,b;c;` for three ranks of which the last is diskless.
#pragma once

#include <string>
#include <vector>

namespace ssi::test {

inline std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == at)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

inline std::vector<std::string> directories_of(const std::string& text, int rank) {
    const auto ranks = split(text, ';');
    const auto at = static_cast<std::size_t>(rank);
    if (at >= ranks.size() || ranks[at].empty()) return {};
    return split(ranks[at], ',');
}

}  // namespace ssi::test
