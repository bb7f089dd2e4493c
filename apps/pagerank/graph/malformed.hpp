// SPDX-License-Identifier: BSD-3-Clause
// Malformed: collects the malformed lines of an input, so that one error names them all (the first
// few in words, the rest by count).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/types.hpp"

namespace graph {

class Malformed {
public:
    struct Line {
        std::uint64_t number = 0;   // from 1
        std::string text;           // what is wrong, and the line in quotes
    };
    // `what` says what is wrong; `text` is quoted, shortened and made printable.
    void add(std::uint64_t line, std::string_view what, std::string_view text);
    // What another reader found in a later part of the same input.
    void add(std::uint64_t count, std::vector<Line> first);
    std::uint64_t count() const { return count_; }
    const std::vector<Line>& first() const { return first_; }

    // An error when there is anything and the user did not ask to skip it; otherwise a note (or
    // nothing) is appended to `notes`.
    Outcome<void> conclude(const std::string& input, bool skip,
                           std::vector<std::string>& notes) const;

private:
    static constexpr std::size_t described = 8;
    std::uint64_t count_ = 0;
    std::vector<Line> first_;
};

// In double quotes, at most 60 characters, everything but printable ASCII as \xNN.
std::string quoted(std::string_view text);

}  // namespace graph
