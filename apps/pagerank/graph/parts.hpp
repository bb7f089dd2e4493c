// SPDX-License-Identifier: BSD-3-Clause
// Parts of a text that several readers share: each reads the lines, or stanzas, that begin in its
// equal share of the bytes, so that all are read and none twice.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "graph/line_reader.hpp"
#include "graph/types.hpp"

namespace graph {

// Bytes that can be read from anywhere. Thread-safe if `read` is.
struct SharedText {
    std::string name;
    std::uint64_t size = 0;   // bytes
    // Fewer bytes only at the end.
    std::function<Outcome<std::size_t>(std::span<char> out, std::uint64_t offset)> read;
};

struct Part {
    std::uint64_t begin = 0, end = 0;   // bytes
};

enum class Unit : std::uint8_t { line, stanza };   // stanzas are apart by empty lines

Outcome<Part> part_of(const SharedText& text, Unit unit, int reader, int readers);
// `text` must outlive the reader. It is an error when the text is shorter than it was.
LineReader lines_of(const SharedText& text, Part part);

}  // namespace graph
