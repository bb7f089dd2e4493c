// SPDX-License-Identifier: BSD-3-Clause
#include "graph/parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

namespace graph {
namespace {

// Whether a line of any length is empty but for blanks, as the reader of stanzas sees it.
class Emptiness {
public:
    void add(char c) {
        if (c != ' ' && c != '\t') ++others_;
        last_ = c;
    }
    bool is_empty() const { return others_ == 0 || (others_ == 1 && last_ == '\r'); }

private:
    std::uint64_t others_ = 0;
    char last_ = 0;
};

// Where the first unit begins that begins at `from` or later.
Outcome<std::uint64_t> aligned(const SharedText& text, Unit unit, std::uint64_t from) {
    constexpr std::size_t step = 64u << 10;
    if (from == 0) return 0;
    std::uint64_t at = from - 1;   // a line that begins at `from` has a newline before it
    Emptiness line;                // of the one that is being read
    bool whole = false;            // it was read from its beginning
    for (std::string block(step, '\0'); at < text.size;) {
        const auto got = text.read(block, at);
        if (!got) return tl::unexpected(got.error());
        if (*got == 0) break;
        for (std::size_t i = 0; i < *got; ++i, ++at) {
            if (block[i] != '\n') {
                line.add(block[i]);
                continue;
            }
            if (unit == Unit::line || (whole && line.is_empty())) return at + 1;
            whole = true;
            line = {};
        }
    }
    return text.size;
}

}  // namespace

Outcome<Part> part_of(const SharedText& text, Unit unit, int reader, int readers) {
    const auto border = [&](int r) {
        const auto n = static_cast<std::uint64_t>(readers), k = static_cast<std::uint64_t>(r);
        return text.size / n * k + text.size % n * k / n;
    };
    const auto begin = aligned(text, unit, border(reader));
    if (!begin) return tl::unexpected(begin.error());
    const auto end = aligned(text, unit, border(reader + 1));
    if (!end) return tl::unexpected(end.error());
    return Part{*begin, reader + 1 == readers ? text.size : *end};
}

LineReader lines_of(const SharedText& text, Part part) {
    auto at = std::make_shared<std::uint64_t>(part.begin);
    return LineReader::over_function(
        [&text, at, end = part.end](std::span<char> out) -> Outcome<std::size_t> {
            out = out.first(std::min<std::uint64_t>(out.size(), end - *at));
            if (out.empty()) return 0;
            const auto got = text.read(out, *at);
            if (!got) return got;
            if (*got == 0)
                return tl::unexpected(
                    Problem{Problem::Kind::unreadable,
                            fmt::format("{} became shorter while it was read", text.name)});
            *at += *got;
            return got;
        },
        text.name);
}

}  // namespace graph
