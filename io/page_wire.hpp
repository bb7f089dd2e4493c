// SPDX-License-Identifier: BSD-3-Clause
// What Pages asks other nodes, in bytes: a file, a mark and ranges of its pages; little endian.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "page_ranges.hpp"
#include "page_written.hpp"
#include "ssi/base/result.hpp"

namespace ssi::fs {

// Ranges in one message: what Calls takes, with room to spare.
inline constexpr std::size_t most_ranges = 64u << 10;

struct PageRequest {
    FileKey file;
    std::vector<PageRange> ranges;
};
std::vector<std::byte> encode(FileKey file, std::span<const PageRange> ranges);
Result<PageRequest> decode_request(std::span<const std::byte> bytes);

struct PageMap;
std::vector<std::byte> encode(const PageMap& map);
Result<PageMap> decode_map(std::span<const std::byte> bytes);

}  // namespace ssi::fs
