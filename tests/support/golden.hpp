// SPDX-License-Identifier: BSD-3-Clause
// Bytes as the documents of formats show them.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace ssi::test {

// Sixteen a line; lines that are zero are left out.
inline std::string dump_bytes(std::span<const std::byte> bytes) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        const auto line = bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at));
        if (std::ranges::all_of(line, [](std::byte b) { return b == std::byte{0}; })) continue;
        out += fmt::format("    {:05x} ", at);
        for (const std::byte b : line) out += fmt::format(" {:02x}", static_cast<unsigned>(b));
        out += '\n';
    }
    return out;
}

}  // namespace ssi::test
