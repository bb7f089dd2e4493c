// SPDX-License-Identifier: BSD-3-Clause
#include "graph/malformed.hpp"

#include <fmt/core.h>

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
        first_.push_back(fmt::format("line {}: {}: {}", line, what, quoted(text)));
}

Outcome<void> Malformed::conclude(const std::string& input, bool skip,
                                  std::vector<std::string>& notes) const {
    if (count_ == 0) return {};
    const char* plural = count_ == 1 ? "" : "s";
    if (skip) {
        notes.push_back(fmt::format("{}: skipped {} malformed line{}, first: {}", input, count_,
                                    plural, first_.front()));
        return {};
    }
    std::string text = fmt::format("{}: {} malformed line{} (--skip-malformed ignores them)", input,
                                   count_, plural);
    for (const std::string& line : first_) text += "\n  " + line;
    if (count_ > first_.size()) text += fmt::format("\n  and {} more", count_ - first_.size());
    return tl::unexpected(Problem{Problem::Kind::malformed, std::move(text)});
}

}  // namespace graph
