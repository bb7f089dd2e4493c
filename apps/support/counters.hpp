// SPDX-License-Identifier: BSD-3-Clause
// The counters of a set as reports show them. Without libssi: the peers' reports are the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace support {

struct SetCounters {
    std::string set;
    std::vector<std::pair<const char*, std::uint64_t>> values;
};

// A list of JSON objects, one a set; a table for people.
std::string counters_json(std::span<const SetCounters> sets, const char* indent);
std::string counters_text(std::span<const SetCounters> sets);

}  // namespace support
