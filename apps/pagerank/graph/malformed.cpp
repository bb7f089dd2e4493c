// SPDX-License-Identifier: BSD-3-Clause
#include "graph/malformed.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace graph {

std::string quoted(std::string_view text) {
    constexpr std::size_t limit = 60;
    std::string out = "\"";
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\')
            out += c;
        else
            out += fmt::format("\\x{:02x}", byte);
    }
    return out + (text.size() > limit ? "...\"" : "\"");
}

void Malformed::add(std::uint64_t line, std::string_view what, std::string_view text) {
    if (count_++ < described)
        first_.push_back({line, fmt::format("{}: {}", what, quoted(text))});
}

void Malformed::add(std::uint64_t count, std::vector<Line> first) {
    count_ += count;
    std::ranges::move(first, std::back_inserter(first_));
    if (first_.size() > described) first_.resize(described);
}

Outcome<void> Malformed::conclude(const std::string& input, bool skip,
                                  std::vector<std::string>& notes) const {
    if (count_ == 0) return {};
    const char* plural = count_ == 1 ? "" : "s";
    std::vector<std::string> lines;
    for (const Line& line : first_)
        lines.push_back(fmt::format("line {}: {}", line.number, line.text));
    if (skip) {
        notes.push_back(fmt::format("{}: skipped {} malformed line{}, first: {}", input, count_,
                                    plural, lines.front()));
        return {};
    }
    std::string text = fmt::format("{}: {} malformed line{} (--skip-malformed ignores them)", input,
                                   count_, plural);
    for (const std::string& line : lines) text += "\n  " + line;
    if (count_ > first_.size()) text += fmt::format("\n  and {} more", count_ - first_.size());
    return tl::unexpected(Problem{Problem::Kind::malformed, std::move(text)});
}

}  // namespace graph
